/* Every hook, every decision it may return, what fails closed, and what one verdict comes of several policies. */
#include "stage.h"

#include "wire/integrity.h"

TEST(a_policy_without_hooks_has_no_opinion_and_no_hooks)
{
    struct stage stage;
    stage_play(&stage, "return {name = 'empty'}");
    CHECK_INT(policy_hooks(stage.policy), 0);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    stage_clear(&stage);
}

TEST(deny_tells_code_reason_and_the_line_that_built_it)
{
    struct stage stage;
    stage_play(&stage, "local NO = relay.deny(403, 'not today')\n"
                       "return {authorize = function(req)\n"
                       "  if req.user == 'ann' then return NO end\n"
                       "  return relay.deny(486)\n"
                       "end}");
    CHECK_INT(policy_hooks(stage.policy), HOOK_BIT(HOOK_authorize));
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 403);
    CHECK_TEXT(stage.verdict.reason, "not today");
    CHECK_TEXT(stage.verdict.by, "p.lua:1");
    stage.request.user = "bob";
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 486);
    CHECK_TEXT(stage.verdict.reason, "policy");
    CHECK_TEXT(stage.verdict.by, "p.lua:4");
    stage_clear(&stage);
}

TEST(every_hook_answers_what_it_may_and_fails_closed_for_what_it_may_not)
{
    static const struct {
        const char *decision;
        enum verdict_kind kind;
        uint32_t hooks; /* that may return it */
    } cases[] = {
        {"relay.deny(401)", VERDICT_DENY, HOOK_BIT(HOOK_authenticate)},
        {"relay.deny(403)", VERDICT_DENY,
         HOOK_BIT(HOOK_route) | HOOK_BIT(HOOK_authenticate) | HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_permission) |
             HOOK_BIT(HOOK_channel) | HOOK_BIT(HOOK_refresh)},
        {"relay.deny(440)", VERDICT_DENY, HOOK_BIT(HOOK_authorize)},
        {"relay.deny(442)", VERDICT_DENY, HOOK_BIT(HOOK_authorize)},
        {"relay.deny(443)", VERDICT_DENY, HOOK_BIT(HOOK_permission)},
        {"relay.deny(486)", VERDICT_DENY, HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_refresh)},
        {"relay.deny(508)", VERDICT_DENY, HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_refresh)},
        {"relay.allow{}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_refresh) | HOOK_BIT(HOOK_usage)},
        {"relay.allow{user_quota = 1}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize)},
        {"relay.allow{tags = {a = 1}}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize)},
        {"relay.allow{permission_acl = relay.cidr('1.0.0.0/8')}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize)},
        {"relay.allow{max_lifetime = 700}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_refresh)},
        {"relay.allow{max_bps = 700}", VERDICT_ALLOW, HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_usage)},
        {"relay.key{user = 'u', password = 'p'}", VERDICT_KEY, HOOK_BIT(HOOK_authenticate)},
        {"relay.lookup('u')", VERDICT_LOOKUP, HOOK_BIT(HOOK_authenticate)},
        {"relay.tenant('t')", VERDICT_TENANT, HOOK_BIT(HOOK_route)},
        {"relay.redirect{server = '192.0.2.9:3478'}", VERDICT_REDIRECT, HOOK_BIT(HOOK_route) | HOOK_BIT(HOOK_authorize)},
        {"relay.reauth()", VERDICT_REAUTH, HOOK_BIT(HOOK_refresh)},
        {"relay.close('why')", VERDICT_CLOSE, HOOK_BIT(HOOK_usage)},
        {"nil", VERDICT_SILENT, UINT32_MAX},
        {"relay.fail('why')", VERDICT_FAIL, UINT32_MAX},
        {"true", VERDICT_FAIL, UINT32_MAX},
        {"false", VERDICT_FAIL, UINT32_MAX},
        {"403", VERDICT_FAIL, UINT32_MAX},
        {"'deny'", VERDICT_FAIL, UINT32_MAX},
        {"{403}", VERDICT_FAIL, UINT32_MAX},
        {"print", VERDICT_FAIL, UINT32_MAX},
        {"relay.cidr('1.0.0.0/8')", VERDICT_FAIL, UINT32_MAX},
        {"coroutine.create(print)", VERDICT_FAIL, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        struct stage stage;
        snprintf(text, sizeof text,
                 "local D = %s\nlocal function f() return D end\n"
                 "return {route = f, authenticate = f, authorize = f, permission = f, channel = f, refresh = f, usage = f}",
                 cases[i].decision);
        stage_play(&stage, text);
        for (enum hook hook = HOOK_route; hook <= HOOK_usage; hook++) {
            const enum verdict_kind want = cases[i].hooks & HOOK_BIT(hook) ? cases[i].kind : VERDICT_FAIL, got = stage_ask(&stage, hook);
            if (got != want)
                test_failed(cases[i].decision, (int)hook, "kind %d, not %d: %s", got, want, stage.verdict.reason);
            if (got == VERDICT_FAIL)
                CHECK_INT(stage.verdict.code, 500);
            if (got != VERDICT_SILENT)
                HAS(stage.verdict.by, "p.lua");
        }
        stage_clear(&stage);
    }
}

/* what a hook does, and the reason of its failure */
#define ONE_KEY "relay.key: one of password, passwords, ha1 and mac_key expected"

static const struct {
    const char *body, *reason;
} mistakes[] = {
    {"error('boom')", "p.lua:2: boom"},
    {"error({})", "error object of type table"},
    {"error()", "error object of type nil"},
    {"local x = nil + 1", "attempt to perform arithmetic on a nil value"},
    {"local x = req.foo.bar", "has no field 'foo'"},
    {"local x = relay.dney(403)", "relay has no field 'dney'; did you mean 'deny'?"},
    {"local x = undefined_thing", "unknown global 'undefined_thing'"},
    {"some_global = 1", "global 'some_global' is set after load"},
    {"relay.deny = nil", "relay is read-only"},
    {"string.rep = nil", "string is read-only"},
    {"return relay.deny(487)", "relay.deny: 487 is an answer of ICE, not of TURN"},
    {"return relay.deny(438)", "relay.deny: no policy may answer 438"},
    {"return relay.deny('403x')", "number expected, got string"},
    {"return relay.deny(403, {})", "relay.deny: reason: a string expected, got table"},
    {"return relay.deny(403, ('x'):rep(96))", "relay.deny: reason: longer than 95 bytes"},
    {"return relay.allow{user_qouta = 1}", "relay.allow: unknown field 'user_qouta'; did you mean 'user_quota'?"},
    {"return relay.allow{user_quota = 0}", "relay.allow: user_quota: an integer from 1"},
    {"return relay.allow{user_quota = 1.5}", "relay.allow: user_quota: an integer from 1"},
    {"return relay.allow{user_quota = '1'}", "relay.allow: user_quota: an integer from 1"},
    {"return relay.allow{user_quota = 1 << 32}", "relay.allow: user_quota: an integer from 1"},
    {"return relay.allow{meter = {}}", "relay.allow: meter: a relay.meter expected, got nil"},
    {"return relay.allow{pools = 'x'}", "relay.allow: unknown field 'pools'"},
    {"return relay.allow{pool = ''}", "relay.allow: pool: a name expected, got an empty one"},
    {"return relay.allow{permission_acl = {}}", "permission_acl: a relay.cidr expected"},
    {"return relay.allow{tags = {['a,b'] = 1}}", "relay.allow: tags: "},
    {"return relay.allow{tags = {a = 'x,y'}}", "relay.allow: tags: "},
    {"return relay.allow{tags = {a = {}}}", "relay.allow: tags: "},
    {"return relay.allow{tags = {a = ('x'):rep(200)}}", "relay.allow: tags: longer than 127 bytes"},
    {"return relay.allow{1}", "relay.allow: unknown field '1'"},
    {"return relay.allow(1)", "relay.allow: a table expected, got number"},
    {"return relay.key{user = 'u'}", ONE_KEY},
    {"return relay.key{user = 'u', password = 'p', ha1 = ('0'):rep(32)}", ONE_KEY},
    {"return relay.key{password = 'p'}", "relay.key: user: a string expected, got nil"},
    {"return relay.key{user = 'a\\0b', password = 'p'}", "relay.key: user: a zero byte"},
    {"return relay.key{user = ('u'):rep(129), password = 'p'}", "relay.key: user: longer than 128 bytes"},
    {"return relay.key{user = 'u', ha1 = 'xyz'}", "relay.key: ha1: 32 hexadecimal digits expected"},
    {"return relay.key{user = 'u', ha1_sha256 = ('0'):rep(32)}", "relay.key: ha1_sha256: 64 hexadecimal digits expected"},
    {"return relay.key{user = 'u', password = 'p', ha1_sha256 = ('0'):rep(64)}", ONE_KEY},
    {"return relay.key{user = 'u', passwords = {1, 2, 3, 4, 5, 6, 7, 8, 9}}", "relay.key: more than 8 passwords"},
    {"return relay.key{user = 'u', password = 'a\tb'}", "relay.key: password has U+0009, which RFC 8265 does not allow"},
    {"return relay.key{user = 'u', passwords = {'p', ''}}", "relay.key: passwords is empty"},
    {"return relay.key{user = 'u', passwords = 'p'}", "relay.key: passwords: a list expected"},
    {"return relay.key{user = 'u', password = 'p', expires = 'soon'}", "relay.key: expires: unix seconds expected"},
    {"return relay.key{user = 'u', password = 'p', on_expiry = 'later'}", "relay.key: on_expiry: 'keep', 'reauth' or 'strict' expected"},
    {"return relay.key{user = 'u', pasword = 'p'}", "relay.key: unknown field 'pasword'; did you mean 'password'?"},
    {"return relay.tenant('t', {real = 'x'})", "relay.tenant: unknown field 'real'; did you mean 'realm'?"},
    {"return relay.tenant(nil)", "relay.tenant: a string expected, got nil"},
    {"return relay.lookup('u', {tenent = 'x'})", "relay.lookup: unknown field 'tenent'; did you mean 'tenant'?"},
    {"local x = relay.deny(403).code", "a decision cannot be read"},
    {"relay.deny(403).code = 1", "decision is read-only"},
    {"req.user = 'root'", "request is read-only"},
    {"setmetatable(relay, {})", "cannot change a protected metatable"},
    {"rawset(relay, 'deny', print)", "rawset: a protected table"},
    {"setmetatable({}, {__gc = print})", "setmetatable: __gc is not allowed"},
    {"setmetatable({}, {__mode = 'k'})", "setmetatable: __mode is not allowed"},
    {"req.src:within('nonsense')", "'nonsense' is not an address range"},
    {"req:count('planets')", "count: 'planets' is not 'total', 'realm' or 'user'"},
    {"req.attr(nil, 1)", "the request expected, got nil"},
};

TEST(what_goes_wrong_in_a_hook_fails_closed_with_file_and_line)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char text[512];
        struct stage stage;
        snprintf(text, sizeof text, "return {authorize = function(req)\n%s\nend}", mistakes[i].body);
        stage_play(&stage, text);
        if (stage_ask(&stage, HOOK_authorize) != VERDICT_FAIL)
            test_failed("p.lua", 0, "%s: does not fail", mistakes[i].body);
        if (!strstr(stage.verdict.reason, mistakes[i].reason) &&
            strncmp(stage.verdict.reason, mistakes[i].reason, sizeof stage.verdict.reason - 1) != 0)
            test_failed("p.lua", 0, "%s: %s", mistakes[i].body, stage.verdict.reason);
        CHECK_TEXT(stage.verdict.by, "p.lua:2");
        CHECK_INT(policy_counts(stage.policy)->errors, 1);
        stage_clear(&stage);
    }
}

TEST(a_failure_is_counted_by_its_kind)
{
    struct stage stage;
    stage_play(&stage, "local n = 0\nreturn {authorize = function() n = n + 1 if n == 1 then error('x') end return 1 end}");
    stage_ask(&stage, HOOK_authorize);
    stage_ask(&stage, HOOK_authorize);
    CHECK_INT(policy_counts(stage.policy)->calls, 2);
    CHECK_INT(policy_counts(stage.policy)->errors, 1);
    CHECK_INT(policy_counts(stage.policy)->wrong_type, 1);
    stage_clear(&stage);
}

TEST(a_failure_is_one_line_in_the_log)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "p.lua", "return {authorize = function() error('a\\nb') end}");
    const char *path = stage_file(&stage, "log", "");
    stage.world.log = log_new(path, LOG_INFO);
    CHECK(stage_load(&stage));
    stage_ask(&stage, HOOK_authorize);
    log_free(stage.world.log);
    stage.world.log = NULL;
    char *text = test_file(path);
    HAS(text, "error policy_error hook=authorize by=p.lua:1 reason=\"p.lua:1: a\\x0ab\"");
    CHECK_INT(strchr(text, '\n')[1], 0);
    free(text);
    stage_clear(&stage);
}

