/* pace.h: when the next packet may leave, and which are on their way: pure, time is an argument, in nanoseconds.
 *
 * With a rate so many leave each second whatever becomes of them; with a window as many are on their way at a time. Packets leave in bursts, whole ones.
 */
#ifndef RELAY_CLIENT_PACE_H
#define RELAY_CLIENT_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_REMEMBERED (1u << 18) /* packets; what was sent before those is lost if it has not come */

struct pace {
    uint32_t rate, window; /* one of both; the other is 0 */
    uint32_t burst;
    uint64_t packets;         /* 0: until end_ns */
    uint64_t start_ns, end_ns; /* end_ns 0: until `packets` have left */
    uint64_t sent, oldest;    /* numbers of packets: the next one, and the first that may still come */
    uint64_t on_their_way, came;
    uint64_t *sent_ns; /* PACE_REMEMBERED of them; 0: it has come */
};

/* pace_open: 0, or ERR_MEMORY. */
int pace_open(struct pace *);
void pace_close(struct pace *);

/* pace_due: how many may leave now.  pace_is_over: no more will.  pace_sleep_ns: until the next may, with a rate. */
uint64_t pace_due(const struct pace *, uint64_t now_ns);
bool pace_is_over(const struct pace *, uint64_t now_ns);
uint64_t pace_sleep_ns(const struct pace *, uint64_t now_ns);

/* pace_sent: a packet leaves: its number, of which 32 bits are enough.  pace_came: the packet that left at sent_ns under this number has come: false: it is none of ours, it came
 * before, or it left too long ago.  pace_give_up: what left before this time is not waited for; if it comes nevertheless, it counts. */
uint32_t pace_sent(struct pace *, uint64_t now_ns);
bool pace_came(struct pace *, uint32_t number, uint64_t sent_ns);
void pace_give_up(struct pace *, uint64_t before_ns);

/* pace_renewals: how many times one of `count` allocations should have been renewed, in turns, after so long: each of them every 150 s, a little later each than the one before:
 * permissions last 300 s, allocations and channels 600. */
uint64_t pace_renewals(uint64_t since_ns, uint32_t count);

#endif
