/* outline.h: what a script says, without running it: the globals that it reads and sets with their members, the members of what its
 * functions are given, and which function names which.
 *
 * For texts that Lua has compiled (manual section 3); any other gives an outline that ends early. What is computed (t[k]), passed on or
 * kept in tables is not followed.
 */
#ifndef RELAY_POLICY_OUTLINE_H
#define RELAY_POLICY_OUTLINE_H

#include "base/bytes.h"

#define OUTLINE_PATH_MAX 96

enum mention_kind {
    MENTION_GLOBAL,   /* path: "relay.http.get" */
    MENTION_SET,      /* a global is given a value; path: its name */
    MENTION_ARGUMENT, /* path: the members of an argument of a function: "src.ip" */
    MENTION_FUNCTION, /* a function is named, or written down, inside of another */
    MENTION_REQUIRE   /* path: of require "path" */
};

struct mention {
    enum mention_kind kind;
    int line;
    int inside;   /* index of the function where it stands; 0 is the script */
    int function; /* ARGUMENT: whose it is; FUNCTION: which */
    int argument; /* its place, from 0 */
    char path[OUTLINE_PATH_MAX];
};

struct outline_function {
    int line;      /* where it begins, as Lua's linedefined */
    char name[32]; /* of the field or variable that it is written down for, or "" */
};

struct outline {
    struct mention *mentions;
    size_t count;
    struct outline_function *functions;
    size_t function_count;
};

/* outline_init: 0 or ERR_MEMORY. */
int outline_init(struct outline *, struct view text);
void outline_close(struct outline *);

#endif
