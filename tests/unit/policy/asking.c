/* relay.db, relay.users, relay.dns: what they ask, and what becomes of the answers. */
#include "waiting.h"

static void bring(struct waiting *w, int number, const struct rows *rows)
{
    policy_queried(w->stage.policy, w->fetched[number], rows, WHEN + 10, UNIX + 10);
}

static void bring_error(struct waiting *w, int number, const char *error, bool is_wrong)
{
    bring(w, number, &(struct rows){.error = error, .is_wrong = is_wrong});
}

static void resolve(struct waiting *w, int number, const struct dns_answer *answer)
{
    policy_resolved(w->stage.policy, w->fetched[number], answer, WHEN + 10, UNIX + 10);
}

TEST(a_hook_may_ask_the_database)
{
    static const char *const names[] = {"plan", "bps", "rate", "until"};
    static const struct datum data[] = {{.kind = DATUM_TEXT, .text = {(const uint8_t *)"gold\0x", 6}}, {.kind = DATUM_INTEGER, .integer = INT64_MIN},
                                        {.kind = DATUM_REAL, .real = 0.5}, {.kind = DATUM_NULL}};
    struct waiting w;
    play(&w, "return {authorize = function(req)\n"
             "  local rows = relay.db:query('SELECT x', req.user, 7, 1.5, true, nil, req.src)\n"
             "  assert(#rows == 1 and rows[1].plan == 'gold\\0x' and rows[1].bps == math.mininteger and rows[1].rate == 0.5)\n"
             "  assert(rows[1]['until'] == nil and not pcall(setmetatable, rows[1], nil))\n"
             "  local ok, why = pcall(function() return rows[1].plam end)\n"
             "  return relay.deny(403, why)\n"
             "end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    CHECK_TEXT(w.url, "SELECT x");
    CHECK_INT(w.datum_count, 6);
    CHECK_TEXT(w.texts[0], "ann");
    CHECK_INT(w.data[1].integer, 7);
    CHECK(w.data[2].kind == DATUM_REAL && w.data[2].real == 1.5);
    CHECK(w.data[3].kind == DATUM_INTEGER && w.data[3].integer == 1 && w.data[4].kind == DATUM_NULL);
    CHECK_TEXT(w.texts[5], "198.51.100.7:5000");
    bring(&w, 0, &(struct rows){.names = names, .column_count = 4, .data = data, .row_count = 1});
    CHECK_TEXT(w.answer.reason, "p.lua:5: the row has no column 'plam'; did you mean 'plan'?");
    bring(&w, 0, &(struct rows){.error = "failed"}); /* twice */
    CHECK_INT(w.answers, 1);
    clear(&w);
}

TEST(the_world_is_told_what_it_says_and_a_wrong_statement_raises)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) local rows, why = relay.db:query('SELECT x') return relay.deny(403, why) end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    bring_error(&w, 0, "too large", false);
    CHECK_TEXT(w.answer.reason, "too large");
    CHECK_INT(ask(&w, HOOK_authorize, 2), VERDICT_LATER);
    bring_error(&w, 1, "no such column: x", true);
    CHECK_INT(w.answer.kind, VERDICT_FAIL);
    HAS(w.answer.reason, "p.lua:1: relay.db: no such column: x");
    static const struct {
        int error;
        const char *says;
    } cases[] = {{ERR_NOT_FOUND, "there is no database: say userdb=FILE"}, {ERR_MEMORY, "not enough memory"}, {ERR_BUSY, "busy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w.fetch_error = cases[i].error;
        ask(&w, HOOK_authorize, 3);
        HAS(w.stage.verdict.reason, cases[i].says);
    }
    clear(&w);
}

TEST(a_query_that_takes_too_long_is_given_up)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) local rows, why = relay.db:query('SELECT x') return relay.deny(403, why) end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    turn(&w, 1999);
    CHECK_INT(w.answers, 0);
    turn(&w, 2000);
    CHECK_TEXT(w.answer.reason, "timeout");
    CHECK_INT(w.cancels, 1);
    clear(&w);
}

TEST(a_query_that_nobody_waits_for_is_given_up)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.all{function() relay.db:query('SELECT x') end, function() relay.dns.lookup('a.example') end} end}");
    CHECK_INT(ask(&w, HOOK_authorize, 4), VERDICT_LATER);
    CHECK_INT(w.fetches, 2);
    policy_forget(w.stage.policy, (struct ticket){{4, 4}});
    CHECK_INT(w.cancels, 2);
    CHECK_INT(w.answers, 0);
    clear(&w);
}

/* spent: the instructions of a hook that is given this; of a run that the machine does not hold up. */
static uint64_t spent_on(struct waiting *w, const struct rows *rows)
{
    for (int tries = 0; tries < 50; tries++) {
        w->fetches = 0;
        CHECK_INT(ask(w, HOOK_authorize, 1), VERDICT_LATER);
        bring(w, 0, rows);
        if (w->answer.kind == VERDICT_SILENT)
            return w->stage.policy->budget.spent;
    }
    test_failed(__FILE__, __LINE__, "%s", w->answer.reason);
}

