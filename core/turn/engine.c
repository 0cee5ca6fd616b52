/* engine.c: the engine's outside: what kind of frame this is, the way of a request, time, and the life of the engine itself. */
#include "turn/engine.h"

#include "turn/auth.h"
#include "turn/channel.h"
#include "turn/discovery.h"
#include "turn/event.h"
#include "turn/mobility.h"
#include "turn/park.h"
#include "turn/permission.h"
#include "turn/question.h"
#include "turn/redirect.h"
#include "turn/reply.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int64_t engine_unix_ms(const struct engine *engine, msec_t now)
{
    return engine->unix_offset_ms + now;
}

uint64_t engine_id(struct engine *engine, msec_t now)
{
    const uint64_t first = ((uint64_t)engine_unix_ms(engine, now) & ((UINT64_C(1) << 42) - 1)) << 13;
    engine->last_id = first > engine->last_id ? first : engine->last_id + 1;
    return engine->last_id << 8 | (engine->worker & 0xff);
}

uint64_t engine_hash(const struct engine *engine, const void *key, size_t len)
{
    return table_hash(&engine->config->hash_key, view_of(key, len));
}

uint64_t engine_digest(const struct engine *engine, const char *tenant, const char *name)
{
    uint8_t key[2 * (NAME_MAX_LEN + 1)] = {0};
    view_copy(view_text(tenant), (char *)key, NAME_MAX_LEN + 1);
    view_copy(view_text(name), (char *)key + NAME_MAX_LEN + 1, NAME_MAX_LEN + 1);
    return table_digest(&engine->config->hash_key, view_of(key, sizeof key));
}

void engine_forget(struct engine *engine, struct ticket ticket)
{
    if (engine->host->forget)
        engine->host->forget(engine->host->ctx, ticket);
}

/* ---- a request ---- */

static struct allocation *engine_live(struct engine *engine, const struct flow *flow, msec_t now)
{
    struct allocation *allocation = allocation_find(engine, flow);
    if (!allocation || allocation->expires > now)
        return allocation;
    allocation_expire(engine, allocation, now);
    return NULL;
}

/* engine_subject: the live allocation that a request is about. */
static struct allocation *engine_subject(struct engine *engine, const struct flow *flow, const struct message *message, msec_t now)
{
    if (message->method != METHOD_CONNECTION_BIND)
        return engine_live(engine, flow, now);
    const struct allocation *named = connection_bind_allocation(engine, message);
    return named ? engine_live(engine, &named->flow, now) : NULL;
}

/* What RFC 8489 section 9.2.4 and RFC 8656 section 5 want checked once a request is known to be authentic; and that nobody revoked it. */
static int engine_authentic(struct transaction *tr, const struct method *method)
{
    int code = method->needs_auth ? auth_admit(tr, tr->allocation ? tr->allocation->tags : "") : 0;
    if (code || (code = transaction_unknown(tr)) || (code = mobility_refusal(tr)))
        return code;
    if (method->needs_allocation && !tr->allocation)
        return transaction_refuse(tr, STUN_MISMATCH, "no allocation");
    if (method->needs_allocation && !transaction_is_owner(tr))
        return transaction_refuse(tr, STUN_WRONG_CREDENTIALS, "other user's allocation");
    if (method->needs_allocation && !message_has(&tr->message, SLOT_MOBILITY_TICKET)) /* which is repeated until it is answered */
        mobility_seen(tr->engine, tr->allocation, tr->flow);
    return method->handle(tr);
}

static int engine_judge(struct transaction *tr, const struct method *method)
{
    const struct engine *engine = tr->engine;
    if (!method->needs_auth)
        return engine_authentic(tr, method);
    const bool is_signed = message_has(&tr->message, SLOT_MESSAGE_INTEGRITY) || message_has(&tr->message, SLOT_MESSAGE_INTEGRITY_SHA256);
    if (!is_signed && !tr->allocation && method->method == METHOD_ALLOCATE && redirect_configured(tr))
        return STUN_TRY_ALTERNATE;
    if (!engine->config->relaying || (engine->hooks & HOOK_BIT(HOOK_authenticate)) == 0)
        return STUN_FORBIDDEN;
    int code = auth_route(tr);
    if (!code)
        code = auth_check(tr);
    return code ? code : engine_authentic(tr, method);
}

