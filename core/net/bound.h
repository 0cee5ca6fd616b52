/* bound.h: whether some program has a UDP port: the system is asked by binding a socket to it and closing it, or, where that is done often, of all ports at once
 * (sock_diag): of which nobody had any then is nobody's for the rest of that tenth of a second.
 *
 * Programs that are given a port by the system are not meant: what is asked about here are ports that it gives to nobody (steer_is_reserved).
 */
#ifndef RELAY_NET_BOUND_H
#define RELAY_NET_BOUND_H

#include "base/addr.h"
#include "base/clock.h"

#define BOUND_MS 100
#define BOUND_FEW 8 /* that are asked about one by one in that time */

/* struct bound: about the ports of a range, which the caller sets; what is known for now, at first nothing. */
struct bound {
    uint16_t first, last;
    msec_t since;
    unsigned asked;
    bool is_known;              /* which are taken */
    uint64_t taken[65536 / 64]; /* a bit for each port, whatever the address */
};

/* bound_find: whether `local`, with a port of the range, can be bound: 0, ERR_BUSY or ERR_SYSTEM. */
int bound_find(struct bound *, const struct addr *local, msec_t now);

#endif
