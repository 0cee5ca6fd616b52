/* pace.h: how much an allocation may relay a second, in each direction: by its own limits, and by those that it shares with others.
 *
 * A packet passes all limits or none: what it took of one is given back when another says no. Of a stream nothing can be dropped: there it
 * is asked how much may be read, and packets do not count. An allocation without a limit has none of this: NULL.
 */
#ifndef RELAY_TURN_PACE_H
#define RELAY_TURN_PACE_H

#include "ledger/rate.h"
#include "turn/bucket.h"

#include <stdint.h>

/* enum pace_limit: the first are the allocation's own, those from PACE_SHARED on are shared between workers. PACE_ACTIVE: the tenant has as many active
 * allocations as it may: whoever calls pace_take looks at that before. */
enum pace_limit { PACE_BPS, PACE_PPS, PACE_ACTIVE, PACE_USER_BPS, PACE_TENANT_BPS, PACE_TENANT_PPS, PACE_SERVER_BPS, PACE_LIMITS };
#define PACE_SHARED PACE_USER_BPS
#define PACE_IN 0  /* from the client */
#define PACE_OUT 1 /* to the client */

struct pace {
    uint64_t bps, pps; /* 0: no limit */
    uint32_t new_peers;
    uint64_t active; /* of the tenant: so many may be active; 0: any */
    struct bucket bits[2], packets[2], peers;
    struct rate_pair *shared[PACE_LIMITS - PACE_SHARED]; /* of the ledger; NULL: no limit */
    uint64_t dropped[PACE_LIMITS];                       /* packets, by the limit that said no */
    uint64_t told_dropped[PACE_LIMITS];                  /* what `dropped` was when it was last told */
    msec_t told;                                         /* 0: never */
};

/* pace_new: without limits; NULL without memory.  pace_fill: all of its own is there at `now`. */
struct pace *pace_new(void);
void pace_free(struct pace *);
void pace_fill(struct pace *, msec_t now);

/* pace_peer: whether there may be a new peer at `now`; takes it if so.  pace_give_peers: so many were none. NULL: there is no limit. */
bool pace_peer(struct pace *, msec_t now);
void pace_give_peers(struct pace *, uint32_t count);

/* pace_take: whether a packet may pass: PACE_LIMITS, or the limit that says no. */
enum pace_limit pace_take(struct pace *, unsigned way, size_t bytes, msec_t now);

/* pace_room: how many bytes of a stream may be read.  pace_spend: so many were. */
size_t pace_room(struct pace *, unsigned way, msec_t now);
void pace_spend(struct pace *, unsigned way, size_t bytes, msec_t now);

/* pace_name: the `reason` of what was dropped: "max_bps".  pace_most: how much may pass, in bits or packets a second. */
const char *pace_name(enum pace_limit);
uint64_t pace_most(const struct pace *, enum pace_limit);

#endif
