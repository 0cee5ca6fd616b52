/* tree.c: null is nil: a member that is null is not there. */
#include "policy/tree.h"

#include <lauxlib.h>

void tree_push_plain(lua_State *L, const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_STRING:
            lua_pushlstring(L, json_string_value(value), json_string_length(value));
            break;
        case JSON_INTEGER:
            lua_pushinteger(L, json_integer_value(value));
            break;
        case JSON_REAL:
            lua_pushnumber(L, json_real_value(value));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            lua_pushboolean(L, json_is_true(value));
            break;
        default:
            lua_pushnil(L);
    }
}

static bool push_members(lua_State *L, json_t *object, int depth)
{
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        lua_pushlstring(L, json_object_iter_key(at), json_object_iter_key_len(at));
        if (!tree_push_copy(L, json_object_iter_value(at), depth))
            return false;
        lua_rawset(L, -3);
    }
    return true;
}

static bool push_items(lua_State *L, const json_t *array, int depth)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!tree_push_copy(L, json_array_get(array, i), depth))
            return false;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return true;
}

bool tree_push_copy(lua_State *L, const json_t *value, int depth)
{
    luaL_checkstack(L, 4, "JSON");
    const bool object = json_is_object(value);
    if (!object && !json_is_array(value)) {
        tree_push_plain(L, value);
        return true;
    }
    lua_newtable(L);
    if (depth == 0)
        return false;
    return object ? push_members(L, (json_t *)(uintptr_t)value, depth - 1) : push_items(L, value, depth - 1);
}
