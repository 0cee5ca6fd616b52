/* wait.c: who may wait, what for, and who goes on. */
#include "policy/wait.h"

#include "policy/argument.h"
#include "policy/chain.h"
#include "policy/flight.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define AWAITS_MAX 100      /* of one hook: each gives it a new slice */
#define TASKS_MAX 32        /* of one hook */
#define WAITS_OF_OTHERS 512 /* of hooks without a request that waits: the engine bounds those */
#define LONG_WAIT_MS 30000  /* of init and of timers */

#define WAITING_HOOKS                                                                                                                      \
    (HOOK_BIT(HOOK_init) | HOOK_BIT(HOOK_authenticate) | HOOK_BIT(HOOK_authorize) | HOOK_BIT(HOOK_usage) | HOOK_BIT(HOOK_log) |            \
     HOOK_BIT(HOOK_COUNT))
#define HOOKS_OF_REQUESTS (HOOK_BIT(HOOK_authenticate) | HOOK_BIT(HOOK_authorize))

bool wait_is_allowed(enum hook hook)
{
    return HOOK_BIT(hook) & WAITING_HOOKS;
}

static bool is_of_request(const struct run *run)
{
    return HOOK_BIT(run->hook) & HOOKS_OF_REQUESTS;
}

/* refusal: why the coroutine L may not wait, or NULL. */
static const char *refusal(const struct policy *policy, lua_State *L)
{
    const struct run *run = policy->run;
    const struct budget *budget = &policy->budget;
    if (!run)
        return "only in hooks, not while the policy loads";
    if (!wait_is_allowed(run->hook))
        return "only in authenticate, authorize, usage, log, init and timers";
    if (!budget->running)
        return "not while a hook that ended is closed";
    if (L != budget->running || L != budget->current.thread)
        return "not in a coroutine of the script; relay.all runs functions side by side";
    if (!lua_isyieldable(L))
        return "not in a function that table.sort, string.gsub or a metamethod called";
    if ((!policy->world.wake && !run->question) || (run->hook == HOOK_init && !policy->world.turn && !policy->renews))
        return "not here";
    if (run->wait && run->wait->awaits >= AWAITS_MAX)
        return "a hook waits at most 100 times";
    if (!run->wait && !is_of_request(run) && policy->waits_of_others >= WAITS_OF_OTHERS)
        return "512 hooks wait already";
    return NULL;
}

/* Without a place for its request, or where nothing waits, a hook never goes on; no pcall of the script sees it. */
static void refuse_room(lua_State *L, struct policy *policy)
{
    struct run *run = policy->run;
    const bool has_room = policy->world.wake && (!is_of_request(run) || run->question->ticket.parked.generation);
    if (has_room || !run->question)
        return;
    run->refused = true;
    policy->budget.awaits = true;
    lua_yield(L, 0);
}

static void link_wait(struct policy *policy, struct wait *wait)
{
    wait->next = policy->waits;
    wait->link = &policy->waits;
    if (wait->next)
        wait->next->link = &wait->next;
    policy->waits = wait;
    policy->wait_count++;
    policy->waits_of_others += !is_of_request(&wait->run);
}

static void unlink_wait(struct policy *policy, struct wait *wait)
{
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    policy->wait_count--;
    policy->waits_of_others -= !is_of_request(&wait->run);
}

/* wait_open: the run moves to the heap, with what it was shown. NULL without memory. */
static struct wait *wait_open(struct policy *policy)
{
    const struct run *run = policy->run;
    struct wait *wait = calloc(1, sizeof *wait);
    struct copy *copy = wait ? copy_new(run->question, run->event) : NULL;
    if (!copy) {
        free(wait);
        return NULL;
    }
    wait->run = *run;
    wait->copy = copy;
    wait->verdict = *run->verdict;
    wait->run.verdict = &wait->verdict;
    wait->run.wait = wait;
    if (run->question)
        policy->question = wait->run.question = &copy->question;
    if (run->event)
        policy->event = wait->run.event = &copy->event;
    policy->run = &wait->run;
    policy->task = &wait->root;
    link_wait(policy, wait);
    return wait;
}

static struct pending *new_pending(struct policy *policy, struct wait *wait, struct task *task, struct handle *out)
{
    struct pending *pending = pool_take(&policy->pending, out);
    if (pending)
        *pending = (struct pending){.wait = wait, .task = task};
    return pending;
}

static bool set_deadline(struct policy *policy, struct wait *wait)
{
    const bool is_long = wait->run.hook == HOOK_init || wait->run.hook == HOOK_COUNT;
    if (pool_at(&policy->pending, wait->deadline))
        return true;
    if (!new_pending(policy, wait, NULL, &wait->deadline))
        return false;
    wait->ends = policy->now + (is_long ? LONG_WAIT_MS : POLICY_WAIT_MS);
    return wait_at(policy, wait->ends, wait->deadline) == 0;
}

