/* saved.h: what `save` of a policy returns is handed to the `init` of the one that takes its place.
 *
 * Plain data is copied from one lua_State to the other: booleans, numbers, strings, and tables of them without a metatable, SAVED_MAX bytes
 * in all: a string is as long as it is, everything else, tables too, counts SAVED_VALUE.
 */
#ifndef RELAY_POLICY_SAVED_H
#define RELAY_POLICY_SAVED_H

#include "policy/state.h"

#define SAVED_MAX 65536
#define SAVED_VALUE 8
#define SAVED_DEPTH 32

/* saved_take: for each script of `policy` that `old` has too, and with `save`: run that, and keep the copy. 0, or ERR_BAD with
 * `file:line: reason` in `error`. */
int saved_take(struct policy *, struct policy *old, char *error, size_t error_cap);

#endif
