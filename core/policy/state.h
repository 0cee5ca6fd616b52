/* state.h: the inside of a policy: one lua_State with its memory cap, budget, scripts and the objects that scripts see.
 *
 * All Lua code runs on a coroutine under a budget (budget.h); calls of the Lua API that may allocate happen there or under state_protected,
 * so that a want of memory is an error of the script, never the end of the process. Every thread of the state finds its policy by
 * policy_of.
 */
#ifndef RELAY_POLICY_STATE_H
#define RELAY_POLICY_STATE_H

#include "policy/alarm.h"
#include "policy/budget.h"
#include "policy/field.h"
#include "policy/policy.h"
#include "policy/reference.h"
#include "policy/source.h"

#include <lauxlib.h>
#include <lua.h>

#define HEAP_MAX ((size_t)64 << 20)
#define HEAP_WARN ((size_t)8 << 20)
#define HEAP_REST_MS 1000
#define HEAP_LARGE ((size_t)64 << 10) /* an allocation that is worth a look at the clock */
#define LIST_MAX 1000000              /* elements that one call of the library may touch */
#define TEXT_MAX ((size_t)1 << 20)    /* bytes that one call of string.rep may make */

/* enum object: the kinds of userdata; each has one metatable per state. The first are the arguments of hooks, one userdata each, reused. */
enum object {
    OBJECT_REQUEST,
    OBJECT_ALLOCATION,
    OBJECT_USAGE,
    OBJECT_EVENT,
    OBJECT_TAGS,
    ARGUMENT_COUNT,
    OBJECT_ADDRESS = ARGUMENT_COUNT,
    OBJECT_CIDR,
    OBJECT_DECISION,
    OBJECT_DATA,
    OBJECT_SECRET,
    OBJECT_DICTIONARY,
    OBJECT_LIMITER,
    OBJECT_METER,
    OBJECT_GATE,
    OBJECT_HOLD,
    OBJECT_COUNTER,
    OBJECT_KEYS,
    OBJECT_READING,
    OBJECT_MMDB,
    OBJECT_COUNT
};

/* enum address_role: which address of the question an address userdata shows; one userdata each, reused. */
enum address_role {
    ADDRESS_SRC,
    ADDRESS_DST,
    ADDRESS_ALLOCATION,
    ADDRESS_RELAY,
    ADDRESS_PEER,
    ADDRESS_EVENT,
    ADDRESS_EVENT_PEER,
    ADDRESS_ROLES
};

/* struct address: a copy that is readable while `call` is the policy's. */
struct address {
    struct addr addr;
    uint64_t call;
};

/* struct script: one file of the chain. hooks[]: references into the registry, LUA_NOREF if absent. */
struct script {
    char name[64];       /* "quota.lua": as messages show it */
    char directory[512]; /* with a slash at the end, or "" */
    int hooks[HOOK_COUNT];
    int saved; /* reference: what `save` of the old policy returned */
};

/* struct declared: a parameter of relay.params, and what it takes, in words. */
struct declared {
    char *name, *about;
};

struct timer {
    msec_t interval_ms, due;
    int function;
    bool everywhere; /* on every worker, else on the first */
    bool waits;      /* its last run does: there is no other meanwhile */
    struct timer *next;
};

/* struct memo: what route said for one (listener, sni, alpn, origin). */
struct memo {
    bool known;
    uint64_t key[2];
    struct verdict verdict;
};
#define MEMO_COUNT 64 /* a power of two */

struct policy {
    lua_State *lua;
    size_t heap, heap_at_idle;
    unsigned heap_told; /* of heap_level */
    bool loading, renews; /* renews: in place of an old one */
    uint32_t memory_failures;          /* in a row */
    msec_t rests_until; /* after a second one: what fills the memory is kept by the script, and each try costs a full collection */
    uint64_t calls_at_idle;
    struct budget budget;
    const struct policy_config *config;
    struct policy_shared *shared;
    struct source_reader reader;    /* of the shared files */
    struct policy_edition *edition; /* while it loads */
    struct policy_world world;
    unsigned worker;
    msec_t now, idle_at;
    int64_t unix_ms;
    uint64_t calls, call; /* calls counts runs, call is the one of now: what an argument was filled for */
    uint64_t slowed;      /* the run in which a relay.ratelimit last said no, of so many at once */
    uint32_t slowed_burst;

