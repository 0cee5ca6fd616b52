/* bounds.h: the limits of allocations, kept once for all that have the same: a policy gives most of its allocations the same ones.
 *
 * Of one engine. What is taken is constant and lives until it was given as often as it was taken.
 */
#ifndef RELAY_TURN_BOUNDS_H
#define RELAY_TURN_BOUNDS_H

#include "base/pool.h"
#include "base/table.h"
#include "turn/verdict.h"

struct bounds {
    struct pool kept;
    struct table by_hash;
    struct hash_key key;
};

void bounds_init(struct bounds *, const struct hash_key *);
void bounds_close(struct bounds *);

/* bounds_take: limits equal to these, or NULL without memory.  bounds_give: NULL is fine. */
const struct limits *bounds_take(struct bounds *, const struct limits *);
void bounds_give(struct bounds *, const struct limits *);

#endif
