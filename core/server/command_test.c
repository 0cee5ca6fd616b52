/* command_test.c: relay test: runs specs of policies. */
#include "server/command_line.h"

#include "client/probe.h"
#include "server/config.h"
#include "spec/specs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const formats[] = {"human", "tap", "github"};

static const char *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i], name) == 0)
            return formats[i];
    return NULL;
}

static bool parse_percent(const char *text, double *percent)
{
    char *end;
    *percent = strtod(text, &end);
    return end != text && !*end && *percent >= 0 && *percent <= 100;
}

#define OF_URLS                                                                                                                            \
    (COMMAND_FLAG(USER) | COMMAND_FLAG(PASSWORD) | COMMAND_FLAG(PASSWORD_STDIN) | COMMAND_FLAG(PASSWORD_FILE) | COMMAND_FLAG(SECONDS) |   \
     COMMAND_FLAG(INSECURE) | COMMAND_FLAG(ADMIN_SOCKET) | COMMAND_FLAG(CONFIG))

int command_test(const struct command_line *line)
{
    if (line->word_count && probe_is_url(line->words[0]))
        return command_probe(line);
    if (line->given & OF_URLS)
        return command_fail(line, COMMAND_MISUSED, "--user and the like are for a URL, as turn:relay.example.org, not for specs");
    char lua_dir[CONFIG_PATH_MAX], reason[2048];
    struct specs specs = {.paths = (const char *const *)line->words,
                          .path_count = line->word_count,
                          .filter = line->filter,
                          .format = line->format ? find_format(line->format) : "human",
                          .junit = line->junit,
                          .live = line->given & COMMAND_FLAG(LIVE),
                          .coverage = line->given & (COMMAND_FLAG(COVERAGE) | COMMAND_FLAG(COVERAGE_MIN)),
                          .lua_dir = line->lua_dir};
    if (!specs.format)
        return command_fail(line, COMMAND_MISUSED, "--format: human, tap or github, not %s", line->format);
    if (specs.live && specs.coverage)
        return command_fail(line, COMMAND_MISUSED, "--coverage counts lines in the fake core: not with --live");
    if (line->given & COMMAND_FLAG(JSON))
        specs.format = "json";
    if (line->coverage_min && !parse_percent(line->coverage_min, &specs.coverage_min))
        return command_fail(line, COMMAND_MISUSED, "--coverage-min: a percentage expected, got %s", line->coverage_min);
    if (!specs.lua_dir) {
        config_lua_dir(lua_dir);
        specs.lua_dir = lua_dir;
    }
    const int outcome = specs_run(&specs, reason, sizeof reason);
    if (outcome < 0)
        return command_fail(line, COMMAND_FAILED, "%s", reason);
    return outcome ? COMMAND_FAILED : COMMAND_DONE;
}
