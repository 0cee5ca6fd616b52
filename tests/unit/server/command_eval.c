/* command_eval.c: relay eval and relay bench-policy: what they print, what hooks cost. */
#include "geo.h"
#include "room.h"

static const char policy[] =
    "local P = relay.params('p', {most = {default = 3}})\n"
    "local LIMITS = relay.allow{user_quota = P.most, group = 'red', tags = {plan = 'x'}}\n"
    "return {\n"
    " authorize = function(req)\n"
    "  if req.user == 'eve' then return relay.deny(403, 'go away') end\n"
    "  if req.user == 'sly' then relay.sleep(2) end\n"
    "  if req.user == 'odd' then local answer = relay.http.get('https://x/') return relay.fail(answer or 'no answer') end\n"
    "  return LIMITS\n"
    " end,\n"
    " authenticate = function(req) return relay.key{user = 'u', password = 'hush', expires = 1900000000} end,\n"
    " log = function(ev) if ev.code == 1 then error('odd') end end,\n"
    "}";

static struct ran eval(const struct room *room, const char *hook, const char *json, const char *option)
{
    char path[128];
    put_file(room, "p.lua", policy);
    return RUN_RELAY(*room, "", "eval", room_path(room, "p.lua", path), hook, json, option);
}

static void has(const struct ran *ran, const char *part)
{
    if (!strstr(ran->out, part))
        test_failed(__FILE__, __LINE__, "%s is not in %s (%s)", part, ran->out, ran->err);
}

TEST(a_decision_is_shown_with_who_made_it_and_what_it_costs)
{
    struct room room = room_make();
    struct ran ran = eval(&room, "authorize", "{\"user\": \"ann\"}", "--set=p.most=5");
    check_ran(&ran, 0,
              "decision         allow\nby               p.lua:2\nuser_quota       5\ngroup            red\ntags             plan=x\nns ",
              "");
    has(&ran, "\ninstructions     ");
    ran = eval(&room, "authorize", "{\"user\": \"eve\"}", "--json");
    check_ran(&ran, 0, "{\"decision\": \"deny\", \"code\": 403, \"reason\": \"go away\", \"by\": \"p.lua:5\", \"ns\": ", "");
    ran = eval(&room, "permission", "{}", "--json");
    check_ran(&ran, 0, "{\"decision\": \"nothing\", \"ns\": ", "");
    room_remove(&room);
}

TEST(keys_are_counted_and_never_shown)
{
    struct room room = room_make();
    struct ran ran = eval(&room, "authenticate", "{\"username\": \"ann\"}", "--json");
    check_ran(&ran, 0, "\"user\": \"u\", \"keys\": 1, \"expires\": 1900000000", "");
    CHECK(!strstr(ran.out, "hush"));
    room_remove(&room);
}

TEST(a_hook_that_waits_is_waited_for_without_a_second_passing)
{
    struct room room = room_make();
    struct ran ran = eval(&room, "authorize", "{\"user\": \"sly\"}", "--json");
    check_ran(&ran, 0, "{\"decision\": \"allow\"", "");
    ran = eval(&room, "authorize", "{\"user\": \"odd\"}", "--json");
    check_ran(&ran, 1, "{\"decision\": \"fail\", \"code\": 500, \"reason\": \"no answer\"", "not_fetched method=GET url=https://x/");
    room_remove(&room);
}

TEST(what_fails_or_is_called_wrongly_is_told)
{
    struct room room = room_make();
    struct ran ran = eval(&room, "log", "{\"code\": 1}", "--json");
    check_ran(&ran, 1, "{\"decision\": \"fail\"", "p.lua:11: odd");
    ran = eval(&room, "autorize", "{}", "--json");
    check_ran(&ran, 2, "", "autorize: no such hook: did you mean authorize?");
    ran = eval(&room, "authorize", "{\"usr\": \"\"}", "--json");
    check_ran(&ran, 2, "", "req has no field 'usr'; did you mean 'user'?");
    ran = eval(&room, "init", "{}", "--json");
    check_ran(&ran, 2, "", "init is not asked about anything");
    ran = eval(&room, "authorize", "{}", "--set=p.mots=1");
    check_ran(&ran, 1, "", "relay eval: command line: --set p.mots: no policy has such a parameter");
    room_remove(&room);
}

/* number_of: what follows "name": in JSON, from `at` on. */
static long number_of(const char *at, const char *name)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\": ", name);
    at = at ? strstr(at, quoted) : NULL;
    if (!at)
        test_failed(__FILE__, __LINE__, "no %s", name);
    return strtol(at + strlen(quoted), NULL, 10);
}

TEST(bench_policy_says_what_each_hook_costs)
{
    struct room room = room_make();
    char path[128];
    put_file(&room, "p.lua",
             "local OK = relay.allow{} return {authorize = function() return OK end, log = function(ev) return ev.user .. 'x' end}");
    struct ran ran = RUN_RELAY(room, "", "bench-policy", room_path(&room, "p.lua", path), "--json");
    check_ran(&ran, 0, "[\n {\"hook\": \"authorize\", \"p50_ns\": ", "");
    const char *constant = strstr(ran.out, "\"authorize\""), *concat = strstr(ran.out, "\"log\"");
    CHECK_INT(number_of(constant, "garbage_bytes"), 0); /* a constant decision leaves nothing to collect */
    CHECK_INT(number_of(constant, "instructions"), 2);
    CHECK(number_of(concat, "garbage_bytes") > 0);
    ran = RUN_RELAY(room, "", "bench-policy", path, "authorize");
    CHECK(strstr(ran.out, "authorize ") && !strstr(ran.out, "log "));
    check_ran(&ran, 0, "p50_ns", "");
    ran = RUN_RELAY(room, "", "bench-policy", path, "route");
    check_ran(&ran, 1, "", "no policy has that hook");
    ran = RUN_RELAY(room, "", "bench-policy", path, "routr");
    check_ran(&ran, 2, "", "did you mean route?");
    room_remove(&room);
}

