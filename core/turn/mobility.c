/* mobility.c: tickets, and the moves that they allow. */
#include "turn/mobility.h"

#include <stdlib.h>
#include <string.h>

#define BODY_LEN 12
#define RAW_LEN (2 * BODY_LEN) /* a multiple of 3: base64 without padding */
#define SERIAL_MASK 0xffffffu

enum part { PART_MAC, PART_PAD };

struct claim { /* what a ticket says */
    unsigned worker;
    struct handle allocation;
    uint32_t serial;
};

/* ---- tickets ---- */

static int part_of(struct engine *engine, enum part part, const uint8_t in[BODY_LEN], uint8_t out[CRYPTO_HASH_MAX])
{
    const uint8_t label = (uint8_t)part;
    const struct view parts[] = {view_of(&label, 1), view_of(in, BODY_LEN)};
    const struct view key = view_of(engine->config->mobility_key, sizeof engine->config->mobility_key);
    return crypto_hmac(engine->crypto, CRYPTO_SHA256, key, parts, 2, out);
}

static void cover(uint8_t body[BODY_LEN], const uint8_t *pad)
{
    for (size_t i = 0; i < BODY_LEN; i++)
        body[i] ^= pad[i];
}

static int ticket_make(struct engine *engine, const struct allocation *allocation, char ticket[TICKET_TEXT_LEN + 1])
{
    uint8_t raw[RAW_LEN], hash[CRYPTO_HASH_MAX];
    put_u32(raw + 8, allocation->rare->serial); /* its first byte is written over */
    put_u32(raw + 5, allocation->self.generation);
    put_u32(raw + 1, allocation->self.index);
    raw[0] = (uint8_t)engine->worker;
    int err = part_of(engine, PART_MAC, raw, hash);
    memcpy(raw + BODY_LEN, hash, BODY_LEN);
    if (!err)
        err = part_of(engine, PART_PAD, raw + BODY_LEN, hash);
    cover(raw, hash);
    if (!err)
        crypto_base64(view_of(raw, RAW_LEN), ticket);
    return err;
}

static bool ticket_open(struct engine *engine, struct view ticket, struct claim *claim)
{
    uint8_t raw[RAW_LEN], hash[CRYPTO_HASH_MAX];
    size_t len;
    if (ticket.len != TICKET_TEXT_LEN || crypto_base64_decode(ticket, raw, sizeof raw, &len) != 0 || len != sizeof raw)
        return false;
    if (part_of(engine, PART_PAD, raw + BODY_LEN, hash) != 0)
        return false;
    cover(raw, hash);
    if (part_of(engine, PART_MAC, raw, hash) != 0 || !crypto_equal(view_of(hash, BODY_LEN), view_of(raw + BODY_LEN, BODY_LEN)))
        return false;
    *claim = (struct claim){raw[0], {get_u32(raw + 1), get_u32(raw + 5)}, get_u32(raw + 8) & SERIAL_MASK};
    return true;
}

void mobility_give(struct transaction *tr)
{
    if (ticket_make(tr->engine, tr->allocation, tr->answer.ticket) != 0)
        tr->answer.ticket[0] = 0;
}

/* ---- from one 5-tuple to another ---- */

static void hold(const struct engine *engine, const struct flow *flow, bool holds)
{
    engine->host->hold(engine->host->ctx, flow, holds);
}

static void let_go(struct engine *engine, const struct allocation *allocation, const struct flow *flow)
{
    table_drop(&engine->by_flow, engine_hash(engine, flow, FLOW_KEY_LEN), allocation->self.index);
    hold(engine, flow, false);
}

void mobility_arrive(struct engine *engine, struct allocation *allocation)
{
    if (!allocation->is_adrift)
        let_go(engine, allocation, &allocation->flow);
    allocation->flow = *allocation->next;
    allocation->is_adrift = false;
    free(allocation->next);
    allocation->next = NULL;
}

static void forget_next(struct engine *engine, struct allocation *allocation)
{
    if (!allocation->next)
        return;
    let_go(engine, allocation, allocation->next);
    free(allocation->next);
    allocation->next = NULL;
}

