/* rate.h: a rate that several workers spend from together: one atomic word, no lock.
 *
 * A token bucket: what may be spent in a period is there at once, and comes back evenly. It is kept as the moment until which it is spent
 * (GCRA), rounded against the spender, who is forgiven 4 us: over any span t no more than (period + t) / period * most passes, but for one amount that is larger
 * than the whole bucket, which passes when the bucket is full and leaves a debt. Zeroed it is full.
 */
#ifndef RELAY_LEDGER_RATE_H
#define RELAY_LEDGER_RATE_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>

struct rate {
    _Atomic int64_t spent_until; /* in parts of a millisecond, on the clock of `now` */
};

/* struct rate_limit: `most` in each `period_ms`; 0: no limit. */
struct rate_limit {
    uint64_t most;
    uint32_t period_ms;
};

#define RATE_EACH_SECOND(number) ((struct rate_limit){(number), 1000})

/* rate_take: whether `amount` (below 2^32) may pass; takes it if so.  rate_give: gives back what was taken and not used. */
bool rate_take(struct rate *, struct rate_limit, uint64_t amount, msec_t now);
void rate_give(struct rate *, struct rate_limit, uint64_t amount);

/* Of a stream nothing can be dropped: rate_room says how much may be taken now, rate_spend takes what was, even into debt. */
uint64_t rate_room(const struct rate *, struct rate_limit, msec_t now);
void rate_spend(struct rate *, struct rate_limit, uint64_t amount, msec_t now);

/* struct rate_pair: of both directions, with a limit of so many a second that may be changed at any time. */
struct rate_pair {
    _Atomic uint64_t most; /* 0: none */
    struct rate way[2];
};

#endif
