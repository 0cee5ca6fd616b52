/* scene.c: JSON as what hooks are shown: every member of the reference can be said, or follows from others. */
#include "stage.h"

#include "policy/answer.h"
#include "policy/reference.h"
#include "policy/scene.h"

#define NOW_MS 5000000
#define UNIX_MS 1700000000000

static int open_scene(struct scene *scene, enum hook hook, const char *json, char *error, size_t error_cap)
{
    const struct scene_plan plan = {.hook = hook, .now = NOW_MS, .unix_ms = UNIX_MS};
    return scene_open_text(scene, &plan, json, error, error_cap);
}

/* seen: what a policy that returns `expression` as the reason of its refusal sees of `json`. */
static void check_seen(int line, enum hook hook, const char *json, const char *expression, const char *expected)
{
    static const char *const arguments[HOOK_COUNT] = {[HOOK_route] = "req",
                                                      [HOOK_authenticate] = "req",
                                                      [HOOK_authorize] = "req",
                                                      [HOOK_permission] = "alloc, peer, kind",
                                                      [HOOK_channel] = "alloc, peer, number",
                                                      [HOOK_refresh] = "alloc, req",
                                                      [HOOK_usage] = "alloc, used",
                                                      [HOOK_log] = "ev"};
    struct stage stage;
    struct scene scene;
    char text[512];
    snprintf(text, sizeof text, "return {%s = function(%s) relay.audit{type = tostring(%s)} end}", hook_rules[hook].name, arguments[hook],
             expression);
    stage_play(&stage, text);
    if (open_scene(&scene, hook, json, stage.error, sizeof stage.error) != 0)
        test_failed(__FILE__, line, "%s", stage.error);
    struct verdict verdict;
    if (hook == HOOK_log)
        policy_tell(stage.policy, &scene.event);
    else
        policy_ask(stage.policy, &scene.question, &verdict);
    if (strcmp(stage.audit_type, expected) != 0)
        test_failed(__FILE__, line, "%s of %s is %s, not %s", expression, json, stage.audit_type, expected);
    scene_close(&scene);
    stage_clear(&stage);
}

