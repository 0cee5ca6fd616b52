/* chain.c: ask and tell: one hook of every policy in order, and one verdict of their answers; now, or when a hook has waited. */
#include "policy/chain.h"

#include "policy/answer.h"
#include "policy/argument.h"
#include "policy/context.h"
#include "policy/cost.h"
#include "policy/tally.h"

#include "base/err.h"

#include <string.h>

/* registry: arguments that are always the same, under the addresses of these */
static const struct kind {
    uint16_t method;
    const char *name;
} kinds[] = {{METHOD_CREATE_PERMISSION, "permission"}, {METHOD_CHANNEL_BIND, "channel"}, {METHOD_CONNECT, "connect"}};

void chain_open(lua_State *L)
{
    context_open(L);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        lua_pushstring(L, kinds[i].name);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &kinds[i]);
    }
}

static const struct kind *kind_of(uint16_t method)
{
    size_t i = sizeof kinds / sizeof *kinds - 1;
    while (i > 0 && kinds[i].method != method)
        i--;
    return &kinds[i];
}

/* push_arguments: nothing here allocates: it runs outside of protected calls. */
static int push_arguments(lua_State *L, const char *letters, const struct question *question)
{
    int count = 0;
    for (; letters[count]; count++)
        switch (letters[count]) {
            case 'r':
                argument_push(L, OBJECT_REQUEST);
                break;
            case 'a':
                argument_push(L, OBJECT_ALLOCATION);
                break;
            case 'u':
                argument_push(L, OBJECT_USAGE);
                break;
            case 'e':
                argument_push(L, OBJECT_EVENT);
                break;
            case 'p':
                address_push(L, ADDRESS_PEER, question->peer);
                break;
            case 'n':
                lua_pushinteger(L, question->channel);
                break;
            case 'k':
                lua_rawgetp(L, LUA_REGISTRYINDEX, kind_of(question->method));
                break;
            default: /* 'c' */
                context_push(L);
        }
    return count;
}

static void count_failure(struct policy_counts *counts, enum outcome outcome)
{
    switch (outcome) {
        case RUN_KILLED_INSTRUCTIONS:
            counts->killed_instructions++;
            break;
        case RUN_KILLED_WALL:
            counts->killed_wall++;
            break;
        case RUN_MEMORY:
            counts->memory++;
            break;
        case RUN_WAITS:
            counts->late++;
            break;
        default:
            counts->errors++;
    }
}

/* rest: two hooks in a row without memory: nothing runs for a while, so that the worker has time for others. */
static void rest(struct policy *policy, enum outcome outcome)
{
    if (outcome != RUN_MEMORY || policy->now < policy->rests_until)
        return;
    if (++policy->memory_failures >= 2)
        policy->rests_until = policy->now + HEAP_REST_MS;
}

static void say_failure(const struct policy *policy, const char *hook, const char *by, const char *why)
{
    char quoted[WHY_MAX + 64];
    log_say(policy->world.log, LOG_ERROR, "policy_error", "hook=%s by=%s reason=%s", hook, by,
            log_quote(view_text(why), quoted, sizeof quoted));
}

static void set_failure(struct verdict *verdict, const char *by, const char *why)
{
    *verdict = (struct verdict){.kind = VERDICT_FAIL, .code = STUN_SERVER_ERROR};
    view_copy(view_text(by), verdict->by, sizeof verdict->by);
    view_copy(view_text(why), verdict->reason, sizeof verdict->reason);
}

static const struct hook_rule *rule_of(const struct run *run)
{
    static const struct hook_rule timer = {.name = "timer", .arguments = "", .composition = COMPOSE_TELL};
    return run->hook == HOOK_COUNT ? &timer : &hook_rules[run->hook];
}

static const struct script *script_of(const struct policy *policy, const struct run *run)
{
    return run->timer ? NULL : &policy->scripts[run->at];
}

/* fail: the hook that is asked did not answer: said, counted, and the verdict. */
static void fail(struct policy *policy, enum outcome outcome, const char *why, struct verdict *verdict)
{
    const struct run *run = policy->run;
    const struct script *script = script_of(policy, run);
    const struct budget *budget = &policy->budget;
    const char *by = *budget->where && *budget->where != '?' ? budget->where : script ? script->name : "timer";
    rest(policy, outcome);
    count_failure(&policy->counts, outcome);
    say_failure(policy, rule_of(run)->name, by, why);
    set_failure(verdict, by, why);
}

