/* state.c: memory, identities and strict tables of a policy's lua_State. */
#include "policy/state.h"

#include "base/nearest.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct policy *policy_of(lua_State *L)
{
    return *(struct policy **)lua_getextraspace(L);
}

static void *heap_realloc(void *ctx, void *at, size_t old, size_t size)
{
    struct policy *policy = ctx;
    if (!at)
        old = 0; /* then it is a type, not a size */
    if (size == 0) {
        free(at);
        policy->heap -= old;
        return NULL;
    }
    if (size >= HEAP_LARGE)
        budget_allocate(policy, size);
    if (size > old && size - old > HEAP_MAX - policy->heap) {
        budget_allocate(policy, HEAP_LARGE); /* Lua now collects everything and tries again: that takes time */
        return NULL;
    }
    void *moved = realloc(at, size);
    if (!moved)
        return NULL;
    policy->heap += size - old;
    return moved;
}

/* A warning comes in pieces; errors in __close surface only here. */
static void on_warning(void *ctx, const char *message, int to_be_continued)
{
    const struct policy *policy = ctx;
    (void)to_be_continued;
    log_say(policy->world.log, LOG_WARNING, "policy_warning", "%s", message);
}

lua_State *state_open(struct policy *policy)
{
    lua_State *L = lua_newstate(heap_realloc, policy);
    if (!L)
        return NULL;
    *(struct policy **)lua_getextraspace(L) = policy;
    lua_setwarnf(L, on_warning, policy);
    return L;
}

int state_protected(struct policy *policy, lua_CFunction function, void *argument, char *error, size_t error_cap)
{
    lua_State *L = policy->lua;
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, argument);
    const int status = lua_pcall(L, 1, 0, 0);
    if (status == LUA_OK)
        return LUA_OK;
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error without a message";
    view_copy(view_text(message), error, error_cap);
    lua_pop(L, 1);
    return status;
}

char *state_where(lua_State *L, int level, char *out, size_t cap)
{
    lua_Debug frame;
    for (; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline > 0) {
            snprintf(out, cap, "%s:%d", frame.short_src, frame.currentline);
            return out;
        }
    }
    return view_copy(view_text("?"), out, cap);
}

void state_raise(lua_State *L, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    luaL_where(L, 1);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_concat(L, 2);
    lua_error(L);
    abort();
}

void state_loading(lua_State *L, const char *function)
{
    if (!policy_of(L)->loading)
        state_raise(L, "%s: only while the policy loads", function);
}

static int refuse_write(lua_State *L)
{
    const char *label = lua_tostring(L, lua_upvalueindex(1));
    return luaL_error(L, "%s is read-only", label);
}

static void set_refusal(lua_State *L, const char *label)
{
    lua_pushstring(L, label);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushstring(L, label);
    lua_setfield(L, -2, "__metatable");
}

void object_define(lua_State *L, enum object object, const char *name, const struct shown *methods, const luaL_Reg *meta)
{
    struct policy *policy = policy_of(L);
    lua_newtable(L);
    policy->metas[object] = lua_topointer(L, -1);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    set_refusal(L, name);
    if (meta)
        luaL_setfuncs(L, meta, 0);
    if (methods) {
        lua_newtable(L);
        reference_bind(L, methods);
        char missing[96];
        snprintf(missing, sizeof missing, "%s has no method '%%s'%%s", name);
        strict_table(L, missing);
        lua_setfield(L, -2, "__index");
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &policy->metas[object]);
}

void *object_new(lua_State *L, enum object object, size_t size)
{
    return object_new_holding(L, object, size, 0);
}

void *object_new_holding(lua_State *L, enum object object, size_t size, int values)
{
    struct policy *policy = policy_of(L);
    void *at = lua_newuserdatauv(L, size, values);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &policy->metas[object]);
    lua_setmetatable(L, -2);
    return at;
}

void *object_test(lua_State *L, int at, enum object object)
{
    if (lua_type(L, at) != LUA_TUSERDATA || !lua_getmetatable(L, at))
        return NULL;
    const void *meta = lua_topointer(L, -1);
    lua_pop(L, 1);
    return meta == policy_of(L)->metas[object] ? lua_touserdata(L, at) : NULL;
}

void *object_check(lua_State *L, int at, enum object object, const char *name)
{
    void *found = object_test(L, at, object);
    if (!found)
        state_raise(L, "%s expected, got %s", name, luaL_typename(L, at));
    return found;
}

#define HINT_WORDS 256

static const char *push_hint(lua_State *L, const char *best)
{
    return best ? lua_pushfstring(L, "; did you mean '%s'?", best) : lua_pushstring(L, "");
}

const char *strict_hint_of(lua_State *L, const char *name, const char *const *names, size_t count)
{
    return push_hint(L, nearest(name, names, count));
}

const char *strict_hint_in(lua_State *L, const char *name, const struct shown *shown)
{
    return push_hint(L, reference_nearest(shown, name));
}

const char *strict_hint(lua_State *L, int at, const char *name)
{
    const char *names[HINT_WORDS];
    size_t count = 0;
    at = lua_absindex(L, at);
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && count < HINT_WORDS)
            names[count++] = lua_tostring(L, -2);
    return strict_hint_of(L, name, names, count);
}

/* upvalues: the format; arguments: the table, the name */
static int refuse_read(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);
    const char *hint = strict_hint(L, 1, name);
    return luaL_error(L, lua_tostring(L, lua_upvalueindex(1)), name, hint);
}

void strict_table(lua_State *L, const char *missing)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, missing);
    lua_pushcclosure(L, refuse_read, 1);
    lua_setfield(L, -2, "__index");
    set_refusal(L, "table");
    lua_setmetatable(L, -2);
}

void strict_proxy(lua_State *L, const char *label)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_rotate(L, -3, -1); /* proxy, meta, inner */
    lua_setfield(L, -2, "__index");
    set_refusal(L, label);
    lua_setmetatable(L, -2);
}

void strict_only(lua_State *L, int at, const char *label, const struct shown *given)
{
    at = lua_absindex(L, at);
    if (!lua_istable(L, at))
        state_raise(L, "%s: a table expected, got %s", label, luaL_typename(L, at));
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        char place[32] = "";
        if (lua_isinteger(L, -2))
            snprintf(place, sizeof place, "[%lld]", lua_tointeger(L, -2));
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : place;
        if (reference_find(given, key))
            continue;
        lua_pushvalue(L, -2);
        key = luaL_tolstring(L, -1, NULL);
        state_raise(L, "%s: unknown field '%s'%s", label, key, strict_hint_in(L, key, given));
    }
}

const char *argument_text(lua_State *L, int at, const char *label, size_t longest, size_t *len)
{
    size_t got = 0;
    if (lua_type(L, at) != LUA_TSTRING)
        state_raise(L, "%s: a string expected, got %s", label, luaL_typename(L, at));
    const char *text = lua_tolstring(L, at, &got);
    if (got > longest)
        state_raise(L, "%s: longer than %d bytes", label, (int)longest);
    if (memchr(text, 0, got))
        state_raise(L, "%s: a zero byte", label);
    if (len)
        *len = got;
    return text;
}
