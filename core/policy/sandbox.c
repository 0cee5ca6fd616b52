/* sandbox.c: globals, require, and the functions of Lua that are replaced. */
#include "policy/sandbox.h"

#include "policy/edition.h"

#include <ctype.h>
#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCRIPT_MAX ((size_t)1 << 20)

static const char base_key = 0; /* registry: what globals start from */

/* is_protected: a table whose metatable says so (ours do): not for rawset. */
static bool is_protected(lua_State *L, int at)
{
    if (luaL_getmetafield(L, at, "__metatable") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

static int checked_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 3);
    if (is_protected(L, 1))
        return luaL_error(L, "rawset: a protected table");
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int checked_setmetatable(lua_State *L)
{
    static const char *const refused[] = {"__gc", "__mode"};
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (is_protected(L, 1))
        return luaL_error(L, "cannot change a protected metatable");
    for (size_t i = 0; lua_istable(L, 2) && i < sizeof refused / sizeof *refused; i++) {
        lua_pushstring(L, refused[i]);
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "setmetatable: %s is not allowed", refused[i]);
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* The error of a kill is raised inside the count hook, where hooks are off: a handler of the script that ran there could run forever.
 * upvalue: it */
static int handle(lua_State *L)
{
    if (policy_of(L)->budget.killed)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int finish_xpcall(lua_State *L, int status, lua_KContext below)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)below;
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int checked_xpcall(lua_State *L)
{
    const int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1); /* the first result */
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return finish_xpcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish_xpcall), 2);
}

static int say(lua_State *L)
{
    luaL_Buffer line;
    const int count = lua_gettop(L);
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
        if (i < count)
            luaL_addchar(&line, ' ');
    }
    luaL_pushresult(&line);
    char event[LUA_IDSIZE + 24];
    lua_Debug frame;
    const bool known = lua_getstack(L, 1, &frame) && lua_getinfo(L, "Sl", &frame);
    snprintf(event, sizeof event, "policy:%s:%d", known ? frame.short_src : "?", known ? frame.currentline : 0);
    log_say(policy_of(L)->world.log, LOG_INFO, event, "%s", lua_tostring(L, -1));
    return 0;
}

/* upvalue: Lua's own */
static int os_time(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, policy_of(L)->unix_ms / 1000);
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int os_date(lua_State *L)
{
    const char *format = luaL_optstring(L, 1, "%c");
    const lua_Integer when = luaL_optinteger(L, 2, policy_of(L)->unix_ms / 1000);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushstring(L, format);
    lua_pushinteger(L, when);
    lua_call(L, 2, 1);
    return 1;
}

/* pick: copies the named fields of the table at the top into the table below it, and pops it. */
static void pick(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(L, -1, *names);
        lua_setfield(L, -3, *names);
    }
    lua_pop(L, 1);
}

static void open_os(lua_State *L)
{
    static const char *const names[] = {"clock", NULL};
    lua_newtable(L);
    luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 0);
    lua_getfield(L, -1, "time");
    lua_pushcclosure(L, os_time, 1);
    lua_setfield(L, -3, "time");
    lua_getfield(L, -1, "date");
    lua_pushcclosure(L, os_date, 1);
    lua_setfield(L, -3, "date");
    pick(L, names);
}

static void open_debug(lua_State *L)
{
    static const char *const names[] = {"traceback", NULL};
    lua_newtable(L);
    luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 0);
    pick(L, names);
}

static void open_math(lua_State *L)
{
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
}