TEST(rows_cost_instructions)
{
    static const char *const names[] = {"x"};
    static struct datum data[QUERY_ROWS_MAX];
    static char large[QUERY_BYTES_MAX];
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.db:query('SELECT x') end}");
    data[0] = (struct datum){.kind = DATUM_TEXT, .text = view_of(large, sizeof large)};
    const uint64_t for_text = spent_on(&w, &(struct rows){.names = names, .column_count = 1, .data = data, .row_count = 1});
    CHECK(for_text >= sizeof large / BYTES_PER_INSTRUCTION && for_text < 3 * sizeof large / BYTES_PER_INSTRUCTION);
    for (size_t i = 0; i < QUERY_ROWS_MAX; i++)
        data[i] = (struct datum){.kind = DATUM_INTEGER, .integer = 1};
    const uint64_t for_rows = spent_on(&w, &(struct rows){.names = names, .column_count = 1, .data = data, .row_count = QUERY_ROWS_MAX});
    CHECK(for_rows >= 500 && for_rows < 3000);
    clear(&w);
}

TEST(users_are_asked_for_by_name)
{
    struct waiting w;
    play(&w, "return {authorize = function(req)\n"
             "  local u = relay.users:get('acme', 'ann') assert(u.tenant == 'acme' and u.user == 'ann')\n"
             "  assert(relay.users:get(nil, 'bob') == nil)\n"
             "  return relay.deny(403, select(2, pcall(relay.users.get, relay.users, 'x', 'y')))\n"
             "end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    CHECK_TEXT(w.texts[0], "acme");
    CHECK_TEXT(w.texts[1], "ann");
    bring(&w, 0, &(struct rows){.column_count = 1, .row_count = 1});
    CHECK_TEXT(w.texts[0], "");
    CHECK_TEXT(w.texts[1], "bob");
    bring(&w, 1, &(struct rows){0});
    bring_error(&w, 2, "failed", false);
    CHECK_TEXT(w.answer.reason, "relay.users: the users cannot be read: failed");
    w.fetch_error = ERR_NOT_FOUND; /* no database: nobody */
    ask(&w, HOOK_authorize, 1);
    CHECK_INT(w.stage.verdict.kind, VERDICT_FAIL);
    HAS(w.stage.verdict.reason, "p.lua:2");
    clear(&w);
}

TEST(a_lookup_is_shared_by_who_asks_for_the_same)
{
    static const struct dns_record records[] = {{.text = {(const uint8_t *)"t.example", 9}, .priority = 1, .weight = 2, .port = 3}};
    struct waiting w;
    play(&w, "return {authorize = function(req)\n"
             "  local list, why = relay.dns.lookup('_turn._udp.example', {type = 'SRV', timeout = 0.5})\n"
             "  if not list then return relay.deny(403, why) end\n"
             "  return relay.deny(403, list[1].target .. list[1].port .. list[1].priority .. list[1].weight)\n"
             "end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    CHECK_INT(ask(&w, HOOK_authorize, 2), VERDICT_LATER);
    CHECK_INT(w.fetches, 1);
    CHECK_TEXT(w.url, "33 _turn._udp.example");
    resolve(&w, 0, &(struct dns_answer){.records = records, .count = 1});
    CHECK_INT(w.answers, 2);
    CHECK_TEXT(w.answer.reason, "t.example312");
    CHECK_INT(ask(&w, HOOK_authorize, 3), VERDICT_LATER);
    resolve(&w, 1, &(struct dns_answer){.error = "not found"});
    CHECK_TEXT(w.answer.reason, "not found");
    CHECK_INT(ask(&w, HOOK_authorize, 4), VERDICT_LATER);
    CHECK_INT(ask(&w, HOOK_authorize, 5), VERDICT_LATER);
    turn(&w, 500);
    CHECK_TEXT(w.answer.reason, "timeout");
    CHECK_INT(w.cancels, 1);
    CHECK_INT(w.answers, 5);
    clear(&w);
}

TEST(what_is_known_is_not_waited_for)
{
    static const struct dns_record records[] = {{.text = {(const uint8_t *)"192.0.2.1", 9}}, {.text = {(const uint8_t *)"192.0.2.2", 9}}};
    const struct dns_answer known = {.records = records, .count = 2};
    struct waiting w;
    play(&w, "return {authorize = function(req) return relay.deny(403, table.concat(relay.dns.lookup('a.example'), ' ')) end,\n"
             "permission = function() relay.dns.lookup('a.example') end}");
    w.known = &known;
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_DENY);
    CHECK_TEXT(w.stage.verdict.reason, "192.0.2.1 192.0.2.2");
    CHECK_INT(ask(&w, HOOK_permission, 1), VERDICT_FAIL); /* nor is it told where nothing may be waited for */
    w.known = NULL;
    w.fetch_error = ERR_BAD;
    ask(&w, HOOK_authorize, 1);
    HAS(w.stage.verdict.reason, "'a.example' is not a name");
    clear(&w);
}

TEST_LIST(RUN(a_hook_may_ask_the_database) RUN(the_world_is_told_what_it_says_and_a_wrong_statement_raises) RUN(a_query_that_takes_too_long_is_given_up)
              RUN(a_query_that_nobody_waits_for_is_given_up) RUN(rows_cost_instructions) RUN(users_are_asked_for_by_name)
                  RUN(a_lookup_is_shared_by_who_asks_for_the_same) RUN(what_is_known_is_not_waited_for))
