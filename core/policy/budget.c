/* budget.c: the count hook, the kill, and the pooled coroutine. */
#include "policy/budget.h"

#include "policy/state.h"

#include <string.h>

/* A hook holds up its worker's clients: it is bounded in wall time. Loading holds up nobody, and may be given little of the processor. */
const struct slice slice_hook = {.instructions = 100000, .time_ms = 5, .clock_ms = clock_monotonic_ms},
                   slice_load = {.instructions = 50000000, .time_ms = 5000, .clock_ms = clock_thread_ms};

static const char *kill_text(enum outcome killed)
{
    return killed == RUN_KILLED_WALL ? "killed: out of time" : "killed: too many instructions";
}

/* judge: a first thousand instructions are never too slow: a run that the system held up is not the script's fault. */
static enum outcome judge(const struct budget *budget)
{
    if (budget->spent > budget->allowed.instructions)
        return RUN_KILLED_INSTRUCTIONS;
    if (budget->spent > BUDGET_STEP && budget->allowed.clock_ms() - budget->started > budget->allowed.time_ms)
        return RUN_KILLED_WALL;
    return RUN_DONE;
}

static void on_count(lua_State *L, lua_Debug *frame);

/* stop_here: every further instruction of this thread finds the kill. */
static void stop_here(lua_State *L)
{
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

static void kill_run(lua_State *L, struct budget *budget, enum outcome killed, int level)
{
    budget->killed = killed;
    state_where(L, level, budget->where, sizeof budget->where);
}

static void on_count(lua_State *L, lua_Debug *frame)
{
    struct budget *budget = &policy_of(L)->budget;
    (void)frame;
    if (!budget->killed) {
        const int step = lua_gethookcount(L);
        budget->spent += (unsigned)step;
        if (step != budget->step)
            lua_sethook(L, on_count, LUA_MASKCOUNT, budget->step);
        const enum outcome killed = judge(budget);
        if (!killed)
            return;
        kill_run(L, budget, killed, 0);
    }
    stop_here(L);
    if (L == budget->running && lua_isyieldable(L))
        lua_yield(L, 0);
    else
        state_raise(L, kill_text(budget->killed));
}

void budget_charge(lua_State *L, uint64_t instructions)
{
    struct budget *budget = &policy_of(L)->budget;
    budget->spent += instructions;
    budget->charged += instructions;
    if (budget->charged < BUDGET_STEP)
        return;
    budget->charged = 0;
    const enum outcome killed = budget->killed ? budget->killed : judge(budget);
    if (!killed)
        return;
    if (!budget->killed)
        kill_run(L, budget, killed, 1);
    stop_here(L);
    state_raise(L, kill_text(killed));
}

void budget_allocate(struct policy *policy, size_t size)
{
    struct budget *budget = &policy->budget;
    if (!budget->running)
        return;
    budget->spent += size / BYTES_PER_INSTRUCTION;
    if (judge(budget))
        stop_here(budget->running); /* lua_sethook may be called at any moment, as from a signal handler */
}

static int guard_done(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) : lua_error(L);
}

int budget_guard(lua_State *L)
{
    return guard_done(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, guard_done), 0);
}

/* the message handler of a run: where it happened; the message stays */
static int note_where(lua_State *L)
{
    struct budget *budget = &policy_of(L)->budget;
    if (!*budget->where)
        state_where(L, 1, budget->where, sizeof budget->where);
    return 1;
}

static int run_done(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_OK || status == LUA_YIELD)
        return 1;
    policy_of(L)->budget.memory = status == LUA_ERRMEM;
    return lua_error(L);
}

/* f(...) with note_where below it */
int budget_body(lua_State *L)
{
    lua_pushcfunction(L, note_where);
    lua_insert(L, 1);
    return run_done(L, lua_pcallk(L, lua_gettop(L) - 2, 1, 1, 0, run_done), 0);
}

static int new_thread(lua_State *L)
{
    struct coroutine *out = lua_touserdata(L, 1);
    lua_State *thread = lua_newthread(L);
    if (!lua_checkstack(thread, LUA_MINSTACK))
        return luaL_error(L, "not enough memory");
    out->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    out->thread = thread;
    lua_sethook(thread, on_count, LUA_MASKCOUNT, policy_of(L)->budget.step);
    return 0;
}

