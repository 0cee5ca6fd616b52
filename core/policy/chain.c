/* chain.c: ask and tell: one hook of every policy in order, and one verdict of their answers. */
#include "policy/answer.h"
#include "policy/argument.h"

#include "base/err.h"

#include <string.h>

#define WHY_MAX 256

/* registry: arguments that are always the same, under the addresses of these */
static const char context_key = 'x';
static const struct kind {
    uint16_t method;
    const char *name;
} kinds[] = {{METHOD_CREATE_PERMISSION, "permission"}, {METHOD_CHANNEL_BIND, "channel"}, {METHOD_CONNECT, "connect"}};

/* what init is shown */
static void open_context(lua_State *L)
{
    const struct policy *policy = policy_of(L);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)policy->worker + 1);
    lua_setfield(L, -2, "worker");
    lua_pushinteger(L, policy->config->workers);
    lua_setfield(L, -2, "workers");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "reload");
    strict_table(L, "ctx has no field '%s'%s");
    strict_proxy(L, "ctx");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

void chain_open(lua_State *L)
{
    open_context(L);
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
                lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
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

/* call: run a function of `script` (NULL: a timer); true if it returned, its result is then on the coroutine until budget_end. Else said
 * and counted, and *verdict is FAIL. */
static bool call(struct policy *policy, const struct script *script, int function, const struct hook_rule *rule, const struct slice *slice,
                 struct verdict *verdict)
{
    char why[WHY_MAX] = "not enough memory";
    enum outcome outcome = RUN_MEMORY;
    struct budget *budget = &policy->budget;
    *budget->where = 0;
    policy->counts.calls++;
    policy->call++;
    policy->script = script;
    lua_State *L = policy->now < policy->rests_until ? NULL : budget_begin(policy);
    if (L) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, function);
        push_arguments(L, rule->arguments, policy->question);
        outcome = budget_run(policy, slice, why, sizeof why);
    }
    if (outcome == RUN_DONE) {
        policy->memory_failures = 0;
        return true;
    }
    rest(policy, outcome);
    const char *by = *budget->where && *budget->where != '?' ? budget->where : script ? script->name : "timer";
    count_failure(&policy->counts, outcome);
    say_failure(policy, rule->name, by, why);
    set_failure(verdict, by, why);
    return false;
}

/* ask_script: what one policy says: false if nothing. */
static bool ask_script(struct policy *policy, const struct script *script, const struct question *question, struct verdict *verdict)
{
    const struct hook_rule *rule = &hook_rules[question->hook];
    char why[WHY_MAX];
    if (!call(policy, script, script->hooks[question->hook], rule, &slice_hook, verdict))
        return true;
    lua_State *L = policy->budget.thread;
    const struct decision *decision = object_test(L, -1, OBJECT_DECISION);
    const bool silent = lua_isnil(L, -1);
    const char *wrong = NULL;
    if (!decision && !silent) {
        snprintf(why, sizeof why, "%s: %s returned a %s, not a decision or nil", script->name, rule->name, luaL_typename(L, -1));
        wrong = why;
    } else if (decision) {
        wrong = answer_judge(question->hook, decision, why, sizeof why);
    }
    if (wrong) {
        policy->counts.wrong_type++;
        say_failure(policy, rule->name, script->name, wrong);
        set_failure(verdict, decision ? decision_text(decision, decision->by) : script->name, wrong);
    } else if (decision) {
        answer_verdict(policy, question, decision, verdict);
        if (decision->kind == VERDICT_FAIL) {
            policy->counts.errors++;
            say_failure(policy, rule->name, verdict->by, verdict->reason);
        }
    }
    budget_end(policy);
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
    const struct limits before = all->limits;
    if (all->kind == VERDICT_SILENT || one->kind == VERDICT_FAIL) {
        *all = *one;
        all->limits = before;
    }
    if (one->kind == VERDICT_ALLOW && !answer_merge(policy, &all->limits, &one->limits)) {
        set_failure(all, one->by, "the limits of several policies do not fit together");
        return composition == COMPOSE_STRICTEST;
    }
    return false;
}

static void ask_chain(struct policy *policy, const struct question *question, struct verdict *verdict)
{
    const enum composition composition = hook_rules[question->hook].composition;
    struct verdict one;
    policy->question = question;
    for (size_t i = 0; i < policy->script_count; i++) {
        const struct script *script = &policy->scripts[i];
        if (script->hooks[question->hook] == LUA_NOREF)
            continue;
        one.kind = VERDICT_SILENT;
        if (ask_script(policy, script, question, &one) && add_answer(policy, composition, verdict, &one))
            break;
    }
    policy->question = NULL;
    policy->call++; /* what hooks were shown is dead */
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
    key[0] = table_hash(k, slab_view(&text));
    key[1] = table_hash(&other, slab_view(&text));
    return &policy->memos[key[0] & (MEMO_COUNT - 1)];
}

static void ask_route(struct policy *policy, const struct question *question, struct verdict *verdict)
{
    uint64_t key[2];
    struct memo *memo = policy->memos ? memo_of(policy, question->request, key) : NULL;
    if (memo && memo->known && memo->key[0] == key[0] && memo->key[1] == key[1]) {
        *verdict = memo->verdict;
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
    if (question->hook == HOOK_route)
        ask_route(policy, question, verdict);
    else
        ask_chain(policy, question, verdict);
}

bool chain_tell(struct policy *policy, enum hook hook, const struct slice *slice, struct verdict *failure)
{
    bool fine = true;
    for (size_t i = 0; i < policy->script_count; i++) {
        const struct script *script = &policy->scripts[i];
        if (script->hooks[hook] == LUA_NOREF)
            continue;
        fine &= call(policy, script, script->hooks[hook], &hook_rules[hook], slice, failure);
        budget_end(policy);
        if (!fine && hook == HOOK_init)
            break;
    }
    policy->call++;
    return fine;
}

void chain_timer(struct policy *policy, const struct timer *timer)
{
    static const struct hook_rule rule = {.name = "timer", .arguments = ""};
    struct verdict ignored;
    call(policy, NULL, timer->function, &rule, &slice_hook, &ignored);
    budget_end(policy);
    policy->call++;
}

void policy_tell(struct policy *policy, const struct event *event)
{
    struct verdict ignored;
    if (!(policy->hooks & HOOK_BIT(HOOK_log)))
        return;
    policy->now = event->now;
    policy->unix_ms = event->unix_ms;
    policy->event = event;
    chain_tell(policy, HOOK_log, &slice_hook, &ignored);
    policy->event = NULL;
}
