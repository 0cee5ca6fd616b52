/* stream_rig.h: streams on a loop with a listener on a free port, a record of what they told, and clients to connect to them. */
#ifndef RELAY_TESTS_STREAM_RIG_H
#define RELAY_TESTS_STREAM_RIG_H

#include "loopback.h"
#include "net/connection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#define RIG_LOG (256u << 10)

struct rig {
    struct loop *loop;
    struct streams *streams;
    struct crypto *crypto;
    struct addr at;
    struct flow last; /* of the last frame */
    char sni[64], alpn[64];
    unsigned frames, closed;
    size_t log_len;
    uint8_t log[RIG_LOG]; /* the frames one after another */
    bool echo, keep, scribble;
    unsigned close_after;      /* stream_close at this frame; 0: never */
    unsigned hand_after;       /* stream_hand_over at this frame */
    struct connection *parcel; /* that left */
    unsigned heir;
};

static void rig_frame(void *ctx, const struct flow *flow, struct packet packet)
{
    struct rig *rig = ctx;
    rig->last = *flow;
    if (rig->hand_after && rig->frames + 1 == rig->hand_after) {
        rig->hand_after = 0;
        stream_hand_over(rig->streams, flow->link, 7);
        return;
    }
    snprintf(rig->sni, sizeof rig->sni, "%s", flow->sni);
    snprintf(rig->alpn, sizeof rig->alpn, "%s", flow->alpn);
    rig->frames++;
    if (packet.len <= RIG_LOG - rig->log_len) {
        memcpy(rig->log + rig->log_len, packet.at, packet.len);
        rig->log_len += packet.len;
    }
    if (rig->echo)
        stream_send(rig->streams, flow->link, view_of(packet.at, packet.len));
    if (rig->keep)
        stream_keep(rig->streams, flow->link, true);
    if (rig->scribble) {
        memset(packet.at - ENGINE_HEADROOM, 0xEE, ENGINE_HEADROOM);
        memset(packet.at + packet.len, 0xEE, ENGINE_TAILROOM);
    }
    streams_flush(rig->streams); /* harmless here */
    if (rig->close_after && rig->frames == rig->close_after)
        stream_close(rig->streams, flow->link);
}

static inline void rig_closed(void *ctx, const struct flow *flow)
{
    struct rig *rig = ctx;
    rig->closed++;
    CHECK(!stream_send(rig->streams, flow->link, view_text("late")));
    stream_keep(rig->streams, flow->link, true);
    stream_close(rig->streams, flow->link);
    streams_flush(rig->streams);
}

static void rig_leaves(void *ctx, struct connection *parcel, unsigned heir)
{
    struct rig *rig = ctx;
    CHECK(!rig->parcel);
    rig->parcel = parcel;
    rig->heir = heir;
}

/* rig_at: `config` says what is not usual; zero is usual. */
static struct rig *rig_at(struct streams_config config, enum stream_door door)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->loop = loop_new();
    config.loop = rig->loop;
    config.hash_key = (struct hash_key){1, 2};
    config.max_connections = config.max_connections ? config.max_connections : 10000;
    config.max_per_source = config.max_per_source ? config.max_per_source : 10000;
    config.handshake_s = config.handshake_s ? config.handshake_s : 10;
    config.crypto = rig->crypto = crypto_new();
    config.ctx = rig;
    config.frame = rig_frame;
    config.closed = rig_closed;
    config.leaves = rig_leaves;
    rig->streams = streams_new(&config);
    const struct addr any = loopback(1, 0);
    CHECK(rig->streams && streams_listen(rig->streams, &any, 5, door) == 0);
    rig->at = socket_local(rig->streams->listeners[0].fd);
    return rig;
}

static inline struct rig *rig_new(struct streams_config config)
{
    return rig_at(config, DOOR_CLIENTS);
}

static inline struct rig *rig_plain(void)
{
    return rig_new((struct streams_config){.plain = true});
}

static void rig_free(struct rig *rig)
{
    streams_free(rig->streams);
    loop_free(rig->loop);
    crypto_free(rig->crypto);
    free(rig);
}

static inline int rig_connect(const struct rig *rig)
{
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(&rig->at, &to);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0);
    CHECK(setsockopt(fd, 6, 1 /* TCP_NODELAY */, &on, sizeof on) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static inline void put(int fd, const void *bytes, size_t len)
{
    CHECK(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

/* rig_only: the one connection that there is. */
static inline struct connection *rig_only(const struct rig *rig)
{
    const uint32_t at = pool_next(&rig->streams->connections, 0);
    return at == POOL_NONE ? NULL : pool_index(&rig->streams->connections, at);
}

struct wanted {
    struct rig *rig;
    uint64_t number;
    int fd;
    size_t got;
    uint8_t *into;
};

static inline bool has_frames(void *ctx)
{
    const struct wanted *wanted = ctx;
    return wanted->rig->frames >= wanted->number;
}

static inline bool has_accepted(void *ctx)
{
    const struct wanted *wanted = ctx;
    return streams_counts(wanted->rig->streams)->accepted >= wanted->number;
}

static inline bool has_closed(void *ctx)
{
    const struct wanted *wanted = ctx;
    return streams_counts(wanted->rig->streams)->closed >= wanted->number;
}

static inline bool has_part(void *ctx)
{
    const struct wanted *wanted = ctx;
    const struct connection *c = rig_only(wanted->rig);
    return c && c->part_len == wanted->number;
}

static inline bool has_bytes(void *ctx)
{
    struct wanted *wanted = ctx;
    while (wanted->got < wanted->number) {
        const ssize_t got = recv(wanted->fd, wanted->into + wanted->got, wanted->number - wanted->got, 0);
        if (got <= 0)
            return false;
        wanted->got += (size_t)got;
    }
    return true;
}

/* has_ended: end of file or reset at the client; what comes before is thrown away. */
static inline bool has_ended(void *ctx)
{
    const struct wanted *wanted = ctx;
    uint8_t bytes[4096];
    ssize_t got;
    while ((got = recv(wanted->fd, bytes, sizeof bytes, 0)) > 0)
        ;
    return got == 0 || errno != EAGAIN;
}

#define AWAIT(rig_, what, ...) CHECK(loop_until((rig_)->loop, what, &(struct wanted){.rig = (rig_), __VA_ARGS__}))

static inline bool has_parcel(void *ctx)
{
    const struct wanted *wanted = ctx;
    return wanted->rig->parcel != NULL;
}

/* parcel_of: the connection that leaves the rig. */
static inline struct connection *parcel_of(struct rig *rig)
{
    AWAIT(rig, has_parcel, .number = 0);
    struct connection *parcel = rig->parcel;
    rig->parcel = NULL;
    return parcel;
}

/* binding: a STUN Binding request without attributes, told apart by its last byte. */
#define BINDING_LEN 20
static inline void binding(uint8_t out[BINDING_LEN], uint8_t last)
{
    const uint8_t bytes[BINDING_LEN] = {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, [19] = last};
    memcpy(out, bytes, BINDING_LEN);
}

#endif
