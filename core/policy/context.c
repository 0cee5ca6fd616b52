/* context.c: ctx: one table, whose `saved` is of the policy that runs. */
#include "policy/context.h"

#include "policy/reference.h"
#include "policy/state.h"

#include <string.h>

static const char context_key = 'x'; /* registry: the table is under the address of this */

#define CONTEXT_FIELDS(X)                                                                                                                  \
    X(worker, "integer", "this worker, from 1")                                                                                            \
    X(workers, "integer", "how many there are")                                                                                            \
    X(reload, "boolean", "the policy takes the place of another")                                                                          \
    X(saved, "any", "what `save` of the file before it returned, if its worker knows; else nil")

static const struct member context_members[] = {CONTEXT_FIELDS(MEMBER_ROW)};
const struct shown context_shown = {'c', "ctx", "ctx", context_members, sizeof context_members / sizeof *context_members};

/* arguments: the fields, a name that is none of them */
static int context_index(lua_State *L)
{
    static const char *const names[] = {CONTEXT_FIELDS(MEMBER_NAME)};
    const char *name = luaL_tolstring(L, 2, NULL);
    if (strcmp(name, "saved") != 0)
        return luaL_error(L, "ctx has no field '%s'%s", name, strict_hint_of(L, name, names, sizeof names / sizeof *names));
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