TEST(allow_carries_every_limit)
{
    struct stage stage;
    stage_play(
        &stage,
        "local L = relay.allow{total_quota = 1, realm_quota = 2, user_quota = 3, max_lifetime = 4, max_bps = 1 << 40, "
        "max_permissions = 6,\n"
        "  max_channels = 7, group = 'match-42', pool = 'red', tags = {room = 5, cc = 'DE', ok = true}, permission_acl = relay.cidr{'203.0.113.0/24'}}\n"
        "return {authorize = function() return L end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    const struct limits *limits = &stage.verdict.limits;
    CHECK_INT(limits->total_quota, 1);
    CHECK_INT(limits->realm_quota, 2);
    CHECK_INT(limits->user_quota, 3);
    CHECK_INT(limits->max_lifetime_s, 4);
    CHECK_INT(limits->max_bps, INT64_C(1) << 40);
    CHECK_INT(limits->max_permissions, 6);
    CHECK_INT(limits->max_channels, 7);
    CHECK_TEXT(stage.verdict.labels.tags, "cc=DE,ok=true,room=5");
    CHECK_TEXT(stage.verdict.labels.group, "match-42");
    CHECK_TEXT(stage.verdict.labels.pool, "red");
    CHECK(cidr_has(limits->acl, &stage.peer));
    stage_clear(&stage);
}

static void check_key(const struct stage *stage, size_t index, const char *password)
{
    uint8_t key[INTEGRITY_KEY_LEN];
    CHECK_INT(integrity_key(stage->world.crypto, view_text("ann"), view_text("example.org"), view_text(password), key), 0);
    CHECK_INT(stage->verdict.keys[index].len, INTEGRITY_KEY_LEN);
    CHECK_BYTES(stage->verdict.keys[index].bytes, key, INTEGRITY_KEY_LEN);
}

TEST(key_makes_long_term_keys_of_the_username_as_sent_and_the_realm)
{
    struct stage stage;
    stage_play(&stage,
               "return {authenticate = function(req)\n"
               "  if req.lifetime == 1 then return relay.key{user = 'quota-name', password = 'secret'} end\n"
               "  if req.lifetime == 2 then return relay.key{user = 'u', tenant = 'other', passwords = {'new', 'old'}, expires = 99, "
               "on_expiry = 'reauth'} end\n"
               "  if req.lifetime == 3 then return relay.key{user = 'u', ha1 = '000102030405060708090A0b0c0d0e0f', expires = -5} end\n"
               "  return relay.lookup(('n'):rep(req.lifetime), {tenant = 'other'})\n"
               "end}");
    stage.request.lifetime_s = 1;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_TEXT(stage.verdict.user, "quota-name");
    CHECK_TEXT(stage.verdict.tenant, "acme"); /* as routed */
    CHECK_INT(stage.verdict.key_count, 1);
    CHECK_INT(stage.verdict.expires_unix_s, 0);
    check_key(&stage, 0, "secret");
    stage.request.lifetime_s = 2;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_TEXT(stage.verdict.tenant, "other");
    CHECK_INT(stage.verdict.key_count, 2);
    CHECK_INT(stage.verdict.expires_unix_s, 99);
    CHECK_INT(stage.verdict.on_expiry, ON_EXPIRY_REAUTH);
    check_key(&stage, 0, "new");
    check_key(&stage, 1, "old");
    stage.request.lifetime_s = 3;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_BYTES(stage.verdict.keys[0].bytes, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
    CHECK_INT(stage.verdict.expires_unix_s, 1); /* expired, not eternal */
    stage.request.lifetime_s = 128;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_LOOKUP);
    CHECK_INT(strlen(stage.verdict.user), 128);
    CHECK_TEXT(stage.verdict.tenant, "other");
    stage.request.lifetime_s = 129; /* longer than any user's name */
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 401);
    stage_clear(&stage);
}

