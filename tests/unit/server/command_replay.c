/* command_replay.c: relay replay finds what another policy would decide otherwise, all of it and nothing else. */
#include "room.h"

#include "policy/account.h"
#include "server/rehearsal.h"

#define HOUR_S 3600
#define BEGIN_S 1700000000
#define PER_SECOND 5
#define DECISIONS (HOUR_S * PER_SECOND)
#define USERS 40
#define LINE_LEN 2048

/* A: remembers (a rate, a table whose entries end, a timer), so that replay must follow the records' clock to decide the same. */
static const char policy_a[] =
    "local slow = relay.ratelimit('slow', {rate = 0.05, burst = 3})\n"
    "local seen = relay.shared('seen', {max_entries = 1000})\n"
    "local SLOW, LIMITS, NO, OFTEN = relay.deny(486, 'too many'), relay.allow{user_quota = 8, max_lifetime = 600}, relay.deny(403, 'no'), "
    "relay.deny(403, 'often')\n"
    "local tick = 0\n"
    "relay.timer.every(60, function() tick = tick + 1 end)\n"
    "return {\n"
    " route = function(req) if req.sni == 'a.example' then return relay.tenant('a') end end,\n"
    " authenticate = function(req) if req.username ~= 'u9' then return relay.key{user = req.username, password = 'hush'} end end,\n"
    " authorize = function(req)\n"
    "  if not slow:take(req.user) then return SLOW end\n"
    "  return LIMITS\n"
    " end,\n"
    " permission = function(alloc, peer, kind)\n"
    "  if tostring(peer) == '203.0.113.7' then return NO end\n"
    "  if (seen:get(alloc.user) or 0) >= 4 then return OFTEN end\n"
    "  seen:incr(alloc.user, 1, {init = 0, ttl = 90})\n"
    " end,\n"
    " refresh = function(alloc, req) if tick % 2 == 1 and alloc.user == 'u5' then return relay.allow{max_lifetime = 60} end end,\n"
    "}\n";

/* B: as A, but for what is_seeded knows. */
static const struct {
    const char *from, *to;
} seeds[] = {
    {"if not slow:take(req.user) then return SLOW end\n  return LIMITS",
     "local late = not slow:take(req.user)\n  if req.user == 'u17' then return relay.deny(403, 'not you') end\n"
     "  if late then return SLOW end\n  if req.tenant == 'a' then return relay.allow{user_quota = 4, max_lifetime = 600} end\n  return "
     "LIMITS"},
    {"if tostring(peer) == '203.0.113.7' then return NO end", "if tostring(peer) == '203.0.113.7' then return end"},
    {"req.username ~= 'u9'", "req.username ~= 'u9' and (req.now < 1700001800 or req.now >= 1700001860)"},
};

static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % sides;
}

/* struct traffic: one decision of the hour. */
struct traffic {
    enum hook hook;
    int64_t unix_ms;
    unsigned user, peer;
    bool of_a; /* the tenant, the name in TLS */
    char input[512];
};

static void make_traffic(struct traffic *t, unsigned n, uint64_t *state)
{
    static const enum hook hooks[] = {HOOK_route,      HOOK_authenticate, HOOK_authorize, HOOK_authorize,
                                      HOOK_permission, HOOK_permission,   HOOK_refresh};
    t->hook = hooks[dice(state, sizeof hooks / sizeof *hooks)];
    t->unix_ms =
        (int64_t)BEGIN_S * 1000 + (int64_t)n * 1000 / PER_SECOND + (n ? dice(state, 1000 / PER_SECOND) : 0); /* both begin with the first */
    t->user = dice(state, USERS);
    t->peer = dice(state, 20);
    t->of_a = dice(state, 3) == 0;
    char who[64];
    snprintf(who, sizeof who, "\"user\":\"u%u\"%s", t->user, t->of_a ? ",\"tenant\":\"a\"" : "");
    const long long now = t->unix_ms / 1000;
    switch (t->hook) {
        case HOOK_route:
            snprintf(t->input, sizeof t->input, "{\"id\":%u,\"now\":%lld,\"src\":\"198.51.100.7:%u\",\"dst\":\"192.0.2.%u:5349\"%s}", n,
                     now, 1024 + n % 60000, 1 + t->peer, t->of_a ? ",\"sni\":\"a.example\"" : "");
            break;
        case HOOK_authenticate:
            snprintf(t->input, sizeof t->input, "{\"id\":%u,\"now\":%lld,\"username\":\"u%u\",\"realm\":\"example.org\"}", n, now, t->user);
            break;
        case HOOK_permission:
            snprintf(t->input, sizeof t->input, "{\"id\":%u,%s,\"peer\":\"203.0.113.%u\",\"kind\":\"channel\"}", n, who, t->peer);
            break;
        default:
            snprintf(t->input, sizeof t->input, "{\"id\":%u,%s%s}", n, who, t->hook == HOOK_refresh ? ",\"req\":{\"lifetime\":300}" : "");
    }
}

