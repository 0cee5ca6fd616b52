/* loopback.h: what the tests of net share: loopback addresses, and running a loop until a condition holds. */
#ifndef RELAY_TESTS_LOOPBACK_H
#define RELAY_TESTS_LOOPBACK_H

#include "net/loop.h"
#include "net/socket.h"
#include "test.h"

#include <errno.h>
#include <unistd.h>

static inline struct addr loopback(uint8_t last, uint16_t port)
{
    return addr_v4((const uint8_t[]){127, 0, 0, last}, port);
}

static inline struct addr loopback6(uint16_t port)
{
    return addr_v6((const uint8_t[16]){[15] = 1}, port);
}

static inline void need_ipv6(void)
{
    const struct addr any = loopback6(0);
    const int fd = socket_bound(SOCK_DGRAM, &any, SOCKET_EXCLUSIVE);
    if (fd < 0)
        test_skip("no IPv6 loopback here");
    close(fd);
}

/* struct until: runs a loop until `done` says so; the test fails when that takes longer than PATIENCE_MS. */
#define PATIENCE_MS 20000

struct until {
    struct loop *loop;
    bool (*done)(void *ctx);
    void *ctx;
    msec_t give_up;
    bool met;
    struct watch timer, turn;
};

static inline void until_turn(void *owner)
{
    struct until *until = owner;
    until->met = until->met || until->done(until->ctx);
    if (until->met || clock_monotonic_ms() > until->give_up)
        loop_stop(until->loop);
}

static inline bool loop_until(struct loop *loop, bool (*done)(void *ctx), void *ctx)
{
    struct until until = {.loop = loop, .done = done, .ctx = ctx, .give_up = clock_monotonic_ms() + PATIENCE_MS};
    watch_every(&until.timer, loop, 0.002, until_turn, &until); /* so that conditions outside the loop are seen as well */
    watch_before_sleep(&until.turn, loop, until_turn, &until);
    loop_run(loop);
    watch_stop(&until.timer);
    watch_stop(&until.turn);
    return until.met;
}

#endif