TEST(key_makes_the_kind_of_key_that_the_client_signs_with)
{
    struct stage stage;
    uint8_t key[INTEGRITY_KEY_SHA256_LEN];
    stage_play(&stage, "local both = relay.key{user = 'u', ha1 = ('01'):rep(16), ha1_sha256 = ('0B'):rep(32)}\n"
                       "return {authenticate = function(req)\n"
                       "  if req.lifetime == 1 then return relay.key{user = 'u', passwords = {'new', 'old'}} end\n"
                       "  if req.lifetime == 2 then return both end\n"
                       "  return relay.key{user = 'u', ha1 = ('01'):rep(16)}\n"
                       "end}");
    stage.request.wants_sha256 = true;
    stage.request.lifetime_s = 1;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 2);
    CHECK_INT(integrity_key_sha256(stage.world.crypto, view_text("ann"), view_text("example.org"), view_text("old"), key), 0);
    CHECK_INT(stage.verdict.keys[1].len, sizeof key);
    CHECK_BYTES(stage.verdict.keys[1].bytes, key, sizeof key);
    stage.request.lifetime_s = 2;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 1);
    CHECK_INT(stage.verdict.keys[0].len, 32);
    CHECK_INT(stage.verdict.keys[0].bytes[31], 11);
    stage.request.lifetime_s = 3;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 0); /* it has none: nobody gets in */
    stage.request.wants_sha256 = false;
    stage.request.lifetime_s = 2;
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.keys[0].len, 16);
    CHECK_INT(stage.verdict.keys[0].bytes[15], 1);
    stage_clear(&stage);
}