/* charged: Lua's own function, which is the upvalue, for what it touches. */
static int charged(lua_State *L, size_t instructions)
{
    budget_charge(L, instructions);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int utf8_len(lua_State *L)
{
    size_t len;
    luaL_checklstring(L, 1, &len);
    return charged(L, len / BYTES_PER_INSTRUCTION);
}

static size_t distance(lua_Integer from, lua_Integer to)
{
    return (size_t)(from < to ? (lua_Unsigned)to - (lua_Unsigned)from : (lua_Unsigned)from - (lua_Unsigned)to);
}

static int utf8_offset(lua_State *L)
{
    size_t len;
    luaL_checklstring(L, 1, &len);
    const size_t steps = distance(0, luaL_checkinteger(L, 2));
    return charged(L, (steps < len ? steps : len) / BYTES_PER_INSTRUCTION);
}

static int utf8_codepoint(lua_State *L)
{
    size_t len;
    luaL_checklstring(L, 1, &len);
    const lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_optinteger(L, 3, first), end = (lua_Integer)len + 1;
    const size_t span = distance(first < 0 ? first + end : first, last < 0 ? last + end : last);
    return charged(L, (span < len ? span : len) / 4); /* elements, as in list.c */
}

static void charge(lua_State *L, const char *name, lua_CFunction function)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

static void open_utf8(lua_State *L)
{
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
    charge(L, "len", utf8_len);
    charge(L, "offset", utf8_offset);
    charge(L, "codepoint", utf8_codepoint);
}

static const struct {
    const char *name;
    void (*push)(lua_State *L);
} libraries[] = {
    {"string", sandbox_strings}, {"table", sandbox_tables}, {"coroutine", sandbox_coroutines},
    {"math", open_math},         {"utf8", open_utf8},       {"os", open_os},
    {"debug", open_debug},       {"relay", library_open},
};

void sandbox_open(lua_State *L)
{
    static const char *const names[] = {"assert", "error",  "getmetatable", "ipairs",   "next",     "pairs", "pcall",    "rawequal",
                                        "rawget", "rawlen", "select",       "tonumber", "tostring", "type",  "_VERSION", NULL};
    static const luaL_Reg ours[] = {{"print", say}, {"rawset", checked_rawset}, {"setmetatable", checked_setmetatable},
                                    {"warn", say},  {"xpcall", checked_xpcall}, {NULL, NULL}};
    lua_newtable(L);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    pick(L, names);
    luaL_setfuncs(L, ours, 0);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        char missing[64];
        snprintf(missing, sizeof missing, "%s has no field '%%s'%%s", libraries[i].name);
        libraries[i].push(L);
        strict_table(L, missing);
        strict_proxy(L, libraries[i].name);
        lua_setfield(L, -2, libraries[i].name);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &base_key);
}

/* push_member: the field `name` of the table on the top, which may be a proxy for another, in its place; below it that table. */
static void push_member(lua_State *L, struct view name)
{
    while (lua_getmetatable(L, -1)) {
        lua_pushliteral(L, "__index");
        const bool is_proxy = lua_rawget(L, -2) == LUA_TTABLE;
        lua_remove(L, -2);
        if (!is_proxy) {
            lua_pop(L, 1);
            break;
        }
        lua_remove(L, -2);
    }
    lua_pushlstring(L, (const char *)name.at, name.len);
    lua_rawget(L, -2);
}

const char *sandbox_missing(lua_State *L, const char *path)
{
    size_t len = 0;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
    for (const char *at = path; lua_istable(L, -1) && *at; at += len + (at[len] == '.')) {
        len = strcspn(at, ".");
        push_member(L, view_of(at, len));
        if (!lua_isnil(L, -1))
            continue;
        const char *name = lua_pushlstring(L, at, len), *hint = strict_hint(L, -3, name);
        if (at == path)
            return lua_pushfstring(L, "unknown global '%s'%s", name, hint);
        const char *owner = lua_pushlstring(L, path, (size_t)(at - path) - 1);
        return lua_pushfstring(L, "%s has no field '%s'%s", owner, name, hint);
    }
    return NULL;
}

char *sandbox_read(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = malloc(SCRIPT_MAX + 1);
    *len = text ? fread(text, 1, SCRIPT_MAX, file) : 0;
    const int failed = !text ? ENOMEM : ferror(file) ? EIO : *len == SCRIPT_MAX ? EFBIG : 0;
    fclose(file);
    if (failed) {
        free(text);
        errno = failed;
        return NULL;
    }
    text[*len] = 0;
    return text;
}

