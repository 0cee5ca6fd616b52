/* field.c: a small open hash of pointers. */
#include "policy/field.h"

#include <lauxlib.h>

static unsigned slot_of(const char *name)
{
    return (unsigned)(((uintptr_t)name >> 3) * 0x9E3779B97F4A7C15u >> 57) & (FIELD_SLOTS - 1);
}

void field_map_init(lua_State *L, struct field_map *map, const struct shown *shown)
{
    map->shown = shown;
    lua_createtable(L, (int)shown->count, 0);
    for (size_t i = 0; i < shown->count; i++) {
        const char *name = lua_pushstring(L, shown->members[i].name);
        unsigned at = slot_of(name);
        while (map->name[at])
            at = (at + 1) & (FIELD_SLOTS - 1);
        map->name[at] = name;
        map->number[at] = (int8_t)i;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, map);
}

int field_find(const struct field_map *map, lua_State *L, int at)
{
    if (lua_type(L, at) != LUA_TSTRING)
        return FIELD_NONE;
    const char *name = lua_tostring(L, at);
    for (unsigned slot = slot_of(name); map->name[slot]; slot = (slot + 1) & (FIELD_SLOTS - 1))
        if (map->name[slot] == name)
            return map->number[slot];
    return FIELD_NONE;
}
