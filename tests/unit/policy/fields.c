/* What hooks are shown: every field, its value, its death. */
#include "stage.h"

/* struct value_case: an expression in a hook, and what tostring makes of it */
struct value_case {
    const char *expression, *want;
};

static void check_values(enum hook hook, const char *parameters, const struct value_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512];
        struct stage stage;
        snprintf(text, sizeof text,
                 "local SET = relay.cidr{'198.51.100.0/24', '203.0.113.0/24'} return {%s = function(%s) relay.audit{v = tostring(%s)} end}",
                 hook == HOOK_log         ? "log"
                 : hook == HOOK_authorize ? "authorize"
                 : hook == HOOK_usage     ? "usage"
                                          : "permission",
                 parameters, cases[i].expression);
        stage_play(&stage, text);
        if (hook == HOOK_log) {
            struct event event = stage_event(&stage, EVENT_CLOSED);
            event.peer = &stage.peer;
            policy_tell(stage.policy, &event);
        } else if (stage_ask(&stage, hook) != VERDICT_SILENT) {
            test_failed("field", (int)i, "%s: %s", cases[i].expression, stage.verdict.reason);
        }
        snprintf(text, sizeof text, "{\"v\":\"%s\"}", cases[i].want);
        if (strcmp(stage.audited, text) != 0)
            test_failed("field", (int)i, "%s: %s", cases[i].expression, stage.audited);
        stage_clear(&stage);
    }
}

#define CHECK_VALUES(hook, head, cases) check_values(hook, head, cases, sizeof(cases) / sizeof *(cases))

TEST(a_request_shows_every_field)
{
    static const struct value_case cases[] = {
        {"req.id", "77"},
        {"req.method", "allocate"},
        {"req.now", "1700000060"},
        {"req.transport", "tls"},
        {"req.src", "198.51.100.7:5000"},
        {"req.src.ip", "198.51.100.7"},
        {"req.src.port", "5000"},
        {"req.src.family", "4"},
        {"req.src:within('198.51.100.0/24')", "true"},
        {"req.src:within('198.51.101.0/24')", "false"},
        {"req.src:within(SET)", "true"},
        {"req.src:mask(24)", "198.51.100.0/24"},
        {"req.src:mask(0)", "0.0.0.0/0"},
        {"req.src == req.src", "true"},
        {"req.src == req.dst", "false"},
        {"req.dst", "192.0.2.1:3478"},
        {"req.listener", "tls:192.0.2.1:3478"},
        {"req.sni", "turn.example"},
        {"req.alpn", "nil"},
        {"req.origin", "https://game.example"},
        {"req.username", "ann"},
        {"req.userhash", "nil"},
        {"req.realm", "example.org"},
        {"req.tenant", "acme"},
        {"req.user", "ann"},
        {"req.software", "tester 1.0"},
        {"req.lifetime", "700"},
        {"req.requested_transport", "udp"},
        {"req.requested_family", "4"},
        {"req.even_port", "false"},
        {"req.reservation", "false"},
        {"req.minted", "false"},
        {"req.room", "nil"},
        {"req.access_token", "nil"},
        {"req:attr(0x8022)", "tester 1.0"},
        {"#req:attr(0x000D)", "4"},
        {"req:attr(0x9999)", "nil"},
        {"req:attr(-1)", "nil"},
        {"req:count('user')", "3"},
        {"req:count('realm')", "20"},
        {"req:count('total')", "300"},
        {"pcall(function() return req.usrename end)", "false"},
        {"select(2, pcall(function() return req.usrename end))", "p.lua:1: request has no field 'usrename'; did you mean 'username'?"},
        {"select(2, pcall(function() return req[1] end))", "p.lua:1: request has no field '1'"},
        {"select(2, pcall(function() return req.src.prot end))", "p.lua:1: an address has no field 'prot'; did you mean 'port'?"},
        {"select(2, pcall(function() return req.src:mask(33) end))", "p.lua:1: prefix length out of range"},
        {"pcall(function() req.src.port = 1 end)", "false"},
        {"pcall(next, req)", "false"},
        {"getmetatable(req)", "request"},
    };
    CHECK_VALUES(HOOK_authorize, "req", cases);
}

