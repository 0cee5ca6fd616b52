/* peer_rig.h: a desk between a client and a peer: streams, peer_streams, a record of what they told, and the far ends of connections. */
#ifndef RELAY_TESTS_PEER_RIG_H
#define RELAY_TESTS_PEER_RIG_H

#include "loopback.h"
#include "net/splice.h"

#include "base/err.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#define REQUEST_LEN 20
#define MUCH (10u << 20)

struct desk {
    struct loop *loop;
    struct streams *clients;
    struct peer_streams *peers;
    struct addr clients_at, relayed;
    int sock, conn;
    unsigned frames, accepted, connected, failed, ended;
    uint64_t moved_in, moved_out;
    size_t room_in, room_out;
    bool refuses, unbound; /* peers; requests are not followed by a bind */
    int client, peer;      /* the far ends */
};

static const struct handle PEER = {7, 7}, ALLOCATION = {3, 3};

static const uint8_t request[REQUEST_LEN] = {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42},
                     answer[REQUEST_LEN] = {1, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42};

static inline void on_frame(void *ctx, const struct flow *flow, struct packet packet)
{
    struct desk *desk = ctx;
    (void)packet;
    desk->frames++;
    if (!desk->unbound)
        CHECK(peer_stream_bind(desk->peers, desk->conn, flow->link, PEER));
    stream_send(desk->clients, flow->link, view_of(answer, sizeof answer));
}

static inline void on_connected(void *ctx, struct handle peer, bool is_there)
{
    struct desk *desk = ctx;
    CHECK_INT(peer.index, PEER.index);
    *(is_there ? &desk->connected : &desk->failed) += 1;
}

static inline bool on_accepted(void *ctx, struct handle allocation, const struct addr *from, int conn, struct handle *peer)
{
    struct desk *desk = ctx;
    CHECK_INT(allocation.index, ALLOCATION.index);
    CHECK_INT(from->family, ADDR_IPV4);
    desk->accepted++;
    desk->conn = conn;
    *peer = PEER;
    return !desk->refuses;
}

static inline size_t on_room(void *ctx, struct handle peer, bool in)
{
    const struct desk *desk = ctx;
    CHECK_INT(peer.index, PEER.index);
    return in ? desk->room_in : desk->room_out;
}

static inline void on_moved(void *ctx, struct handle peer, bool in, size_t bytes)
{
    struct desk *desk = ctx;
    size_t *room = in ? &desk->room_in : &desk->room_out;
    CHECK_INT(peer.index, PEER.index);
    *(in ? &desk->moved_in : &desk->moved_out) += bytes;
    if (*room != SIZE_MAX)
        *room -= bytes < *room ? bytes : *room;
}

static inline void on_ended(void *ctx, struct handle peer)
{
    struct desk *desk = ctx;
    CHECK_INT(peer.index, PEER.index);
    desk->ended++;
}

static inline struct desk *desk_new(void)
{
    struct desk *desk = calloc(1, sizeof *desk);
    const struct addr any = loopback(1, 0);
    desk->loop = loop_new();
    desk->clients = streams_new(&(struct streams_config){
        .loop = desk->loop, .plain = true, .max_connections = 100, .handshake_s = 10, .ctx = desk, .frame = on_frame});
    CHECK_INT(streams_listen(desk->clients, &any, 0, DOOR_CLIENTS), 0);
    desk->clients_at = socket_local(desk->clients->listeners[0].fd);
    desk->peers = peer_streams_new(&(struct peer_streams_config){.loop = desk->loop,
                                                                 .clients = desk->clients,
                                                                 .ctx = desk,
                                                                 .connected = on_connected,
                                                                 .accepted = on_accepted,
                                                                 .room = on_room,
                                                                 .moved = on_moved,
                                                                 .ended = on_ended});
    CHECK_INT(peer_stream_listen(desk->peers, &any, ALLOCATION, &desk->sock), 0);
    desk->relayed = socket_local(((struct peer_listener *)pool_index(&desk->peers->listeners, (uint32_t)desk->sock))->fd);
    ((struct peer_listener *)pool_index(&desk->peers->listeners, (uint32_t)desk->sock))->local = desk->relayed;
    desk->client = desk->peer = -1;
    desk->room_in = desk->room_out = SIZE_MAX;
    return desk;
}

static inline void desk_free(struct desk *desk)
{
    streams_free(desk->clients);
    peer_streams_free(desk->peers);
    loop_free(desk->loop);
    if (desk->client >= 0)
        close(desk->client);
    if (desk->peer >= 0)
        close(desk->peer);
    free(desk);
}

static inline int far_end(const struct addr *at)
{
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(at, &to);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 64 << 10;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static inline void say(int fd, const void *bytes, size_t len)
{
    CHECK(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

struct awaited {
    struct desk *desk;
    const unsigned *count;
    unsigned at_least;
    int fd;
    size_t wanted, got;
    uint8_t bytes[256];
};

static inline bool has_count(void *ctx)
{
    const struct awaited *awaited = ctx;
    return *awaited->count >= awaited->at_least;
}

static inline bool has_bytes(void *ctx)
{
    struct awaited *awaited = ctx;
    const ssize_t got = recv(awaited->fd, awaited->bytes + awaited->got, awaited->wanted - awaited->got, 0);
    awaited->got += got > 0 ? (size_t)got : 0;
    return awaited->got == awaited->wanted;
}

static inline bool has_end(void *ctx)
{
    const struct awaited *awaited = ctx;
    uint8_t byte;
    const ssize_t got = recv(awaited->fd, &byte, 1, 0);
    CHECK(got <= 0);
    return got == 0 || errno != EAGAIN;
}

static inline bool has_no_connections(void *ctx)
{
    const struct awaited *awaited = ctx;
    return streams_counts(awaited->desk->clients)->open == 0 && peer_streams_open(awaited->desk->peers) == 0;
}

static inline void await_count(struct desk *desk, const unsigned *count, unsigned at_least)
{
    CHECK(loop_until(desk->loop, has_count, &(struct awaited){.count = count, .at_least = at_least}));
}

static inline void await_text(struct desk *desk, int fd, const char *text)
{
    struct awaited awaited = {.fd = fd, .wanted = strlen(text)};
    CHECK(loop_until(desk->loop, has_bytes, &awaited));
    CHECK_BYTES(awaited.bytes, text, awaited.wanted);
}

static inline void await_answer(struct desk *desk)
{
    struct awaited awaited = {.fd = desk->client, .wanted = REQUEST_LEN};
    CHECK(loop_until(desk->loop, has_bytes, &awaited));
    CHECK_BYTES(awaited.bytes, answer, REQUEST_LEN);
}

static inline void await_end(struct desk *desk, int fd)
{
    CHECK(loop_until(desk->loop, has_end, &(struct awaited){.fd = fd}));
}

static inline void await_nothing(struct desk *desk)
{
    CHECK(loop_until(desk->loop, has_no_connections, &(struct awaited){.desk = desk}));
}

/* a desk with a peer and a client that are spliced */
static inline struct desk *desk_spliced(void)
{
    struct desk *desk = desk_new();
    desk->peer = far_end(&desk->relayed);
    await_count(desk, &desk->accepted, 1);
    desk->client = far_end(&desk->clients_at);
    say(desk->client, request, sizeof request);
    await_answer(desk);
    return desk;
}

static inline void reset(int *fd)
{
    const struct linger none = {.l_onoff = 1};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(*fd);
    *fd = -1;
}

#endif
