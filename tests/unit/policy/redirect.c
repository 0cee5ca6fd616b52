/* relay.redirect: what it takes, and what becomes of it. */
#include "stage.h"

TEST(redirect_names_an_address)
{
    struct stage stage;
    stage_play(&stage, "return {route = function() return relay.redirect{server = '[2001:db8::1]:3479'} end}");
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_REDIRECT);
    const struct addr want = stage_addr("[2001:db8::1]:3479");
    CHECK(addr_equal(&stage.verdict.alternate.servers[0], &want));
    CHECK_INT(stage.verdict.code, 300);
    stage_clear(&stage);
}

TEST(redirect_may_name_both_families_and_a_domain)
{
    struct stage stage;
    stage_play(&stage, "return {route = function() return relay.redirect{server = {'[2001:db8::1]:3479', '192.0.2.1:3478'},"
                       " domain = 'turn2.example.org'} end}");
    CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_REDIRECT);
    const struct addr v4 = stage_addr("192.0.2.1:3478");
    CHECK(addr_equal(&stage.verdict.alternate.servers[1], &v4));
    CHECK_TEXT(stage.verdict.alternate.domain, "turn2.example.org");
    stage_clear(&stage);
}

TEST(what_is_no_server_or_domain_is_refused)
{
    static const struct {
        const char *arguments, *why;
    } rows[] = {
        {"server = 'turn2.example.org:3478'", "relay.redirect: server: an address with a port expected"},
        {"server = '192.0.2.1'", "relay.redirect: server: an address with a port expected"},
        {"server = {'192.0.2.1:1', '192.0.2.2:1'}", "relay.redirect: server: an IPv4 and an IPv6 address expected"},
        {"server = {'192.0.2.1:1', '[2001:db8::1]:1', '192.0.2.2:1'}", "relay.redirect: server: an IPv4 and an IPv6 address expected"},
        {"server = {'192.0.2.1:1'}", "relay.redirect: server: a string expected, got nil"},
        {"server = '192.0.2.1:1', domain = '-x'", "relay.redirect: domain: a domain name expected"},
        {"server = '192.0.2.1:1', domain = ''", "relay.redirect: domain"},
        {"domain = 'a'", "relay.redirect: server: a string expected, got nil"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        char text[256];
        snprintf(text, sizeof text, "return {route = function() return relay.redirect{%s} end}", rows[i].arguments);
        stage_play(&stage, text);
        CHECK_INT(stage_ask(&stage, HOOK_route), VERDICT_FAIL);
        if (!strstr(stage.verdict.reason, rows[i].why))
            test_failed(__FILE__, __LINE__, "%s: %s", rows[i].arguments, stage.verdict.reason);
        stage_clear(&stage);
    }
}

TEST_LIST(RUN(redirect_names_an_address) RUN(redirect_may_name_both_families_and_a_domain) RUN(what_is_no_server_or_domain_is_refused))