/* ---- what the policies that we ship cost ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 100 /* under the sanitizers */
#else
#define SLOWER 1
#endif
#define P50_NS (1000 * SLOWER)
#define P99_NS (10000 * SLOWER)
#define HEAP_BYTES (2 << 20)
#define TRIES 20 /* others use the machine too, and only make it slower */

struct cost {
    long p50_ns, p99_ns, instructions, garbage, heap;
};

static struct cost cost_of(const struct ran *ran, const char *hook)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", hook);
    const char *at = strstr(ran->out, quoted);
    const struct cost cost = {number_of(at, "p50_ns"), number_of(at, "p99_ns"), number_of(at, "instructions"),
                              number_of(at, "garbage_bytes"), number_of(at, "heap_bytes")};
    printf("# %s: p50 %ld ns, p99 %ld ns, %ld instructions, %ld bytes of garbage, heap %ld bytes\n", hook, cost.p50_ns, cost.p99_ns,
           cost.instructions, cost.garbage, cost.heap);
    return cost;
}

/* check_cheap: authorize of this policy is below the bounds when nobody disturbs it. */
static struct cost check_cheap(const struct room *room, const char *path)
{
    for (int i = 0; i < TRIES; i++) {
        const struct ran ran = RUN_RELAY(*room, "", "bench-policy", path, "authorize", "--json");
        check_ran(&ran, 0, "\"authorize\"", "");
        const struct cost cost = cost_of(&ran, "authorize");
        if (cost.p50_ns < P50_NS && cost.p99_ns < P99_NS)
            return cost;
    }
    test_failed(__FILE__, __LINE__, "%s: p50 is not below %d ns, or p99 not below %d ns", path, P50_NS, P99_NS);
}

TEST(authorize_takes_less_than_a_microsecond_and_a_constant_decision_leaves_no_garbage)
{
    struct room room = room_make();
    char path[128];
    check_cheap(&room, "policies/quota.lua");
    put_file(&room, "constant.lua", "local OK = relay.allow{user_quota = 8} return {authorize = function() return OK end}");
    CHECK_INT(check_cheap(&room, room_path(&room, "constant.lua", path)).garbage, 0);
    room_remove(&room);
}

/* ship: all of policies/, with what they want to read beside them: their paths. */
static size_t ship(const struct room *room, char paths[WORDS_MAX][128])
{
    size_t count = 0;
    DIR *directory = opendir("policies");
    CHECK(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        char from[300];
        if (!strstr(entry->d_name, ".lua"))
            continue;
        CHECK(count < WORDS_MAX);
        snprintf(from, sizeof from, "policies/%s", entry->d_name);
        char *text = test_file(from);
        CHECK(text);
        put_file(room, entry->d_name, text);
        free(text);
        room_path(room, entry->d_name, paths[count++]);
    }
    closedir(directory);
    static const char geo[] = GEO(GEO_NOTHING, GEO_DATA, "DE");
    geo_write(room->dir, "country.mmdb", geo, sizeof geo - 1);
    put_file(room, "maintenance.json", "{}");
    put_file(room, "jwks.json", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}]}");
    put_file(room, "secret", "hush\n");
    put_file(room, "tenants.json",
             "{\"by_sni\": {\"a.example\": \"a\"}, \"tenants\": {\"a\": {\"realm\": \"a.example\", \"allocations\": 9}}}");
    return count;
}

TEST(the_heap_of_all_shipped_policies_is_small)
{
    struct room room = room_make();
    char paths[WORDS_MAX][128], rest[160], jwt[160], path[128];
    const char *words[2 * WORDS_MAX] = {"bench-policy"};
    const size_t count = ship(&room, paths);
    size_t at = 1;
    snprintf(rest, sizeof rest, "--secret=rest=%s", room_path(&room, "secret", path));
    snprintf(jwt, sizeof jwt, "--secret=jwt=%s", path);
    for (size_t i = 0; i < count; i++)
        words[at++] = paths[i];
    words[at++] = rest;
    words[at++] = jwt;
    words[at++] = "--set=auth.url=https://x/";
    words[at++] = "--json";
    CHECK(count >= 11 && at <= WORDS_MAX);
    const struct ran ran = run_words(&room, "", words);
    check_ran(&ran, 0, "\"authorize\"", "");
    CHECK(cost_of(&ran, "authenticate").heap < HEAP_BYTES);
    CHECK(cost_of(&ran, "authorize").heap < HEAP_BYTES);
    room_remove(&room);
}

TEST_LIST(RUN(a_decision_is_shown_with_who_made_it_and_what_it_costs) RUN(keys_are_counted_and_never_shown)
              RUN(a_hook_that_waits_is_waited_for_without_a_second_passing) RUN(what_fails_or_is_called_wrongly_is_told)
                  RUN(bench_policy_says_what_each_hook_costs)
                      RUN(authorize_takes_less_than_a_microsecond_and_a_constant_decision_leaves_no_garbage)
                          RUN(the_heap_of_all_shipped_policies_is_small))