lua_State *budget_begin(struct policy *policy)
{
    struct budget *budget = &policy->budget;
    char error[64];
    if (budget->idle_count)
        budget->current = budget->idle[--budget->idle_count];
    else if (state_protected(policy, new_thread, &budget->current, error, sizeof error))
        return NULL;
    lua_pushcfunction(budget->current.thread, budget_body);
    return budget->current.thread;
}

void budget_end(struct policy *policy)
{
    struct budget *budget = &policy->budget;
    if (!budget->current.thread)
        return;
    lua_settop(budget->current.thread, 0);
    if (budget->idle_count < COROUTINES_IDLE)
        budget->idle[budget->idle_count++] = budget->current;
    else
        luaL_unref(policy->lua, LUA_REGISTRYINDEX, budget->current.reference);
    budget->current.thread = NULL;
}

/* what waits to be closed is closed, and each instruction of it is refused if the run was killed. */
void budget_close(struct policy *policy, struct coroutine *coroutine)
{
    struct budget *budget = &policy->budget;
    lua_State *running = budget->running;
    if (!coroutine->thread)
        return;
    budget->running = NULL; /* nothing may yield meanwhile */
    lua_resetthread(coroutine->thread);
    lua_settop(coroutine->thread, 0);
    budget->running = running;
    luaL_unref(policy->lua, LUA_REGISTRYINDEX, coroutine->reference);
    coroutine->thread = NULL;
}

static void say_why(lua_State *thread, int status, const struct budget *budget, char *error, size_t error_cap)
{
    const char *message = NULL;
    if (budget->killed)
        message = kill_text(budget->killed);
    else if (status == LUA_YIELD)
        message = "a hook may not yield";
    else if (lua_type(thread, -1) == LUA_TSTRING)
        message = lua_tostring(thread, -1);
    if (message)
        view_copy(view_text(message), error, error_cap);
    else
        snprintf(error, error_cap, "error object of type %s", luaL_typename(thread, -1));
}

void budget_arm(struct policy *policy, const struct slice *slice)
{
    struct budget *budget = &policy->budget;
    budget->allowed = *slice;
    budget->before += budget->spent;
    budget->spent = budget->charged = 0;
    budget->killed = RUN_DONE;
    budget->memory = false;
    *budget->where = 0;
    budget->started = budget->allowed.clock_ms();
}

enum outcome budget_go(struct policy *policy, int arguments, char *error, size_t error_cap)
{
    struct budget *budget = &policy->budget;
    lua_State *thread = budget->current.thread;
    int results;
    budget->awaits = false;
    budget->running = thread;
    const int status = lua_resume(thread, policy->lua, arguments, &results);
    budget->running = NULL;
    if (!budget->killed && status == LUA_OK) /* a kill may have been caught by the very last call */
        return RUN_DONE;
    if (!budget->killed && status == LUA_YIELD && budget->awaits)
        return RUN_WAITS;
    say_why(thread, status, budget, error, error_cap);
    if (!*budget->where)
        state_where(thread, 0, budget->where, sizeof budget->where);
    budget_close(policy, &budget->current);
    return budget->killed ? budget->killed : budget->memory ? RUN_MEMORY : RUN_ERROR;
}

enum outcome budget_run(struct policy *policy, const struct slice *slice, char *error, size_t error_cap)
{
    budget_arm(policy, slice);
    return budget_go(policy, lua_gettop(policy->budget.current.thread) - 1, error, error_cap);
}

int budget_resume(lua_State *L, lua_State *thread, int arguments, int *results, bool *killed)
{
    struct budget *budget = &policy_of(L)->budget;
    lua_State *outer = budget->running;
    budget->running = thread;
    const int status = lua_resume(thread, L, arguments, results);
    budget->running = outer;
    *killed = budget->killed != RUN_DONE;
    if (!*killed)
        return status;
    budget->running = NULL; /* nothing may yield while `thread` is closed */
    lua_resetthread(thread);
    budget->running = outer;
    stop_here(L);
    if (L == outer && lua_isyieldable(L))
        return lua_yield(L, 0);
    return luaL_error(L, kill_text(budget->killed));
}

void policy_count_instructions(struct policy *policy, bool each)
{
    struct budget *budget = &policy->budget;
    budget->step = each ? 1 : BUDGET_STEP;
    for (unsigned i = 0; i < budget->idle_count; i++)
        lua_sethook(budget->idle[i].thread, on_count, LUA_MASKCOUNT, budget->step);
}

uint64_t policy_instructions(const struct policy *policy)
{
    return policy->budget.before + policy->budget.spent;
}
