/* await.c: relay.sleep and relay.all. */
#include "policy/library.h"
#include "policy/wait.h"

#include <math.h>

#define SLEEP_MAX_S 3600

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* relay.sleep(seconds): at least a millisecond: others have their turn. */
int relay_sleep(lua_State *L)
{
    struct policy *policy = policy_of(L);
    const lua_Number seconds = luaL_checknumber(L, 1);
    struct handle handle;
    if (!(seconds >= 0 && seconds <= SLEEP_MAX_S))
        state_raise(L, "relay.sleep: seconds from 0 expected");
    wait_begin(L, "relay.sleep", &handle);
    const msec_t ms = seconds > 0 ? (msec_t)ceil(seconds * 1000) : 1;
    if (wait_at(policy, policy->now + ms, handle) != 0)
        state_raise(L, "not enough memory");
    return wait_yield(L, slept, 0);
}

/* the functions lie at 1 ... count, their coroutines above them; each has its result on its stack */
static int all_done(lua_State *L, int status, lua_KContext context)
{
    const struct policy *policy = policy_of(L);
    const int count = (int)context;
    (void)status;
    if (policy->task->child_failed) {
        policy->task->child_failed = false;
        lua_pushstring(L, policy->run->wait->why);
        return lua_error(L);
    }
    luaL_checkstack(L, count, "results");
    for (int i = 1; i <= count; i++)
        lua_xmove(lua_tothread(L, count + i), L, 1);
    return count;
}

/* relay.all{f, g, ...}: runs them side by side: what each returned, the first value; what one raised, at once. */
int relay_all(lua_State *L)
{
    struct handle handle;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    const int count = (int)lua_rawlen(L, 1);
    if (count == 0)
        return 0;
    if (count > ALL_MAX)
        state_raise(L, "relay.all: at most %d functions", ALL_MAX);
    luaL_checkstack(L, 2 * count + LUA_MINSTACK, "functions");
    for (int i = 1; i <= count; i++)
        if (lua_rawgeti(L, 1, i) != LUA_TFUNCTION)
            state_raise(L, "relay.all: a list of functions expected, %d is a %s", i, luaL_typename(L, -1));
    lua_remove(L, 1);
    wait_begin(L, "relay.all", &handle);
    for (int i = 1; i <= count; i++) {
        lua_State *thread = lua_newthread(L);
        if (!lua_checkstack(thread, LUA_MINSTACK))
            state_raise(L, "not enough memory");
        lua_pushcfunction(thread, budget_body);
        lua_pushvalue(L, i);
        lua_xmove(L, thread, 1);
    }
    for (int i = 1; i <= count; i++)
        if (!wait_task(L, lua_tothread(L, count + i), 1))
            state_raise(L, "relay.all: too many functions run side by side in a hook, or no memory");
    return wait_yield(L, all_done, count);
}