static void engine_tell_refusal(struct transaction *tr, int code)
{
    if (tr->is_bad_login) {
        transaction_tell(tr, EVENT_AUTH_FAILED, code, NULL);
    } else if (code == STUN_STALE_NONCE && tr->is_proven) {
        transaction_tell_stale(tr);
    } else if (code && code != STUN_STALE_NONCE && (tr->is_authentic || tr->is_denied)) {
        tr->engine->counts.refused++;
        transaction_tell(tr, EVENT_DENIED, code, tr->peer.family == ADDR_NONE ? NULL : &tr->peer);
    }
}

/* engine_way_back: the flow of the answer: the request's, but for a copy that goes now and for what RFC 5780 moves. */
static const struct flow *engine_way_back(struct transaction *tr, int code)
{
    struct flow *flow = &tr->engine->reply_flow;
    const bool moves = code == 0 && discovery_moves(tr);
    if (!tr->copy && !moves)
        return tr->flow;
    *flow = *tr->flow;
    flow->sni = flow->alpn = "";
    if (moves)
        discovery_route(tr, flow);
    return flow;
}

static void engine_count(struct engine *engine, uint16_t method, int code)
{
    const size_t row = method_row(method);
    if (row < ENGINE_METHODS)
        engine->counts.answered[row][stun_code_place(code)]++;
}

/* engine_is_stranger: whose address may be another's. */
static bool engine_is_stranger(const struct transaction *tr)
{
    return tr->flow->transport == TRANSPORT_UDP && !tr->is_proven && !tr->is_authentic;
}

/* engine_is_guess: a credential that is over or was revoked is none. */
static bool engine_is_guess(const struct transaction *tr)
{
    return strcmp(tr->reason, "expired") != 0 && strcmp(tr->reason, "credential_revoked") != 0;
}

/* engine_mutes_login: a wrong login, one too many of its source. Who is right gets in all the same. */
static bool engine_mutes_login(struct transaction *tr)
{
    struct strangers *strangers = tr->engine->shared.strangers;
    if (!engine_is_guess(tr))
        return false;
    const enum strangers_login login = strangers_fail(strangers, &tr->flow->client, tr->now);
    const uint32_t most = strangers_failures(strangers);
    if (login == STRANGERS_LOGIN_FIRST)
        engine_tell_refusal(tr, transaction_exceed(tr, STUN_UNAUTHENTICATED, "max_failed_logins", (struct gauge){most, most}));
    return login != STRANGERS_LOGIN_FEW;
}

/* engine_mutes: whether there is to be no answer, and nothing told of it. */
static bool engine_mutes(struct transaction *tr, int code)
{
    struct engine *engine = tr->engine;
    const unsigned cost = code == 0 && !tr->answer.has_padding ? STRANGERS_BINDING : STRANGERS_ANSWER;
    enum engine_mute why = ENGINE_MUTES;
    if (!engine->shared.strangers)
        return false;
    if (tr->is_bad_login && engine_mutes_login(tr))
        why = MUTE_LOGIN;
    else if (engine_is_stranger(tr) && !strangers_answer(engine->shared.strangers, &tr->flow->client, cost, tr->now))
        why = MUTE_STRANGER;
    if (why != ENGINE_MUTES)
        engine->counts.muted[why]++;
    return why != ENGINE_MUTES;
}

static struct send engine_answer(struct transaction *tr, int code)
{
    struct engine *engine = tr->engine;
    struct send send = {.flow = engine_way_back(tr, code)};
    if (code != TRANSACTION_PARKED && !engine_mutes(tr, code)) {
        send.bytes = reply_make(tr, code);
        engine_count(engine, tr->message.method, code);
        engine_tell_refusal(tr, code);
    }
    if (send.bytes.len) {
        send.to = SEND_TO_CLIENT;
        if (tr->is_authentic)
            retransmit_keep(engine->answers, tr->flow, &tr->message, send.bytes, tr->now);
    }
    if (tr->copy)
        park_free(tr->copy);
    if (tr->identity.key.len)
        crypto_wipe(&tr->identity.key, sizeof tr->identity.key);
    return send;
}

