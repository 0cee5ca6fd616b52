/* ignored.h: the options of coturn that have no meaning here, each with what to use instead, so that an existing turnserver.conf runs.
 *
 * Each earns one warning; the few that would leave the server more open than its operator asked for are refused. Which of them take a value is known, so
 * that a command line is read as coturn reads it.
 */
#ifndef RELAY_SERVER_IGNORED_H
#define RELAY_SERVER_IGNORED_H

#include <stdbool.h>
#include <stddef.h>

enum ignored_kind {
    IGNORED_FLAG,  /* bare, or with a value behind "=" */
    IGNORED_VALUE, /* a value follows */
    REFUSED_VALUE, /* a value follows, and it is an error */
};

struct ignored {
    const char *name;
    char letter; /* 0: none */
    enum ignored_kind kind;
    const char *instead; /* a sentence without its full stop */
};

extern const struct ignored ignored[];
extern const size_t ignored_count;

#define IGNORED_MAX 160

/* ignored_find, ignored_by_letter: NULL: no option of coturn's, or one that has its meaning here. */
const struct ignored *ignored_find(const char *name);
const struct ignored *ignored_by_letter(char letter);

bool ignored_takes_value(const struct ignored *);
bool ignored_is_refused(const struct ignored *);

#endif
