/* specs.c: the Lua state of specs. */
#include "spec/specs.h"

#include "spec/backend.h"

#include "base/clock.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what relay.spec asks for ---- */

static int clock_seconds(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_monotonic_ms() / 1000);
    return 1;
}

static int push_error(lua_State *L, const char *path)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerrordesc_np(errno));
    return 2;
}

static int is_file(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* list: "file", or the names in a directory, in order, those of directories with "/" behind; nil and why. Links to directories are not
 * followed. */
static int list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct dirent **entries = NULL;
    struct stat info;
    if (stat(path, &info) != 0)
        return push_error(L, path);
    if (!S_ISDIR(info.st_mode)) {
        lua_pushliteral(L, "file");
        return 1;
    }
    const int count = scandir(path, &entries, is_file, alphasort);
    if (count < 0)
        return push_error(L, path);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        lua_pushfstring(L, "%s/%s", path, name);
        const bool below = entries[i]->d_type != DT_LNK && is_directory(lua_tostring(L, -1));
        lua_pushfstring(L, "%s%s", name, below ? "/" : "");
        lua_rawseti(L, -3, i + 1);
        lua_pop(L, 1);
        free(entries[i]);
    }
    free(entries);
    return 1;
}

/* ---- the options as a table ---- */

static void put_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_options(lua_State *L, const struct specs *specs)
{
    lua_newtable(L);
    lua_createtable(L, (int)specs->path_count, 0);
    for (size_t i = 0; i < specs->path_count; i++) {
        lua_pushstring(L, specs->paths[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "paths");
    put_text(L, "filter", specs->filter);
    put_text(L, "format", specs->format);
    put_text(L, "junit", specs->junit);
    lua_pushboolean(L, specs->coverage);
    lua_setfield(L, -2, "coverage");
    lua_pushnumber(L, specs->coverage_min);
    lua_setfield(L, -2, "coverage_min");
    lua_pushcfunction(L, list);
    lua_setfield(L, -2, "list");
    lua_pushcfunction(L, clock_seconds);
    lua_setfield(L, -2, "clock");
}

/* ---- the run ---- */

/* set_path: relay.* is found where the server has it, before anything of the same name. */
static void set_path(lua_State *L, const char *lua_dir)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_dir, lua_dir, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

static int run(lua_State *L)
{
    const struct specs *specs = lua_touserdata(L, 1);
    luaL_openlibs(L);
    set_path(L, specs->lua_dir);
    if (specs->live) {
        backend_open(L, specs->lua_dir);
        lua_setglobal(L, "relay_core_backend");
    }
    lua_getglobal(L, "require");
    lua_pushliteral(L, "relay.spec");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    push_options(L, specs);
    lua_call(L, 1, 1);
    return 1;
}

static int trace(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

int specs_run(const struct specs *specs, char *reason, size_t reason_cap)
{
    lua_State *L = luaL_newstate();
    snprintf(reason, reason_cap, "not enough memory");
    if (!L)
        return ERR_MEMORY;
    lua_pushcfunction(L, trace);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, (void *)(uintptr_t)specs);
    const bool ran = lua_pcall(L, 1, 1, 1) == LUA_OK;
    const bool well = ran && lua_toboolean(L, -1);
    if (!ran)
        snprintf(reason, reason_cap, "%s", lua_tostring(L, -1));
    lua_close(L);
    return !ran ? ERR_BAD : well ? 0 : 1;
}