static struct send engine_request(struct engine *engine, const struct flow *flow, const struct message *message, msec_t now)
{
    const struct method *method = method_find(message->method);
    if (!method) {
        engine->counts.dropped_malformed++;
        return (struct send){0};
    }
    unsigned worker;
    if (connection_bind_elsewhere(engine, flow, message, &worker))
        return (struct send){.to = SEND_TO_WORKER, .bytes = message->bytes, .flow = flow, .worker = worker};
    if (method->needs_auth) {
        const struct view again = retransmit_find(engine->answers, flow, message, now);
        if (again.len) {
            engine->counts.repeated++;
            return (struct send){.to = SEND_TO_CLIENT, .bytes = again, .flow = flow};
        }
        if (park_has(engine, flow, message))
            return (struct send){0};
    }
    struct transaction tr = {
        .engine = engine, .flow = flow, .message = *message, .now = now, .decision = engine_id(engine, now), .hook = HOOK_COUNT};
    tr.allocation = method->needs_auth ? engine_subject(engine, flow, message, now) : NULL;
    if (message_has(message, SLOT_MOBILITY_TICKET) && !mobility_find(&tr, &worker))
        return (struct send){.to = SEND_TO_WORKER, .bytes = message->bytes, .flow = flow, .worker = worker};
    return engine_answer(&tr, engine_judge(&tr, method));
}

/* engine_reopen: the transaction of a request that waited. NULL if it cannot be read, which does not happen. */
static const struct method *engine_reopen(struct transaction *tr, struct parked_request *copy)
{
    tr->flow = &copy->flow;
    tr->decision = copy->decision;
    tr->copy = copy;
    tr->identity = copy->identity;
    tr->is_authentic = copy->is_authentic;
    tr->is_proven = true; /* nothing waits for a request without a good nonce */
    tr->hook = HOOK_COUNT;
    if (message_open(&tr->message, copy->bytes) != 0)
        return NULL;
    tr->allocation = engine_subject(tr->engine, tr->flow, &tr->message, tr->now);
    unsigned worker; /* this one: it did not send the request on */
    mobility_find(tr, &worker);
    return method_find(tr->message.method);
}

struct send engine_resume(struct engine *engine, struct ticket ticket, const struct verdict *given, msec_t now)
{
    struct parked_request *copy = park_take(engine, ticket);
    if (!copy)
        return (struct send){0};
    struct transaction tr = {.engine = engine, .now = now};
    struct verdict verdict = *given;
    const struct method *method = engine_reopen(&tr, copy);
    if (!method)
        return engine_answer(&tr, TRANSACTION_PARKED);
    int code;
    if (copy->hook != HOOK_authenticate)
        code = method->resume(&tr, &verdict);
    else if ((code = auth_resume(&tr, &verdict)) == 0)
        code = engine_authentic(&tr, method);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
    return engine_answer(&tr, code);
}

struct send engine_finish(struct engine *engine, struct parked_request *copy, const struct outcome *outcome, msec_t now)
{
    struct transaction tr = {.engine = engine, .now = now};
    engine_reopen(&tr, copy);
    tr.answer = outcome->answer;
    tr.peer = outcome->peer;
    return engine_answer(&tr, outcome->code ? transaction_refuse(&tr, outcome->code, stun_code_reason(outcome->code)) : 0);
}

static struct send engine_stun(struct engine *engine, const struct flow *flow, struct view in, msec_t now)
{
    struct message message;
    if (message_open(&message, in) != 0) {
        engine->counts.dropped_malformed++; /* RFC 8489 section 6.3: silently */
        return (struct send){0};
    }
    if (message.class == STUN_REQUEST)
        return engine_request(engine, flow, &message, now);
    if (message.class == STUN_INDICATION && message.method == METHOD_SEND)
        return indication_send(engine, flow, &message, now);
    return (struct send){0};
}

