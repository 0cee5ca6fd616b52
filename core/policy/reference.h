/* reference.h: what scripts have, as rows: the tables that the bindings are made of, and that relay check reads. */
#ifndef RELAY_POLICY_REFERENCE_H
#define RELAY_POLICY_REFERENCE_H

#include <stddef.h>

/* struct member: of what a hook is shown. `type`: as LuaLS writes types; a `?` at the end: may be nil. `about`: in Markdown. */
struct member {
    const char *name, *type, *about;
};

/* struct shown: an argument of hooks. */
struct shown {
    char letter;       /* in hook_rule.arguments */
    const char *name;  /* "req": as the pages call it */
    const char *label; /* "request": as messages call it */
    const struct member *members;
    size_t count;
};

/* of a row X(name, type, about, ...): its name, its struct member */
#define MEMBER_NAME(name, ...) #name,
#define MEMBER_ROW(name, type, about, ...) {#name, type, about},

extern const struct shown context_shown, request_shown, allocation_shown, usage_shown, event_shown, address_shown;

/* reference_argument: the one of a letter; NULL: it has no members.  reference_find: the member of that name, or NULL. */
const struct shown *reference_argument(char letter);
const struct member *reference_find(const struct shown *, const char *name);

#endif
