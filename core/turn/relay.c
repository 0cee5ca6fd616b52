/* relay.c: the data path: ChannelData and Send to a peer, a peer's packets and its network's errors to the client. No malloc, lock, log,
 * policy or copy. */
#include "turn/channel.h"
#include "turn/mobility.h"
#include "turn/permission.h"
#include "turn/state.h"
#include "wire/build.h"
#include "wire/channel.h"

#include <string.h>

_Static_assert(ENGINE_HEADROOM >= BUILD_DATA_HEADROOM && ENGINE_HEADROOM >= CHANNEL_HEADER_LEN, "the largest header fits in front");
_Static_assert(ENGINE_TAILROOM >= 3, "padding fits behind");

struct send relay_drop(uint64_t *count)
{
    ++*count;
    return (struct send){0};
}

struct send relay_shut(struct engine *engine, const struct allocation *allocation)
{
    struct engine_counts *counts = &engine->counts;
    return relay_drop(allocation->group == GROUP_OPEN ? &counts->dropped_no_permission : &counts->dropped_not_in_group);
}

/* relay_slow: a packet is dropped because of a limit on how much may pass. */
static struct send relay_slow(struct engine *engine, struct allocation *allocation, enum pace_limit limit)
{
    tenancy_drop(allocation, limit);
    allocation_move(engine, allocation);
    return relay_drop(&engine->counts.paced[limit]);
}

/* relay_way: how a packet leaves: by the socket; or to the allocation that holds the address, as if it had come from the socket's. Between
 * two allocations it is always the same, so that no packet overtakes another. */
static struct send relay_way(struct engine *engine, const struct allocation *allocation, const struct destination *destination, int sock)
{
    if (!destination->holder.allocation.generation || engine->config->no_local_handover)
        return (struct send){.to = SEND_TO_PEER, .sock = sock, .peer = destination->to};
    engine->counts.handed_over[destination->holder.worker == engine->worker ? HANDOVER_SAME : HANDOVER_OTHER]++;
    const bool is_first = destination->to.family == allocation->relayed.family;
    return (struct send){
        .to = SEND_TO_HOLDER, .peer = is_first ? allocation->relayed : allocation->rare->other.local, .holder = destination->holder};
}

struct send relay_to_peer(struct engine *engine, struct allocation *allocation, struct channel *channel, const struct addr *peer,
                          struct view data, msec_t now)
{
    if (!permission_is_granted(engine, allocation, channel, peer, now))
        return relay_drop(&engine->counts.dropped_no_permission);
    const struct destination destination = peer_destination(&engine->filter, peer, allocation->group);
    if (destination.to.family == ADDR_NONE)
        return relay_shut(engine, allocation);
    const int sock = relayed_sock(allocation, destination.to.family);
    if (sock < 0) /* one of two relayed addresses was given back */
        return relay_drop(&engine->counts.dropped_no_permission);
    const enum pace_limit limit = tenancy_ask(engine, allocation, PACE_IN, data.len, now);
    if (limit != PACE_LIMITS)
        return relay_slow(engine, allocation, limit);
    allocation_count(engine, allocation, true, data.len);
    struct send send = relay_way(engine, allocation, &destination, sock);
    send.bytes = data;
    send.is_relayed = true;
    return send;
}

struct send relay_hand_over(struct engine *engine, const struct send *sent, struct packet in, msec_t now)
{
    const struct packet payload = {in.at + (sent->bytes.at - in.at), sent->bytes.len, sent->mark};
    return engine_from_peer(engine, sent->holder.allocation, &sent->peer, payload, now);
}

struct send relay_channel_data(struct engine *engine, const struct flow *flow, struct view in, msec_t now)
{
    uint16_t number;
    struct view data;
    if (channel_open(in, &number, &data) != 0)
        return relay_drop(&engine->counts.dropped_malformed);
    struct allocation *allocation = allocation_find(engine, flow);
    if (!allocation || allocation->expires <= now)
        return relay_drop(&engine->counts.dropped_no_permission);
    mobility_seen(engine, allocation, flow);
    struct channel *channel = channel_numbered(engine, allocation, number, now);
    if (!channel)
        return relay_drop(&engine->counts.dropped_no_permission);
    struct send send = relay_to_peer(engine, allocation, channel, &channel->peer, data, now);
    send.mark = flow->mark;
    return send;
}

