/* limiter.h: relay.ratelimit: the generic cell rate algorithm over a fixed table of 64-bit words: a take is one compare-and-swap.
 *
 * A word is a tag of the key (20 bits) and the time until which the key has used up its rate (44 bits, units of 10 us since the limiter was
 * made). A word whose time is past is free. When the eight words of a key's line are all in use by others, the one that is free soonest is
 * taken over.
 */
#ifndef RELAY_POLICY_LIMITER_H
#define RELAY_POLICY_LIMITER_H

#include "base/clock.h"
#include "base/table.h"

struct limiter;

/* limiter_new: `interval_s` seconds for one unit, `burst` units at once. NULL without memory. */
struct limiter *limiter_new(const struct hash_key *, double interval_s, uint32_t burst, msec_t now);
void limiter_free(struct limiter *);

/* limiter_take: `n` units for `key` at `now`; false if that is too much now, and then *wait_s says when it would not be. */
bool limiter_take(struct limiter *, struct view key, double n, msec_t now, double *wait_s);

/* limiter_burst: so many units pass at once. */
uint32_t limiter_burst(const struct limiter *);

#endif
