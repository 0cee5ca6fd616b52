/* policy.c: a worker's policy from its files to its end. */
#include "policy/policy.h"

#include "policy/argument.h"
#include "policy/chain.h"
#include "policy/edition.h"
#include "policy/flight.h"
#include "policy/params.h"
#include "policy/sandbox.h"
#include "policy/saved.h"
#include "policy/shared.h"
#include "policy/tally.h"

#include "base/err.h"
#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GC_CALLS 16      /* hooks between two steps of the collector */
#define GC_PAUSE_MS 1000 /* or so long */
#define GC_STEP_KIB 16

static const char *const known_names[] = {"name",
#define X(name) #name,
                                          HOOKS(X)
#undef X
};
#define KNOWN_NAMES (sizeof known_names / sizeof *known_names)

static void name_script(struct script *script, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t directory = slash ? (size_t)(slash - path) + 1 : 0;
    view_copy(view_of(path, directory), script->directory, sizeof script->directory);
    view_copy(view_text(path + directory), script->name, sizeof script->name);
    for (size_t i = 0; i < HOOK_COUNT; i++)
        script->hooks[i] = LUA_NOREF;
    script->saved = LUA_REFNIL;
}

static int name_scripts(struct policy *policy, char *error, size_t error_cap)
{
    const struct policy_config *config = policy->config;
    policy->scripts = calloc(config->file_count ? config->file_count : 1, sizeof *policy->scripts);
    if (!policy->scripts)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->file_count; i++) {
        struct script *script = &policy->scripts[policy->script_count++];
        if (strlen(config->files[i]) >= sizeof script->directory) {
            snprintf(error, error_cap, "%s:1: %s", config->files[i], strerror(ENAMETOOLONG));
            return ERR_SYSTEM;
        }
        name_script(script, config->files[i]);
    }
    return 0;
}

static int open_everything(lua_State *L)
{
    argument_open(L);
    sandbox_open(L);
    chain_open(L);
    return 0;
}

/* line_of: where the function on the top begins; 1 for anything else. */
static int line_of(lua_State *L)
{
    lua_Debug function;
    if (!lua_isfunction(L, -1))
        return 1;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &function);
    return function.linedefined > 0 ? function.linedefined : 1;
}

