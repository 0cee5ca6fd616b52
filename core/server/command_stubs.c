/* command_stubs.c: relay stubs: what policies may use, for editors and for the pages. */
#include "server/command_line.h"

#include "policy/page.h"
#include "policy/stubs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *format;
    void (*print)(FILE *);
} formats[] = {{"lua", stubs_print}, {"markdown", page_print}};

int command_stubs(const struct command_line *line)
{
    const char *format = line->format ? line->format : formats[0].format;
    const size_t count = sizeof formats / sizeof *formats;
    size_t at = 0;
    while (at < count && strcmp(formats[at].format, format) != 0)
        at++;
    if (at == count)
        return command_fail(line, COMMAND_MISUSED, "--format: lua or markdown, not %s", format);
    FILE *out = line->out ? fopen(line->out, "we") : stdout;
    if (!out)
        return command_fail(line, COMMAND_FAILED, "%s: %s", line->out, strerrordesc_np(errno));
    formats[at].print(out);
    const bool is_written = fflush(out) == 0;
    const int err = errno;
    if (line->out)
        fclose(out);
    return is_written ? COMMAND_DONE
                      : command_fail(line, COMMAND_FAILED, "%s: %s", line->out ? line->out : "standard output", strerrordesc_np(err));
}