TEST(members_are_shown_as_they_are_said)
{
    static const struct {
        enum hook hook;
        const char *json, *expression, *expected;
    } rows[] = {
        {HOOK_authorize, "{\"user\": \"eve\", \"tenant\": \"acme\"}", "req.user .. '/' .. req.tenant", "eve/acme"},
        {HOOK_authorize, "{\"src\": \"[2001:db8::1]:9\", \"transport\": \"tls\"}", "tostring(req.src) .. req.listener",
         "[2001:db8::1]:9tls:192.0.2.1:3478"},
        {HOOK_authorize, "{\"origin\": \"https://x\", \"software\": \"s\", \"even_port\": true}",
         "req.origin .. req.software .. tostring(req.even_port)", "https://xstrue"},
        {HOOK_authorize, "{\"lifetime\": 700, \"requested_transport\": \"tcp\", \"requested_family\": 6}",
         "req.lifetime .. req.requested_transport .. req.requested_family", "700tcp6"},
        {HOOK_authenticate, "{\"username\": \"bob\", \"now\": 77}", "req.username .. req.now .. tostring(req.user)", "bob77nil"},
        {HOOK_route, "{\"sni\": \"a.example\", \"method\": \"refresh\"}", "req.sni .. req.method .. tostring(req.username)",
         "a.examplerefreshnil"},
        {HOOK_permission, "{\"user\": \"eve\", \"peer\": \"203.0.113.9\", \"kind\": \"connect\"}", "alloc.user .. tostring(peer) .. kind",
         "eve203.0.113.9connect"},
        {HOOK_channel, "{\"number\": 16385, \"tags\": {\"plan\": \"x\"}, \"group\": \"red\"}", "number .. alloc.tags.plan .. alloc.group",
         "16385xred"},
        {HOOK_log, "{\"type\": \"closed\", \"group\": \"red\", \"tags\": {\"plan\": \"x\"}}", "ev.group .. ev.tags.plan", "redx"},
        {HOOK_refresh, "{\"tenant\": \"acme\", \"req\": {\"lifetime\": 60}}", "alloc.tenant .. req.lifetime .. req.method",
         "acme60refresh"},
        {HOOK_usage, "{\"bytes_in\": 5000000000, \"used\": {\"bytes_in\": 7, \"closing\": true}}",
         "alloc.bytes_in .. ' ' .. used.bytes_in .. tostring(used.closing)", "5000000000 7true"},
        {HOOK_usage, "{\"created\": 1699999000, \"expires\": 1700000600}", "alloc.created .. ' ' .. alloc.expires",
         "1699999000 1700000600"},
        {HOOK_log, "{\"type\": \"closed\", \"seconds\": 9, \"bytes_in\": 3}", "ev.type .. ev.seconds .. ev.bytes .. tostring(ev.peer)",
         "closed93nil"},
        {HOOK_log, "{\"type\": \"denied\", \"code\": 486}", "ev.type .. ev.code .. tostring(ev.allocation)", "denied486nil"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_seen(__LINE__, rows[i].hook, rows[i].json, rows[i].expression, rows[i].expected);
}

static void check_refused(enum hook hook, const char *json, const char *why)
{
    struct scene scene;
    char error[256] = "";
    CHECK(open_scene(&scene, hook, json, error, sizeof error) != 0);
    scene_close(&scene);
    if (!strstr(error, why))
        test_failed(__FILE__, __LINE__, "%s: %s, not %s", json, error, why);
}

TEST(what_is_no_member_or_no_value_of_it_is_refused)
{
    check_refused(HOOK_authorize, "{\"usr\": \"x\"}", "req has no field 'usr'; did you mean 'user'?");
    check_refused(HOOK_authorize, "{\"peer\": \"x\"}", "req has no field 'peer'");
    check_refused(HOOK_permission, "{\"per\": \"x\"}", "alloc has no field 'per'; did you mean 'peer'?");
    check_refused(HOOK_refresh, "{\"req\": {\"usr\": 1}}", "req has no field 'usr'; did you mean 'user'?");
    check_refused(HOOK_refresh, "{\"req\": 1}", "req: an object expected");
    check_refused(HOOK_authorize, "{\"user\": 3}", "req.user: a string expected");
    check_refused(HOOK_authorize, "{\"requested_family\": 300}", "req.requested_family: a number from 0 expected");
    check_refused(HOOK_authorize, "{\"lifetime\": -1}", "req.lifetime: a number from 0 expected");
    check_refused(HOOK_authorize, "{\"src\": \"here\"}", "req.src: ");
    check_refused(HOOK_authorize, "{\"userhash\": \"00\"}", "req.userhash: 64 hexadecimal digits expected");
    check_refused(HOOK_authorize, "{\"listener\": \"x\"}", "req.listener follows from others and cannot be said");
    check_refused(HOOK_permission, "{\"peer\": 5}", "peer: ");
    check_refused(HOOK_authorize, "{\"user\": \"a\", \"user\": \"b\"}", "no JSON: ");
    check_refused(HOOK_authorize, "[]", "an object expected");
    check_refused(HOOK_authorize, "{", "no JSON: ");
    check_refused(HOOK_init, "{}", "");
    check_refused(HOOK_shutdown, "{}", "");
}

TEST(every_member_can_be_said_or_follows_from_others)
{
    static const char *const follow[] = {"req.listener", "req.tag", "req.room", "req.credential", "req.key", "req.attr", "req.count", "ev.bytes", "ev.policy_rev"};
    static const enum hook hooks[] = {HOOK_authorize, HOOK_usage, HOOK_log};
    size_t followed = 0;
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
        for (const char *letter = hook_rules[hooks[i]].arguments; *letter; letter++) {
            const struct shown *shown = reference_argument(*letter);
            for (size_t m = 0; m < shown->count; m++) {
                struct scene scene;
                char json[128], name[128], error[256] = "";
                snprintf(name, sizeof name, "%s.%s", shown->name, shown->members[m].name);
                snprintf(json, sizeof json, "{\"%s\": null}", shown->members[m].name);
                if (*letter == 'u')
                    snprintf(json, sizeof json, "{\"used\": {\"%s\": null}}", shown->members[m].name);
                CHECK(open_scene(&scene, hooks[i], json, error, sizeof error) != 0);
                scene_close(&scene);
                bool follows = false;
                for (size_t f = 0; f < sizeof follow / sizeof *follow; f++)
                    follows |= strcmp(follow[f], name) == 0;
                followed += follows;
                if (!strstr(error, follows ? "follows from others" : "expected"))
                    test_failed(name, 0, "%s", error);
            }
        }
    CHECK_INT(followed, sizeof follow / sizeof *follow);
}

TEST_LIST(RUN(members_are_shown_as_they_are_said) RUN(what_is_no_member_or_no_value_of_it_is_refused)
              RUN(every_member_can_be_said_or_follows_from_others))