TEST(route_is_asked_once_for_a_listener_sni_alpn_and_origin)
{
    struct stage stage;
    stage_play(&stage, "local n = 0\nreturn {route = function(req)\n n = n + 1\n if req.sni == 'bad' then error('x') end\n"
                       " return relay.tenant('t' .. n, {realm = 'r' .. n})\nend}");
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_TENANT);
    CHECK_TEXT(stage.verdict.tenant, "t1");
    CHECK_TEXT(stage.verdict.realm, "r1");
    CHECK_TEXT(stage.verdict.by, "p.lua:5");
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_TENANT);
    CHECK_TEXT(stage.verdict.tenant, "t1");
    stage.flow.sni = "other.example";
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.tenant, "t2");
    stage.flow.listener = 1;
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.tenant, "t3");
    stage.flow.alpn = "stun.turn";
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.tenant, "t4");
    stage.request.message = NULL; /* no ORIGIN */
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.tenant, "t5");
    stage.flow.sni = "bad";
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_FAIL);
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_FAIL); /* not remembered */
    CHECK_INT(policy_counts(stage.policy)->calls, 7);
    stage_clear(&stage);
}

/* play_chain: three policies whose hooks are these expressions, "" for none. */
static void play_chain(struct stage *stage, const char *hook, const char *const said[3])
{
    static const char *const names[] = {"a.lua", "b.lua", "c.lua"};
    stage_set(stage);
    for (int i = 0; i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "local S = relay.cidr{'10.0.0.0/8', '203.0.113.0-203.0.113.60'} local T = "
                 "relay.cidr('203.0.113.40-203.0.113.255')\nreturn {%s%s%s%s}",
                 *said[i] ? hook : "name", *said[i] ? " = function(a, b) return " : " = 'x'", said[i], *said[i] ? " end" : "");
        stage_add(stage, names[i], text);
    }
    if (!stage_load(stage))
        test_failed(hook, 0, "%s", stage->error);
}