/* is_seeded: B decides this one otherwise. */
static bool is_seeded(const struct traffic *t, const struct verdict *a)
{
    if (t->hook == HOOK_authorize)
        return t->user == 17 || (t->of_a && a->kind == VERDICT_ALLOW);
    if (t->hook == HOOK_authenticate)
        return t->user != 9 && t->unix_ms >= 1700001800000 && t->unix_ms < 1700001860000;
    return t->hook == HOOK_permission && t->peer == 7;
}

static void put_record(FILE *file, unsigned n, const struct traffic *t, const struct verdict *verdict)
{
    char text[LINE_LEN];
    struct slab out = slab_over(text, sizeof text - 1);
    account_put_answer(&out, verdict, &(struct veil){0});
    text[out.len] = 0;
    fprintf(file,
            "{\"decision_id\":\"%u\",\"policy_rev\":\"0123456789ab\",\"time\":%lld.%03d,\"worker\":1,\"phase\":\"%s\",\"by\":\"%s\","
            "\"input\":%s,\"result\":"
            "%s,\"ns\":1,\"instructions\":0}\n",
            n, (long long)(t->unix_ms / 1000), (int)(t->unix_ms % 1000), policy_hook_name(t->hook),
            verdict->kind == VERDICT_SILENT ? "core" : verdict->by, t->input,
            verdict->kind == VERDICT_SILENT ? "{\"decision\":\"deny\",\"code\":401,\"by\":\"core\"}" : text);
}

static struct verdict decide(struct rehearsal *rehearsal, const struct traffic *t)
{
    struct scene scene;
    char error[256];
    struct verdict verdict = {.kind = VERDICT_SILENT};
    rehearsal_pass(rehearsal, t->unix_ms);
    const struct scene_plan plan = {.hook = t->hook, .now = rehearsal->now, .unix_ms = t->unix_ms, .bare = true};
    if (scene_open_text(&scene, &plan, t->input, error, sizeof error) != 0)
        test_failed(__FILE__, __LINE__, "%s: %s", t->input, error);
    rehearsal_ask(rehearsal, &scene, &verdict);
    scene_close(&scene);
    return verdict;
}

/* record_hour: what A decides of an hour, into "decisions": expected[n]: B decides the n-th otherwise. Returns how many that are. */
static size_t record_hour(const struct room *room, bool *expected)
{
    static struct rehearsal rehearsal;
    static struct command_line line;
    char path[128], log[128];
    const char *files[] = {room_path(room, "p.lua", path)};
    size_t seeded = 0;
    uint64_t state = 1;
    CHECK_INT(
        rehearsal_open(&rehearsal, &line, &(struct rehearsal_plan){.files = files, .file_count = 1, .unix_ms = (int64_t)BEGIN_S * 1000}),
        0);
    if (!rehearsal.policy)
        test_failed(__FILE__, __LINE__, "%s", rehearsal.error);
    FILE *file = fopen(room_path(room, "decisions", log), "w");
    CHECK(file);
    for (unsigned n = 0; n < DECISIONS; n++) {
        struct traffic t;
        make_traffic(&t, n, &state);
        const struct verdict verdict = decide(&rehearsal, &t);
        expected[n] = is_seeded(&t, &verdict);
        seeded += expected[n];
        put_record(file, n, &t, &verdict);
    }
    CHECK(fclose(file) == 0);
    rehearsal_close(&rehearsal);
    return seeded;
}

static void put_policy_b(const struct room *room)
{
    char text[4096];
    snprintf(text, sizeof text, "%s", policy_a);
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        char after[4096];
        char *at = strstr(text, seeds[i].from);
        CHECK(at);
        snprintf(after, sizeof after, "%s", at + strlen(seeds[i].from));
        snprintf(at, sizeof text - (size_t)(at - text), "%s%s", seeds[i].to, after);
    }
    put_file(room, "b.lua", text);
}

static struct ran replay(const struct room *room, const char *policy, const char *log, const char *option)
{
    char policies[160], path[128];
    snprintf(policies, sizeof policies, "--policy=%s/%s", room->dir, policy);
    return RUN_RELAY(*room, "", "replay", policies, room_path(room, log, path), option);
}

