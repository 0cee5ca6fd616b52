/* park.c: requests that wait for the policy. */
#include "turn/park.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static uint64_t park_hash(const struct engine *engine, const struct flow *flow)
{
    return engine_hash(engine, flow, FLOW_KEY_LEN);
}

static struct chain_of park_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->parked, offsetof(struct parked, links)};
}

void park_forget(struct engine *engine, struct ticket ticket)
{
    if (pool_at(&engine->parked, ticket.parked))
        pool_give(&engine->parked, ticket.parked.index);
}

static const char *park_text(char **to, const char *text)
{
    const size_t len = strlen(text) + 1;
    char *at = *to;
    memcpy(at, text, len);
    *to += len;
    return at;
}

static struct parked_request *park_new(const struct transaction *tr)
{
    const size_t len = tr->message.bytes.len;
    struct parked_request *copy = malloc(sizeof *copy + len + strlen(tr->flow->sni) + strlen(tr->flow->alpn) + 2);
    if (!copy)
        return NULL;
    char *to = (char *)(copy + 1);
    memcpy(to, tr->message.bytes.at, len);
    copy->bytes = view_of(to, len);
    to += len;
    copy->flow = *tr->flow;
    copy->flow.sni = park_text(&to, tr->flow->sni);
    copy->flow.alpn = park_text(&to, tr->flow->alpn);
    copy->decision = tr->decision;
    return copy;
}

struct parked_request *park_copy(struct transaction *tr)
{
    struct parked_request *copy = tr->copy ? tr->copy : park_new(tr);
    tr->copy = NULL;
    if (!copy)
        return NULL;
    copy->identity = tr->identity;
    copy->is_authentic = tr->is_authentic;
    return copy;
}

static uint32_t park_count(const struct engine *engine, const struct flow *flow)
{
    struct table_cursor cursor;
    uint32_t count = 0, at = table_first(&engine->parked_by_flow, park_hash(engine, flow), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->parked_by_flow, &cursor))
        count++;
    return count;
}

/* park_of_tenant: how many of the tenant wait, and of the few others whose name has the same hash. */
static uint32_t *park_of_tenant(struct engine *engine, const struct identity *who)
{
    const char *name = who->tenant[0] ? who->tenant : who->realm;
    return &engine->parked_of[engine_hash(engine, name, strlen(name)) & (PARKED_TENANTS - 1)];
}

static bool park_has_room(struct engine *engine, const struct transaction *tr)
{
    const uint32_t most = engine->config->max_parked_each;
    if (most && *park_of_tenant(engine, &tr->identity) >= most)
        return false;
    return engine->parked_by_flow.count == 0 || park_count(engine, tr->flow) < PARK_PER_FLOW;
}

struct ticket park_ticket(const struct transaction *tr)
{
    struct ticket ticket = {0};
    if (park_has_room(tr->engine, tr))
        pool_take(&tr->engine->parked, &ticket.parked);
    return ticket;
}

static int park_link(struct engine *engine, struct parked_request *copy, struct ticket ticket, msec_t now)
{
    if (!copy || table_put(&engine->parked_by_flow, park_hash(engine, &copy->flow), ticket.parked.index) != 0)
        return ERR_MEMORY;
    struct parked *parked = pool_at(&engine->parked, ticket.parked);
    parked->request = copy;
    parked->deadline = now + engine->config->park_deadline_ms;
    ++*park_of_tenant(engine, &copy->identity);
    chain_append(park_chain(engine), &engine->parked_order, ticket.parked.index);
    return 0;
}

int park_keep(struct transaction *tr, struct ticket ticket, enum hook hook)
{
    struct parked_request *copy = park_copy(tr);
    const int err = park_link(tr->engine, copy, ticket, tr->now);
    if (err) {
        tr->copy = copy; /* freed with the transaction */
        park_forget(tr->engine, ticket);
        return err;
    }
    copy->hook = hook;
    return 0;
}

bool park_has(const struct engine *engine, const struct flow *flow, const struct message *message)
{
    if (engine->parked_by_flow.count == 0)
        return false;
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->parked_by_flow, park_hash(engine, flow), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->parked_by_flow, &cursor)) {
        const struct parked_request *request = ((const struct parked *)pool_index(&engine->parked, at))->request;
        if (memcmp(&request->flow, flow, FLOW_KEY_LEN) == 0 && memcmp(request->bytes.at, message->bytes.at, 2) == 0 &&
            memcmp(request->bytes.at + STUN_HEADER_LEN - STUN_TID_LEN, message->tid, STUN_TID_LEN) == 0)
            return true;
    }
    return false;
}

struct parked_request *park_take(struct engine *engine, struct ticket ticket)
{
    const struct parked *parked = pool_at(&engine->parked, ticket.parked);
    if (!parked || !parked->request)
        return NULL;
    struct parked_request *request = parked->request;
    table_drop(&engine->parked_by_flow, park_hash(engine, &request->flow), ticket.parked.index);
    chain_remove(park_chain(engine), &engine->parked_order, ticket.parked.index);
    pool_give(&engine->parked, ticket.parked.index);
    --*park_of_tenant(engine, &request->identity);
    return request;
}

struct ticket park_overdue(const struct engine *engine, msec_t now)
{
    const struct parked *first = pool_index(&engine->parked, engine->parked_order.first);
    if (!first || first->deadline > now)
        return (struct ticket){0};
    return (struct ticket){pool_handle(&engine->parked, engine->parked_order.first)};
}

void park_free(struct parked_request *request)
{
    if (request)
        crypto_wipe(&request->identity.key, sizeof request->identity.key);
    free(request);
}

void park_drop_flow(struct engine *engine, const struct flow *flow)
{
    const uint64_t hash = park_hash(engine, flow);
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->parked_by_flow, hash, &cursor);
    while (at != TABLE_NONE) {
        const struct parked *parked = pool_index(&engine->parked, at);
        if (memcmp(&parked->request->flow, flow, FLOW_KEY_LEN) != 0) {
            at = table_next(&engine->parked_by_flow, &cursor);
            continue;
        }
        const struct ticket ticket = {pool_handle(&engine->parked, at)};
        park_free(park_take(engine, ticket));
        engine_forget(engine, ticket);
        at = table_first(&engine->parked_by_flow, hash, &cursor); /* the table has moved */
    }
}

void park_drop_all(struct engine *engine)
{
    while (engine->parked_order.first != POOL_NONE)
        park_free(park_take(engine, (struct ticket){pool_handle(&engine->parked, engine->parked_order.first)}));
}
