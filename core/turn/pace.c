/* pace.c: buckets of the allocation, then rates of the ledger. */
#include "turn/pace.h"

#include <stdlib.h>

#define ONE_EACH 8 /* a bucket counts bytes, of 8 bits: what is counted by pieces is one each */

/* struct row: of a limit: its name, and whether it counts packets; else bits. */
static const struct row {
    const char *name;
    bool is_of_packets;
} rows[PACE_LIMITS] = {
    [PACE_BPS] = {"max_bps", false},
    [PACE_PPS] = {"max_pps", true},
    [PACE_ACTIVE] = {"max_active_woken", true},
    [PACE_USER_BPS] = {"max_user_bps", false},
    [PACE_TENANT_BPS] = {"tenant_bps", false},
    [PACE_TENANT_PPS] = {"tenant_pps", true},
    [PACE_SERVER_BPS] = {"bps-capacity", false},
};

const char *pace_name(enum pace_limit limit)
{
    return rows[limit].name;
}

static uint64_t shared_most(const struct rate_pair *pair)
{
    return pair ? atomic_load_explicit(&pair->most, memory_order_relaxed) : 0;
}

uint64_t pace_most(const struct pace *pace, enum pace_limit limit)
{
    if (limit >= PACE_SHARED)
        return shared_most(pace->shared[limit - PACE_SHARED]);
    return limit == PACE_BPS ? pace->bps : limit == PACE_PPS ? pace->pps : pace->active;
}

struct pace *pace_new(void)
{
    return calloc(1, sizeof(struct pace));
}

void pace_free(struct pace *pace)
{
    free(pace);
}

static uint64_t packets_rate(const struct pace *pace)
{
    return pace->pps * ONE_EACH;
}

static uint64_t peers_rate(const struct pace *pace)
{
    return (uint64_t)pace->new_peers * ONE_EACH;
}

void pace_fill(struct pace *pace, msec_t now)
{
    for (unsigned way = 0; way < 2; way++) {
        bucket_fill(&pace->bits[way], pace->bps, now);
        bucket_fill(&pace->packets[way], packets_rate(pace), now);
    }
    bucket_fill(&pace->peers, peers_rate(pace), now);
}

bool pace_peer(struct pace *pace, msec_t now)
{
    return !pace || bucket_take(&pace->peers, peers_rate(pace), 1, now);
}

void pace_give_peers(struct pace *pace, uint32_t count)
{
    if (pace)
        bucket_give(&pace->peers, peers_rate(pace), count);
}

static uint64_t amount_of(enum pace_limit limit, size_t bytes)
{
    return rows[limit].is_of_packets ? 1 : (uint64_t)bytes * 8;
}

static enum pace_limit take_own(struct pace *pace, unsigned way, size_t bytes, msec_t now)
{
    if (!bucket_take(&pace->bits[way], pace->bps, bytes, now))
        return PACE_BPS;
    if (bucket_take(&pace->packets[way], packets_rate(pace), 1, now))
        return PACE_LIMITS;
    bucket_give(&pace->bits[way], pace->bps, bytes);
    return PACE_PPS;
}

static void give_own(struct pace *pace, unsigned way, size_t bytes)
{
    bucket_give(&pace->bits[way], pace->bps, bytes);
    bucket_give(&pace->packets[way], packets_rate(pace), 1);
}

static enum pace_limit take_shared(const struct pace *pace, unsigned way, size_t bytes, msec_t now)
{
    uint64_t most[PACE_LIMITS];
    unsigned limit = PACE_SHARED;
    for (; limit < PACE_LIMITS; limit++) {
        struct rate_pair *pair = pace->shared[limit - PACE_SHARED];
        most[limit] = shared_most(pair);
        if (most[limit] && !rate_take(&pair->way[way], RATE_EACH_SECOND(most[limit]), amount_of(limit, bytes), now))
            break;
    }
    for (unsigned taken = PACE_SHARED; limit < PACE_LIMITS && taken < limit; taken++)
        if (most[taken])
            rate_give(&pace->shared[taken - PACE_SHARED]->way[way], RATE_EACH_SECOND(most[taken]), amount_of(taken, bytes));
    return limit;
}

enum pace_limit pace_take(struct pace *pace, unsigned way, size_t bytes, msec_t now)
{
    enum pace_limit limit = take_own(pace, way, bytes, now);
    if (limit != PACE_LIMITS)
        return limit;
    limit = take_shared(pace, way, bytes, now);
    if (limit != PACE_LIMITS)
        give_own(pace, way, bytes);
    return limit;
}

size_t pace_room(struct pace *pace, unsigned way, msec_t now)
{
    size_t room = bucket_room(&pace->bits[way], pace->bps, now);
    for (unsigned limit = PACE_SHARED; limit < PACE_LIMITS; limit++) {
        const struct rate_pair *pair = pace->shared[limit - PACE_SHARED];
        if (!pair || rows[limit].is_of_packets)
            continue;
        const uint64_t bits = rate_room(&pair->way[way], RATE_EACH_SECOND(shared_most(pair)), now);
        room = bits / 8 < room ? bits / 8 : room;
    }
    return room;
}

void pace_spend(struct pace *pace, unsigned way, size_t bytes, msec_t now)
{
    bucket_spend(&pace->bits[way], pace->bps, bytes, now);
    for (unsigned limit = PACE_SHARED; limit < PACE_LIMITS; limit++) {
        struct rate_pair *pair = pace->shared[limit - PACE_SHARED];
        if (pair && !rows[limit].is_of_packets)
            rate_spend(&pair->way[way], RATE_EACH_SECOND(shared_most(pair)), amount_of(limit, bytes), now);
    }
}
