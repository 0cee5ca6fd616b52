/* udp_rig.h: what the tests of UDP sockets share: two of them on loopback, and a batch each way. */
#ifndef RELAY_TESTS_UDP_RIG_H
#define RELAY_TESTS_UDP_RIG_H

#include "loopback.h"
#include "net/udp.h"

#include <poll.h>

/* struct pair: two listeners and a batch each way. */
struct pair {
    int a, b;
    struct addr at_a, at_b;
    struct udp_in *in;
    struct udp_out *out;
};

static inline struct pair pair_of(struct addr a, struct addr b)
{
    struct pair pair = {.a = udp_listen(&a), .b = udp_listen(&b), .in = udp_in_new(), .out = udp_out_new()};
    CHECK(pair.a >= 0 && pair.b >= 0 && pair.in && pair.out);
    pair.at_a = socket_local(pair.a);
    pair.at_b = socket_local(pair.b);
    return pair;
}

static inline void pair_close(struct pair *pair)
{
    close(pair->a);
    close(pair->b);
    udp_in_free(pair->in);
    udp_out_free(pair->out);
}

static inline int receive(struct pair *pair, int fd, int most)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK(poll(&readable, 1, PATIENCE_MS) == 1);
    udp_reset(pair->in);
    return udp_receive(pair->in, fd, most);
}

#endif
