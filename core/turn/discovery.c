/* discovery.c: NAT behaviour discovery. */
#include "turn/discovery.h"

#include "base/err.h"
#include "wire/attr.h"

/* origins_of: NULL: the usage is off. */
static const struct origins *origins_of(const struct transaction *tr)
{
    const struct origins *origins = tr->engine->config->origins;
    return origins ? &origins[tr->flow->listener] : NULL;
}

const struct addr *discovery_other(const struct transaction *tr)
{
    const struct origins *origins = origins_of(tr);
    return origins && origins->at[ORIGIN_BOTH].local.family ? &origins->at[ORIGIN_BOTH].shown : NULL;
}

/* Clients of RFC 3489 send CHANGE-REQUEST when they ask for nothing, too. */
static bool is_idle_change(const struct transaction *tr)
{
    uint32_t flags;
    return tr->message.is_classic && attr_u32(&tr->message, SLOT_CHANGE_REQUEST, &flags) == 0 && !flags;
}

bool discovery_understands(const struct transaction *tr, enum attr_slot slot)
{
    if (tr->message.method != METHOD_BINDING)
        return false;
    if (slot == SLOT_CHANGE_REQUEST)
        return discovery_other(tr) || is_idle_change(tr);
    return origins_of(tr) && !tr->message.is_classic;
}

int discovery_read(struct transaction *tr)
{
    const struct message *message = &tr->message;
    if (!message_has(message, SLOT_CHANGE_REQUEST) && !message_has(message, SLOT_RESPONSE_PORT) && !message_has(message, SLOT_PADDING))
        return 0;
    const struct view padding = message_attr(message, SLOT_PADDING);
    uint32_t flags = 0;
    uint16_t port = 0;
    const int change_err = attr_u32(message, SLOT_CHANGE_REQUEST, &flags), port_err = attr_port(message, SLOT_RESPONSE_PORT, &port);
    if (change_err == ERR_BAD || port_err == ERR_BAD || (port_err == 0 && port == 0))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "malformed");
    if (port && padding.at)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "padding toward another port");
    tr->answer.origin = (uint8_t)((flags & STUN_CHANGE_PORT ? ORIGIN_PORT : 0) | (flags & STUN_CHANGE_IP ? ORIGIN_IP : 0));
    tr->answer.port = port;
    tr->answer.has_padding = padding.at;
    tr->answer.padding = (uint16_t)(padding.len < DISCOVERY_PADDING_MAX ? padding.len : DISCOVERY_PADDING_MAX);
    if ((discovery_moves(tr) || padding.at) && tr->flow->transport != TRANSPORT_UDP)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "for UDP alone");
    return 0;
}

struct addr discovery_origin(const struct transaction *tr)
{
    const struct origins *origins = origins_of(tr);
    return origins ? origins->at[tr->answer.origin].shown : tr->flow->server;
}

bool discovery_moves(const struct transaction *tr)
{
    return tr->answer.origin || tr->answer.port;
}

void discovery_route(const struct transaction *tr, struct flow *flow)
{
    if (tr->answer.port)
        flow->client.port = tr->answer.port;
    if (tr->answer.origin) {
        const struct origin *origin = &origins_of(tr)->at[tr->answer.origin];
        flow->server = origin->local;
        flow->listener = origin->listener;
    }
}