/* forget: nothing wakes the task any more. */
static void forget(struct policy *policy, struct task *task)
{
    if (pool_at(&policy->pending, task->waits_for)) {
        flight_leave(policy, task->waits_for);
        pool_give(&policy->pending, task->waits_for.index);
    }
    task->waits_for = (struct handle){0};
}

struct pending *wait_begin(lua_State *L, const char *function, struct handle *out)
{
    struct policy *policy = policy_of(L);
    const char *why = refusal(policy, L);
    if (why)
        state_raise(L, "%s: %s", function, why);
    refuse_room(L, policy);
    address_keep(L);
    struct wait *wait = policy->run->wait ? policy->run->wait : wait_open(policy);
    if (!wait || !set_deadline(policy, wait))
        state_raise(L, "not enough memory");
    forget(policy, policy->task); /* what it did not come to wait for */
    struct pending *pending = new_pending(policy, wait, policy->task, out);
    if (!pending)
        state_raise(L, "not enough memory");
    wait->awaits++;
    policy->task->waits_for = *out;
    return pending;
}

int wait_yield(lua_State *L, lua_KFunction done, lua_KContext context)
{
    struct policy *policy = policy_of(L);
    policy->task->state = TASK_WAITS;
    policy->budget.awaits = true;
    return lua_yieldk(L, 0, context, done);
}

/* close_children: those of `parent` and theirs; the youngest come first, so that no one's stack goes before those that lie on it. */
static void close_children(struct policy *policy, struct wait *wait, const struct task *parent)
{
    for (struct task **link = &wait->children, *task; (task = *link);) {
        const struct task *above = task->parent;
        while (above && above != parent)
            above = above->parent;
        if (!above) {
            link = &task->next;
            continue;
        }
        forget(policy, task);
        budget_close(policy, &task->coroutine);
        *link = task->next;
        free(task);
        wait->task_count--;
    }
}

bool wait_task(lua_State *L, lua_State *thread, int arguments)
{
    struct policy *policy = policy_of(L);
    struct wait *wait = policy->run->wait;
    struct task *task = wait->task_count < TASKS_MAX ? calloc(1, sizeof *task) : NULL;
    if (!task) {
        close_children(policy, wait, policy->task);
        policy->task->children = 0;
        return false;
    }
    *task = (struct task){.coroutine = {thread, LUA_NOREF}, .parent = policy->task, .next = wait->children, .arguments = arguments};
    wait->children = task;
    wait->task_count++;
    policy->task->children++;
    return true;
}

msec_t wait_left_ms(const struct policy *policy, const struct wait *wait)
{
    return wait->ends > policy->now ? wait->ends - policy->now : 0;
}

int wait_at(struct policy *policy, msec_t due, struct handle whom)
{
    return alarms_put(&policy->alarms, due, whom);
}

/* forget_children: they are done, and their results lie on stacks that their parent holds. */
static void forget_children(struct wait *wait, const struct task *parent)
{
    for (struct task **link = &wait->children, *task; (task = *link);) {
        if (task->parent != parent) {
            link = &task->next;
            continue;
        }
        *link = task->next;
        free(task);
        wait->task_count--;
    }
}

/* end_child: one function of relay.all is through: the caller goes on when all are, or one has failed. */
static void end_child(struct policy *policy, struct wait *wait, struct task *task, enum outcome outcome)
{
    struct task *parent = task->parent;
    task->state = TASK_DONE;
    forget(policy, task);
    parent->children--;
    if (outcome != RUN_DONE) {
        parent->child_failed = true;
        close_children(policy, wait, parent);
    } else if (parent->children == 0) {
        forget_children(wait, parent);
    } else {
        return;
    }
    parent->children = 0;
    forget(policy, parent);
    parent->state = TASK_READY;
}

static struct task *ready_task(struct wait *wait)
{
    for (struct task *task = wait->children; task; task = task->next)
        if (task->state == TASK_READY)
            return task;
    return wait->root.state == TASK_READY ? &wait->root : NULL;
}

/* take_back: the current coroutine of the budget, which has stopped. */
static void take_back(struct policy *policy, struct task *task)
{
    task->coroutine = policy->budget.current;
    policy->budget.current.thread = NULL;
}