TEST(of_several_policies_one_verdict_comes)
{
    static const struct {
        const char *name;
        enum hook hook;
        const char *said[3];
        enum verdict_kind kind;
        const char *by;
    } cases[] = {
        {"authenticate", HOOK_authenticate, {"nil", "relay.deny(403)", "relay.deny(401)"}, VERDICT_DENY, "b.lua:2"},
        {"authenticate", HOOK_authenticate, {"", "relay.lookup('x')", "error('x')"}, VERDICT_LOOKUP, "b.lua:2"},
        {"authenticate", HOOK_authenticate, {"error('x')", "relay.lookup('x')", ""}, VERDICT_FAIL, "a.lua:2"},
        {"authorize", HOOK_authorize, {"relay.allow{}", "nil", "relay.deny(486)"}, VERDICT_DENY, "c.lua:2"},
        {"authorize", HOOK_authorize, {"relay.allow{}", "relay.deny(403)", "relay.deny(486)"}, VERDICT_DENY, "b.lua:2"},
        {"authorize", HOOK_authorize, {"relay.allow{}", "error('x')", "relay.deny(486)"}, VERDICT_FAIL, "b.lua:2"},
        {"authorize", HOOK_authorize, {"nil", "nil", "nil"}, VERDICT_SILENT, ""},
        {"authorize", HOOK_authorize, {"", "", "relay.allow{}"}, VERDICT_ALLOW, "c.lua:2"},
        {"permission", HOOK_permission, {"nil", "", "relay.deny(403)"}, VERDICT_DENY, "c.lua:2"},
        {"permission", HOOK_permission, {"nil", "1", "relay.deny(403)"}, VERDICT_FAIL, "b.lua"},
        {"channel", HOOK_channel, {"relay.deny(403)", "error('x')", ""}, VERDICT_DENY, "a.lua:2"},
        {"refresh", HOOK_refresh, {"error('x')", "relay.allow{max_lifetime = 700}", "nil"}, VERDICT_FAIL, "a.lua:2"},
        {"refresh", HOOK_refresh, {"error('x')", "relay.deny(486)", "nil"}, VERDICT_DENY, "b.lua:2"},
        {"refresh", HOOK_refresh, {"relay.allow{}", "relay.reauth()", "nil"}, VERDICT_REAUTH, "b.lua:2"},
        {"usage", HOOK_usage, {"relay.allow{max_bps = 5}", "error('x')", "relay.close('cap')"}, VERDICT_CLOSE, "c.lua:2"},
        {"usage", HOOK_usage, {"relay.allow{max_bps = 5}", "nil", "nil"}, VERDICT_ALLOW, "a.lua:2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage stage;
        play_chain(&stage, cases[i].name, cases[i].said);
        const enum verdict_kind got = stage_ask(&stage, cases[i].hook);
        if (got != cases[i].kind || strcmp(stage.verdict.by, cases[i].by) != 0)
            test_failed(cases[i].name, (int)i, "kind %d by %s: %s", got, stage.verdict.by, stage.verdict.reason);
        stage_clear(&stage);
    }
}

TEST(limits_of_several_policies_merge_to_the_strictest)
{
    static const char *const said[] = {
        "relay.allow{user_quota = 9, realm_quota = 2, max_bps = 100, tags = {a = 1, b = 1}, permission_acl = S}",
        "relay.allow{user_quota = 3, realm_quota = 5, max_lifetime = 60, tags = {b = 2, c = 3}}",
        "relay.allow{user_quota = 4, max_bps = 200, max_channels = 1, permission_acl = T}"};
    struct stage stage;
    play_chain(&stage, "authorize", said);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    const struct limits limits = stage.verdict.limits;
    CHECK_INT(limits.user_quota, 3);
    CHECK_INT(limits.realm_quota, 2);
    CHECK_INT(limits.max_bps, 100);
    CHECK_INT(limits.max_lifetime_s, 60);
    CHECK_INT(limits.max_channels, 1);
    CHECK_INT(limits.total_quota, 0);
    CHECK_TEXT(stage.verdict.labels.tags, "b=2,c=3,a=1");
    static const struct {
        const char *addr;
        bool in;
    } peers[] = {{"203.0.113.50", true},  {"203.0.113.40", true},  {"203.0.113.60", true},
                 {"203.0.113.61", false}, {"203.0.113.39", false}, {"10.1.1.1", false}};
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        const struct addr addr = stage_addr(peers[i].addr);
        CHECK_INT(cidr_has(limits.acl, &addr), peers[i].in);
    }
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    CHECK(stage.verdict.limits.acl == limits.acl); /* made once */
    stage_clear(&stage);
}

