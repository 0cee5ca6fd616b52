/* console.c: what a console has, a row each, and how a line is run. */
#include "policy/console.h"

#include "policy/json.h"
#include "policy/reference.h"
#include "policy/sandbox.h"
#include "policy/show.h"
#include "policy/state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define HTTP_OK 200
#define HTTP_NOT_FOUND 404
#define PAGE "1000"
#define LIST_DEFAULT 1000
#define PARAMETERS_MAX 8

struct console {
    struct console_world world;
    struct policy_config config;
    struct policy_shared *shared;
    struct policy_world inner; /* of the state: it reaches nothing */
    struct policy *policy;     /* of no files */
    char *said;                /* the last answer */
};

static const char environment_key = 0; /* registry: the globals of lines */

static struct console *console_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- questions ---- */

/* said_error: the reason in an answer that is a refusal; raises. */
static int said_error(lua_State *L, const char *path, long status)
{
    const struct console *console = console_of(L);
    if (json_push(L, view_text(console->said)) == 1 && lua_istable(L, -1) && lua_getfield(L, -1, "error") == LUA_TSTRING)
        return luaL_error(L, "%s: %s", path, lua_tostring(L, -1));
    return luaL_error(L, "%s: %d", path, (int)status);
}

/* ask_for: the status; the answer is in console->said; raises if there is none. */
static long ask_for(lua_State *L, const char *path, const struct console_parameter *parameters, size_t count)
{
    struct console *console = console_of(L);
    char error[512];
    long status = 0;
    free(console->said);
    console->said = NULL;
    if (console->world.ask(console->world.ctx, path, parameters, count, &status, &console->said, error, sizeof error) != 0)
        luaL_error(L, "%s", error);
    return status;
}

static void ask(lua_State *L, const char *path, const struct console_parameter *parameters, size_t count)
{
    const long status = ask_for(L, path, parameters, count);
    if (status != HTTP_OK)
        said_error(L, path, status);
}

/* ask_json: pushes what was said. */
static void ask_json(lua_State *L, const char *path, const struct console_parameter *parameters, size_t count)
{
    ask(L, path, parameters, count);
    if (json_push(L, view_text(console_of(L)->said)) != 1)
        luaL_error(L, "%s: what answered is no relay", path);
}

/* option: of the table at 1, which may be left out; NULL: not said. Numbers are their text. */
static const char *option(lua_State *L, const char *name)
{
    if (!lua_istable(L, 1) || lua_getfield(L, 1, name) == LUA_TNIL)
        return NULL;
    if (!lua_isstring(L, -1))
        state_raise(L, "%s: a text expected, got %s", name, luaL_typename(L, -1));
    return lua_tostring(L, -1); /* the stack keeps it */
}

static void check_options(lua_State *L, const struct shown *given)
{
    lua_settop(L, 1);
    if (!lua_isnil(L, 1))
        strict_only(L, 1, given->name, given);
}

/* take_page: the rows of the answer on the top go into the list below it, up to `most` in all; what is left there is where the next page
 * begins, or nil. */
static void take_page(lua_State *L, int list, lua_Integer most)
{
    lua_getfield(L, -1, "allocations");
    const lua_Integer rows = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= rows && (lua_Integer)lua_rawlen(L, list) < most; i++) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    }
    lua_pop(L, 1);
    lua_getfield(L, -1, "next");
    lua_remove(L, -2);
}

static int list_allocations(lua_State *L)
{
    static const struct member members[] = {FIELD("tenant", "string?", ""), FIELD("user", "string?", ""), FIELD("tag", "string?", ""),
                                            FIELD("limit", "integer?", "")};
    static const struct shown given = SHOWN(ROLE_GIVEN, "alloc.list", "", members);
    check_options(L, &given);
    const char *limit = option(L, "limit");
    const lua_Integer most = limit ? lua_tointeger(L, -1) : LIST_DEFAULT;
    struct console_parameter parameters[] = {
        {"tenant", option(L, "tenant")}, {"user", option(L, "user")}, {"tag", option(L, "tag")}, {"limit", PAGE}, {"after", NULL}};
    if (most < 1)
        return luaL_error(L, "alloc.list: limit: an integer above 0 expected");
    lua_newtable(L);
    const int list = lua_gettop(L);
    do {
        ask_json(L, "/v1/allocations", parameters, 5);
        take_page(L, list, most);
        lua_settop(L, list + 1); /* `next` stays, as it is borrowed */
        parameters[4].value = lua_tostring(L, list + 1);
        lua_pushvalue(L, list + 1);
        lua_replace(L, 1);
        lua_settop(L, list);
    } while (parameters[4].value && (lua_Integer)lua_rawlen(L, list) < most);
    return 1;
}

static int shared_list(lua_State *L)
{
    ask_json(L, "/v1/shared", NULL, 0);
    lua_getfield(L, -1, "shared");
    return 1;
}

