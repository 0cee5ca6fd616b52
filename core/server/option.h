/* option.h: the one table of options; a row feeds the file, the command line, --help, the manual page, the example file and the tests.
 *
 * Names, letters, values and defaults are coturn's where the meaning is the same. To add an option: a field in struct config, a row here, and what the
 * rest of the server makes of the field. A new kind of value is a function in setting.c.
 */
#ifndef RELAY_SERVER_OPTION_H
#define RELAY_SERVER_OPTION_H

#include "server/config.h"

/* enum option_kind: what the value is and what it becomes in struct config. */
enum option_kind {
    OPTION_FLAG,      /* bool */
    OPTION_TEXT,      /* const char *, min to max bytes */
    OPTION_NUMBER,    /* uint32_t, min to max */
    OPTION_PORT,      /* uint16_t, min to max */
    OPTION_CHOICE,    /* uint8_t: which of the words of `value`, "one|two|three", counted from 0 */
    OPTION_TEXTS,     /* const char ** and a count: repeatable, as are all below */
    OPTION_FILES,     /* struct config_file * and a count */
    OPTION_ADDRESSES, /* struct addr * and a count */
    OPTION_RANGES,    /* struct cidr_set */
    OPTION_EXTERNALS, /* struct config_external * and a count */
    OPTION_POOLS,     /* struct config_pool * and a count */
    OPTION_USERS,     /* struct config_user * and a count */
    OPTION_ALTERNATES, /* struct alternates, with the port that is not said in min */
    OPTION_PARAMS,    /* struct policy_param * and a count */
    OPTION_SECRETS,   /* struct policy_secret * and a count */
    OPTION_SERVERS,   /* struct addr * and a count, with the port that is not said in min */
    OPTION_HOSTS,     /* const char ** and a count, for net/http.h */
    OPTION_DOORS,     /* struct config_door * and a count */
    OPTION_ACTION,    /* enum config_action, taken from min */
    OPTION_KINDS
};

enum option_section { SECTION_GENERAL, SECTION_LISTEN, SECTION_RELAY, SECTION_AUTH, SECTION_LIMITS, SECTION_PROTOCOL, SECTION_POLICY, SECTION_PROCESS, OPTION_SECTIONS };

enum option_trait {
    OPTION_CONFIDENTIAL = 1, /* the value is never shown; on the command line it earns a warning */
    OPTION_COMMAND_LINE = 2, /* not for the file */
    OPTION_READABLE = 4,     /* a file that must be there when it is named */
    OPTION_PREPARED = 8,     /* text that clients compare: OpaqueString, base/opaque.h */
};

struct option {
    const char *name, *also; /* also: another name of the same, or NULL */
    char letter;             /* 0: none */
    enum option_kind kind;
    enum option_section section;
    unsigned traits;
    const char *value;    /* what --help calls the value; NULL for flags and actions */
    const char *fallback; /* the default, as text; NULL: none */
    const char *bare;     /* what the bare name means; NULL: a value must follow */
    uint32_t min, max;
    size_t at, count_at; /* in struct config */
    const char *help;    /* a sentence without its full stop */
};

extern const struct option options[];
extern const size_t option_count;

/* option_find: by either name; option_by_letter; NULL: unknown. */
const struct option *option_find(const char *name);
const struct option *option_by_letter(char letter);

bool option_takes_value(const struct option *); /* false for flags and actions; true also where the bare name has a meaning */
bool option_repeats(const struct option *);
const char *option_section_title(enum option_section);

#endif
