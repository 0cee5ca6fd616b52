/* splice.c: bytes between a peer and a client's data connection, with backpressure both ways. */
#include "net/splice.h"

#include "base/err.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_later(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* wait_again: the rate allows nothing now. */
static void wait_again(struct splice *s)
{
    if (!deadline_is_set(&s->again))
        deadline_set(&s->streams->again, &s->again, s, loop_now(s->streams->config.loop));
    peer_streams_wake(s->streams);
}

/* stir: bytes went through, or half of it has ended just now. */
static void stir(struct splice *s)
{
    if (!s->peer_ended && !s->client_ended)
        return;
    deadline_set(&s->streams->still, &s->still, s, loop_now(s->streams->config.loop));
    peer_streams_wake(s->streams);
}

/* ---- the peer's bytes ---- */

static void peer_end(struct splice *s)
{
    s->peer_ended = true;
    watch_stop(&s->readable);
    connection_end_output(s->client);
    if (s->client_ended && s->out.len == 0)
        splice_end(s, true);
    else
        stir(s);
}

static void on_readable(void *owner)
{
    struct splice *s = owner;
    struct peer_streams *streams = s->streams;
    const size_t room = streams->config.room(streams->config.ctx, s->peer, false);
    if (room == 0) {
        watch_stop(&s->readable);
        wait_again(s);
        return;
    }
    const ssize_t got = recv(s->fd, streams->bytes, room < SPLICE_READ ? room : SPLICE_READ, MSG_DONTWAIT);
    if (got < 0 && is_later(errno))
        return;
    if (got <= 0) {
        if (got == 0)
            peer_end(s);
        else
            splice_end(s, true);
        return;
    }
    streams->config.moved(streams->config.ctx, s->peer, false, (size_t)got);
    if (!connection_put(s->client, view_of(streams->bytes, (size_t)got))) {
        splice_end(s, true);
        return;
    }
    stir(s);
    if (connection_waiting(s->client) >= SPLICE_HIGH)
        watch_stop(&s->readable); /* until splice_client_drained */
}

static void read_peer(struct splice *s)
{
    if (!s->readable.loop && !s->peer_ended && connection_waiting(s->client) < SPLICE_HIGH)
        watch_read(&s->readable, s->streams->config.loop, s->fd, on_readable, s);
}

void splice_client_drained(struct splice *s)
{
    if (connection_waiting(s->client) < SPLICE_LOW && !deadline_is_set(&s->again))
        read_peer(s);
}

/* ---- the client's bytes ---- */

/* finish_output: what the client sent is all written. */
static void finish_output(struct splice *s)
{
    shutdown(s->fd, SHUT_WR);
    if (s->peer_ended)
        splice_end(s, true);
}

static void on_writable(void *owner)
{
    struct splice *s = owner;
    const int err = outbox_write(&s->out, &s->streams->spare, s->fd);
    if (err == ERR_SYSTEM) {
        splice_end(s, true);
        return;
    }
    stir(s);
    if (s->out.len < SPLICE_LOW)
        connection_resume(s->client);
    if (err)
        return;
    watch_stop(&s->writable);
    if (s->client_ended)
        finish_output(s);
}

/* write_now: what the socket takes at once; the rest comes back. ERR_SYSTEM: it never will. */
static int write_now(struct splice *s, struct view *bytes)
{
    const ssize_t sent = s->out.len ? 0 : send(s->fd, bytes->at, bytes->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && !is_later(errno))
        return ERR_SYSTEM;
    *bytes = view_from(*bytes, sent > 0 ? (size_t)sent : 0);
    return 0;
}

void splice_from_client(struct splice *s, struct view bytes)
{
    const struct peer_streams_config *config = &s->streams->config;
    if (bytes.len == 0)
        return;
    config->moved(config->ctx, s->peer, true, bytes.len);
    if (write_now(s, &bytes) != 0 || !outbox_put(&s->out, &s->streams->spare, bytes)) {
        splice_end(s, true);
        return;
    }
    stir(s);
    if (s->out.len && !s->writable.loop)
        watch_write(&s->writable, config->loop, s->fd, on_writable, s);
    if (s->out.len >= SPLICE_HIGH)
        connection_pause(s->client);
}

size_t splice_client_room(struct splice *s)
{
    const struct peer_streams_config *config = &s->streams->config;
    const size_t room = config->room(config->ctx, s->peer, true);
    if (room)
        return room;
    connection_pause(s->client);
    wait_again(s);
    return 0;
}

void splice_client_ended(struct splice *s)
{
    if (s->client_ended)
        return;
    s->client_ended = true;
    stir(s);
    if (s->out.len == 0)
        finish_output(s);
}

void splice_client_gone(struct splice *s)
{
    s->client = NULL;
    splice_end(s, true);
}

/* ---- both ---- */

void splice_again(struct splice *s)
{
    read_peer(s);
    if (s->out.len < SPLICE_HIGH)
        connection_resume(s->client);
}

void splice_start(struct splice *s, struct connection *client)
{
    s->client = client;
    connection_splice(client, s);
    read_peer(s);
}

static void on_connected(void *owner)
{
    struct splice *s = owner;
    const struct peer_streams_config *config = &s->streams->config;
    const struct handle peer = s->peer;
    int error = 0;
    socklen_t len = sizeof error;
    watch_stop(&s->writable);
    const bool is_there = getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
    if (!is_there)
        splice_end(s, false);
    config->connected(config->ctx, peer, is_there);
}

void splice_connect(struct splice *s)
{
    watch_write(&s->writable, s->streams->config.loop, s->fd, on_connected, s);
}

void splice_end(struct splice *s, bool tell)
{
    struct peer_streams *streams = s->streams;
    const struct handle peer = s->peer;
    if (s->client)
        connection_unsplice(s->client);
    watch_stop(&s->readable);
    watch_stop(&s->writable);
    deadline_clear(&s->again);
    deadline_clear(&s->still);
    outbox_clear(&s->out, &streams->spare);
    close(s->fd);
    pool_give(&streams->splices, s->index);
    if (tell)
        streams->config.ended(streams->config.ctx, peer);
}