/* shared.NAME:get(key) */
static int shared_get(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *key = luaL_checkstring(L, 2);
    lua_getfield(L, 1, "name");
    const struct console_parameter parameters[] = {{"name", luaL_checkstring(L, -1)}, {"key", key}};
    ask_json(L, "/v1/shared", parameters, 2);
    lua_getfield(L, -1, "value");
    return 1;
}

/* shared.NAME: a table with its name. */
static int shared_index(lua_State *L)
{
    luaL_checkstring(L, 2);
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "name");
    lua_pushlightuserdata(L, console_of(L));
    lua_pushcclosure(L, shared_get, 1);
    lua_setfield(L, -2, "get");
    strict_table(L, "what is shared can be asked for with get alone: '%s'%s");
    strict_proxy(L, "what is shared");
    return 1;
}

static int policy_info(lua_State *L)
{
    ask_json(L, "/v1/policy", NULL, 0);
    return 1;
}

/* trace{user = "ann"}: who is there, and what was decided, where the relay keeps that. */
static int trace(lua_State *L)
{
    static const struct member members[] = {FIELD("user", "string", ""), FIELD("tenant", "string?", "")};
    static const struct shown given = SHOWN(ROLE_GIVEN, "trace", "", members);
    check_options(L, &given);
    struct console_parameter parameters[] = {{"user", option(L, "user")}, {"tenant", option(L, "tenant")}};
    if (!parameters[0].value)
        return luaL_error(L, "trace: {user = \"...\"} expected");
    lua_newtable(L);
    const int result = lua_gettop(L);
    const long status = ask_for(L, "/v1/explain", parameters, 1);
    if (status != HTTP_OK && status != HTTP_NOT_FOUND)
        return said_error(L, "/v1/explain", status);
    if (status == HTTP_OK)
        json_push(L, view_text(console_of(L)->said));
    else
        lua_pushliteral(L, "this relay does not keep them");
    lua_setfield(L, result, "decisions");
    ask_json(L, "/v1/allocations", parameters, 2);
    lua_getfield(L, -1, "allocations");
    lua_setfield(L, result, "allocations");
    lua_settop(L, result);
    return 1;
}

/* metrics(start?): the series whose names start so, by name. */
static int metrics(lua_State *L)
{
    const char *start = luaL_optstring(L, 1, "");
    ask(L, "/metrics", NULL, 0);
    lua_newtable(L);
    for (const char *at = console_of(L)->said, *end; *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, "\n");
        const char *value = memrchr(at, ' ', (size_t)(end - at));
        if (*at == '#' || !value || strncmp(at, start, strlen(start)) != 0)
            continue;
        lua_pushlstring(L, at, (size_t)(value - at));
        lua_pushlstring(L, value + 1, (size_t)(end - value) - 1);
        if (!lua_stringtonumber(L, lua_tostring(L, -1)))
            lua_pushnil(L);
        lua_remove(L, -2);
        lua_rawset(L, -3);
    }
    return 1;
}

static int help(lua_State *L);
static int print(lua_State *L);

/* the rows: `part`: a table of that name, "": a global */
static const struct row {
    const char *part, *name;
    lua_CFunction function;
    const char *call, *about;
} rows[] = {
    {"alloc", "list", list_allocations, "alloc.list{tenant=, user=, tag=, limit=}", "who is there, on all workers"},
    {"shared", "list", shared_list, "shared.list()", "what policies share by name, and how much is in it"},
    {"shared", NULL, NULL, "shared.NAME:get(key)", "a value of a relay.shared or a relay.meter; shared[\"a.b\"] where the name is no word"},
    {"policy", "info", policy_info, "policy.info()", "which policies answer, since when, on which workers"},
    {"", "trace", trace, "trace{user=, tenant=}", "what was decided for somebody, and what he holds"},
    {"", "metrics", metrics, "metrics(start?)", "the metrics whose names start so"},
    {"", "help", help, "help()", "this"},
    {"", "print", print, "print(...)", "values, one below the other; a line that is an expression shows its value"},
};
#define ROWS (sizeof rows / sizeof *rows)

static int help(lua_State *L)
{
    for (size_t i = 0; i < ROWS; i++)
        fprintf(console_of(L)->world.out, "%-42s%s\n", rows[i].call, rows[i].about);
    return 0;
}

static int print(lua_State *L)
{
    const int count = lua_gettop(L);
    for (int i = 1; i <= count; i++)
        show_value(L, i, console_of(L)->world.out);
    return 0;
}

/* ---- the state ---- */

static void push_row(lua_State *L, struct console *console, lua_CFunction function)
{
    lua_pushlightuserdata(L, console);
    lua_pushcclosure(L, function, 1);
}

