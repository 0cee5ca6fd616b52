/* rate.c: GCRA in parts of a millisecond. */
#include "ledger/rate.h"

#include <assert.h>

#define PARTS INT64_C(1048576) /* of a millisecond */
#define SLACK INT64_C(4096)    /* what rounding may add up to: 4 us */

static int64_t span_of(struct rate_limit limit)
{
    return (int64_t)limit.period_ms * PARTS;
}

/* cost_of: rounded up, so that what is spent is never less than what was taken. */
static int64_t cost_of(struct rate_limit limit, uint64_t amount)
{
    assert(amount >> 32 == 0);
    const uint64_t parts = amount * limit.period_ms;
    if (parts < UINT64_MAX / 4 / PARTS)
        return (int64_t)((parts * PARTS + limit.most - 1) / limit.most);
    return (int64_t)(parts / limit.most + 1) * PARTS; /* of a long period: a millisecond is fine enough */
}

static int64_t busy_until(int64_t spent_until, int64_t here)
{
    return spent_until > here ? spent_until : here;
}

bool rate_take(struct rate *rate, struct rate_limit limit, uint64_t amount, msec_t now)
{
    if (limit.most == 0)
        return true;
    const int64_t cost = cost_of(limit, amount), here = now * PARTS, end = here + span_of(limit);
    int64_t spent = atomic_load_explicit(&rate->spent_until, memory_order_relaxed), next;
    do {
        next = busy_until(spent, here) + cost;
        if (next > end + SLACK && spent > here)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&rate->spent_until, &spent, next, memory_order_relaxed, memory_order_relaxed));
    return true;
}

void rate_give(struct rate *rate, struct rate_limit limit, uint64_t amount)
{
    if (limit.most)
        atomic_fetch_sub_explicit(&rate->spent_until, cost_of(limit, amount), memory_order_relaxed);
}

uint64_t rate_room(const struct rate *rate, struct rate_limit limit, msec_t now)
{
    if (limit.most == 0)
        return UINT64_MAX;
    const int64_t here = now * PARTS, end = here + span_of(limit);
    const int64_t left = end - busy_until(atomic_load_explicit(&rate->spent_until, memory_order_relaxed), here);
    return left > 0 ? (uint64_t)((double)left * (double)limit.most / (double)span_of(limit)) : 0;
}

void rate_spend(struct rate *rate, struct rate_limit limit, uint64_t amount, msec_t now)
{
    if (limit.most == 0)
        return;
    const int64_t cost = cost_of(limit, amount), here = now * PARTS;
    int64_t spent = atomic_load_explicit(&rate->spent_until, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&rate->spent_until, &spent, busy_until(spent, here) + cost, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}
