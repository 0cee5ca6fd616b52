/* command_stubs.c: relay stubs: where it prints what, how it ends. */
#include "room.h"

/* begins: `text` begins with `start`. */
static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

TEST(stubs_are_lua_or_markdown_on_standard_output_or_in_a_file)
{
    struct room room = room_make();
    char path[128];
    struct ran ran = RUN_RELAY(room, "", "stubs");
    check_ran(&ran, 0, "", "");
    CHECK(begins(ran.out, "---@meta relay\n"));
    ran = RUN_RELAY(room, "", "stubs", "--format", "markdown");
    check_ran(&ran, 0, "", "");
    CHECK(begins(ran.out, "\n### Hooks\n"));
    ran = RUN_RELAY(room, "", "stubs", "--format", "lua", "--out", room_path(&room, "p.lua", path));
    check_ran(&ran, 0, "", "");
    CHECK_TEXT(ran.out, "");
    char head[16] = "";
    FILE *file = fopen(path, "r");
    CHECK(file && fgets(head, sizeof head, file));
    CHECK_TEXT(head, "---@meta relay\n");
    fclose(file);
    room_remove(&room);
}

TEST(what_cannot_be_printed_is_said)
{
    struct room room = room_make();
    struct ran ran = RUN_RELAY(room, "", "stubs", "--format", "xml");
    check_ran(&ran, 2, "", "--format: lua or markdown, not xml");
    ran = RUN_RELAY(room, "", "stubs", "quota.lua");
    check_ran(&ran, 2, "", "quota.lua: one too many");
    ran = RUN_RELAY(room, "", "stubs", "--out", "/nonexistent/relay.lua");
    check_ran(&ran, 1, "", "/nonexistent/relay.lua: No such file or directory\n");
    ran = RUN_RELAY(room, "", "stubs", "--out", "/dev/full");
    check_ran(&ran, 1, "", "/dev/full: No space left on device\n");
    room_remove(&room);
}

TEST_LIST(RUN(stubs_are_lua_or_markdown_on_standard_output_or_in_a_file) RUN(what_cannot_be_printed_is_said))
