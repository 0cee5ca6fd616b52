/* main.c: Lua 5.4 with the global `relay_core_backend`: relay.testing then drives the real core.
 *
 *     lua-core script args...        as lua5.4 does
 */
#include "backend.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static int trace(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

static void push_arguments(lua_State *L, int argc, char **argv)
{
    lua_newtable(L);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    for (int i = 2; i < argc; i++)
        lua_pushstring(L, argv[i]);
}

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    if (!L || argc < 2) {
        fprintf(stderr, "usage: lua-core SCRIPT [ARGUMENT...]\n");
        return 2;
    }
    luaL_openlibs(L);
    backend_open(L);
    lua_setglobal(L, "relay_core_backend");
    luaL_checkstack(L, argc + 10, NULL);
    lua_pushcfunction(L, trace);
    int status = luaL_loadfile(L, argv[1]);
    if (status == LUA_OK) {
        push_arguments(L, argc, argv);
        status = lua_pcall(L, argc - 2, 0, 1);
    }
    if (status != LUA_OK)
        fprintf(stderr, "lua-core: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return status == LUA_OK ? 0 : 1;
}