/* RFC 3489: Binding over UDP and nothing else; RFC 8489 section 11: over DTLS it is refused aloud. */
static struct send engine_classic(struct engine *engine, const struct flow *flow, struct view in, msec_t now)
{
    struct transaction tr = {.engine = engine, .flow = flow, .now = now};
    const bool is_served = engine->config->classic && flow->transport == TRANSPORT_UDP;
    if ((!is_served && flow->transport != TRANSPORT_DTLS) || message_open_classic(&tr.message, in) != 0) {
        engine->counts.dropped_malformed++;
        return (struct send){0};
    }
    return is_served ? engine_request(engine, flow, &tr.message, now) : engine_answer(&tr, STUN_SERVER_ERROR);
}

static struct send engine_read(struct engine *engine, const struct flow *flow, struct view in, msec_t now)
{
    switch (frame_kind_of(in)) {
        case FRAME_CHANNEL:
            return relay_channel_data(engine, flow, in, now);
        case FRAME_STUN:
            return engine_stun(engine, flow, in, now);
        case FRAME_CLASSIC:
            return engine_classic(engine, flow, in, now);
        default:
            engine->counts.dropped_malformed++;
            return (struct send){0};
    }
}

struct send engine_from_client(struct engine *engine, const struct flow *flow, struct packet in, msec_t now)
{
    const struct send send = engine_read(engine, flow, view_of(in.at, in.len), now);
    return send.to == SEND_TO_HOLDER && send.holder.worker == engine->worker ? relay_hand_over(engine, &send, in, now) : send;
}

void engine_flow_closed(struct engine *engine, const struct flow *flow, msec_t now)
{
    park_drop_flow(engine, flow);
    struct allocation *allocation = engine_live(engine, flow, now);
    if (allocation && !mobility_leave(engine, allocation, flow))
        allocation_end(engine, allocation, "client_closed", "core", now);
}

/* ---- time ---- */

void engine_clock(struct engine *engine, msec_t now, int64_t unix_ms)
{
    engine->unix_offset_ms = unix_ms - now;
}

void engine_sweep(struct engine *engine, msec_t now)
{
    struct allocation *allocation;
    while ((allocation = wheel_turn(&engine->wheel, &engine->allocations, now)))
        allocation_look(engine, allocation, now);
    tenancy_sweep(engine, now);
    tickets_sweep(engine->shared.tickets, now);
}

struct send engine_next_overdue(struct engine *engine, msec_t now)
{
    const struct verdict late = {.kind = VERDICT_FAIL, .reason = "no answer in time", .by = "core"};
    const struct ticket overdue = park_overdue(engine, now);
    return overdue.parked.generation ? engine_resume(engine, overdue, &late, now) : tcp_relay_overdue(engine, now);
}

/* ---- what the worker sees and does ---- */

void engine_hooks(struct engine *engine, uint32_t hooks)
{
    engine->hooks = hooks;
}

void engine_drain(struct engine *engine, msec_t until)
{
    engine->drains_until = until;
}

void engine_usage(struct engine *engine, engine_usage_fn *tell, void *ctx, msec_t now)
{
    while (engine->moved.first != POOL_NONE) {
        struct allocation *allocation = pool_index(&engine->allocations, engine->moved.first);
        chain_remove(allocation_moved_chain(engine), &engine->moved, engine->moved.first);
        allocation->has_moved = false;
        const struct usage delta = usage_since(&allocation->usage, &allocation->reported);
        allocation->reported = allocation->usage;
        if (delta.packets_in || delta.packets_out) {
            tenancy_moved(engine, allocation, now);
            tell(ctx, allocation, &delta);
        }
        event_slowed(engine, allocation, now);
    }
}

bool engine_close(struct engine *engine, struct handle handle, const struct verdict *verdict, msec_t now)
{
    struct allocation *allocation = pool_at(&engine->allocations, handle);
    if (!allocation)
        return false;
    engine->ending = verdict->decision;
    allocation_end(engine, allocation, verdict->reason, verdict->by, now);
    engine->ending = 0;
    return true;
}