    struct run *run;   /* while a hook runs; wait.h */
    struct task *task; /* the coroutine of a run that has waited */
    struct wait *waits;
    uint32_t wait_count, waits_of_others;
    struct pool pending, flights;
    struct table flights_by_key;
    struct alarms alarms;
    msec_t told;          /* what the world knows of them */
    const void *arrived;  /* what a coroutine waited for, while it goes on */
    struct verdict *init; /* while the policy loads */

    struct script *scripts;
    size_t script_count;
    const struct script *script; /* the one that runs */
    uint32_t hooks;
    struct declared *params; /* by name */
    size_t param_count;
    char revision[POLICY_REVISION_LEN + 1];
    struct timer *timers;
    struct memo *memos;

    const struct question *question; /* while a hook runs: what req, alloc and u show */
    const struct event *event;       /* while log runs */
    struct address *addresses[ADDRESS_ROLES];
    const void *metas[OBJECT_COUNT]; /* identities of the metatables */
    struct field_map fields[ARGUMENT_COUNT];
    const void *arguments[ARGUMENT_COUNT];
    struct policy_counts counts;
    struct policy_cost cost, began; /* of the last answer; what the clocks said when the hook went on */
    struct policy_tally (*tallies)[HOOK_COUNT]; /* NULL: nobody measures */
};

struct policy *policy_of(lua_State *L);

/* state_open: a lua_State without libraries, metatables of no kind yet. NULL without memory. */
lua_State *state_open(struct policy *);

/* state_protected: run `function(L)` on the main thread with `argument` as a light userdata: LUA_OK, or a status with a message in `error`.
 */
int state_protected(struct policy *, lua_CFunction function, void *argument, char *error, size_t error_cap);

/* state_where: "file:line" of the innermost function of a script on the stack from `level` on; "?" if there is none. Returns out. */
char *state_where(lua_State *L, int level, char *out, size_t cap);

/* state_raise: as luaL_error, and the compiler knows that it does not come back. */
void state_raise(lua_State *L, const char *format, ...) __attribute__((noreturn));

/* state_loading: raises unless the policy loads: for what lives as long as the process. */
void state_loading(lua_State *L, const char *function);

/* object_define: the metatable of a kind: `methods` become its strict __index (NULL: none), `meta` its metamethods; it is read-only and
 * hidden. */
void object_define(lua_State *L, enum object, const char *name, const struct shown *methods, const luaL_Reg *meta);
void *object_new(lua_State *L, enum object, size_t size);
void *object_new_holding(lua_State *L, enum object, size_t size, int values); /* with so many user values */
void *object_test(lua_State *L, int at, enum object);                         /* NULL if it is something else */
void *object_check(lua_State *L, int at, enum object, const char *name);      /* raises */

/* strict_table: the table on the top becomes one whose missing fields raise `missing`, a format of (name, hint), with the nearest name. */
void strict_table(lua_State *L, const char *missing);

/* strict_proxy: replaces the table on the top by an empty one that reads through to it; writing raises "`label`... is read-only". */
void strict_proxy(lua_State *L, const char *label);

/* strict_hint: "; did you mean 'x'?" for the nearest of the string keys of the table at `at`, or ""; pushes it. */
const char *strict_hint(lua_State *L, int at, const char *name);
const char *strict_hint_of(lua_State *L, const char *name, const char *const *names, size_t count);
const char *strict_hint_in(lua_State *L, const char *name, const struct shown *);

/* strict_only: raises for a key of the table at `at` that is none of those that are given, with the nearest. */
void strict_only(lua_State *L, int at, const char *label, const struct shown *given);

/* argument_text: the string at `at`, of at most `longest` bytes and without zero bytes; raises, naming `label`. */
const char *argument_text(lua_State *L, int at, const char *label, size_t longest, size_t *len);

#endif