/* take_field: the key at -2 and its value on the top, of the table that a script returned. */
static void take_field(lua_State *L, struct script *script)
{
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    size_t known = 0;
    while (known < KNOWN_NAMES && strcmp(known_names[known], key) != 0)
        known++;
    const int expected = known == 0 ? LUA_TSTRING : LUA_TFUNCTION, line = line_of(L);
    if (known == KNOWN_NAMES) {
        lua_pushfstring(L, "%s:%d: unknown hook '%s'%s", script->name, line, key, strict_hint_of(L, key, known_names, KNOWN_NAMES));
        lua_error(L);
    }
    if (lua_type(L, -1) != expected) {
        lua_pushfstring(L, "%s:%d: %s: a %s expected, got %s", script->name, line, key, lua_typename(L, expected), luaL_typename(L, -1));
        lua_error(L);
    }
    if (known > 0)
        script->hooks[known - 1] = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* load_script: in the budget's thread: runs a script and keeps its hooks. */
static int load_script(lua_State *L)
{
    struct script *script = lua_touserdata(L, 1);
    const struct policy *policy = policy_of(L);
    size_t len;
    const char *text = edition_script(policy->edition, (size_t)(script - policy->scripts), &len);
    sandbox_script(L, script, text, len);
    if (!lua_istable(L, -1)) {
        lua_pushfstring(L, "%s:1: a policy returns a table of hooks, got %s", script->name, luaL_typename(L, -1));
        return lua_error(L);
    }
    for (lua_pushnil(L); lua_next(L, 2); lua_settop(L, 3))
        take_field(L, script);
    lua_pushnil(L);
    return 1;
}

static int load_scripts(struct policy *policy, char *error, size_t error_cap)
{
    for (size_t i = 0; i < policy->script_count; i++) {
        lua_State *L = budget_begin(policy);
        policy->script = &policy->scripts[i];
        if (!L)
            return ERR_MEMORY;
        lua_pushcfunction(L, load_script);
        lua_pushlightuserdata(L, &policy->scripts[i]);
        const enum outcome outcome = budget_run(policy, &slice_load, error, error_cap);
        if (outcome == RUN_KILLED_INSTRUCTIONS || outcome == RUN_KILLED_WALL) {
            char why[64];
            view_copy(view_text(error), why, sizeof why);
            snprintf(error, error_cap, "%s: %s", policy->budget.where, why);
        }
        budget_end(policy);
        if (outcome != RUN_DONE)
            return ERR_BAD;
        for (size_t hook = 0; hook < HOOK_COUNT; hook++)
            if (policy->scripts[i].hooks[hook] != LUA_NOREF)
                policy->hooks |= HOOK_BIT(hook);
    }
    return 0;
}

/* load: everything up to init, in order; the first that fails ends it. */
static int load(struct policy *policy, char *error, size_t error_cap)
{
    const int status = name_scripts(policy, error, error_cap);
    if (status)
        return status;
    policy->lua = state_open(policy);
    if (!policy->lua)
        return ERR_MEMORY;
    if (state_protected(policy, open_everything, NULL, error, error_cap) || load_scripts(policy, error, error_cap) ||
        params_check(policy, error, error_cap) || edition_seal(policy->edition, policy->world.crypto, policy->revision))
        return ERR_BAD;
    if (policy->hooks & HOOK_BIT(HOOK_route)) {
        policy->memos = calloc(MEMO_COUNT, sizeof *policy->memos);
        if (!policy->memos)
            return ERR_MEMORY;
    }
    return 0;
}

/* conceive: a policy whose files have run; NULL: it is gone, and `error` says why. */
static struct policy *conceive(const struct policy_birth *birth, char *error, size_t error_cap)
{
    struct policy *policy = calloc(1, sizeof *policy);
    view_copy(view_text("policy: not enough memory"), error, error_cap);
    if (!policy)
        return NULL;
    policy->config = birth->config;
    policy->shared = birth->shared;
    policy->edition = birth->edition;
    policy->tallies = birth->tallies;
    policy->world = *birth->world;
    policy->worker = birth->worker;
    policy->now = policy->idle_at = birth->now;
    policy->unix_ms = birth->unix_ms;
    policy->loading = true;
    policy->budget.step = BUDGET_STEP;
    policy->renews = birth->old != NULL;
    pool_init(&policy->pending, sizeof(struct pending), 0);
    flights_init(policy);
    source_join(shared_sources(birth->shared), &policy->reader);
    if (load(policy, error, error_cap) == 0)
        return policy;
    policy_free(policy);
    return NULL;
}

/* inherit: from the policy in whose place this one is. */
static int inherit(struct policy *policy, struct policy *old, char *error, size_t error_cap)
{
    old->now = policy->now;
    old->unix_ms = policy->unix_ms;
    return saved_take(policy, old, error, error_cap);
}

/* settle_down: init has run: the policy may answer. */
static void settle_down(struct policy *policy)
{
    for (size_t i = 0; i < policy->script_count; i++) {
        luaL_unref(policy->lua, LUA_REGISTRYINDEX, policy->scripts[i].saved);
        policy->scripts[i].saved = LUA_REFNIL;
    }
    tally_hooks(policy);
    free(policy->init);
    policy->init = NULL;
    policy->loading = false;
    policy->edition = NULL;
    policy->counts = (struct policy_counts){0};
    lua_gc(policy->lua, LUA_GCCOLLECT);
    lua_gc(policy->lua, LUA_GCSTOP); /* from here on only policy_idle collects, and who runs out of memory */
    policy->heap_at_idle = policy->heap;
}

int policy_begun(struct policy *policy, char *error, size_t error_cap)
{
    if (!policy->loading)
        return 0;
    if (policy->init->kind == VERDICT_FAIL) {
        chain_why(policy->init, error, error_cap);
        return ERR_BAD;
    }
    if (policy->waits)
        return ERR_BUSY;
    settle_down(policy);
    return 0;
}

struct policy *policy_make(const struct policy_birth *birth, char *error, size_t error_cap)
{
    struct policy *policy = conceive(birth, error, error_cap);
    if (!policy)
        return NULL;
    policy->init = calloc(1, sizeof *policy->init);
    if (policy->init && (!birth->old || inherit(policy, birth->old, error, error_cap) == 0)) {
        chain_begin(policy);
        if (policy_begun(policy, error, error_cap) != ERR_BAD)
            return policy;
    }
    policy_free(policy);
    return NULL;
}

int policy_try(const struct policy_birth *birth, char *error, size_t error_cap)
{
    struct policy *policy = conceive(birth, error, error_cap);
    policy_free(policy);
    return policy ? 0 : ERR_BAD;
}

struct policy *policy_new(const struct policy_config *config, struct policy_shared *shared, const struct policy_world *world,
                          unsigned worker, msec_t now, int64_t unix_ms, char *error, size_t error_cap)
{
    struct policy_birth birth = {
        .config = config, .shared = shared, .world = world, .worker = worker, .now = now, .unix_ms = unix_ms};
    birth.edition = policy_edition_new(config, error, error_cap);
    struct policy *policy = birth.edition ? policy_make(&birth, error, error_cap) : NULL;
    policy_edition_free(birth.edition);
    return policy;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    wait_free_all(policy);
    if (policy->lua)
        lua_close(policy->lua);
    flights_close(policy);
    alarms_close(&policy->alarms);
    pool_close(&policy->pending);
    source_leave(shared_sources(policy->shared), &policy->reader);
    for (struct timer *timer = policy->timers, *next; timer; timer = next) {
        next = timer->next;
        free(timer);
    }
    params_close(policy);
    free(policy->init);
    free(policy->memos);
    free(policy->scripts);
    free(policy);
}

void policy_shutdown(struct policy *policy, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    chain_tell(policy, HOOK_shutdown);
}

uint32_t policy_hooks(const struct policy *policy)
{
    return policy->hooks;
}

const char *policy_revision(const struct policy *policy)
{
    return policy->revision;
}

/* heap_level: 0: nothing to say; 1: collecting takes long; 2: half of what there may be. */
static unsigned heap_level(size_t heap)
{
    return heap >= HEAP_MAX / 2 ? 2 : heap >= HEAP_WARN ? 1 : 0;
}

/* collect: a step as large as what was allocated since the last one. */
static void collect(struct policy *policy)
{
    const size_t grown = policy->heap > policy->heap_at_idle ? policy->heap - policy->heap_at_idle : 0;
    const int64_t began = clock_monotonic_ns();
    lua_gc(policy->lua, LUA_GCSTEP, (int)(GC_STEP_KIB + 2 * grown / 1024));
    policy->counts.gc_ns += (uint64_t)(clock_monotonic_ns() - began);
    policy->heap_at_idle = policy->heap;
    policy->calls_at_idle = policy->counts.calls;
    policy->idle_at = policy->now;
    const unsigned level = heap_level(policy->heap);
    if (level > policy->heap_told)
        log_say(policy->world.log, LOG_WARNING, "policy_heap", "bytes=%zu max=%zu: large tables belong into relay.data or relay.shared",
                policy->heap, HEAP_MAX);
    policy->heap_told = level;
}

static void run_timers(struct policy *policy)
{
    for (struct timer *timer = policy->timers; timer; timer = timer->next) {
        if (timer->due > policy->now || (!timer->everywhere && policy->worker != 0))
            continue;
        timer->due += ((policy->now - timer->due) / timer->interval_ms + 1) * timer->interval_ms; /* what was missed is not made up for */
        chain_timer(policy, timer);
    }
}

void policy_idle(struct policy *policy, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    source_turn(shared_sources(policy->shared), &policy->reader);
    run_timers(policy);
    if (policy->counts.calls - policy->calls_at_idle >= GC_CALLS || now - policy->idle_at >= GC_PAUSE_MS)
        collect(policy);
}

const struct policy_counts *policy_counts(const struct policy *policy)
{
    return &policy->counts;
}

size_t policy_heap_bytes(const struct policy *policy)
{
    return policy->heap;
}
