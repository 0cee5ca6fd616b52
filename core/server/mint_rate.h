/* mint_rate.h: how often something is done in the name of somebody: a rate for each name, in a table of fixed size.
 *
 * A name that did nothing for a second is as if it had never been there, and gives its place up first. If more names than there are places are busy within a
 * second, one of them begins anew: it gets more than its rate, nobody less.
 */
#ifndef RELAY_SERVER_MINT_RATE_H
#define RELAY_SERVER_MINT_RATE_H

#include "base/bytes.h"
#include "base/clock.h"

#define MINT_RATE_PLACES 4096

struct mint_rates;

struct mint_rates *mint_rates_new(void); /* NULL without memory */
void mint_rates_free(struct mint_rates *);

/* mint_rates_take: whether the name may once more, of so many in a second, all of which may come at once; 0: no limit. */
bool mint_rates_take(struct mint_rates *, struct view name, uint64_t most, msec_t now);

#endif
