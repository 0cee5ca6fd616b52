/* command_metrics.c: relay metrics. */
#include "server/command_line.h"

#include "server/metric.h"

#include <stdlib.h>

int command_metrics(const struct command_line *line)
{
    char *text = NULL;
    if (line->given & COMMAND_FLAG(DESCRIBE)) {
        metric_describe(stdout);
        return command_answered(line, NULL);
    }
    const int code = command_ask_text(line, "/metrics", &text);
    if (code)
        return code;
    fputs(text, stdout);
    free(text);
    return command_answered(line, NULL);
}
