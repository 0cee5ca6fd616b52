/* channel.h: channel bindings of an allocation, RFC 8656 section 12: a number, a peer's transport address, a time to expire.
 *
 * Found by number and by peer, each in O(1); listed in the order in which they expire, as all live equally long. A binding ends exactly
 * when it expires: that a number or peer is not bound differently for 5 minutes after that is the client's duty (section 12), the server
 * binds anew at once.
 */
#ifndef RELAY_TURN_CHANNEL_H
#define RELAY_TURN_CHANNEL_H

#include "turn/allocation.h"

struct engine;

struct channel {
    msec_t expires;
    struct addr peer;
    uint16_t number;
    uint32_t index, allocation; /* in their pools: its own, its allocation's */
    struct links links;
    struct handle permission; /* for its peer, when it was last looked for; see permission_is_granted */
};

/* channel_numbered, channel_to: live at `now`, or NULL. For every packet. */
struct channel *channel_numbered(const struct engine *, const struct allocation *, uint16_t number, msec_t now);
struct channel *channel_to(const struct engine *, const struct allocation *, const struct addr *peer, msec_t now);

/* channel_add: neither number nor peer is bound. ERR_RANGE at the allocation's limit, ERR_MEMORY. Reap first. */
int channel_add(struct engine *, struct allocation *, uint16_t number, const struct addr *peer, msec_t now);
void channel_refresh(struct engine *, struct allocation *, struct channel *, msec_t now);
void channel_reap(struct engine *, struct allocation *, msec_t now);

#endif
