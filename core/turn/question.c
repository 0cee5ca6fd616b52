/* question.c: asking the policy. */
#include "turn/question.h"

#include "turn/redirect.h"

#include "wire/attr.h"

#include <string.h>

#define KIND(kind) (1u << (kind))
#define CODES_MAX 6

/* what each hook may answer, POLICY section 3.1; VERDICT_LATER only where a request can be taken up again */
static const struct rule {
    uint32_t kinds;
    int codes[CODES_MAX]; /* of a denial, 0 ends */
} rules[HOOK_COUNT] = {
    [HOOK_route] = {KIND(VERDICT_TENANT) | KIND(VERDICT_DENY) | KIND(VERDICT_REDIRECT), {STUN_FORBIDDEN}},
    [HOOK_authenticate] = {KIND(VERDICT_KEY) | KIND(VERDICT_DENY) | KIND(VERDICT_LATER), {STUN_UNAUTHENTICATED, STUN_FORBIDDEN}},
    [HOOK_authorize] = {KIND(VERDICT_ALLOW) | KIND(VERDICT_DENY) | KIND(VERDICT_REDIRECT) | KIND(VERDICT_LATER),
                        {STUN_FORBIDDEN, STUN_FAMILY_UNSUPPORTED, STUN_TRANSPORT_UNSUPPORTED, STUN_QUOTA, STUN_CAPACITY}},
    [HOOK_permission] = {KIND(VERDICT_ALLOW) | KIND(VERDICT_DENY), {STUN_FORBIDDEN, STUN_PEER_FAMILY_MISMATCH}},
    [HOOK_channel] = {KIND(VERDICT_ALLOW) | KIND(VERDICT_DENY), {STUN_FORBIDDEN}},
    [HOOK_refresh] = {KIND(VERDICT_ALLOW) | KIND(VERDICT_DENY) | KIND(VERDICT_REAUTH), {STUN_FORBIDDEN, STUN_QUOTA, STUN_CAPACITY}},
};

static bool question_makes_sense(const struct transaction *tr, enum hook hook, const struct verdict *verdict)
{
    const struct rule *rule = &rules[hook];
    if (verdict->kind == VERDICT_SILENT || verdict->kind == VERDICT_FAIL)
        return true;
    if ((rule->kinds & KIND(verdict->kind)) == 0 || verdict->key_count > VERDICT_KEYS_MAX)
        return false;
    if (verdict->kind == VERDICT_REDIRECT)
        return redirect_fits(&verdict->alternate, tr->flow);
    if (verdict->kind != VERDICT_DENY)
        return true;
    for (size_t i = 0; i < CODES_MAX && rule->codes[i]; i++)
        if (verdict->code == rule->codes[i])
            return true;
    return false;
}

/* question_settle: what the verdict means for the transaction's record. */
static void question_settle(struct transaction *tr, enum hook hook, struct verdict *verdict, bool makes_sense)
{
    if (!makes_sense) {
        verdict->kind = VERDICT_FAIL;
        view_copy(view_text("verdict makes no sense"), verdict->reason, sizeof verdict->reason);
    }
    if (verdict->kind == VERDICT_SILENT || verdict->kind == VERDICT_LATER)
        return;
    view_copy(view_text(verdict->reason), tr->reason, sizeof tr->reason);
    view_copy(view_text(verdict->by), tr->by, sizeof tr->by);
    tr->hook = hook;
    tr->measure = verdict->measure;
    if (verdict->kind != VERDICT_FAIL)
        return;
    tr->engine->counts.policy_errors++;
    transaction_tell(tr, EVENT_POLICY_ERROR, STUN_SERVER_ERROR, NULL);
}

void question_check(struct transaction *tr, enum hook hook, struct verdict *verdict)
{
    question_settle(tr, hook, verdict, verdict->kind != VERDICT_LATER && question_makes_sense(tr, hook, verdict));
}

static uint8_t question_family(const struct message *message)
{
    uint8_t family;
    if (attr_first_byte(message, SLOT_REQUESTED_ADDRESS_FAMILY, &family) != 0)
        return ADDR_NONE;
    return family == 1 ? ADDR_IPV4 : family == 2 ? ADDR_IPV6 : ADDR_NONE;
}

static struct request question_request(const struct transaction *tr)
{
    const struct message *message = &tr->message;
    struct request request = {
        .id = tr->decision,
        .flow = tr->flow,
        .message = message,
        .username = transaction_username(tr),
        .userhash = message_attr(message, SLOT_USERHASH),
        .tenant = tr->identity.tenant,
        .realm = tr->identity.realm,
        .user = tr->identity.user,
        .family = question_family(message),
        .even_port = message_has(message, SLOT_EVEN_PORT),
        .has_reservation = message_has(message, SLOT_RESERVATION_TOKEN),
        .wants_sha256 = tr->identity.wants_sha256,
        .is_minted = tr->identity.is_minted,
        .access_token = tr->engine->config->oauth ? message_attr(message, SLOT_ACCESS_TOKEN) : (struct view){0},
        .server_name = transaction_server_name(tr),
    };
    attr_first_byte(message, SLOT_REQUESTED_TRANSPORT, &request.protocol);
    attr_u32(message, SLOT_LIFETIME, &request.lifetime_s);
    return request;
}

/* A promise that cannot be kept (no place, no memory) is a refusal for want of capacity. */
static void question_park(struct transaction *tr, struct ticket ticket, enum hook hook, struct verdict *verdict)
{
    if (ticket.parked.generation && park_keep(tr, ticket, hook) == 0)
        return;
    if (ticket.parked.generation)
        engine_forget(tr->engine, ticket);
    verdict->kind = VERDICT_DENY;
    verdict->code = STUN_CAPACITY;
    transaction_refuse(tr, STUN_CAPACITY, "max_parked");
}

void question_put(struct transaction *tr, struct question *question, struct verdict *verdict)
{
    struct engine *engine = tr->engine;
    const enum hook hook = question->hook;
    *verdict = (struct verdict){0};
    if ((engine->hooks & HOOK_BIT(hook)) == 0)
        return;
    const bool may_wait = rules[hook].kinds & KIND(VERDICT_LATER);
    const struct request request = question_request(tr);
    question->decision = tr->decision;
    question->now = tr->now;
    question->unix_ms = engine_unix_ms(engine, tr->now);
    question->request = &request;
    question->ticket = may_wait ? park_ticket(tr) : (struct ticket){0};
    engine->host->ask(engine->host->ctx, question, verdict);
    question->request = NULL;
    question_settle(tr, hook, verdict, question_makes_sense(tr, hook, verdict));
    if (verdict->kind == VERDICT_LATER)
        question_park(tr, question->ticket, hook, verdict);
    else if (may_wait)
        park_forget(engine, question->ticket);
}
