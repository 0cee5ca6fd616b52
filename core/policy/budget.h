/* budget.h: what a hook may spend: VM instructions, the library's work in the same unit, and wall time; who spends more is killed.
 *
 * A count hook looks every BUDGET_STEP instructions. To kill is to yield from that hook and never to resume: no pcall sees it. Where a C
 * function stands between (a comparator of table.sort, a callback of gsub), an error is raised instead and again at every further
 * instruction. Functions of the library whose work is not seen by the VM tell budget_charge. Every thread runs its function under a
 * protected call of ours (budget_guard): an error that leaves a thread from inside the count hook would leave that thread's hooks off for
 * good (Lua 5.4.4), and a __close of it could run forever.
 *
 * A run that waits (wait.h) yields from the function that waits; its coroutine is then its own until it goes on, with a slice that is
 * new. Coroutines are pooled.
 */
#ifndef RELAY_POLICY_BUDGET_H
#define RELAY_POLICY_BUDGET_H

#include "base/clock.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_STEP 1000
#define BYTES_PER_INSTRUCTION 64 /* what touching bytes costs */
#define BUDGET_WHERE_MAX 96

struct policy;

/* struct slice: what one run may spend. */
struct slice {
    uint64_t instructions;
    msec_t time_ms;
    msec_t (*clock_ms)(void); /* the wall's, or this thread's share of the processor */
};

extern const struct slice slice_hook, slice_load;

enum outcome { RUN_DONE, RUN_WAITS, RUN_ERROR, RUN_KILLED_INSTRUCTIONS, RUN_KILLED_WALL, RUN_MEMORY };

/* struct coroutine: a thread and its anchor in the registry; of relay.all LUA_NOREF: it lies on the stack of who called that. */
struct coroutine {
    lua_State *thread; /* NULL: none */
    int reference;
};
#define COROUTINES_IDLE 16

struct budget {
    struct slice allowed;
    uint64_t spent, charged;  /* charged: since the last look at the clock */
    uint64_t before;          /* spent by the slices before this one */
    int step;                 /* instructions between two looks: BUDGET_STEP, or 1: to count them */
    msec_t started;           /* by allowed.clock_ms */
    enum outcome killed;      /* RUN_DONE: not killed */
    bool memory;              /* the error that ended the run was a want of memory */
    bool awaits;              /* the next yield is one of ours */
    struct coroutine current; /* what runs; nothing between runs */
    struct coroutine idle[COROUTINES_IDLE];
    unsigned idle_count;
    lua_State *running;           /* the thread that was resumed last, NULL outside runs */
    char where[BUDGET_WHERE_MAX]; /* file:line of the error or the kill, "" if unknown */
};

/* budget_begin: a coroutine, now the current one, ready for a function and its arguments to be pushed (nothing that is pushed may
 * allocate); NULL without memory. */
lua_State *budget_begin(struct policy *);

/* budget_run: call what was pushed since budget_begin: one result at index -1 of the current coroutine, valid until budget_end; or an
 * outcome with the message in `error` and where in budget.where: then the coroutine is closed. RUN_WAITS: it is the caller's. */
enum outcome budget_run(struct policy *, const struct slice *, char *error, size_t error_cap);
void budget_end(struct policy *);

/* budget_arm: a slice begins.  budget_go: as budget_run, within it, for the current coroutine, whose arguments lie on its stack. */
void budget_arm(struct policy *, const struct slice *);
enum outcome budget_go(struct policy *, int arguments, char *error, size_t error_cap);

/* budget_close: a coroutine that waits never goes on: its variables are closed, within the slice that is armed. */
void budget_close(struct policy *, struct coroutine *);

/* budget_body: what a coroutine calls, below a function and its arguments. */
int budget_body(lua_State *L);

/* budget_charge: the library did work worth so many instructions; raises if that was too much. */
void budget_charge(lua_State *L, uint64_t instructions);

/* budget_allocate: from the allocator: a large piece costs what copying it costs; if that is too much, the next instruction finds out. */
void budget_allocate(struct policy *, size_t size);

/* budget_guard: runs f(...) of the stack under a protected call of ours; the body of every thread. */
int budget_guard(lua_State *L);

/* budget_resume: as lua_resume, for threads of scripts. If the run was killed meanwhile, `thread` is closed and this does not return a
 * status: it is *killed and the caller must return what it returns. */
int budget_resume(lua_State *L, lua_State *thread, int arguments, int *results, bool *killed);

#endif