static enum outcome step(struct policy *policy, struct wait *wait, struct task *task, char *why, size_t why_cap)
{
    const int arguments = task->arguments;
    task->arguments = 0;
    task->state = TASK_DONE; /* unless it waits */
    policy->task = task;
    policy->budget.current = task->coroutine;
    task->coroutine.thread = NULL;
    const enum outcome outcome = budget_go(policy, arguments, why, why_cap);
    if (outcome == RUN_WAITS || (outcome == RUN_DONE && task->parent))
        take_back(policy, task);
    if (outcome == RUN_WAITS || !task->parent)
        return outcome;
    if (outcome != RUN_DONE)
        view_copy(view_text(why), wait->why, sizeof wait->why);
    end_child(policy, wait, task, outcome);
    return outcome == RUN_DONE || outcome == RUN_ERROR || outcome == RUN_MEMORY ? RUN_WAITS : outcome;
}

enum outcome wait_go(struct policy *policy, struct wait *wait, char *why, size_t why_cap)
{
    for (struct task *task; (task = ready_task(wait));) {
        const enum outcome outcome = step(policy, wait, task, why, why_cap);
        if (outcome != RUN_WAITS && outcome != RUN_DONE)
            wait_close(policy, wait);
        if (outcome != RUN_WAITS)
            return outcome;
    }
    return RUN_WAITS;
}

enum outcome wait_suspend(struct policy *policy, char *why, size_t why_cap)
{
    struct wait *wait = policy->run->wait;
    take_back(policy, policy->task);
    return wait_go(policy, wait, why, why_cap);
}

bool wait_wake(struct policy *policy, struct handle whom, const void *arrived)
{
    struct pending *pending = pool_at(&policy->pending, whom);
    if (!pending || !pending->task)
        return false;
    struct wait *wait = pending->wait;
    struct task *task = pending->task;
    pool_give(&policy->pending, whom.index);
    task->waits_for = (struct handle){0};
    task->state = TASK_READY;
    policy->arrived = arrived;
    chain_resume(policy, wait);
    policy->arrived = NULL;
    return true;
}

void wait_close(struct policy *policy, struct wait *wait)
{
    close_children(policy, wait, &wait->root);
    forget(policy, &wait->root);
    budget_close(policy, &wait->root.coroutine);
    wait->root.state = TASK_DONE;
    if (pool_at(&policy->pending, wait->deadline))
        pool_give(&policy->pending, wait->deadline.index);
    wait->deadline = (struct handle){0};
}

void wait_free(struct policy *policy, struct wait *wait)
{
    unlink_wait(policy, wait);
    for (struct task *task = wait->children, *next; task; task = next) {
        next = task->next;
        forget(policy, task);
        free(task);
    }
    forget(policy, &wait->root);
    if (pool_at(&policy->pending, wait->deadline))
        pool_give(&policy->pending, wait->deadline.index);
    crypto_wipe(wait->verdict.keys, sizeof wait->verdict.keys);
    copy_free(wait->copy);
    free(wait);
}

void wait_free_all(struct policy *policy)
{
    for (struct wait *wait = policy->waits, *next; wait; wait = next) {
        next = wait->next;
        wait_free(policy, wait);
    }
}

/* ---- time ---- */

msec_t policy_due(struct policy *policy)
{
    const struct alarm *first;
    while ((first = alarms_first(&policy->alarms)) && !pool_at(&policy->pending, first->whom))
        alarms_drop_first(&policy->alarms);
    return first ? first->due : POLICY_NEVER;
}

void wait_tell(struct policy *policy)
{
    const msec_t due = policy_due(policy);
    if (due == policy->told || !policy->world.wake)
        return;
    policy->told = due;
    if (due != POLICY_NEVER)
        policy->world.wake(policy->world.ctx, due);
}

static void ring(struct policy *policy, struct handle whom)
{
    const struct pending *pending = pool_at(&policy->pending, whom);
    if (!pending)
        return;
    if (!pending->task) {
        chain_expire(policy, pending->wait);
        return;
    }
    flight_leave(policy, whom);
    wait_wake(policy, whom, NULL);
}

void policy_turn(struct policy *policy, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    for (const struct alarm *first; (first = alarms_first(&policy->alarms)) && first->due <= now;) {
        const struct handle whom = first->whom;
        alarms_drop_first(&policy->alarms);
        ring(policy, whom);
    }
    policy->told = 0;
    wait_tell(policy);
}

void policy_forget(struct policy *policy, struct ticket ticket)
{
    for (struct wait *wait = policy->waits, *next; wait; wait = next) {
        const struct question *question = wait->run.question;
        next = wait->next;
        if (question && is_of_request(&wait->run) && memcmp(&question->ticket, &ticket, sizeof ticket) == 0) {
            chain_drop(policy, wait);
            return;
        }
    }
}

uint32_t policy_waits(const struct policy *policy)
{
    return policy->wait_count;
}