static int move(struct engine *engine, struct allocation *allocation, const struct flow *flow)
{
    struct flow *next = malloc(sizeof *next);
    if (!next || table_put(&engine->by_flow, engine_hash(engine, flow, FLOW_KEY_LEN), allocation->self.index) != 0) {
        free(next);
        return STUN_CAPACITY;
    }
    forget_next(engine, allocation);
    *next = *flow;
    next->sni = allocation->flow.sni; /* the allocation's own */
    next->alpn = allocation->flow.alpn;
    allocation->next = next;
    allocation->rare->serial++;
    hold(engine, flow, true);
    if (allocation->is_adrift)
        mobility_arrive(engine, allocation);
    return 0;
}

bool mobility_leave(struct engine *engine, struct allocation *allocation, const struct flow *flow)
{
    if (allocation->next && flow_equal(allocation->next, flow)) {
        forget_next(engine, allocation);
    } else if (allocation->next) {
        mobility_arrive(engine, allocation);
    } else if (allocation->is_mobile) {
        let_go(engine, allocation, flow);
        allocation->is_adrift = true;
    }
    return allocation->is_mobile;
}

/* ---- requests ---- */

int mobility_refusal(struct transaction *tr)
{
    const bool is_allocate = tr->message.method == METHOD_ALLOCATE;
    if (!message_has(&tr->message, SLOT_MOBILITY_TICKET) || (!is_allocate && tr->message.method != METHOD_REFRESH))
        return 0;
    if (!tr->engine->config->mobility || tr->flow->transport == TRANSPORT_DTLS)
        return transaction_refuse(tr, STUN_MOBILITY_FORBIDDEN, "mobility");
    if ((message_attr(&tr->message, SLOT_MOBILITY_TICKET).len == 0) != is_allocate)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "mobility_ticket");
    return 0;
}

static bool claim_of(struct transaction *tr, struct claim *claim)
{
    return tr->engine->config->mobility && tr->flow->transport != TRANSPORT_DTLS && tr->message.method == METHOD_REFRESH &&
           ticket_open(tr->engine, message_attr(&tr->message, SLOT_MOBILITY_TICKET), claim);
}

bool mobility_find(struct transaction *tr, unsigned *worker)
{
    struct claim claim;
    if (tr->allocation || !claim_of(tr, &claim))
        return true;
    *worker = claim.worker;
    if (claim.worker != tr->engine->worker)
        return false;
    struct allocation *allocation = pool_at(&tr->engine->allocations, claim.allocation);
    if (!allocation || !allocation->is_mobile || allocation->expires <= tr->now || (allocation->rare->serial & SERIAL_MASK) != claim.serial)
        return true;
    tr->allocation = allocation;
    tr->is_moving = true;
    return true;
}

/* is_repeated: the ticket, or the one before it, of the allocation that the 5-tuple has already. */
static bool is_repeated(struct transaction *tr)
{
    struct claim claim;
    const struct allocation *allocation = tr->allocation;
    return allocation->is_mobile && claim_of(tr, &claim) && claim.worker == tr->engine->worker && claim.allocation.index == allocation->self.index &&
           claim.allocation.generation == allocation->self.generation && ((allocation->rare->serial - claim.serial) & SERIAL_MASK) <= 1;
}

int mobility_grant(struct transaction *tr)
{
    if (!message_has(&tr->message, SLOT_MOBILITY_TICKET))
        return 0;
    if (!tr->is_moving && !is_repeated(tr))
        return transaction_refuse(tr, STUN_MISMATCH, "5-tuple in use");
    if (tr->allocation->protocol == PROTOCOL_TCP && !flow_is_stream(tr->flow)) /* RFC 6062 section 4.1 */
        return transaction_refuse(tr, STUN_MOBILITY_FORBIDDEN, "mobility");
    const int code = tr->is_moving ? move(tr->engine, tr->allocation, tr->flow) : 0;
    if (code)
        return transaction_refuse(tr, code, "out_of_memory");
    mobility_give(tr);
    return 0;
}
