/* command_check.c: relay check: what it prints, how it ends. */
#include "room.h"

static const char good[] = "local P = relay.params('p', {most = {default = 3, min = 1, max = 9}, word = {required = true}})\n"
                           "return {authorize = function(req) return relay.allow{user_quota = P.most} end}";

/* check: `relay check` of this text with --set p.word=x and these words. */
static struct ran check(const struct room *room, const char *text, const char *option, const char *value)
{
    char path[128];
    put_file(room, "p.lua", text);
    return RUN_RELAY(*room, "", "check", room_path(room, "p.lua", path), option, value);
}

TEST(a_policy_that_is_right_shows_its_hooks_and_parameters)
{
    struct room room = room_make();
    struct ran ran = check(&room, good, "--set", "p.word=x");
    check_ran(&ran, 0, "", "");
    CHECK_TEXT(
        ran.out,
        "hooks: authorize\n--set p.most: integer, at least 1, at most 9, default 3\n--set p.word: string, required\nnothing found\n");
    room_remove(&room);
}

TEST(what_ends_the_load_is_told_with_the_path_that_was_given)
{
    struct room room = room_make();
    char path[128], expected[256];
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"return {\n authorise = function() end }", ":2: unknown hook 'authorise'; did you mean 'authorize'?\n"},
        {"return {authorize = 3}", ":1: authorize: a function expected, got number\n"},
        {"local x = \nrelay.dney(403)\nreturn {}", ":2: relay has no field 'dney'; did you mean 'deny'?\n"},
        {"return {init = function()\n error('no backend') end}", ":2: no backend\n"},
        {"return {", ":1: unexpected symbol near <eof>\n"},
        {"return {init = function()\n local a, why = relay.http.get('https://x/') error(why) end}", ":2: connect\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ran ran = check(&room, rows[i].text, "--format", "human");
        snprintf(expected, sizeof expected, "%s%s", room_path(&room, "p.lua", path), rows[i].told);
        check_ran(&ran, 1, "", "");
        CHECK_TEXT(ran.out, expected);
    }
    struct ran ran = check(&room, good, "--set", "p.mots=3");
    check_ran(&ran, 1, "p.word: a value is required (--set p.word=...)", "");
    ran = check(&room, "relay.params('p', {most = {default = 3}}) return {}", "--set", "p.mots=3");
    check_ran(&ran, 1, "command line: --set p.mots: no policy has such a parameter; did you mean 'p.most'?\n", "");
    ran = RUN_RELAY(room, "", "check", "/nonexistent.lua");
    check_ran(&ran, 1, "/nonexistent.lua:1: No such file or directory\n", "");
    room_remove(&room);
}

TEST(a_warning_is_no_failure_and_github_reads_both)
{
    struct room room = room_make();
    char path[128], expected[512];
    struct ran ran = check(&room, "return {route = function()\n relay.sleep(1) end}", "--format", "github");
    snprintf(expected, sizeof expected, "::warning file=%s,line=2::relay.sleep waits, and route may not: it raises there\n",
             room_path(&room, "p.lua", path));
    check_ran(&ran, 0, "", "");
    CHECK_TEXT(ran.out, expected);
    ran = check(&room, "error('a\\nb%c', 0)", "--format", "github");
    check_ran(&ran, 1, "", "");
    CHECK_TEXT(ran.out, "::error::a%0Ab%25c\n");
    room_remove(&room);
}

TEST(check_is_called_with_files_and_known_words)
{
    struct room room = room_make();
    struct ran ran = RUN_RELAY(room, "", "check");
    check_ran(&ran, 2, "", "something is missing");
    ran = check(&room, good, "--format", "xml");
    check_ran(&ran, 2, "", "--format: human or github, not xml");
    ran = check(&room, good, "--set", "p.word");
    check_ran(&ran, 2, "", "--set: POLICY.NAME=VALUE expected, got p.word");
    ran = check(&room, good, "--secret", "=x");
    check_ran(&ran, 2, "", "--secret: NAME=FILE expected, got =x");
    room_remove(&room);
}

TEST_LIST(RUN(a_policy_that_is_right_shows_its_hooks_and_parameters) RUN(what_ends_the_load_is_told_with_the_path_that_was_given)
              RUN(a_warning_is_no_failure_and_github_reads_both) RUN(check_is_called_with_files_and_known_words))
