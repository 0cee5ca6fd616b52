/* command.h: the verbs of the command line: `relay user add ...`, `relay usage ...`; one table that also feeds --help and the manual page.
 *
 * Most work on the database file, beside a running server or without one; some ask a running server at its admin door. To add one: a row in
 * command.c and a function in command_NOUN.c.
 */
#ifndef RELAY_SERVER_COMMAND_H
#define RELAY_SERVER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_line;

struct command {
    const char *name;     /* "user add": noun and verb */
    const char *synopsis; /* what follows the name */
    const char *summary;  /* a sentence without its full stop */
    uint64_t flags;       /* those it takes, those it needs (command_line.h) */
    uint64_t needs;
    size_t words_min, words_max;
    int (*run)(const struct command_line *);
};

/* command_run: the exit code: 0, 1 when it failed, 2 when it was called wrongly; -1 if argv[1] is no verb of ours. */
int command_run(int argc, char **argv);

/* struct command_switch: one that a command takes.  command_switch: the first, second ... of them; false: there are no more. */
struct command_switch {
    const char *name;
    bool has_value, is_path;
};
bool command_switch(const struct command *, size_t index, struct command_switch *out);

/* struct command_own: a switch that one verb alone has: its value is in command_line.own, at the place that it has in the verb's table. */
struct command_own {
    const char *name, *help; /* what it says, for --help and the manual page */
    enum { OWN_BARE, OWN_VALUE, OWN_VALUES, OWN_PATH } kind; /* a value may be said again, or not */
};
const struct command_own *command_own(const struct command *, size_t *count); /* its table; NULL: it has none */

/* commands: all of them, in the order of --help. */
const struct command *commands(size_t *count);

#endif
