/* coroutine.c: the coroutine library of scripts: as Lua's own, but a kill goes through every level at once, and nothing that was killed is
 * resumed. */
#include "policy/sandbox.h"

#include <lualib.h>

static lua_State *thread_at(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    luaL_argexpected(L, thread, 1, "coroutine");
    return thread;
}

static int create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *thread = lua_newthread(L);
    lua_pushcfunction(thread, budget_guard);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    return 1;
}

/* is_resumable: not started (the guard and the function lie on its stack), or suspended by coroutine.yield. */
static bool is_resumable(lua_State *L, lua_State *thread)
{
    lua_Debug frame;
    if (thread == L || lua_status(thread) == LUA_YIELD)
        return thread != L;
    return lua_status(thread) == LUA_OK && !lua_getstack(thread, 0, &frame) && lua_gettop(thread) > 0;
}

/* resume_with: moves `arguments` over; their number back, or -1 with the error on the top of L. */
static int resume_with(lua_State *L, lua_State *thread, int arguments, bool *killed)
{
    if (!is_resumable(L, thread) || !lua_checkstack(thread, arguments + 1)) {
        lua_pushliteral(L, "cannot resume a coroutine that is not suspended");
        return -1;
    }
    const int guarded = lua_status(thread) == LUA_OK ? 1 : 0; /* the first time: the guard's argument is the function */
    int results;
    lua_xmove(L, thread, arguments);
    const int status = budget_resume(L, thread, arguments + guarded, &results, killed);
    if (*killed)
        return status;
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(thread, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(thread, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(thread, L, results);
    return results;
}

static int resume(lua_State *L)
{
    lua_State *thread = thread_at(L);
    bool killed = false;
    const int results = resume_with(L, thread, lua_gettop(L) - 1, &killed);
    if (killed)
        return results;
    lua_pushboolean(L, results >= 0);
    lua_insert(L, results < 0 ? -2 : -(results + 1));
    return results < 0 ? 2 : results + 1;
}

static int step_wrapped(lua_State *L)
{
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    bool killed = false;
    const int results = resume_with(L, thread, lua_gettop(L), &killed);
    if (killed || results >= 0)
        return results;
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap(lua_State *L)
{
    create(L);
    lua_pushcclosure(L, step_wrapped, 1);
    return 1;
}

void sandbox_coroutines(lua_State *L)
{
    static const luaL_Reg ours[] = {{"create", create}, {"resume", resume}, {"wrap", wrap}, {NULL, NULL}};
    luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
    luaL_setfuncs(L, ours, 0);
}