TEST(every_policy_is_told_events_and_the_end)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "a.lua", "return {log = function(ev) error('x') end, shutdown = function() relay.audit{type = 'bye'} end}");
    stage_add(&stage, "b.lua", "return {log = function(ev) relay.audit{type = ev.type} return 5 end}");
    CHECK(stage_load(&stage));
    const struct event event = stage_event(&stage, EVENT_CLOSED);
    policy_tell(stage.policy, &event);
    CHECK_TEXT(stage.audit_type, "closed");
    CHECK_INT(policy_counts(stage.policy)->errors, 1);
    CHECK_INT(policy_counts(stage.policy)->wrong_type, 0); /* what log returns is ignored */
    policy_shutdown(stage.policy, 1, 1);
    CHECK_TEXT(stage.audit_type, "bye");
    stage_clear(&stage);
}

TEST(init_is_told_the_worker_and_may_refuse_the_start)
{
    struct stage stage;
    stage_play(&stage, "return {init = function(ctx) assert(ctx.worker == 1 and ctx.workers == 2 and ctx.reload == false) relay.audit{type "
                       "= 'init'} end}");
    CHECK_TEXT(stage.audit_type, "init");
    stage_clear(&stage);
    stage_refused(&stage, "return {\ninit = function() error('no table') end}");
    CHECK_TEXT(stage.error, "p.lua:2: no table");
    stage_refused(&stage, "return {\ninit = function() error({}) end}");
    CHECK_TEXT(stage.error, "p.lua:2: error object of type table");
    stage_refused(&stage, "return {\ninit = function(ctx) return ctx.wroker end}");
    CHECK_TEXT(stage.error, "p.lua:2: ctx has no field 'wroker'; did you mean 'worker'?");
}