bool engine_limit(struct engine *engine, struct handle handle, uint64_t max_bps, msec_t now)
{
    struct allocation *allocation = pool_at(&engine->allocations, handle);
    if (!allocation)
        return false;
    allocation->said_bps = max_bps;
    return allocation_bound(engine, allocation, now);
}

void engine_close_all(struct engine *engine, const char *reason, msec_t now)
{
    for (uint32_t at = 0; (at = pool_next(&engine->allocations, at)) != POOL_NONE;)
        allocation_end(engine, pool_index(&engine->allocations, at), reason, "core", now);
}

const char *engine_peer_kind(const struct engine *engine, const struct addr *peer)
{
    return peer_kind(&engine->filter, peer);
}

uint32_t engine_allocations(const struct engine *engine)
{
    return engine->allocations.live;
}

const struct allocation *engine_allocation_at(const struct engine *engine, uint32_t from)
{
    return pool_index(&engine->allocations, pool_next(&engine->allocations, from));
}

uint32_t engine_parked(const struct engine *engine)
{
    return engine->parked.live;
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
    return &engine->counts;
}

/* ---- the engine itself ---- */

static void engine_init(struct engine *engine)
{
    const uint32_t most = engine->config->max_allocations;
    pool_init(&engine->allocations, sizeof(struct allocation), most && most < HOLDER_ALLOCATIONS ? most : HOLDER_ALLOCATIONS);
    pool_init(&engine->permissions, sizeof(struct permission), 0);
    pool_init(&engine->channels, sizeof(struct channel), 0);
    pool_init(&engine->tcp_peers, sizeof(struct tcp_peer), engine->config->max_tcp_peers);
    pool_init(&engine->parked, sizeof(struct parked), engine->config->max_parked);
    table_init(&engine->by_flow);
    table_init(&engine->by_permission);
    table_init(&engine->by_number);
    table_init(&engine->by_peer);
    table_init(&engine->parked_by_flow);
    table_init(&engine->by_connection);
    bounds_init(&engine->bounds, &engine->config->hash_key);
    wheel_init(&engine->wheel);
    chain_init(&engine->moved);
    chain_init(&engine->active);
    chain_init(&engine->parked_order);
    chain_init(&engine->tcp_waiting);
    engine->no_ones_key.len = sizeof engine->no_ones_key.bytes;
    crypto_random(engine->no_ones_key.bytes, sizeof engine->no_ones_key.bytes);
}

struct engine *engine_new(const struct engine_config *config, const struct engine_shared *shared, const struct host *host, unsigned worker)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->config = config;
    engine->shared = *shared;
    engine->host = host;
    engine->hooks = host->hooks;
    engine->worker = engine->redirects = worker;
    engine_init(engine);
    engine->crypto = crypto_new();
    engine->answers = retransmit_new(&config->hash_key);
    const bool has_filter = peer_filter_init(&engine->filter, config, shared->ports) == 0;
    engine->tcp_filter = engine->filter;
    engine->tcp_filter.ports = shared->tcp_ports;
    if (has_filter && engine->crypto && engine->answers)
        return engine;
    engine_free(engine);
    return NULL;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    for (uint32_t at = 0; (at = pool_next(&engine->allocations, at)) != POOL_NONE;)
        allocation_discard(engine, pool_index(&engine->allocations, at));
    park_drop_all(engine);
    pool_close(&engine->allocations);
    pool_close(&engine->permissions);
    pool_close(&engine->channels);
    pool_close(&engine->parked);
    pool_close(&engine->tcp_peers);
    table_close(&engine->by_flow);
    table_close(&engine->by_permission);
    table_close(&engine->by_number);
    table_close(&engine->by_peer);
    table_close(&engine->parked_by_flow);
    table_close(&engine->by_connection);
    bounds_close(&engine->bounds);
    peer_filter_close(&engine->filter);
    retransmit_free(engine->answers);
    crypto_free(engine->crypto);
    free(engine);
}
