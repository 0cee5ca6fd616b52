/* wait.h: runs of hooks that wait: relay.sleep, relay.all, relay.http, relay.db, relay.dns.
 *
 * A run begins on the stack of policy_ask and its kin. Its first wait moves it to the heap: its place in the chain, the verdict so far, a
 * copy of what it was shown, and its coroutines: that of the hook, and those of relay.all. What a coroutine waits for is named by a handle
 * of policy->pending that dies with the wait: what completes late or twice finds nothing.
 */
#ifndef RELAY_POLICY_WAIT_H
#define RELAY_POLICY_WAIT_H

#include "policy/copy.h"
#include "policy/state.h"

#define WHY_MAX 256

/* struct run: one hook, asked of the scripts of the chain in order; or a timer. */
struct run {
    enum hook hook; /* HOOK_COUNT: a timer */
    struct timer *timer;
    const struct slice *slice;
    const struct question *question;
    const struct event *event;
    size_t at;               /* the script that is asked */
    uint64_t call;           /* what it was shown was filled for this */
    struct verdict *verdict; /* of those that were asked so far */
    bool failed;             /* one of those that are told */
    bool refused;            /* there is no room to wait: it never goes on */
    struct policy_cost cost; /* so far */
    struct wait *wait;       /* NULL: it has not waited yet */
    int64_t began_ns, resumed_ns, busy_ns; /* tally.h: of the script that is asked */
};

enum task_state { TASK_READY, TASK_WAITS, TASK_DONE };

/* struct task: a coroutine of a run that waits. */
struct task {
    struct coroutine coroutine; /* while it does not run */
    struct task *parent, *next; /* of a function of relay.all: who called that */
    enum task_state state;
    int arguments;     /* on its stack, before it starts */
    unsigned children; /* that are not done */
    bool child_failed; /* one of them raised wait->why */
    struct handle waits_for;
};

struct wait {
    struct run run;
    struct verdict verdict;
    struct copy *copy;
    struct task root, *children;
    unsigned task_count, awaits;
    struct handle deadline;
    msec_t ends; /* then */
    char why[WHY_MAX];
    struct wait *next, **link;
};

/* struct pending: what is waited for. */
struct pending {
    struct wait *wait;
    struct task *task;     /* NULL: the deadline of the run */
    struct handle flight;  /* flight.h */
    struct handle sharing; /* the next that waits for the same one */
};

bool wait_is_allowed(enum hook);

/* wait_begin: the coroutine that runs is about to wait in `function`; raises where it may not. Its name is *out: with it, wait_wake.
 * wait_yield: it does, and goes on in `done`; nothing was waited for if this is not called. */
struct pending *wait_begin(lua_State *L, const char *function, struct handle *out);
int wait_yield(lua_State *L, lua_KFunction done, lua_KContext);

/* wait_task: one more coroutine, which the stack of L holds, with `arguments` to its body on its own: child of the one that runs. False,
 * and there are no children at all: too many, or no memory. */
bool wait_task(lua_State *L, lua_State *thread, int arguments);

/* wait_left_ms: until the deadline of the run that waits. */
msec_t wait_left_ms(const struct policy *, const struct wait *);

/* wait_at: wake it then, with nothing, unless it was before; 0 or ERR_MEMORY.  wait_wake: what it waited for is there, and `arrived` until this returns; false if it is stale.
 */
int wait_at(struct policy *, msec_t due, struct handle);
bool wait_wake(struct policy *, struct handle, const void *arrived);

/* wait_go: runs the coroutines that can, within the slice that is armed: RUN_WAITS, or the outcome of the run (budget_run's). */
enum outcome wait_go(struct policy *, struct wait *, char *why, size_t why_cap);

/* wait_suspend: of the current coroutine of the run, which yielded: RUN_WAITS or, where relay.all had nothing to wait for, more. */
enum outcome wait_suspend(struct policy *, char *why, size_t why_cap);

/* wait_close: its coroutines never go on; they close their variables within the slice that is armed.  wait_free: without that. */
void wait_close(struct policy *, struct wait *);
void wait_free(struct policy *, struct wait *);
void wait_free_all(struct policy *);

/* wait_tell: the world is to wake us when the next is due, if that changed. */
void wait_tell(struct policy *);

#endif