/* open_part: the table of that name among the globals on the top; made if it is not there. */
static void open_part(lua_State *L, const char *name)
{
    if (lua_getfield(L, -1, name) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
}

/* close_part: no other field can be read or set; of `shared` every name is one. */
static void close_part(lua_State *L, struct console *console, const char *name)
{
    char missing[64];
    lua_getfield(L, -1, name);
    if (strcmp(name, "shared") == 0) {
        lua_createtable(L, 0, 1);
        push_row(L, console, shared_index);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
    } else {
        snprintf(missing, sizeof missing, "%s has no field '%%s'%%s", name);
        strict_table(L, missing);
    }
    strict_proxy(L, name);
    lua_setfield(L, -2, name);
}

static int open_console(lua_State *L)
{
    static const char *const parts[] = {"alloc", "shared", "policy"};
    struct console *console = lua_touserdata(L, 1);
    sandbox_globals(L);
    lua_pushnil(L);
    lua_setfield(L, -2, "relay");
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].function)
            continue;
        if (*rows[i].part)
            open_part(L, rows[i].part);
        push_row(L, console, rows[i].function);
        lua_setfield(L, -2, rows[i].name);
        if (*rows[i].part)
            lua_pop(L, 1);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        close_part(L, console, parts[i]);
    strict_table(L, "unknown global '%s'%s");
    lua_getmetatable(L, -1);
    lua_pushnil(L);
    lua_setfield(L, -2, "__newindex"); /* lines may set what they like */
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &environment_key);
    return 0;
}

static int open_state(struct console *console)
{
    char error[256];
    console->policy =
        policy_new(&console->config, console->shared, &console->inner, 0, clock_monotonic_ms(), clock_unix_ms(), error, sizeof error);
    if (!console->policy)
        return ERR_MEMORY;
    return state_protected(console->policy, open_console, console, error, sizeof error) ? ERR_MEMORY : 0;
}

struct console *console_new(const struct console_world *world)
{
    struct console *console = calloc(1, sizeof *console);
    if (!console)
        return NULL;
    console->world = *world;
    console->config.workers = 1;
    console->shared = policy_shared_new(&console->config);
    console->inner.crypto = crypto_new();
    if (console->shared && console->inner.crypto && open_state(console) == 0)
        return console;
    console_free(console);
    return NULL;
}

void console_free(struct console *console)
{
    if (!console)
        return;
    policy_free(console->policy);
    policy_shared_free(console->shared);
    crypto_free(console->inner.crypto);
    free(console->said);
    free(console);
}

/* ---- a line ---- */

struct line {
    const char *text;
    FILE *out;
    bool is_partial;
};

/* load: pushes the function of an expression or of a chunk; raises. */
static void load(lua_State *L, struct line *line)
{
    static const char eof[] = "<eof>";
    const char *text = lua_pushfstring(L, "return %s", line->text);
    if (luaL_loadbufferx(L, text, strlen(text), "=line", "t") == LUA_OK)
        return;
    lua_pop(L, 1);
    if (luaL_loadbufferx(L, line->text, strlen(line->text), "=line", "t") == LUA_OK)
        return;
    size_t len;
    const char *why = lua_tolstring(L, -1, &len);
    line->is_partial = len >= sizeof eof - 1 && strcmp(why + len - (sizeof eof - 1), eof) == 0;
    lua_error(L);
}

static int run_line(lua_State *L)
{
    struct line *line = lua_touserdata(L, 1);
    load(L, line);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &environment_key);
    lua_setupvalue(L, -2, 1);
    const int below = lua_gettop(L) - 1;
    lua_call(L, 0, LUA_MULTRET);
    const int top = lua_gettop(L);
    for (int i = below + 1; i <= top; i++)
        show_value(L, i, line->out);
    lua_pushnil(L);
    return 1;
}

/* renew: what filled the memory is kept by the state, and goes with it. */
static void renew(struct console *console, char *error, size_t error_cap)
{
    const size_t len = strlen(error);
    policy_free(console->policy);
    console->policy = NULL;
    const bool failed = open_state(console) != 0;
    snprintf(error + len, error_cap - len, failed ? ": the console cannot go on" : ": what was set is gone");
}

enum console_end console_run(struct console *console, const char *text, char *error, size_t error_cap)
{
    struct line line = {.text = text, .out = console->world.out};
    struct policy *policy = console->policy;
    snprintf(error, error_cap, "not enough memory");
    if (policy)
        policy_idle(policy, clock_monotonic_ms(), clock_unix_ms());
    lua_State *L = policy ? budget_begin(policy) : NULL;
    if (!L)
        return CONSOLE_FAILED;
    lua_pushcfunction(L, run_line);
    lua_pushlightuserdata(L, &line);
    const enum outcome outcome = budget_run(policy, &slice_load, error, error_cap);
    budget_end(policy);
    if (outcome == RUN_MEMORY)
        renew(console, error, error_cap);
    return outcome == RUN_DONE ? CONSOLE_DONE : line.is_partial ? CONSOLE_PARTIAL : CONSOLE_FAILED;
}
