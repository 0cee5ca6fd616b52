/* indication_send.c: a Send indication, RFC 8656 section 11.2: never answered, dropped unless everything is in order. */
#include "turn/mobility.h"
#include "wire/attr.h"

/* keeps_whole: RFC 8656 section 13: DONT-FRAGMENT is for IPv4 on both sides, as section 14 has it, and for what came over TCP, by section 15. */
static bool keeps_whole(const struct flow *flow, const struct send *send)
{
    return flow_is_stream(flow) || (flow->client.family == ADDR_IPV4 && send->peer.family == ADDR_IPV4);
}

struct send indication_send(struct engine *engine, const struct flow *flow, const struct message *message, msec_t now)
{
    struct addr peer;
    if (message->unknown_count || !message_has(message, SLOT_DATA) || attr_xor_addr(message, SLOT_XOR_PEER_ADDRESS, &peer) != 0) {
        engine->counts.dropped_malformed++;
        return (struct send){0};
    }
    struct allocation *allocation = allocation_find(engine, flow);
    if (!allocation || allocation->expires <= now || allocation->protocol != PROTOCOL_UDP) {
        engine->counts.dropped_no_permission++;
        return (struct send){0};
    }
    mobility_seen(engine, allocation, flow);
    const struct addr name = peer_name(&engine->filter, &peer);
    struct send send = relay_to_peer(engine, allocation, NULL, &name, message_attr(message, SLOT_DATA), now);
    send.dont_fragment = message_has(message, SLOT_DONT_FRAGMENT) && keeps_whole(flow, &send);
    send.mark = flow->mark;
    return send;
}
