/* indication_send.c: a Send indication, RFC 8656 section 11.2: never answered, dropped unless everything is in order. */
#include "turn/state.h"
#include "wire/attr.h"

struct send indication_send(struct engine *engine, const struct flow *flow, const struct message *message, msec_t now)
{
    struct addr peer;
    if (message->unknown_count || !message_has(message, SLOT_DATA) || attr_xor_addr(message, SLOT_XOR_PEER_ADDRESS, &peer) != 0) {
        engine->counts.dropped_malformed++;
        return (struct send){0};
    }
    struct allocation *allocation = allocation_find(engine, flow);
    if (!allocation || allocation->expires <= now) {
        engine->counts.dropped_no_permission++;
        return (struct send){0};
    }
    const struct addr name = peer_name(&engine->filter, &peer);
    struct send send = relay_to_peer(engine, allocation, &name, message_attr(message, SLOT_DATA), now);
    send.dont_fragment = message_has(message, SLOT_DONT_FRAGMENT);
    return send;
}
