/* saved.c: from state to state. The old one is only read, which never raises; what raises does so in the new one. */
#include "policy/saved.h"

#include "policy/chain.h"

#include "base/err.h"

#include <string.h>

struct copying {
    lua_State *from;
    struct script *script;
    size_t left;
};

static void spend(lua_State *to, struct copying *copying, size_t bytes)
{
    if (bytes > copying->left)
        state_raise(to, "more than %d KiB", SAVED_MAX / 1024);
    copying->left -= bytes;
}

static void copy_value(lua_State *to, struct copying *copying, int at, int depth);

static void copy_table(lua_State *to, struct copying *copying, int at, int depth)
{
    lua_State *from = copying->from;
    if (depth == SAVED_DEPTH)
        state_raise(to, "nested more than %d levels", SAVED_DEPTH);
    if (lua_getmetatable(from, at))
        state_raise(to, "a table with a metatable is no plain data");
    if (!lua_checkstack(from, 4) || !lua_checkstack(to, LUA_MINSTACK))
        state_raise(to, "not enough memory");
    lua_newtable(to);
    for (lua_pushnil(from); lua_next(from, at); lua_pop(from, 1)) {
        const int key = lua_gettop(from) - 1;
        copy_value(to, copying, key, depth + 1);
        copy_value(to, copying, key + 1, depth + 1);
        lua_rawset(to, -3);
    }
}

/* copy_value: pushes to `to` what is at `at` of the other, an absolute index. */
static void copy_value(lua_State *to, struct copying *copying, int at, int depth)
{
    lua_State *from = copying->from;
    size_t len;
    spend(to, copying, SAVED_VALUE);
    switch (lua_type(from, at)) {
        case LUA_TNIL:
            lua_pushnil(to);
            break;
        case LUA_TBOOLEAN:
            lua_pushboolean(to, lua_toboolean(from, at));
            break;
        case LUA_TNUMBER:
            if (lua_isinteger(from, at))
                lua_pushinteger(to, lua_tointeger(from, at));
            else
                lua_pushnumber(to, lua_tonumber(from, at));
            break;
        case LUA_TSTRING: {
            const char *text = lua_tolstring(from, at, &len);
            spend(to, copying, len);
            lua_pushlstring(to, text, len);
            break;
        }
        case LUA_TTABLE:
            copy_table(to, copying, at, depth);
            break;
        default:
            state_raise(to, "a %s is no plain data", luaL_typename(from, at));
    }
}

static int copy(lua_State *to)
{
    struct copying *copying = lua_touserdata(to, 1);
    copy_value(to, copying, lua_gettop(copying->from), 0);
    copying->script->saved = luaL_ref(to, LUA_REGISTRYINDEX);
    return 0;
}

static int take(struct policy *policy, struct policy *old, size_t at, char *error, size_t error_cap)
{
    struct copying copying = {.script = &policy->scripts[at], .left = SAVED_MAX};
    struct verdict failure;
    char why[128];
    copying.from = chain_save(old, at, &failure);
    if (!copying.from) {
        chain_why(&failure, error, error_cap);
        return ERR_BAD;
    }
    const int status = state_protected(policy, copy, &copying, why, sizeof why);
    budget_end(old);
    if (status == LUA_OK)
        return 0;
    snprintf(error, error_cap, "%s: save: %s", copying.script->name, why);
    return ERR_BAD;
}

int saved_take(struct policy *policy, struct policy *old, char *error, size_t error_cap)
{
    for (size_t i = 0; i < policy->script_count; i++) /* the same files: the configuration names them */
        if (old->scripts[i].hooks[HOOK_save] != LUA_NOREF && take(policy, old, i, error, error_cap))
            return ERR_BAD;
    return 0;
}
