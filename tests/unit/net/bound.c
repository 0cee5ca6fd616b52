/* whether a port is some program's, asked seldom and often */
#include "base/err.h"
#include "loopback.h"
#include "net/bound.h"

#include <dirent.h>
#include <netinet/in.h>

#define FIRST 20000
#define LAST 20999

/* asked: about `local`, as often as it takes until all ports are looked at, and once more. */
static int asked(struct bound *bound, const struct addr *local, msec_t now)
{
    for (int i = 0; i <= BOUND_FEW; i++)
        bound_find(bound, local, now);
    return bound_find(bound, local, now);
}

static bool is_known(const struct bound *bound, uint16_t port)
{
    return bound->is_known && bound->taken[port / 64] >> port % 64 & 1;
}

/* held: a port of the range, at this address; both families' if it is :: and `dual`. */
static int held(struct addr local, bool dual, uint16_t *port)
{
    const int only = !dual, fd = socket(local.family == ADDR_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(local.family != ADDR_IPV6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0);
    for (local.port = FIRST; local.port <= LAST; local.port++) {
        struct sockaddr_storage storage;
        const socklen_t len = addr_to_sockaddr(&local, &storage);
        if (bind(fd, (struct sockaddr *)&storage, len) == 0)
            break;
    }
    CHECK(local.port <= LAST);
    *port = local.port;
    return fd;
}

static int descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    CHECK(all);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

TEST(what_is_asked_seldom_is_asked_anew_each_time)
{
    struct bound bound = {.first = FIRST, .last = LAST};
    for (msec_t now = 1000; now < 1000 + 10 * BOUND_MS; now += 2 * BOUND_MS / BOUND_FEW) {
        uint16_t port;
        const int fd = held(loopback(1, 0), false, &port);
        const struct addr local = loopback(1, port);
        CHECK_INT(bound_find(&bound, &local, now), ERR_BUSY);
        close(fd);
        CHECK_INT(bound_find(&bound, &local, now), 0);
        CHECK(!bound.is_known);
    }
}

TEST(what_is_asked_often_is_known_of_all_for_a_moment)
{
    struct bound bound = {.first = FIRST, .last = LAST};
    uint16_t port, later;
    const int fd = held(loopback(1, 0), false, &port), before = descriptors();
    const struct addr local = loopback(1, port);
    CHECK_INT(asked(&bound, &local, 1000), ERR_BUSY);
    if (!bound.is_known)
        test_skip("no sock_diag for UDP here");
    CHECK_INT(descriptors(), before);
    CHECK(is_known(&bound, port));
    const int other = held(loopback(1, 0), false, &later);
    const struct addr new = loopback(1, later);
    CHECK_INT(bound_find(&bound, &new, 1000 + BOUND_MS - 1), 0); /* nobody's when it looked */
    CHECK_INT(bound_find(&bound, &new, 1000 + BOUND_MS), ERR_BUSY);
    CHECK(!bound.is_known);
    CHECK_INT(asked(&bound, &new, 1000 + BOUND_MS), ERR_BUSY);
    CHECK(bound.is_known);
    close(fd);
    close(other);
    CHECK_INT(bound_find(&bound, &local, 1000 + BOUND_MS), 0); /* whose it was then is asked again */
}

TEST(sockets_of_either_family_are_seen_connected_or_not)
{
    need_ipv6();
    struct bound bound = {.first = FIRST, .last = LAST};
    const struct addr any = addr_v4((const uint8_t[4]){0}, 0), any6 = addr_v6((const uint8_t[16]){0}, 0);
    const struct {
        struct addr at;
        bool dual, is_connected;
    } rows[] = {{loopback(1, 0), false, false}, {loopback(2, 0), false, true}, {any, false, false}, {loopback6(0), false, false}, {loopback6(0), false, true}, {any6, true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t port;
        const int fd = held(rows[i].at, rows[i].dual, &port);
        struct addr local = rows[i].at;
        struct sockaddr_storage storage;
        local.port = port;
        const socklen_t len = addr_to_sockaddr(&local, &storage);
        CHECK(!rows[i].is_connected || connect(fd, (struct sockaddr *)&storage, len) == 0);
        CHECK_INT(asked(&bound, &local, 1000 * (msec_t)(i + 1)), ERR_BUSY);
        if (!bound.is_known)
            test_skip("no sock_diag for UDP here");
        CHECK(is_known(&bound, port));
        const struct addr v4 = loopback(1, port);
        if (rows[i].dual)
            CHECK_INT(bound_find(&bound, &v4, 1000 * (msec_t)(i + 1)), ERR_BUSY);
        close(fd);
    }
}

TEST(whose_address_is_another_leaves_the_port_free)
{
    struct bound bound = {.first = FIRST, .last = LAST};
    uint16_t port;
    const int fd = held(loopback(2, 0), false, &port);
    const struct addr local = loopback(1, port);
    CHECK_INT(asked(&bound, &local, 1000), 0);
    close(fd);
}

TEST(more_sockets_than_fit_into_a_piece_of_the_answer_are_all_seen)
{
    struct bound bound = {.first = FIRST, .last = LAST};
    int sockets[600];
    uint16_t ports[600], outside;
    for (size_t i = 0; i < 600; i++)
        sockets[i] = held(loopback(3, 0), false, &ports[i]);
    const struct addr any = loopback(3, 0), local = loopback(3, ports[0]);
    const int fd = socket_bound(SOCK_DGRAM, &any, SOCKET_EXCLUSIVE);
    outside = socket_local(fd).port;
    CHECK(fd >= 0 && (outside < FIRST || outside > LAST));
    CHECK_INT(asked(&bound, &local, 1000), ERR_BUSY);
    if (!bound.is_known)
        test_skip("no sock_diag for UDP here");
    for (size_t i = 0; i < 600; i++) {
        CHECK(is_known(&bound, ports[i]));
        close(sockets[i]);
    }
    CHECK(!is_known(&bound, outside));
    close(fd);
}

TEST_LIST(RUN(what_is_asked_seldom_is_asked_anew_each_time) RUN(what_is_asked_often_is_known_of_all_for_a_moment)
              RUN(sockets_of_either_family_are_seen_connected_or_not) RUN(whose_address_is_another_leaves_the_port_free)
                  RUN(more_sockets_than_fit_into_a_piece_of_the_answer_are_all_seen))