TEST(a_constant_decision_makes_no_garbage)
{
    struct stage stage;
    stage_play(&stage, "local NO, LIMITS = relay.deny(403), relay.allow{user_quota = 5}\n"
                       "return {authorize = function(req) if req.user == 'bob' then return NO end return LIMITS end,\n"
                       " permission = function(alloc, peer, kind) if peer.port == 1 or kind == 'x' then return NO end end}");
    for (int i = 0; i < 10; i++) {
        stage_ask(&stage, HOOK_authorize);
        stage_ask(&stage, HOOK_permission);
    }
    const size_t before = policy_heap_bytes(stage.policy);
    test_fail_malloc_after(-1);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
        CHECK_INT(stage_ask(&stage, HOOK_permission), VERDICT_SILENT);
    }
    CHECK_INT(test_mallocs(), 0);
    CHECK_INT(policy_heap_bytes(stage.policy), before);
    stage_clear(&stage);
}

TEST_LIST(RUN(a_policy_without_hooks_has_no_opinion_and_no_hooks) RUN(deny_tells_code_reason_and_the_line_that_built_it)
              RUN(every_hook_answers_what_it_may_and_fails_closed_for_what_it_may_not)
                  RUN(what_goes_wrong_in_a_hook_fails_closed_with_file_and_line) RUN(a_failure_is_counted_by_its_kind)
                      RUN(a_failure_is_one_line_in_the_log) RUN(allow_carries_every_limit)
                          RUN(key_makes_long_term_keys_of_the_username_as_sent_and_the_realm)
                              RUN(key_makes_the_kind_of_key_that_the_client_signs_with)
                                  RUN(route_is_asked_once_for_a_listener_sni_alpn_and_origin) RUN(of_several_policies_one_verdict_comes)
                                          RUN(limits_of_several_policies_merge_to_the_strictest)
                                              RUN(every_policy_is_told_events_and_the_end)
                                                  RUN(init_is_told_the_worker_and_may_refuse_the_start)
                                                      RUN(a_constant_decision_makes_no_garbage))
