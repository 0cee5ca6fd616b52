/* bucket.c: a token bucket for a bit rate. */
#include "turn/bucket.h"

static int64_t bucket_rate(uint64_t bps)
{
    return (int64_t)(bps < BUCKET_MAX_BPS ? bps : BUCKET_MAX_BPS);
}

void bucket_fill(struct bucket *bucket, uint64_t bps, msec_t now)
{
    bucket->level = bucket_rate(bps) * 1000;
    bucket->at = now;
}

/* bucket_catch_up: with the time. Compared by dividing, because a long pause times the rate may not fit. */
static void bucket_catch_up(struct bucket *bucket, int64_t rate, msec_t now)
{
    const int64_t full = rate * 1000;
    if (now > bucket->at) {
        const msec_t pause = now - bucket->at;
        bucket->level = pause > (full - bucket->level) / rate ? full : bucket->level + pause * rate;
        bucket->at = now;
    }
    if (bucket->level > full)
        bucket->level = full; /* the rate was lowered meanwhile */
}

bool bucket_take(struct bucket *bucket, uint64_t bps, size_t bytes, msec_t now)
{
    if (bps == 0)
        return true;
    const int64_t rate = bucket_rate(bps), full = rate * 1000, cost = (int64_t)bytes * 8 * 1000;
    bucket_catch_up(bucket, rate, now);
    if (bucket->level < (cost < full ? cost : full))
        return false;
    bucket->level -= cost;
    return true;
}

void bucket_give(struct bucket *bucket, uint64_t bps, size_t bytes)
{
    if (bps)
        bucket->level += (int64_t)bytes * 8 * 1000;
}

size_t bucket_room(struct bucket *bucket, uint64_t bps, msec_t now)
{
    if (bps == 0)
        return SIZE_MAX;
    bucket_catch_up(bucket, bucket_rate(bps), now);
    return bucket->level > 0 ? (size_t)bucket->level / 8000 : 0;
}

void bucket_spend(struct bucket *bucket, uint64_t bps, size_t bytes, msec_t now)
{
    if (bps == 0)
        return;
    bucket_catch_up(bucket, bucket_rate(bps), now);
    bucket->level -= (int64_t)bytes * 8 * 1000;
}