TEST(what_a_minted_credential_says_is_shown_once_it_is_verified)
{
    struct stage stage;
    stage_play(&stage, "return {authorize = function(req) relay.audit{v = table.concat({tostring(req.minted), tostring(req.tag), tostring(req.room), "
                       "tostring(req.credential), tostring(req.key)}, ' ')} end}");
    stage.request.username = view_text("1790000000:tacme.k7:a%3Ab:c42:room=red");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(stage.audited, "{\"v\":\"false nil nil nil nil\"}");
    stage.request.is_minted = true;
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(stage.audited, "{\"v\":\"true a:b red c42 k7\"}");
    stage_clear(&stage);
}

TEST(an_ipv6_address_masks_and_compares)
{
    struct stage stage;
    stage_play(&stage, "local NET = relay.cidr('2001:db8::/32')\n"
                       "return {authorize = function(req) relay.audit{v = table.concat({tostring(req.src), req.src:mask(48), "
                       "tostring(NET:contains(req.src)),\n"
                       "  tostring(NET:contains('2001:db9::1')), tostring(req.src.family)}, ' ')} end}");
    stage.flow.client = stage_addr("[2001:db8:1:2::3]:9");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(stage.audited, "{\"v\":\"[2001:db8:1:2::3]:9 2001:db8:1::/48 true false 6\"}");
    stage_clear(&stage);
}

TEST(what_a_request_does_not_have_is_nil)
{
    struct stage stage;
    stage_play(&stage, "return {route = function(req) for _, name in ipairs{'sni', 'alpn', 'origin', 'username', 'tenant', 'user', "
                       "'software', 'lifetime',\n"
                       " 'requested_family'} do assert(req[name] == nil, name) end end}");
    stage.request = (struct request){.id = 1, .flow = &stage.flow, .tenant = "", .user = "", .realm = "r"};
    stage.flow.sni = "";
    if (stage_ask(&stage, HOOK_route) != VERDICT_SILENT)
        test_failed("p.lua", 0, "%s", stage.verdict.reason);
    stage_clear(&stage);
}

TEST(an_allocation_shows_every_field)
{
    static const struct value_case cases[] = {
        {"a.id", "5"},
        {"a.user", "ann"},
        {"a.tenant", "acme"},
        {"a.realm", "example.org"},
        {"a.src", "198.51.100.7:5000"},
        {"a.relay", "203.0.113.9:50000"},
        {"a.transport", "tls"},
        {"a.created", "1700000000"},
        {"a.expires", "1700000600"},
        {"a.bytes_in", "1000"},
        {"a.bytes_out", "2000"},
        {"a.packets_in", "10"},
        {"a.packets_out", "20"},
        {"a.permissions", "2"},
        {"a.channels", "1"},
        {"a.group", "match-42"},
        {"a.tags", "cc=DE,room=7"},
        {"a.tags.cc", "DE"},
        {"a.tags.room", "7"},
        {"a.tags.roo", "nil"},
        {"a.tags.none", "nil"},
        {"pcall(function() a.tags.cc = 1 end)", "false"},
        {"peer", "203.0.113.50:7000"},
        {"SET:contains(peer)", "true"},
        {"SET:contains('10.0.0.1')", "false"},
        {"SET:contains('::ffff:203.0.113.1')", "true"},
        {"kind", "permission"},
        {"select(2, pcall(function() return a.userr end))", "p.lua:1: allocation has no field 'userr'; did you mean 'user'?"},
    };
    CHECK_VALUES(HOOK_permission, "a, peer, kind", cases);
}

TEST(usage_shows_what_is_new)
{
    static const struct value_case cases[] = {
        {"u.bytes_in", "100"},  {"u.bytes_out", "200"}, {"u.packets_in", "1"},
        {"u.packets_out", "2"}, {"u.closing", "false"}, {"a.bytes_in", "1000"},
    };
    CHECK_VALUES(HOOK_usage, "a, u", cases);
}

