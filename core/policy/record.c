/* record.c: relay.log and relay.audit: what scripts write down. */
#include "policy/argument.h"
#include "policy/json.h"
#include "policy/library.h"
#include "policy/state.h"

#include <string.h>

#define DETAIL_MAX 4096
#define FIELDS_MAX 32

/* field_names: the string keys of the table at `at`, sorted; raises. */
static size_t field_names(lua_State *L, int at, const char *names[FIELDS_MAX])
{
    size_t count = 0;
    luaL_checktype(L, at, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || count == FIELDS_MAX)
            state_raise(L, "at most %d named fields expected", FIELDS_MAX);
        const char *name = lua_tostring(L, -2);
        size_t place = count++;
        for (; place > 0 && strcmp(names[place - 1], name) > 0; place--)
            names[place] = names[place - 1];
        names[place] = name;
    }
    return count;
}

/* write_line: the message at 1 and the fields at 2; the event is the call site, so that one noisy line does not silence the others. */
static int write_line(lua_State *L, enum log_level level)
{
    const struct policy_world *world = &policy_of(L)->world;
    char where[BUDGET_WHERE_MAX], event[BUDGET_WHERE_MAX + 8], line[LOG_LINE_MAX], quoted[LOG_LINE_MAX / 2];
    const char *names[FIELDS_MAX];
    size_t len;
    lua_settop(L, 2);
    const char *message = luaL_tolstring(L, 1, &len);
    struct slab out = slab_over(line, sizeof line - 1);
    slab_put(&out, view_cut(view_of(message, len), sizeof line / 2));
    const size_t count = lua_isnil(L, 2) ? 0 : field_names(L, 2, names);
    for (size_t i = 0; i < count; i++) {
        lua_getfield(L, 2, names[i]);
        const char *value = luaL_tolstring(L, -1, &len);
        struct slab all = out;
        slab_put_u8(&out, ' ');
        slab_put_text(&out, names[i]);
        slab_put_u8(&out, '=');
        slab_put_text(&out, log_quote(view_of(value, len), quoted, sizeof quoted));
        if (out.overflow)
            out = all; /* what does not fit is left out */
        lua_pop(L, 2);
    }
    line[out.len] = 0;
    snprintf(event, sizeof event, "policy:%s", state_where(L, 1, where, sizeof where));
    log_say(world->log, level, event, "%s", line);
    return 0;
}

static int log_debug(lua_State *L)
{
    return write_line(L, LOG_DEBUG);
}

static int log_info(lua_State *L)
{
    return write_line(L, LOG_INFO);
}

static int log_warn(lua_State *L)
{
    return write_line(L, LOG_WARNING);
}

static int log_error(lua_State *L)
{
    return write_line(L, LOG_ERROR);
}

#define LOG_TYPE "fun(message: any, fields?: table<string, any>)"

static const struct member log_members[] = {
    CALL("debug", LOG_TYPE,
         "up to 32 `name = value`; a line has 1,024 bytes; 20 lines in 10 s from one line of the script, the rest is counted", log_debug,
         0),
    CALL("info", LOG_TYPE, "as `debug`", log_info, 0),
    CALL("warn", LOG_TYPE, "as `debug`", log_warn, 0),
    CALL("error", LOG_TYPE, "as `debug`", log_error, 0),
};
const struct shown log_shown = SHOWN(ROLE_LIBRARY, "relay.log", "", log_members);

/* put_field: the value on the top. */
static void put_field(lua_State *L, struct slab *out)
{
    size_t len;
    const bool plain = lua_isboolean(L, -1) || (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) - lua_tonumber(L, -1) == 0);
    const char *text = luaL_tolstring(L, -1, &len);
    if (plain)
        slab_put_text(out, text);
    else
        json_put_text(out, text, len);
    lua_pop(L, 1);
}

/* relay.audit{type = "...", ...}: one row, its fields in order of their names. */
int relay_audit(lua_State *L)
{
    const struct policy_world *world = &policy_of(L)->world;
    const char *names[FIELDS_MAX];
    char detail[DETAIL_MAX + 1];
    struct slab out = slab_over(detail, DETAIL_MAX);
    const size_t count = field_names(L, 1, names);
    slab_put_u8(&out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            slab_put_u8(&out, ',');
        json_put_text(&out, names[i], strlen(names[i]));
        slab_put_u8(&out, ':');
        lua_getfield(L, 1, names[i]);
        put_field(L, &out);
        lua_pop(L, 1);
    }
    slab_put_u8(&out, '}');
    if (out.overflow)
        return luaL_error(L, "relay.audit: longer than %d bytes", DETAIL_MAX);
    detail[out.len] = 0;
    const char *type = lua_getfield(L, 1, "type") == LUA_TSTRING ? lua_tostring(L, -1) : "policy";
    if (world->audit)
        world->audit(world->ctx, type, detail);
    return 0;
}