/* upvalue: the globals; arguments: the environment, name, value */
static int set_global(lua_State *L)
{
    if (!policy_of(L)->loading)
        return luaL_error(L, "global '%s' is set after load", luaL_tolstring(L, 2, NULL));
    lua_rawset(L, lua_upvalueindex(1));
    return 0;
}

/* compile: pushes the function of a text, in the environment at `environment`; raises. */
static void compile(lua_State *L, const char *text, size_t len, const char *name, int environment)
{
    char chunk[80];
    environment = lua_absindex(L, environment);
    snprintf(chunk, sizeof chunk, "@%s", name);
    if (luaL_loadbufferx(L, text, len, chunk, "t") != LUA_OK) {
        const char *why = lua_tostring(L, -1);
        if (strncmp(why, name, strlen(name)) != 0) /* bytecode is refused without a place */
            lua_pushfstring(L, "%s:1: %s", name, why);
        lua_error(L);
    }
    lua_pushvalue(L, environment);
    lua_setupvalue(L, -2, 1);
}

bool sandbox_module(const char *directory, const char *name, char *out, size_t cap)
{
    char file[128];
    size_t len = 0;
    for (const char *at = name; *at && len < sizeof file - 5; at++) {
        if (!isalnum((unsigned char)*at) && *at != '_' && (*at != '.' || at == name || at[-1] == '.' || !at[1]))
            return false;
        file[len++] = *at == '.' ? '/' : *at;
    }
    file[len] = 0;
    return len && (size_t)snprintf(out, cap, "%s%s.lua", directory, file) < cap;
}

static const char *module_text(lua_State *L, const struct script *script, const char *name, size_t *len)
{
    const struct policy *policy = policy_of(L);
    const char *lua_dir = policy->config->lua_dir, *text = NULL;
    char path[1024], directory[600];
    if (lua_dir && strncmp(name, "relay.", 6) == 0) {
        snprintf(directory, sizeof directory, "%s/", lua_dir);
        if (sandbox_module(directory, name, path, sizeof path))
            text = edition_module(policy->edition, path, len);
    }
    if (!text && sandbox_module(script->directory, name, path, sizeof path))
        text = edition_module(policy->edition, path, len);
    return text;
}

/* require: upvalues: the script, the environment, the modules by name */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(3), name) != LUA_TNIL)
        return lua_islightuserdata(L, -1) ? luaL_error(L, "require: '%s' requires itself", name) : 1;
    state_loading(L, "require");
    size_t len;
    char file[80];
    const char *text = module_text(L, lua_touserdata(L, lua_upvalueindex(1)), name, &len);
    if (!text)
        return luaL_error(L, "require: no %s.lua in the policy directory", name);
    snprintf(file, sizeof file, "@%s.lua", name);
    if (luaL_loadbufferx(L, text, len, file, "t") != LUA_OK)
        return lua_error(L);
    lua_pushlightuserdata(L, L); /* in the making */
    lua_setfield(L, lua_upvalueindex(3), name);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setupvalue(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1))
        lua_pushboolean(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(3), name);
    return 1;
}

void sandbox_globals(lua_State *L)
{
    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
}

/* push_environment: an empty table that reads through to the globals; missing names raise, writing is for load only. */
static void push_environment(lua_State *L, const struct script *script)
{
    lua_newtable(L); /* the environment */
    sandbox_globals(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "_G");
    lua_pushlightuserdata(L, (void *)(uintptr_t)script);
    lua_pushvalue(L, -3);
    lua_newtable(L);
    lua_pushcclosure(L, require, 3);
    lua_setfield(L, -2, "require");
    lua_createtable(L, 0, 3); /* the metatable */
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, set_global, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "globals");
    lua_setfield(L, -2, "__metatable");
    lua_insert(L, -2);
    strict_table(L, "unknown global '%s'%s");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

void sandbox_script(lua_State *L, const struct script *script, const char *text, size_t len)
{
    push_environment(L, script);
    compile(L, text, len, script->name, -1);
    lua_remove(L, -2);
    lua_call(L, 0, 1);
}
