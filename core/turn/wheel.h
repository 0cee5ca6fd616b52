/* wheel.h: a timing wheel of slots of a quarter of a second: allocations in which something expires, found without a walk over the others.
 *
 * An allocation is in the first slot after something of it expires, or in an earlier one: what lives longer than it did is
 * moved on when its slot comes up, not on every refresh. Slots are reused; an allocation that is due later waits
 * for the next round.
 */
#ifndef RELAY_TURN_WHEEL_H
#define RELAY_TURN_WHEEL_H

#include "turn/allocation.h"

#define WHEEL_SLOT_MS 250
#define WHEEL_SLOTS 16384 /* more than an hour: the longest lifetime by default */

struct wheel {
    struct chain slots[WHEEL_SLOTS];
    int64_t turned; /* slots up to this one, counted since time 0, have been looked at */
};

void wheel_init(struct wheel *);

/* wheel_put: look at the allocation (not in the wheel) when `due` has passed.  wheel_bring_forward: the same for one in the wheel, if it
 * would be looked at later. */
void wheel_put(struct wheel *, const struct pool *, struct allocation *, msec_t due);
void wheel_bring_forward(struct wheel *, const struct pool *, struct allocation *, msec_t due);
void wheel_remove(struct wheel *, const struct pool *, struct allocation *);

/* wheel_turn: the next allocation to look at at `now`, taken out of the wheel; NULL when there is none left. */
struct allocation *wheel_turn(struct wheel *, const struct pool *, msec_t now);

#endif