TEST(of_an_hour_exactly_the_seeded_differences_between_two_policies_are_found)
{
    struct room room = room_make();
    static bool expected[DECISIONS], found[DECISIONS];
    char path[128];
    put_file(&room, "p.lua", policy_a);
    put_policy_b(&room);
    const size_t seeded = record_hour(&room, expected);
    printf("# %d decisions, %zu of them seeded\n", DECISIONS, seeded);
    CHECK(seeded > 500 && seeded < DECISIONS / 2);
    struct ran ran = replay(&room, "p.lua", "decisions", "--json");
    check_ran(&ran, 0, "{\"differences\": [],", "");
    ran = replay(&room, "b.lua", "decisions", "--json");
    check_ran(&ran, 1, NULL, "");
    char *text = test_file(room_path(&room, "out", path));
    CHECK(text);
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "{\"decision_id\": \"")); count++) {
        const unsigned long n = strtoul(at += strlen("{\"decision_id\": \""), NULL, 10);
        CHECK(n < DECISIONS && !found[n]);
        found[n] = true;
    }
    free(text);
    CHECK_INT(count, seeded);
    CHECK(memcmp(found, expected, sizeof found) == 0);
    room_remove(&room);
}

/* ---- one line at a time ---- */

static const char small[] =
    "local cache = relay.shared('c', {max_entries = 10})\n"
    "return {\n"
    " authorize = function(req)\n"
    "  if req.user == 'web' then relay.http.get('https://x/') end\n"
    "  if req.user == 'many' then return req:count('user') > 0 and relay.deny(486) or nil end\n"
    "  if req.user == 'slow' then relay.sleep(2) end\n"
    "  if req.user == 'odd' then error('odd') end\n"
    "  return relay.allow{user_quota = 8}\n"
    " end,\n"
    " authenticate = function(req) if req.username == 'ann' then return relay.key{user = 'ann', password = 'x'} end end,\n"
    " log = function(ev) if ev.reason == 'wrong password' then cache:set('guessed', true, false) end end,\n"
    " refresh = function() if cache:get('guessed') then return relay.deny(403, 'guesser') end end,\n"
    "}\n";

static const char *record(const char *phase, const char *input, const char *by, const char *result, char out[LINE_LEN])
{
    snprintf(out, LINE_LEN, "{\"decision_id\":\"77\",\"time\":1700000000.5,\"phase\":\"%s\",\"by\":\"%s\",\"input\":%s,\"result\":%s}\n",
             phase, by, input, result);
    return out;
}

static void check_line(const char *line, int code, const char *out, const char *err)
{
    struct room room = room_make();
    put_file(&room, "p.lua", small);
    put_file(&room, "log", line);
    const struct ran ran = replay(&room, "p.lua", "log", NULL);
    if (ran.code != code || !strstr(ran.out, out) || !strstr(ran.err, err))
        test_failed(__FILE__, __LINE__, "exit %d, not %d; out: %s err: %s", ran.code, code, ran.out, ran.err);
    room_remove(&room);
}

TEST(a_difference_says_what_was_answered_what_would_be_and_by_whom)
{
    char line[LINE_LEN];
    check_line(record("authorize", "{\"user\":\"ann\"}", "a.lua:3",
                      "{\"decision\":\"deny\",\"code\":403,\"reason\":\"go away\",\"by\":\"a.lua:3\"}", line),
               1, "log:1: 77 authorize: deny code=403 reason=\"go away\" by a.lua:3 -> allow user_quota=8 by p.lua:8\n", "");
    check_line(line, 1, "0 same, 1 differ, 0 cannot be said\n", "");
    check_line(record("authenticate", "{\"username\":\"bob\"}", "a.lua:3", "{\"decision\":\"key\",\"user\":\"bob\",\"keys\":1}", line), 1,
               " -> nothing by nobody\n", "");
}

TEST(who_decided_and_how_a_failure_is_worded_is_no_difference)
{
    char line[LINE_LEN];
    static const char same[] = "1 same, 0 differ, 0 cannot be said\n";
    check_line(
        record("authorize", "{\"user\":\"ann\"}", "a.lua:3", "{\"decision\":\"allow\",\"by\":\"a.lua:3\",\"user_quota\":8,\"ns\":5}", line),
        0, same, "");
    check_line(
        record("authorize", "{\"user\":\"odd\"}", "a.lua:3", "{\"decision\":\"fail\",\"code\":500,\"reason\":\"a.lua:3: odd\"}", line), 0,
        same, "");
    check_line(record("authorize", "{\"user\":\"slow\"}", "a.lua:3", "{\"decision\":\"allow\",\"user_quota\":8}", line), 0, same, "");
    check_line(record("authenticate", "{\"username\":\"bob\"}", "core", "{\"decision\":\"deny\",\"code\":401}", line), 0, same, "");
    check_line(record("authenticate", "{\"username\":\"ann\"}", "a.lua:1", "{\"decision\":\"key\",\"user\":\"hmac:00\",\"keys\":1}", line),
               0, same, "");
}