void relay_tid(struct engine *engine, uint8_t tid[STUN_TID_LEN])
{
    const uint64_t count = ++engine->indications, id = table_digest(&engine->config->hash_key, view_of(&count, sizeof count));
    put_u64(tid, id);
    put_u32(tid + 8, (uint32_t)count);
}

static struct view relay_frame(struct engine *engine, const struct allocation *allocation, const struct channel *channel,
                               const struct addr *peer, struct packet in)
{
    if (channel)
        return channel_around(in.at, in.len, channel->number, flow_is_stream(&allocation->flow));
    uint8_t tid[STUN_TID_LEN];
    relay_tid(engine, tid);
    return build_data_around(in.at, in.len, peer, tid);
}

struct send engine_from_peer(struct engine *engine, struct handle owner, const struct addr *from, struct packet in, msec_t now)
{
    struct allocation *allocation = pool_at(&engine->allocations, owner);
    if (!allocation || allocation->expires <= now || allocation->is_adrift)
        return (struct send){0};
    const struct addr peer = peer_source(&engine->filter, from, allocation->group);
    if (peer.family == ADDR_NONE)
        return relay_shut(engine, allocation);
    struct channel *channel = channel_to(engine, allocation, &peer, now);
    if (!permission_is_granted(engine, allocation, channel, &peer, now))
        return relay_drop(&engine->counts.dropped_no_permission);
    const enum pace_limit limit = tenancy_ask(engine, allocation, PACE_OUT, in.len, now);
    if (limit != PACE_LIMITS)
        return relay_slow(engine, allocation, limit);
    const struct view bytes = relay_frame(engine, allocation, channel, &peer, in);
    if (bytes.len == 0)
        return relay_drop(&engine->counts.dropped_malformed);
    allocation_count(engine, allocation, false, in.len);
    return (struct send){.to = SEND_TO_CLIENT, .bytes = bytes, .is_relayed = true, .flow = &allocation->flow, .mark = in.mark};
}

/* What is told, RFC 8656 section 11.5: ICMP's destination unreachable and time exceeded; ICMPv6's, and packet too big. */
static bool relay_tells(const struct peer_error *error)
{
    if (error->peer.family == ADDR_IPV4)
        return error->type == 3 || error->type == 11;
    return error->type >= 1 && error->type <= 3;
}

static bool relay_is_too_big(const struct peer_error *error)
{
    return error->peer.family == ADDR_IPV4 ? error->type == 3 && error->code == 4 : error->type == 2;
}

struct send engine_peer_error(struct engine *engine, struct handle owner, const struct peer_error *error, msec_t now)
{
    struct allocation *allocation = pool_at(&engine->allocations, owner);
    if (!allocation || allocation->expires <= now || allocation->is_adrift || !relay_tells(error))
        return (struct send){0};
    const struct addr peer = peer_source(&engine->filter, &error->peer, allocation->group);
    if (peer.family == ADDR_NONE)
        return relay_shut(engine, allocation);
    if (!permission_find(engine, allocation, &peer, now))
        return relay_drop(&engine->counts.dropped_no_permission);
    if (!bucket_take(&allocation->errors, PEER_ERRORS_BPS, 1, now))
        return relay_drop(&engine->counts.paced[PACE_BPS]);
    uint8_t tid[STUN_TID_LEN];
    struct build build;
    relay_tid(engine, tid);
    build_begin(&build, slab_over(engine->reply, sizeof engine->reply), METHOD_DATA, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, &peer);
    build_icmp(&build, error->type, error->code, relay_is_too_big(error) ? error->data : 0);
    return (struct send){.to = SEND_TO_CLIENT, .bytes = build_end(&build), .flow = &allocation->flow};
}
