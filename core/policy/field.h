/* field.h: from the name of a field to its number, by the address of the interned string.
 *
 * Lua keeps one copy of a string of up to 40 bytes; while the registry holds the names, equal pointers are equal names. Lua has no moving
 * collector.
 */
#ifndef RELAY_POLICY_FIELD_H
#define RELAY_POLICY_FIELD_H

#include <stdint.h>

#include <lua.h>

#define FIELD_SLOTS 128 /* a power of two, at least twice the fields of any argument */
#define FIELD_NONE (-1)

struct field_map {
    const char *name[FIELD_SLOTS];
    int8_t number[FIELD_SLOTS];
    const char *const *names;
    int count;
};

/* field_map_init: interns and anchors `names` (constant, `count` of them). May raise. */
void field_map_init(lua_State *L, struct field_map *, const char *const *names, int count);

/* field_find: the number of the name at stack index `at`, or FIELD_NONE. */
int field_find(const struct field_map *, lua_State *L, int at);

#endif
