/* console.h: a Lua to look at a relay with, in the process of who looks: what runs there cannot hold up the relay, and what it asks is
 * read-only.
 *
 * It has what scripts have of Lua, without the table `relay`, and in its place: alloc, shared, policy, trace, metrics and help (the rows of
 * console.c). They ask by `ask`. It is contained as policies are, by instructions, processor time and memory; a want of memory ends the
 * state, and the next line has a new one.
 */
#ifndef RELAY_POLICY_CONSOLE_H
#define RELAY_POLICY_CONSOLE_H

#include <stddef.h>
#include <stdio.h>

struct console;

/* struct console_parameter: of a question; a NULL value: it is not said. */
struct console_parameter {
    const char *name, *value;
};

/* struct console_world: `ask`: GET of `path`, with `count` parameters: 0, the HTTP status and what was said, from malloc; or negative, with
 * the reason in `error`. */
struct console_world {
    int (*ask)(void *ctx, const char *path, const struct console_parameter *, size_t count, long *status, char **text, char *error,
               size_t error_cap);
    void *ctx;
    FILE *out; /* results, and what is printed */
};

/* console_new: NULL without memory. */
struct console *console_new(const struct console_world *);
void console_free(struct console *);

enum console_end { CONSOLE_DONE, CONSOLE_FAILED, CONSOLE_PARTIAL };

/* console_run: a chunk of Lua, or an expression, whose values are shown. CONSOLE_FAILED: why is in `error`. CONSOLE_PARTIAL: more must
 * follow. */
enum console_end console_run(struct console *, const char *text, char *error, size_t error_cap);

#endif
