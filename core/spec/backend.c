/* backend.c: the methods of a core. */
#include "spec/backend.h"

#include "spec/client.h"

#include <lauxlib.h>

#define WORLD "relay.world"

static struct world *world_at(lua_State *L)
{
    struct world *w = luaL_checkudata(L, 1, WORLD);
    if (!w->is_open)
        luaL_error(L, "the core is closed");
    w->lua = L;
    return w;
}

static int core_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct world *w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (struct world){.lua = L, .lists = LUA_NOREF, .stubs = {LUA_NOREF, LUA_NOREF, LUA_NOREF}};
    luaL_setmetatable(L, WORLD);
    lua_createtable(L, 0, 4);
    for (const char *const *list = (const char *const[]){"audit", "errors", "events", "log", NULL}; *list; list++) {
        lua_newtable(L);
        lua_setfield(L, -2, *list);
    }
    w->lists = luaL_ref(L, LUA_REGISTRYINDEX);
    world_open(w, L, 1, lua_touserdata(L, lua_upvalueindex(1)));
    return 1;
}

static int core_collect(lua_State *L)
{
    struct world *w = luaL_checkudata(L, 1, WORLD);
    w->lua = L;
    world_close(w);
    return 0;
}

static int core_request(lua_State *L)
{
    struct world *w = world_at(L);
    const char *kind = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    client_request(w, client_of(w, 3), kind, 3);
    return 1;
}

static int core_advance(lua_State *L)
{
    world_advance(world_at(L), luaL_checkinteger(L, 2));
    return 0;
}

static int core_change(lua_State *L)
{
    struct world *w = world_at(L);
    world_change(w, luaL_checkstring(L, 2), luaL_checkstring(L, 3), 4);
    return 0;
}

static int core_reload(lua_State *L)
{
    char error[1024];
    const char *why = world_reload(world_at(L), error, sizeof error);
    if (why) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int core_elapsed(lua_State *L)
{
    const struct world *w = world_at(L);
    lua_pushinteger(L, w->now - w->started);
    return 1;
}

static int core_close(lua_State *L)
{
    world_stop(world_at(L));
    return 0;
}

static int core_held(lua_State *L)
{
    const struct world *w = world_at(L);
    lua_pushinteger(L, world_held(w, luaL_checkstring(L, 2), luaL_optstring(L, 3, ""), luaL_optstring(L, 4, "")));
    return 1;
}

/* a list: its name is the upvalue */
static int core_list(lua_State *L)
{
    const struct world *w = world_at(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->lists);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_rawget(L, -2);
    return 1;
}

static void put_metric(void *ctx, const char *name, uint64_t value)
{
    row_number(ctx, name, value);
}

static int core_metrics(lua_State *L)
{
    const struct world *w = world_at(L);
    lua_newtable(L);
    policy_metrics(w->policy_shared, put_metric, L);
    return 1;
}

void backend_open(lua_State *L, const char *lua_dir)
{
    static const luaL_Reg methods[] = {{"request", core_request}, {"advance", core_advance}, {"change", core_change},
                                       {"close", core_close},     {"reload", core_reload},   {"held", core_held},
                                       {"metrics", core_metrics}, {"elapsed", core_elapsed}, {NULL, NULL}};
    luaL_newmetatable(L, WORLD);
    lua_pushcfunction(L, core_collect);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    for (const char *const *list = (const char *const[]){"audit", "errors", "events", "log", NULL}; *list; list++) {
        lua_pushstring(L, *list);
        lua_pushcclosure(L, core_list, 1);
        lua_setfield(L, -2, *list);
    }
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)lua_dir);
    lua_pushcclosure(L, core_open, 1);
    lua_setfield(L, -2, "open");
}