TEST(an_event_shows_every_field)
{
    static const struct value_case cases[] = {
        {"ev.type", "closed"},
        {"ev.code", "0"},
        {"ev.reason", "released"},
        {"ev.by", "core"},
        {"ev.decision_id", "9"},
        {"#ev.policy_rev", "12"},
        {"ev.method", "refresh"},
        {"ev.user", "ann"},
        {"ev.tenant", "acme"},
        {"ev.realm", "example.org"},
        {"ev.username", "1700:ann"},
        {"ev.src", "198.51.100.7:5000"},
        {"ev.transport", "tls"},
        {"ev.peer", "203.0.113.50:7000"},
        {"ev.allocation", "5"},
        {"ev.bytes", "3000"},
        {"ev.bytes_in", "1000"},
        {"ev.bytes_out", "2000"},
        {"ev.packets_in", "10"},
        {"ev.packets_out", "20"},
        {"ev.seconds", "60"},
        {"ev.group", "match-42"},
        {"ev.tags", "cc=DE,room=7"},
        {"ev.tags.cc", "DE"},
        {"select(2, pcall(function() return ev.typ end))", "p.lua:1: event has no field 'typ'; did you mean 'type'?"},
    };
    CHECK_VALUES(HOOK_log, "ev", cases);
}

TEST(an_event_without_an_allocation_has_no_counts)
{
    struct stage stage;
    stage_play(&stage,
               "return {log = function(ev) for _, name in ipairs{'bytes', 'bytes_in', 'seconds', 'tags', 'allocation', 'peer', 'user'} do\n"
               " assert(ev[name] == nil, name) end relay.audit{type = ev.type} end}");
    struct event event = stage_event(&stage, EVENT_AUTH_FAILED);
    event.allocation = NULL;
    event.user = "";
    policy_tell(stage.policy, &event);
    CHECK_TEXT(stage.audit_type, "auth_failed");
    stage_clear(&stage);
}

TEST(channel_is_shown_the_number_and_permission_the_kind)
{
    struct stage stage;
    stage_play(&stage, "return {channel = function(a, peer, number) return relay.deny(403, number .. tostring(peer)) end,\n"
                       " permission = function(a, peer, kind) return relay.deny(403, kind) end}");
    stage_ask(&stage, HOOK_channel);
    CHECK_TEXT(stage.verdict.reason, "16385203.0.113.50:7000");
    struct question question = stage_question(&stage, HOOK_permission);
    question.method = METHOD_CHANNEL_BIND;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.verdict.reason, "channel");
    stage_clear(&stage);
}

TEST(arguments_are_dead_after_the_hook)
{
    static const char *const uses[] = {"R.id",
                                       "A.id",
                                       "U.bytes_in",
                                       "E.type",
                                       "SRC.ip",
                                       "tostring(SRC)",
                                       "SRC:mask(8)",
                                       "T.cc",
                                       "R:count('user')",
                                       "PEER.ip",
                                       "SRC == SRC and SRC.port"};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        char text[512];
        struct stage stage;
        snprintf(text, sizeof text,
                 "local R, A, U, E, SRC, T, PEER\n"
                 "return {authorize = function(req) R, SRC = req, req.src end, usage = function(a, u) A, U, T = a, u, a.tags end,\n"
                 "log = function(ev) E = ev end, permission = function(a, peer) PEER = peer end, init = function()\n"
                 "relay.timer.every(1, function() relay.audit{ran = 1} local x = %s relay.audit{ran = 2} end) end}",
                 uses[i]);
        stage_play(&stage, text);
        stage_ask(&stage, HOOK_authorize);
        stage_ask(&stage, HOOK_usage);
        stage_ask(&stage, HOOK_permission);
        const struct event event = stage_event(&stage, EVENT_CLOSED);
        policy_tell(stage.policy, &event);
        policy_idle(stage.policy, 62000, 1700000062000);
        CHECK_TEXT(stage.audited, "{\"ran\":1}");
        CHECK_INT(policy_counts(stage.policy)->errors, 1);
        stage_clear(&stage);
    }
}

TEST_LIST(RUN(a_request_shows_every_field) RUN(what_a_minted_credential_says_is_shown_once_it_is_verified) RUN(an_ipv6_address_masks_and_compares) RUN(what_a_request_does_not_have_is_nil)
              RUN(an_allocation_shows_every_field) RUN(usage_shows_what_is_new) RUN(an_event_shows_every_field)
                  RUN(an_event_without_an_allocation_has_no_counts) RUN(channel_is_shown_the_number_and_permission_the_kind)
                      RUN(arguments_are_dead_after_the_hook))