/* start: runs a function of a script (of a timer), until it returns or waits. */
static enum outcome start(struct policy *policy, int function, char *why, size_t why_cap)
{
    struct run *run = policy->run;
    *policy->budget.where = 0;
    policy->counts.calls++;
    policy->call = run->call = ++policy->calls;
    policy->script = script_of(policy, run);
    policy->task = run->wait ? &run->wait->root : NULL;
    tally_begin(policy);
    lua_State *L = policy->now < policy->rests_until ? NULL : budget_begin(policy);
    if (!L) {
        view_copy(view_text("not enough memory"), why, why_cap);
        return RUN_MEMORY;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    push_arguments(L, rule_of(run)->arguments, policy->question);
    const enum outcome outcome = budget_run(policy, run->slice, why, why_cap);
    if (outcome != RUN_WAITS)
        return outcome;
    tally_pause(policy);
    if (run->refused)
        budget_close(policy, &policy->budget.current);
    return run->refused ? RUN_WAITS : wait_suspend(policy, why, why_cap);
}

/* read_answer: what the hook returned, on the top of the current coroutine: false if nothing. */
static bool read_answer(struct policy *policy, struct verdict *verdict)
{
    const struct run *run = policy->run;
    const struct hook_rule *rule = rule_of(run);
    const struct script *script = script_of(policy, run);
    char why[WHY_MAX];
    lua_State *L = policy->budget.current.thread;
    const struct decision *decision = object_test(L, -1, OBJECT_DECISION);
    const bool silent = lua_isnil(L, -1);
    const char *wrong = NULL;
    if (!decision && !silent) {
        snprintf(why, sizeof why, "%s: %s returned a %s, not a decision or nil", script->name, rule->name, luaL_typename(L, -1));
        wrong = why;
    } else if (decision) {
        wrong = answer_judge(run->hook, decision, why, sizeof why);
    }
    if (wrong) {
        policy->counts.wrong_type++;
        say_failure(policy, rule->name, script->name, wrong);
        set_failure(verdict, decision ? decision_text(decision, decision->by) : script->name, wrong);
    } else if (decision) {
        answer_verdict(policy, run->question, decision, verdict);
        if (decision->kind == VERDICT_FAIL) {
            policy->counts.errors++;
            say_failure(policy, rule->name, verdict->by, verdict->reason);
        }
    }
    return !silent;
}

/* add_answer: of one more policy to what the others said; true when that is final. */
static bool add_answer(struct policy *policy, enum composition composition, struct verdict *all, const struct verdict *one)
{
    const bool passing = one->kind == VERDICT_ALLOW || (composition == COMPOSE_ASK_ALL && one->kind == VERDICT_FAIL);
    if (composition == COMPOSE_FIRST || !passing) {
        *all = *one;
        return true;
    }
    if (all->kind == VERDICT_SILENT) {
        *all = *one;
        return false;
    }
    if (one->kind == VERDICT_FAIL) { /* what the others said counts all the same */
        const struct limits before = all->limits;
        *all = *one;
        all->limits = before;
        return false;
    }
    const char *why = answer_merge(policy, all, one);
    if (!why)
        return false;
    policy->counts.errors++;
    say_failure(policy, rule_of(policy->run)->name, one->by, why);
    set_failure(all, one->by, why);
    return composition == COMPOSE_STRICTEST;
}

/* settle: the hook of one script is through: true when that is final for the chain. */
static bool settle(struct policy *policy, enum outcome outcome, const char *why)
{
    struct run *run = policy->run;
    const enum composition composition = rule_of(run)->composition;
    struct verdict one;
    one.kind = VERDICT_SILENT;
    bool answered = true;
    if (outcome != RUN_DONE)
        fail(policy, outcome, why, &one);
    else if (composition != COMPOSE_TELL)
        answered = read_answer(policy, &one);
    if (outcome == RUN_DONE)
        policy->memory_failures = 0;
    budget_end(policy);
    tally_end(policy, one.kind);
    if (composition != COMPOSE_TELL)
        return answered && add_answer(policy, composition, run->verdict, &one);
    if (outcome == RUN_DONE)
        return false;
    *run->verdict = one;
    run->failed = true;
    return run->hook == HOOK_init;
}

/* go: asks the rest of the chain: false if it waits. */
static bool go(struct policy *policy)
{
    char why[WHY_MAX];
    for (; policy->run->at < policy->script_count; policy->run->at++) {
        const int function = policy->scripts[policy->run->at].hooks[policy->run->hook];
        if (function == LUA_NOREF)
            continue;
        const enum outcome outcome = start(policy, function, why, sizeof why);
        if (outcome == RUN_WAITS && policy->run->refused)
            policy->run->verdict->kind = VERDICT_LATER;
        else if (outcome == RUN_WAITS)
            return false;
        if (outcome == RUN_WAITS || settle(policy, outcome, why))
            return true;
    }
    return true;
}

static void enter(struct policy *policy, struct run *run)
{
    policy->run = run;
    policy->question = run->question;
    policy->event = run->event;
    policy->call = run->call;
    cost_begin(policy);
}

/* leave: what hooks were shown is dead, or sleeps. */
static void leave(struct policy *policy)
{
    cost_end(policy);
    policy->run = NULL;
    policy->task = NULL;
    policy->question = NULL;
    policy->event = NULL;
    policy->call = ++policy->calls;
    wait_tell(policy);
}

/* run_now: the whole chain, unless it waits: then false. The verdict is in *run->verdict as it was given. */
static bool run_now(struct policy *policy, struct run *run)
{
    struct verdict *verdict = run->verdict;
    enter(policy, run);
    const bool is_through = go(policy);
    struct run *last = policy->run; /* it may have moved */
    leave(policy);
    if (!is_through || !last->wait)
        return is_through;
    *verdict = *last->verdict;
    run->failed = last->failed;
    wait_free(policy, last->wait);
    return true;
}

/* finish: the chain is through, and has waited. */
static void finish(struct policy *policy)
{
    struct wait *wait = policy->run->wait;
    struct verdict verdict = wait->verdict;
    struct copy *copy = wait->copy;
    if (wait->run.hook == HOOK_init)
        *policy->init = verdict;
    if (wait->run.timer)
        wait->run.timer->waits = false;
    const bool is_asked = wait->run.question != NULL;
    wait->copy = NULL;
    leave(policy);
    wait_free(policy, wait);
    if (is_asked)
        policy->world.answer(policy->world.ctx, &copy->question, &verdict);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
    copy_free(copy);
}

/* pass: the hook that waited has gone on to an outcome. */
static void pass(struct policy *policy, enum outcome outcome, const char *why)
{
    bool is_through = settle(policy, outcome, why);
    if (!is_through) {
        policy->run->at++;
        is_through = go(policy);
    }
    if (is_through)
        finish(policy);
    else
        leave(policy);
}

void chain_resume(struct policy *policy, struct wait *wait)
{
    char why[WHY_MAX];
    enter(policy, &wait->run);
    policy->script = script_of(policy, &wait->run);
    budget_arm(policy, wait->run.slice);
    tally_resume(policy);
    const enum outcome outcome = wait_go(policy, wait, why, sizeof why);
    if (outcome == RUN_WAITS) {
        tally_pause(policy);
        leave(policy);
        return;
    }
    pass(policy, outcome, why);
}

void chain_expire(struct policy *policy, struct wait *wait)
{
    char where[BUDGET_WHERE_MAX];
    enter(policy, &wait->run);
    budget_arm(policy, wait->run.slice);
    tally_resume(policy);
    state_where(wait->root.coroutine.thread, 0, where, sizeof where);
    wait_close(policy, wait);
    view_copy(view_text(where), policy->budget.where, sizeof policy->budget.where);
    pass(policy, RUN_WAITS, "waited too long");
}

void chain_drop(struct policy *policy, struct wait *wait)
{
    enter(policy, &wait->run);
    budget_arm(policy, wait->run.slice);
    wait_close(policy, wait);
    leave(policy);
    wait_free(policy, wait);
}

/* memo_of: the place for what route says about this request, and its key. */
static struct memo *memo_of(struct policy *policy, const struct request *request, uint64_t key[2])
{
    const struct hash_key *k = &policy->config->hash_key, other = {.k0 = k->k1, .k1 = ~k->k0};
    const struct flow *flow = request->flow;
    const struct view origin = request->message ? message_attr(request->message, SLOT_ORIGIN) : (struct view){0};
    const char *sni = flow->sni ? flow->sni : "", *alpn = flow->alpn ? flow->alpn : "";
    uint8_t bytes[1024];
    struct slab text = slab_over(bytes, sizeof bytes);
    slab_put_u16(&text, flow->listener);
    slab_put(&text, view_of(sni, strlen(sni) + 1));
    slab_put(&text, view_of(alpn, strlen(alpn) + 1));
    slab_put(&text, origin);
    if (text.overflow)
        return NULL;
    key[0] = table_digest(k, slab_view(&text));
    key[1] = table_digest(&other, slab_view(&text));
    return &policy->memos[key[0] & (MEMO_COUNT - 1)];
}

static void ask_chain(struct policy *policy, const struct question *question, struct verdict *verdict)
{
    struct run run = {.hook = question->hook, .slice = &slice_hook, .question = question, .verdict = verdict};
    if (!run_now(policy, &run))
        *verdict = (struct verdict){.kind = VERDICT_LATER};
}

static void ask_route(struct policy *policy, const struct question *question, struct verdict *verdict)
{
    uint64_t key[2];
    struct memo *memo = policy->memos ? memo_of(policy, question->request, key) : NULL;
    if (memo && memo->known && memo->key[0] == key[0] && memo->key[1] == key[1]) {
        *verdict = memo->verdict;
        policy->cost.remembered = true;
        return;
    }
    ask_chain(policy, question, verdict);
    if (memo && verdict->kind != VERDICT_FAIL)
        *memo = (struct memo){.known = true, .key = {key[0], key[1]}, .verdict = *verdict};
}

void policy_ask(struct policy *policy, const struct question *question, struct verdict *verdict)
{
    *verdict = (struct verdict){.kind = VERDICT_SILENT};
    if (!(policy->hooks & HOOK_BIT(question->hook)) || hook_rules[question->hook].composition == COMPOSE_TELL)
        return;
    policy->now = question->now;
    policy->unix_ms = question->unix_ms;
    policy->cost = (struct policy_cost){0};
    if (question->hook == HOOK_route)
        ask_route(policy, question, verdict);
    else
        ask_chain(policy, question, verdict);
}

static bool tell_chain(struct policy *policy, enum hook hook, const struct slice *slice, const struct event *event, struct verdict *failure)
{
    struct run run = {.hook = hook, .slice = slice, .event = event, .verdict = failure};
    return run_now(policy, &run) ? !run.failed : true;
}

bool chain_begin(struct policy *policy)
{
    struct verdict *failure = policy->init;
    *failure = (struct verdict){.kind = VERDICT_SILENT};
    if (!tell_chain(policy, HOOK_init, &slice_load, NULL, failure))
        return false;
    while (policy->waits && policy->world.turn)
        policy_turn(policy, policy->world.turn(policy->world.ctx, policy_due(policy)), policy->unix_ms);
    return failure->kind != VERDICT_FAIL;
}

void chain_tell(struct policy *policy, enum hook hook)
{
    struct verdict ignored = {.kind = VERDICT_SILENT};
    tell_chain(policy, hook, &slice_hook, NULL, &ignored);
}

void chain_timer(struct policy *policy, struct timer *timer)
{
    char why[WHY_MAX];
    struct verdict ignored = {.kind = VERDICT_SILENT};
    struct run run = {.hook = HOOK_COUNT, .timer = timer, .slice = &slice_hook, .at = policy->script_count, .verdict = &ignored};
    if (timer->waits)
        return;
    enter(policy, &run);
    const enum outcome outcome = start(policy, timer->function, why, sizeof why);
    timer->waits = outcome == RUN_WAITS;
    if (outcome != RUN_WAITS)
        settle(policy, outcome, why);
    struct wait *wait = policy->run->wait;
    leave(policy);
    if (wait && !timer->waits)
        wait_free(policy, wait);
}

void chain_why(const struct verdict *failure, char *error, size_t error_cap)
{
    const size_t by = strlen(failure->by);
    const bool placed = strncmp(failure->reason, failure->by, by) == 0; /* Lua's own messages begin with the place */
    snprintf(error, error_cap, "%s%s%s", placed ? "" : failure->by, placed ? "" : ": ", failure->reason);
}

lua_State *chain_save(struct policy *policy, size_t script, struct verdict *failure)
{
    char why[WHY_MAX];
    struct run run = {.hook = HOOK_save, .slice = &slice_hook, .at = script, .verdict = failure};
    enter(policy, &run);
    const enum outcome outcome = start(policy, policy->scripts[script].hooks[HOOK_save], why, sizeof why);
    if (outcome != RUN_DONE)
        settle(policy, outcome, why);
    leave(policy);
    return outcome == RUN_DONE ? policy->budget.current.thread : NULL;
}

void policy_tell(struct policy *policy, const struct event *event)
{
    struct verdict ignored = {.kind = VERDICT_SILENT};
    if (!(policy->hooks & HOOK_BIT(HOOK_log)))
        return;
    policy->now = event->now;
    policy->unix_ms = event->unix_ms;
    tell_chain(policy, HOOK_log, &slice_hook, event, &ignored);
}
