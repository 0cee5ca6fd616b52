/* json.c: libjansson reads, we write: in the order of names, so that equal values are equal texts. */
#include "policy/json.h"

#include "policy/library.h"
#include "policy/state.h"
#include "policy/tree.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define NAMES_MAX 256
#define ENCODED_MAX 16384

static int push_tree(lua_State *L)
{
    if (!tree_push_copy(L, lua_touserdata(L, 1), DEPTH_MAX))
        state_raise(L, "JSON: nested more than %d levels", DEPTH_MAX);
    return 1;
}

int json_push(lua_State *L, struct view text)
{
    json_error_t why;
    budget_charge(L, text.len / 8);
    json_t *root = json_loadb((const char *)text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!root) {
        lua_pushnil(L);
        lua_pushfstring(L, "line %d: %s", why.line > 0 ? why.line : 1, why.text);
        return 2;
    }
    luaL_checkstack(L, LUA_MINSTACK, "JSON");
    lua_pushcfunction(L, push_tree);
    lua_pushlightuserdata(L, root);
    const int status = lua_pcall(L, 1, 1, 0); /* the tree has an owner */
    json_decref(root);
    return status == LUA_OK ? 1 : lua_error(L);
}

static void put_value(lua_State *L, int at, struct slab *out, int depth);

static void put_items(lua_State *L, int at, struct slab *out, int depth)
{
    const lua_Integer count = (lua_Integer)lua_rawlen(L, at);
    slab_put_u8(out, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1)
            slab_put_u8(out, ',');
        lua_rawgeti(L, at, i);
        put_value(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    slab_put_u8(out, ']');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_members(lua_State *L, int at, struct slab *out, int depth)
{
    const char *names[NAMES_MAX] = {NULL};
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || count == NAMES_MAX)
            state_raise(L, "JSON: a list, or at most %d names expected", NAMES_MAX);
        names[count++] = lua_tostring(L, -2);
    }
    qsort(names, count, sizeof *names, by_name);
    slab_put_u8(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            slab_put_u8(out, ',');
        json_put_text(out, names[i], strlen(names[i]));
        slab_put_u8(out, ':');
        lua_pushstring(L, names[i]);
        lua_rawget(L, at);
        put_value(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    slab_put_u8(out, '}');
}

static void put_number(lua_State *L, int at, struct slab *out)
{
    char text[32];
    const lua_Number number = lua_tonumber(L, at);
    if (lua_isinteger(L, at))
        snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, at));
    else if (isfinite(number))
        snprintf(text, sizeof text, "%.17g", number);
    else
        state_raise(L, "JSON: no such number");
    slab_put_text(out, text);
}

static void put_value(lua_State *L, int at, struct slab *out, int depth)
{
    size_t len;
    at = lua_absindex(L, at);
    luaL_checkstack(L, LUA_MINSTACK, "JSON");
    budget_charge(L, 1);
    if (depth > DEPTH_MAX)
        state_raise(L, "JSON: nested more than %d levels", DEPTH_MAX);
    switch (lua_type(L, at)) {
        case LUA_TTABLE:
            (lua_rawlen(L, at) ? put_items : put_members)(L, at, out, depth);
            break;
        case LUA_TNUMBER:
            put_number(L, at, out);
            break;
        case LUA_TBOOLEAN:
            slab_put_text(out, lua_toboolean(L, at) ? "true" : "false");
            break;
        case LUA_TSTRING: {
            const char *text = lua_tolstring(L, at, &len);
            json_put_text(out, text, len);
            break;
        }
        default:
            if (!object_test(L, at, OBJECT_ADDRESS))
                state_raise(L, "JSON: a %s has no place in it", luaL_typename(L, at));
            const char *text = luaL_tolstring(L, at, &len);
            json_put_text(out, text, len);
            lua_pop(L, 1);
    }
}

void json_put(lua_State *L, int at, struct slab *out)
{
    put_value(L, at, out, 1);
}

static int decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    return json_push(L, view_of(text, len));
}

static int encode(lua_State *L)
{
    char text[ENCODED_MAX];
    struct slab out = slab_over(text, sizeof text);
    luaL_checkany(L, 1);
    json_put(L, 1, &out);
    if (out.overflow)
        state_raise(L, "relay.json.encode: longer than %d bytes", ENCODED_MAX);
    lua_pushlstring(L, text, out.len);
    return 1;
}

static const struct member json_members[] = {
    CALL("decode", "fun(text: string): any, string?", "null is nil; or nil and why", decode, 0),
    CALL("encode", "fun(value: any): string",
         "names in order; keys 1 to n are a list, addresses are texts; at most 16,384 bytes, else it raises", encode, 0),
};
const struct shown json_shown = SHOWN(ROLE_LIBRARY, "relay.json", "", json_members);
