/* context.c: ctx: one table, whose `saved` is of the policy that runs. */
#include "policy/context.h"

#include "policy/reference.h"
#include "policy/state.h"

#include <string.h>

static const char context_key = 'x'; /* registry: the table is under the address of this */

static const struct member context_members[] = {
    FIELD("worker", "integer", "this worker, from 1"),
    FIELD("workers", "integer", "how many there are"),
    FIELD("reload", "boolean", "at a reload; `false` at the start"),
    FIELD("saved", "any",
          "what `save` returned: booleans, numbers, strings and tables of them without metatables, copied, together at most 64 KiB (8 "
          "bytes for each value beside a string's own); nil at the start and without `save`"),
};
const struct shown context_shown = {ROLE_ARGUMENT, 'c', "ctx", "ctx", "", MEMBERS(context_members)};

/* arguments: the fields, a name that is none of them */
static int context_index(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);
    if (strcmp(name, "saved") != 0)
        return luaL_error(L, "ctx has no field '%s'%s", name, strict_hint_in(L, name, &context_shown));
    lua_rawgeti(L, LUA_REGISTRYINDEX, policy_of(L)->script->saved);
    return 1;
}

void context_open(lua_State *L)
{
    const struct policy *policy = policy_of(L);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)policy->worker + 1);
    lua_setfield(L, -2, "worker");
    lua_pushinteger(L, policy->config->workers);
    lua_setfield(L, -2, "workers");
    lua_pushboolean(L, policy->renews);
    lua_setfield(L, -2, "reload");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, context_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    strict_proxy(L, "ctx");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

void context_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
}
