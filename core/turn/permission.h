/* permission.h: which peer addresses an allocation may exchange data with, RFC 8656 section 9: an IP address and a time to expire.
 *
 * All permissions live equally long, so an allocation's list is in the order in which they expire, and every operation is O(1). Exact to
 * the millisecond: what has expired is not found, whether it was reaped or not.
 */
#ifndef RELAY_TURN_PERMISSION_H
#define RELAY_TURN_PERMISSION_H

#include "turn/allocation.h"

struct channel;
struct engine;

struct permission {
    msec_t expires;
    struct addr peer; /* port 0 */
    uint32_t index, allocation; /* in their pools: its own, its allocation's */
    struct links links;
    bool is_told; /* that it was granted: not before the whole request was */
};

/* permission_find: live at `now`, or NULL. For every packet. */
struct permission *permission_find(const struct engine *, const struct allocation *, const struct addr *peer, msec_t now);

/* permission_is_granted: whether the peer may be sent to and heard. Through `channel`, which is bound to it (NULL: none is), nothing is looked for
 * as long as the permission that was found last is there. For every packet. */
bool permission_is_granted(const struct engine *, const struct allocation *, struct channel *channel, const struct addr *peer, msec_t now);

/* permission_add: a new one for an address that has none. ERR_RANGE at the allocation's limit, ERR_MEMORY. Reap first. */
int permission_add(struct engine *, struct allocation *, const struct addr *peer, msec_t now);
void permission_refresh(struct engine *, struct allocation *, struct permission *, msec_t now);

/* permission_drop_last: takes back the newest `count`.  permission_reap: drops what has expired at `now`. */
void permission_drop_last(struct engine *, struct allocation *, uint32_t count);
void permission_reap(struct engine *, struct allocation *, msec_t now);

#endif
