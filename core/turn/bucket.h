/* bucket.h: a token bucket for a bit rate, in integers: nothing drifts, whatever the rate and the spacing of packets.
 *
 * It holds one second at the rate. A packet passes if its bits are there. One that is larger than the whole bucket passes when the bucket
 * is full and leaves a debt: no size starves, and over any span t at most (1 s + t) * rate bits pass, but for that one packet.
 */
#ifndef RELAY_TURN_BUCKET_H
#define RELAY_TURN_BUCKET_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct bucket {
    int64_t level; /* thousandths of a bit: rate in bit/s times milliseconds */
    msec_t at;     /* when `level` was right */
};

#define BUCKET_MAX_BPS UINT64_C(1000000000000000)

/* bucket_fill: full at `now`.  bucket_take: whether `bytes` may pass at `now`; takes them if so. `bps` 0: no limit. */
void bucket_fill(struct bucket *, uint64_t bps, msec_t now);
bool bucket_take(struct bucket *, uint64_t bps, size_t bytes, msec_t now);

/* bucket_give: gives back what was taken and not used. */
void bucket_give(struct bucket *, uint64_t bps, size_t bytes);

/* Of a stream nothing can be dropped: bucket_room says how many bytes may be read now, bucket_spend takes what was, even into debt. */
size_t bucket_room(struct bucket *, uint64_t bps, msec_t now);
void bucket_spend(struct bucket *, uint64_t bps, size_t bytes, msec_t now);

#endif
