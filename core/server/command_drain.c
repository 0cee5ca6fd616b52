/* command_drain.c: relay drain. */
#include "server/command_line.h"

#include "admin/ask.h"

#include <stdio.h>

#define DEADLINE_MAX_S 604800

static int deadline_of(const struct command_line *line, char out[16])
{
    const int64_t seconds = line->deadline ? command_seconds(line->deadline) : 1;
    if (seconds < 1 || seconds > DEADLINE_MAX_S)
        return command_fail(line, COMMAND_MISUSED, "--deadline: 90s, 15m or 2h expected, a week at most");
    snprintf(out, 16, "%lld", (long long)seconds);
    return 0;
}

static void say(const json_t *body)
{
    const long long until = json_integer_value(json_object_get(body, "deadline"));
    const bool is_on = json_is_true(json_object_get(body, "draining"));
    printf("%s", is_on ? "draining" : "not draining");
    if (until)
        printf(" until %lld", until);
    printf("; %lld allocations\n", (long long)json_integer_value(json_object_get(body, "allocations")));
}

int command_drain(const struct command_line *line)
{
    const bool cancels = line->given & COMMAND_FLAG(CANCEL);
    char path[64], deadline[16];
    json_t *body;
    if (cancels && line->deadline)
        return command_fail(line, COMMAND_MISUSED, "--deadline or --cancel, not both");
    int code = deadline_of(line, deadline);
    if (code)
        return code;
    snprintf(path, sizeof path, line->deadline ? "/v1/drain?deadline=%s" : "/v1/drain", deadline);
    code = command_ask(line, cancels ? "DELETE" : "POST", path, &body);
    if (code)
        return code;
    say(body);
    return command_answered(line, body);
}
