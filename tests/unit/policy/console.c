/* The console: what a line shows, what ends it, and that looking into tables changes nothing. The relay is made up. */
#include "policy/console.h"
#include "base/err.h"
#include "policy/dictionary.h"
#include "policy/policy.h"
#include "test.h"

#include <stdlib.h>

struct rig {
    struct console *console;
    char *shown, error[512];
    size_t len;
    FILE *out;
    char asked[256];    /* the last question */
    const char *answer; /* NULL: nobody is there */
    long status;
};

static int answer(void *ctx, const char *path, const struct console_parameter *parameters, size_t count, long *status, char **text,
                  char *error, size_t error_cap)
{
    struct rig *rig = ctx;
    int used = snprintf(rig->asked, sizeof rig->asked, "%s", path);
    for (size_t i = 0; i < count; i++)
        if (parameters[i].value)
            used += snprintf(rig->asked + used, sizeof rig->asked - (size_t)used, " %s=%s", parameters[i].name, parameters[i].value);
    snprintf(error, error_cap, "nobody is there");
    if (!rig->answer)
        return ERR_SYSTEM;
    *status = rig->status;
    *text = strdup(rig->answer);
    return 0;
}

static void rig_open(struct rig *rig, long status, const char *said)
{
    *rig = (struct rig){.status = status, .answer = said};
    rig->out = open_memstream(&rig->shown, &rig->len);
    rig->console = console_new(&(struct console_world){answer, rig, rig->out});
    CHECK(rig->console);
}

static void rig_close(struct rig *rig)
{
    console_free(rig->console);
    fclose(rig->out);
    free(rig->shown);
}

/* run: what a line shows, or why it failed. */
static const char *run(struct rig *rig, const char *text)
{
    rewind(rig->out);
    const enum console_end end = console_run(rig->console, text, rig->error, sizeof rig->error);
    fputc(0, rig->out);
    fflush(rig->out);
    return end == CONSOLE_DONE ? rig->shown : end == CONSOLE_PARTIAL ? "..." : rig->error;
}

TEST(values_are_shown_as_one_reads_them)
{
    static const struct {
        const char *line, *shown;
    } rows[] = {
        {"1 + 1", "2\n"},
        {"'a', nil, true, 0.5", "a\nnil\ntrue\n0.5\n"},
        {"x = 7", ""},
        {"x", "7\n"},
        {"{}", "{}\n"},
        {"{3, 2, b = 'q\"', a = {c = true}, ['x y'] = 1, [2.5] = 0, [-1] = 'm'}",
         "{3, 2, [-1] = \"m\", [2.5] = 0, a = {c = true}, b = \"q\\\"\", [\"x y\"] = 1}\n"},
        {"{print}", "{function}\n"},
        {"'\\27[31m\\n\\255\\0'", "\\x1b[31m\n\\xff\\x00\n"},
        {"{'\\27\\n'}", "{\"\\x1b\\n\"}\n"},
        {"do local t = {} t.t = t return t end", "{t = {t = {t = {t = {t = {t = {t = {t = {...}}}}}}}}}\n"},
        {"{('x'):rep(130)}", NULL},
    };
    struct rig rig;
    rig_open(&rig, 200, "{}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *shown = run(&rig, rows[i].line);
        if (rows[i].shown)
            CHECK_TEXT(shown, rows[i].shown);
        else
            CHECK(strncmp(shown, "{\n  \"xxx", 8) == 0);
    }
    rig_close(&rig);
}

TEST(too_much_to_show_is_cut_and_said)
{
    struct rig rig;
    rig_open(&rig, 200, "{}");
    const char *shown = run(&rig, "local t = {} for i = 1, 20000 do t[i] = ('x'):rep(100) end return t");
    CHECK(strlen(shown) > 1000000 && strlen(shown) < 1100000 && strstr(shown, "..."));
    CHECK_TEXT(run(&rig, "local t = {} for i = 1, 20000 do t['k' .. i] = i end return t and 1"), "1\n");
    CHECK(strlen(run(&rig, "local t = {} for i = 1, 20000 do t['k' .. i] = i end return t")) > 100000);
    rig_close(&rig);
}

