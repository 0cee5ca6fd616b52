/* peer_stream.c: listeners on relayed addresses, and the connections from and to peers until they are bound. */
#include "net/peer_stream.h"

#include "base/err.h"
#include "net/socket.h"
#include "net/splice.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_S 0.05
#define AGAIN_MS 50
#define BACKLOG 64
#define ACCEPT_MAX 16 /* in one turn of the loop */

struct peer_streams *peer_streams_new(const struct peer_streams_config *config)
{
    struct peer_streams *streams = calloc(1, sizeof *streams);
    if (!streams)
        return NULL;
    streams->config = *config;
    pool_init(&streams->splices, sizeof(struct splice), config->max_connections);
    pool_init(&streams->listeners, sizeof(struct peer_listener), 0);
    deadlines_init(&streams->again, AGAIN_MS);
    deadlines_init(&streams->still, PEER_STREAM_HALF_MS);
    return streams;
}

void peer_streams_free(struct peer_streams *streams)
{
    if (!streams)
        return;
    for (uint32_t at = 0; (at = pool_next(&streams->splices, at)) != POOL_NONE;)
        splice_end(pool_index(&streams->splices, at), false);
    for (uint32_t at = 0; (at = pool_next(&streams->listeners, at)) != POOL_NONE;)
        peer_stream_unlisten(streams, (int)at);
    watch_stop(&streams->tick);
    chunks_close(&streams->spare);
    pool_close(&streams->splices);
    pool_close(&streams->listeners);
    free(streams);
}

uint32_t peer_streams_open(const struct peer_streams *streams)
{
    return streams->splices.live;
}

/* ---- what waits for time to pass ---- */

static void on_acceptable(void *owner);

static void accept_again(struct peer_streams *streams)
{
    streams->exhausted = false;
    for (uint32_t at = 0; (at = pool_next(&streams->listeners, at)) != POOL_NONE; at++) {
        struct peer_listener *listener = pool_index(&streams->listeners, at);
        if (!listener->acceptable.loop)
            watch_read(&listener->acceptable, streams->config.loop, listener->fd, on_acceptable, listener);
    }
}

static void on_tick(void *owner)
{
    struct peer_streams *streams = owner;
    const msec_t now = loop_now(streams->config.loop);
    struct splice *s;
    while ((s = deadlines_due(&streams->again, now))) {
        deadline_clear(&s->again);
        splice_again(s);
    }
    while ((s = deadlines_due(&streams->still, now)))
        splice_end(s, true);
    if (streams->exhausted)
        accept_again(streams);
    else if (!deadlines_oldest(&streams->again) && !deadlines_oldest(&streams->still))
        watch_stop(&streams->tick);
}

void peer_streams_wake(struct peer_streams *streams)
{
    if (!streams->tick.loop)
        watch_every(&streams->tick, streams->config.loop, TICK_S, on_tick, streams);
}

/* ---- connections ---- */

static struct splice *add(struct peer_streams *streams, int fd)
{
    struct handle handle;
    struct splice *s = pool_take(&streams->splices, &handle);
    if (!s)
        return NULL;
    s->streams = streams;
    s->fd = fd;
    s->index = handle.index;
    socket_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    socket_flag(fd, SOL_SOCKET, SO_KEEPALIVE);
    return s;
}

static void accept_one(struct peer_listener *listener, int fd, const struct addr *from)
{
    const struct peer_streams_config *config = &listener->streams->config;
    struct splice *s = add(listener->streams, fd);
    if (!s)
        close(fd);
    else if (!config->accepted(config->ctx, listener->allocation, from, (int)s->index, &s->peer))
        splice_end(s, false);
}

/* accept_later: at the next tick; peers wait in the backlog. */
static void accept_later(struct peer_listener *listener)
{
    watch_stop(&listener->acceptable);
    listener->streams->exhausted = true;
    peer_streams_wake(listener->streams);
}

static void on_acceptable(void *owner)
{
    struct peer_listener *listener = owner;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct addr from;
        const int fd = socket_accept(listener->fd, &from);
        if (fd >= 0)
            accept_one(listener, fd, &from);
        if (fd == ERR_MEMORY)
            accept_later(listener);
        if (fd == ERR_MEMORY || fd == ERR_NOT_FOUND)
            return;
    }
}

/* SO_REUSEPORT is set after binding: another program that holds the port is noticed, and connections may go out from the same address. */
static int listening(const struct addr *local)
{
    const int fd = socket_bound(SOCK_STREAM, local, SOCKET_EXCLUSIVE);
    if (fd < 0)
        return errno == EADDRINUSE ? ERR_BUSY : ERR_SYSTEM;
    if (listen(fd, BACKLOG) == 0 && socket_flag(fd, SOL_SOCKET, SO_REUSEPORT))
        return fd;
    const bool is_busy = errno == EADDRINUSE;
    close(fd);
    return is_busy ? ERR_BUSY : ERR_SYSTEM;
}

int peer_stream_listen(struct peer_streams *streams, const struct addr *local, struct handle allocation, int *sock)
{
    struct handle handle;
    const int fd = listening(local);
    if (fd < 0)
        return fd;
    struct peer_listener *listener = pool_take(&streams->listeners, &handle);
    if (!listener) {
        close(fd);
        return ERR_SYSTEM;
    }
    *listener = (struct peer_listener){.streams = streams, .allocation = allocation, .local = *local, .fd = fd};
    watch_read(&listener->acceptable, streams->config.loop, fd, on_acceptable, listener);
    *sock = (int)handle.index;
    return 0;
}

void peer_stream_unlisten(struct peer_streams *streams, int sock)
{
    struct peer_listener *listener = pool_index(&streams->listeners, (uint32_t)sock);
    watch_stop(&listener->acceptable);
    close(listener->fd);
    pool_give(&streams->listeners, (uint32_t)sock);
}

int peer_stream_connect(struct peer_streams *streams, int sock, const struct addr *to, struct handle peer, int *conn)
{
    const struct peer_listener *listener = pool_index(&streams->listeners, (uint32_t)sock);
    struct sockaddr_storage at;
    const socklen_t len = addr_to_sockaddr(to, &at);
    const int fd = socket_bound(SOCK_STREAM, &listener->local, SOCKET_SHARED);
    if (fd < 0)
        return socket_is_exhausted(errno) ? ERR_MEMORY : ERR_SYSTEM;
    if (connect(fd, (const struct sockaddr *)&at, len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return ERR_SYSTEM;
    }
    struct splice *s = add(streams, fd);
    if (!s) {
        close(fd);
        return ERR_MEMORY;
    }
    s->peer = peer;
    splice_connect(s);
    *conn = (int)s->index;
    return 0;
}

bool peer_stream_bind(struct peer_streams *streams, int conn, uint64_t link, struct handle peer)
{
    struct splice *s = pool_index(&streams->splices, (uint32_t)conn);
    struct connection *client = streams_find(streams->config.clients, link);
    if (!s || !client || client->state != CONNECTION_OPEN || client->splice)
        return false;
    s->peer = peer;
    splice_start(s, client);
    return true;
}

void peer_stream_drop(struct peer_streams *streams, int conn)
{
    struct splice *s = pool_index(&streams->splices, (uint32_t)conn);
    if (s)
        splice_end(s, false);
}
