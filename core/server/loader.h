/* loader.h: the inside of config_load, for the files config*.c and setting.c only.
 *
 * A setting is one option as it was said in one place; setting_apply turns its text into the field of struct config that its row names. What is wrong is
 * told to the report and loading goes on.
 */
#ifndef RELAY_SERVER_LOADER_H
#define RELAY_SERVER_LOADER_H

#include "server/ignored.h"
#include "server/option.h"

#define COMMAND_LINE "command line"

struct loader {
    struct config *config;
    struct config_report *report;
    bool out_of_memory;
    bool warned[IGNORED_MAX]; /* by row of ignored[] */
};

struct setting {
    struct loader *loader;
    const struct option *option;
    const char *value; /* NULL: the bare name */
    const char *where;
};

/* loader_room: zeroed bytes that live as long as the config; loader_keep: a copy of text there. NULL: out of memory, which is remembered. */
void *loader_room(struct loader *, size_t size);
char *loader_keep(struct loader *, struct view text);

/* loader_append: a place for one more item in the array of `items` that holds `*count`, which is counted; NULL: out of memory. */
void *loader_append(struct loader *, void *items, size_t *count, size_t item_size);

/* "where: option: reason" into the report */
void loader_error(struct loader *, const char *where, const char *option, const char *format, ...) __attribute__((format(printf, 4, 5)));
void loader_warning(struct loader *, const char *where, const char *option, const char *format, ...) __attribute__((format(printf, 4, 5)));
void loader_note(struct loader *, const char *where, const char *option, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* loader_say: the option `name` was said with `value` (NULL: bare) in `where`: applies it, warns or refuses. */
void loader_say(struct loader *, const char *name, const char *value, const char *where);

/* config_file.c, config_arguments.c. loader_arguments applies the options that only the command line has when `early`, else all others. */
void loader_file(struct loader *, const char *path);
void loader_arguments(struct loader *, int argc, char **argv, bool early);

/* config_check.c, config_derive.c: rules over several options, then the values that follow from them */
void loader_check(struct loader *);
void loader_derive(struct loader *);

/* config_admin.c */
void loader_derive_admin(struct loader *);

/* loader_shown: `local` as its clients see it: the external-ip before it, or itself. */
struct addr loader_shown(struct loader *, const struct addr *local);

/* config_discovery.c: the same two steps for RFC 5780 */
void loader_check_discovery(struct loader *);
void loader_derive_discovery(struct loader *);

/* setting.c */
void setting_apply(const struct setting *);
void setting_error(const struct setting *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* setting_quote: the value, quoted for a message; "the value" when it is confidential. */
#define QUOTE_MAX 96
const char *setting_quote(const struct setting *, char out[QUOTE_MAX]);

/* file_unreadable: 0, or the errno that says why `path` cannot be read. */
int file_unreadable(const char *path);

/* parse_flag: 0 and *on, or ERR_BAD: 1 0 true false yes no on off, and their first letters as coturn takes them. */
int parse_flag(const char *text, bool *on);

#endif
