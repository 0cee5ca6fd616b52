/* tally.h: how late packets were: counts by size, so that a run of any length costs the same memory.
 *
 * Times are in nanoseconds. A percentile is right to 1 in 128: that many steps has each doubling.
 */
#ifndef RELAY_CLIENT_TALLY_H
#define RELAY_CLIENT_TALLY_H

#include <stddef.h>
#include <stdint.h>

#define TALLY_STEPS 128
#define TALLY_ROWS (58 * TALLY_STEPS)

struct tally {
    uint64_t total, counts[TALLY_ROWS];
};

void tally_add(struct tally *, uint64_t ns);

/* tally_at: not more than this were `share` of them, 0.5: the median; 0 if there are none. */
uint64_t tally_at(const struct tally *, double share);

/* struct jitter: of one sender's packets, RFC 3550 section 6.4.1: how much later or earlier than the one before each came, smoothed. */
struct jitter {
    uint64_t before_ns; /* what the last one took; 0: none yet */
    double ns;
};

void jitter_add(struct jitter *, uint64_t ns);

/* tally_shares: sorts what each of `count` got, and says what the least and the median are of the mean: 1 is fair; 0 if nobody got anything. */
void tally_shares(uint64_t *each, size_t count, double *least, double *median);

#endif
