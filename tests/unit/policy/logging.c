/* relay.log: lines by the line of the script that writes them: a flood of one is counted, others are written. */
#include "stage.h"

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

TEST(a_flood_of_one_line_of_a_script_hides_no_other)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "p.lua",
              "return {authorize = function(req)\n"
              "  relay.log.warn('flood', {user = req.user})\n"
              "  relay.log.warn('beside')\n"
              "end, permission = function() relay.log.error('other hook') end}");
    const char *path = stage_file(&stage, "log", "");
    stage.world.log = log_new(path, LOG_INFO);
    CHECK(stage.world.log && stage_load(&stage));
    for (int i = 0; i < 50; i++)
        stage_ask(&stage, HOOK_authorize);
    for (int i = 0; i < 3; i++)
        stage_ask(&stage, HOOK_permission);
    log_free(stage.world.log);
    stage.world.log = NULL;
    char *text = test_file(path);
    CHECK_INT(count_of(text, " flood"), 20);
    CHECK_INT(count_of(text, " beside"), 20);
    CHECK_INT(count_of(text, " other hook"), 3);
    CHECK_INT(count_of(text, "suppressed=30"), 2);
    CHECK_INT(count_of(text, "p.lua:2 "), 21);
    free(text);
    stage_clear(&stage);
}

TEST_LIST(RUN(a_flood_of_one_line_of_a_script_hides_no_other))
