/* field.h: from the name of a field to its number, by the address of the interned string.
 *
 * Lua keeps one copy of a string of up to 40 bytes; while the registry holds the names, equal pointers are equal names. Lua has no moving
 * collector.
 */
#ifndef RELAY_POLICY_FIELD_H
#define RELAY_POLICY_FIELD_H

#include "policy/reference.h"

#include <stdint.h>

#define FIELD_SLOTS 128 /* a power of two, at least twice the fields of any argument */
#define FIELD_NONE (-1)

struct field_map {
    const char *name[FIELD_SLOTS];
    int8_t number[FIELD_SLOTS];
    const struct shown *shown;
};

/* field_map_init: interns and anchors the names of the members. May raise. */
void field_map_init(lua_State *L, struct field_map *, const struct shown *);

/* field_find: the number of the name at stack index `at`, or FIELD_NONE. */
int field_find(const struct field_map *, lua_State *L, int at);

#endif