TEST(what_the_record_does_not_tell_cannot_be_said)
{
    char line[LINE_LEN];
    static const char unsaid[] = "0 same, 0 differ, 1 cannot be said\n";
    check_line(record("authorize", "{\"user\":\"web\"}", "a.lua:3", "{\"decision\":\"allow\",\"user_quota\":8}", line), 0, unsaid, "");
    check_line(line, 0, "it asked over HTTP              1\n", "");
    check_line(record("authorize", "{\"user\":\"many\"}", "a.lua:3", "{\"decision\":\"deny\",\"code\":486}", line), 0,
               "it counted allocations          1\n", "");
    check_line(record("authenticate", "{\"username\":\"hmac:00ff\"}", "a.lua:3", "{\"decision\":\"key\",\"keys\":1}", line), 0, unsaid, "");
    check_line(record("authenticate", "{\"username\":\"eyJh.eyJz.\"}", "a.lua:3", "{\"decision\":\"key\",\"keys\":1}", line), 0, unsaid,
               "");
}

TEST(what_the_core_refused_is_told_to_the_log_hook)
{
    char line[2 * LINE_LEN], one[LINE_LEN];
    snprintf(line, sizeof line, "%s",
             record("core", "{\"type\":\"auth_failed\",\"code\":401,\"reason\":\"wrong password\"}", "core",
                    "{\"decision\":\"deny\",\"code\":401}", one));
    strcat(line, record("refresh", "{\"user\":\"ann\",\"req\":{}}", "a.lua:1",
                        "{\"decision\":\"deny\",\"code\":403,\"reason\":\"guesser\"}", one));
    check_line(line, 0, "1 same, 0 differ, 0 cannot be said\n", "");
    check_line(one, 1, "1 differ", "");
}

TEST(a_bad_line_is_named_and_the_others_are_replayed)
{
    char line[2 * LINE_LEN], good[LINE_LEN];
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"{", "log:1: no JSON: "},
        {"[]", "log:1: decision_id: a string expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"log\"}", "log:1: phase: a hook that decides, or \"core\" expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"route\", \"time\": 1e30}", "log:1: time: unix seconds expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"route\", \"time\": 1}", "log:1: by: a string expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"route\", \"time\": 1, \"by\": \"core\"}",
         "log:1: result: an object with a decision expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"route\", \"time\": 1, \"by\": \"core\", \"result\": {\"decision\": \"nothing\"}}",
         "log:1: input: an object expected"},
        {"{\"decision_id\": \"1\", \"phase\": \"route\", \"time\": 1, \"by\": \"core\", \"result\": {\"decision\": \"nothing\"}, "
         "\"input\": {\"usr\": 1}}",
         "log:1: input: req has no field 'usr'; did you mean 'user'?"},
    };
    record("authorize", "{\"user\":\"ann\"}", "a.lua:3", "{\"decision\":\"allow\",\"user_quota\":8}", good);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(line, sizeof line, "%s\n\n%s", rows[i].line, good);
        check_line(line, 2, "1 same, 0 differ", rows[i].why);
    }
}

TEST(a_line_without_an_end_is_not_kept_in_memory)
{
    char *line = malloc(3 << 20), good[LINE_LEN];
    CHECK(line);
    memset(line, ' ', 3 << 20);
    record("authorize", "{\"user\":\"ann\"}", "a.lua:3", "{\"decision\":\"allow\",\"user_quota\":8}", good);
    snprintf(line + (2 << 20), 1 << 20, "\n%s", good);
    check_line(line, 2, "1 same, 0 differ", "log:1: longer than ");
    free(line);
}

TEST(a_policy_that_does_not_load_and_a_file_that_is_not_there_are_errors)
{
    struct room room = room_make();
    put_file(&room, "p.lua", "return {autorize = function() end}");
    put_file(&room, "log", "");
    struct ran ran = replay(&room, "p.lua", "log", NULL);
    check_ran(&ran, 2, NULL, "relay replay: p.lua:1: unknown hook 'autorize'");
    ran = replay(&room, "p.lua", "nowhere", NULL);
    check_ran(&ran, 2, NULL, "nowhere: No such file or directory");
    ran = RUN_RELAY(room, "", "replay", "log");
    check_ran(&ran, 2, NULL, "--policy is missing");
    room_remove(&room);
}

TEST_LIST(RUN(of_an_hour_exactly_the_seeded_differences_between_two_policies_are_found)
              RUN(a_difference_says_what_was_answered_what_would_be_and_by_whom)
                  RUN(who_decided_and_how_a_failure_is_worded_is_no_difference) RUN(what_the_record_does_not_tell_cannot_be_said)
                      RUN(what_the_core_refused_is_told_to_the_log_hook) RUN(a_bad_line_is_named_and_the_others_are_replayed)
                          RUN(a_line_without_an_end_is_not_kept_in_memory)
                              RUN(a_policy_that_does_not_load_and_a_file_that_is_not_there_are_errors))