TEST(questions_are_asked_as_they_are_written)
{
    struct rig rig;
    rig_open(&rig, 200, "{\"allocations\": [{\"id\": \"7\"}], \"next\": null, \"value\": \"v\", \"shared\": []}");
    CHECK_TEXT(run(&rig, "alloc.list{user = 'a b', tag = 'x=1'}[1].id"), "7\n");
    CHECK_TEXT(rig.asked, "/v1/allocations user=a b tag=x=1 limit=1000");
    CHECK_TEXT(run(&rig, "shared['a.b']:get('k')"), "v\n");
    CHECK_TEXT(rig.asked, "/v1/shared name=a.b key=k");
    CHECK_TEXT(run(&rig, "shared.t:get(7)"), "v\n");
    CHECK_TEXT(rig.asked, "/v1/shared name=t key=7");
    CHECK_TEXT(run(&rig, "trace{user = 'ann'}.allocations[1].id"), "7\n");
    rig.answer = "# HELP a b\n# TYPE a counter\na{x=\"1 2\"} 3\nab 0.5\nb 1\n";
    CHECK_TEXT(run(&rig, "metrics('a')"), "{ab = 0.5, [\"a{x=\\\"1 2\\\"}\"] = 3}\n");
    rig_close(&rig);
}

TEST(pages_are_asked_for_until_there_are_no_more_or_enough)
{
    struct rig rig;
    rig_open(&rig, 200, "{\"allocations\": [{\"id\": \"7\"}, {\"id\": \"8\"}], \"next\": \"1.5\"}");
    CHECK_TEXT(run(&rig, "#alloc.list{limit = 5}"), "5\n");
    CHECK_TEXT(rig.asked, "/v1/allocations limit=1000 after=1.5");
    rig_close(&rig);
}

TEST(refusals_are_told)
{
    struct rig rig;
    rig_open(&rig, 400, "{\"error\": \"no such thing\"}");
    CHECK_TEXT(run(&rig, "alloc.list()"), "line:1: /v1/allocations: no such thing");
    rig.answer = "no JSON";
    CHECK_TEXT(run(&rig, "policy.info()"), "line:1: /v1/policy: 400");
    rig.status = 200;
    CHECK_TEXT(run(&rig, "policy.info()"), "line:1: /v1/policy: what answered is no relay");
    rig.answer = NULL;
    CHECK_TEXT(run(&rig, "policy.info()"), "line:1: nobody is there");
    CHECK_TEXT(run(&rig, "pcall(policy.info)"), "false\nnobody is there\n");
    rig_close(&rig);
}

TEST(what_runs_away_is_ended_and_the_next_line_runs)
{
    struct rig rig;
    rig_open(&rig, 200, "{}");
    CHECK_TEXT(run(&rig, "x = 1"), "");
    CHECK_TEXT(run(&rig, "while true do end"), "killed: too many instructions");
    CHECK_TEXT(run(&rig, "x"), "1\n");
    CHECK_TEXT(run(&rig, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"), "not enough memory: what was set is gone");
    CHECK_TEXT(run(&rig, "x"), "line:1: unknown global 'x'");
    CHECK_TEXT(run(&rig, "for i = 1, 3 do"), "...");
    CHECK_TEXT(run(&rig, "for i = 1, 2 do\nprint(i)\nend"), "1\n2\n");
    rig_close(&rig);
}

TEST(peeking_neither_counts_as_use_nor_sees_what_has_expired)
{
    static const struct hash_key key = {1, 2};
    static const struct value one = {.type = VALUE_INTEGER, .as.integer = 1};
    uint8_t text[VALUE_TEXT_MAX];
    struct dictionary *dictionary = dictionary_new(&key, 2, true);
    CHECK_INT(dictionary_set(dictionary, view_text("a"), &one, DEADLINE_NEVER, 0), 0);
    CHECK_INT(dictionary_set(dictionary, view_text("b"), &one, 50, 0), 0);
    CHECK_INT(dictionary_peek(dictionary, view_text("a"), 0, text).as.integer, 1);
    CHECK_INT(dictionary_peek(dictionary, view_text("b"), 49, text).type, VALUE_INTEGER);
    CHECK_INT(dictionary_peek(dictionary, view_text("b"), 50, text).type, VALUE_NONE);
    CHECK_INT(dictionary_count(dictionary), 2);
    CHECK_INT(dictionary_set(dictionary, view_text("c"), &one, DEADLINE_NEVER, 0), 0);
    CHECK_INT(dictionary_peek(dictionary, view_text("a"), 0, text).type, VALUE_NONE);
    dictionary_free(dictionary);
}

TEST_LIST(RUN(values_are_shown_as_one_reads_them) RUN(too_much_to_show_is_cut_and_said) RUN(questions_are_asked_as_they_are_written)
              RUN(pages_are_asked_for_until_there_are_no_more_or_enough) RUN(refusals_are_told)
                  RUN(what_runs_away_is_ended_and_the_next_line_runs) RUN(peeking_neither_counts_as_use_nor_sees_what_has_expired))
