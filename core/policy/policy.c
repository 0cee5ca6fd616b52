/* policy.c: a worker's policy from its files to its end. */
#include "policy/policy.h"

#include "policy/argument.h"
#include "policy/chain.h"
#include "policy/fetch.h"
#include "policy/params.h"
#include "policy/sandbox.h"
#include "policy/shared.h"

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
}

static int read_scripts(struct policy *policy, char *error, size_t error_cap)
{
    const struct policy_config *config = policy->config;
    policy->scripts = calloc(config->file_count ? config->file_count : 1, sizeof *policy->scripts);
    if (!policy->scripts)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->file_count; i++) {
        struct script *script = &policy->scripts[policy->script_count++];
        name_script(script, config->files[i]);
        if (strlen(config->files[i]) >= sizeof script->directory)
            errno = ENAMETOOLONG;
        else
            script->text = sandbox_read(config->files[i], &script->text_len);
        if (!script->text) {
            snprintf(error, error_cap, "%s:1: %s", config->files[i], strerror(errno));
            return ERR_SYSTEM;
        }
    }
    return 0;
}

static void forget_texts(struct policy *policy)
{
    for (size_t i = 0; i < policy->script_count; i++) {
        free(policy->scripts[i].text);
        policy->scripts[i].text = NULL;
    }
}

/* set_revision: twelve digits that change with the files. */
static int set_revision(struct policy *policy)
{
    uint8_t digest[CRYPTO_HASH_MAX];
    struct view *parts = calloc(2 * policy->script_count + 1, sizeof *parts);
    if (!parts)
        return ERR_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < policy->script_count; i++) {
        if (i)
            parts[count++] = view_of("", 1);
        parts[count++] = view_of(policy->scripts[i].text, policy->scripts[i].text_len);
    }
    const int status = crypto_digest(policy->world.crypto, CRYPTO_SHA256, parts, count, digest);
    crypto_hex(view_of(digest, (sizeof policy->revision - 1) / 2), policy->revision);
    free(parts);
    return status;
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
    return function.linedefined;
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
    sandbox_script(L, script, script->text, script->text_len);
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

static int run_init(struct policy *policy, char *error, size_t error_cap)
{
    struct verdict why;
    if (chain_begin(policy, &why))
        return 0;
    const size_t by = strlen(why.by);
    const bool placed = strncmp(why.reason, why.by, by) == 0; /* Lua's own messages begin with the place */
    snprintf(error, error_cap, "%s%s%s", placed ? "" : why.by, placed ? "" : ": ", why.reason);
    return ERR_BAD;
}

/* load: everything up to init, in order; the first that fails ends it. */
static int load(struct policy *policy, char *error, size_t error_cap)
{
    int status = read_scripts(policy, error, error_cap);
    if (!status)
        status = set_revision(policy);
    if (status)
        return status;
    policy->lua = state_open(policy);
    if (!policy->lua)
        return ERR_MEMORY;
    if (state_protected(policy, open_everything, NULL, error, error_cap) || load_scripts(policy, error, error_cap) ||
        params_check(policy, error, error_cap))
        return ERR_BAD;
    if (policy->hooks & HOOK_BIT(HOOK_route)) {
        policy->memos = calloc(MEMO_COUNT, sizeof *policy->memos);
        if (!policy->memos)
            return ERR_MEMORY;
    }
    return run_init(policy, error, error_cap);
}

struct policy *policy_new(const struct policy_config *config, struct policy_shared *shared, const struct policy_world *world,
                          unsigned worker, msec_t now, int64_t unix_ms, char *error, size_t error_cap)
{
    struct policy *policy = calloc(1, sizeof *policy);
    view_copy(view_text("policy: not enough memory"), error, error_cap);
    if (!policy)
        return NULL;
    policy->config = config;
    policy->shared = shared;
    policy->world = *world;
    policy->worker = worker;
    policy->now = policy->idle_at = now;
    policy->unix_ms = unix_ms;
    policy->loading = true;
    pool_init(&policy->pending, sizeof(struct pending), 0);
    fetch_init(policy);
    source_join(shared_sources(shared), &policy->reader);
    const int status = load(policy, error, error_cap);
    forget_texts(policy);
    if (status) {
        policy_free(policy);
        return NULL;
    }
    policy->loading = false;
    policy->counts = (struct policy_counts){0};
    lua_gc(policy->lua, LUA_GCCOLLECT);
    lua_gc(policy->lua, LUA_GCSTOP); /* from here on only policy_idle collects, and who runs out of memory */
    policy->heap_at_idle = policy->heap;
    return policy;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    wait_free_all(policy);
    if (policy->lua)
        lua_close(policy->lua);
    fetch_close(policy);
    alarms_close(&policy->alarms);
    pool_close(&policy->pending);
    source_leave(shared_sources(policy->shared), &policy->reader);
    for (struct timer *timer = policy->timers, *next; timer; timer = next) {
        next = timer->next;
        free(timer);
    }
    params_close(policy);
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

/* collect: a step as large as what was allocated since the last one. */
static void collect(struct policy *policy)
{
    const size_t grown = policy->heap > policy->heap_at_idle ? policy->heap - policy->heap_at_idle : 0;
    lua_gc(policy->lua, LUA_GCSTEP, (int)(GC_STEP_KIB + 2 * grown / 1024));
    policy->heap_at_idle = policy->heap;
    policy->calls_at_idle = policy->counts.calls;
    policy->idle_at = policy->now;
    if (policy->heap >= HEAP_WARN && !policy->heap_warned)
        log_say(policy->world.log, LOG_WARNING, "policy_heap", "bytes=%zu max=%zu: large tables belong into relay.data or relay.shared",
                policy->heap, HEAP_MAX);
    policy->heap_warned = policy->heap >= HEAP_WARN;
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
