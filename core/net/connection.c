/* connection.c: the life of a connection and what it sends. */
#include "net/connection.h"

#include "base/err.h"
#include "net/socket.h"
#include "wire/stun.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool pipe_out(void *owner, struct view bytes)
{
    struct connection *c = owner;
    connection_unsettled(c);
    return outbox_put(&c->out, &c->streams->spare, bytes);
}

/* refuse: with a reset, so that nothing of it stays in the system. */
static void refuse(struct streams *s, int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
    s->counts.refused++;
}

void connection_add(const struct listener *listener, int fd, const struct addr *from)
{
    struct streams *s = listener->streams;
    struct handle handle = {0};
    const uint32_t source = sources_take(&s->sources, from);
    struct connection *c = source == SOURCE_NONE ? NULL : pool_take(&s->connections, &handle);
    if (!c) {
        if (source != SOURCE_NONE)
            sources_give(&s->sources, source);
        refuse(s, fd);
        return;
    }
    c->streams = s;
    c->fd = fd;
    c->source = source;
    c->flow = (struct flow){.client = *from,
                            .server = socket_local(fd),
                            .transport = TRANSPORT_TCP,
                            .listener = listener->number,
                            .link = (uint64_t)handle.generation << 32 | handle.index,
                            .sni = "",
                            .alpn = ""};
    c->pipe.out = pipe_out;
    socket_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    deadline_set(&s->deadlines, &c->deadline, c, loop_now(s->config.loop));
    watch_read(&c->readable, s->config.loop, fd, connection_receive, c);
    s->counts.accepted++;
    s->counts.open++;
}

void connection_unsettled(struct connection *c)
{
    if (c->unsettled)
        return;
    c->unsettled = true;
    c->next_unsettled = c->streams->unsettled;
    c->streams->unsettled = c;
}

void connection_break(struct connection *c)
{
    if (c->state == CONNECTION_HANDSHAKE)
        c->streams->counts.handshake_failed++;
    c->state = CONNECTION_BROKEN;
    watch_stop(&c->readable);
    deadline_clear(&c->deadline);
    connection_unsettled(c);
}

static void say_goodbye(struct connection *c)
{
    if (!c->ssl || !SSL_is_init_finished(c->ssl))
        return;
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

void connection_finish(struct connection *c)
{
    if (c->state != CONNECTION_OPEN) {
        if (c->state < CONNECTION_OPEN)
            connection_break(c);
        return;
    }
    say_goodbye(c);
    c->state = CONNECTION_CLOSING;
    deadline_set(&c->streams->deadlines, &c->deadline, c, loop_now(c->streams->config.loop));
    connection_unsettled(c);
}

void connection_keep(struct connection *c, bool keep)
{
    if (c->state != CONNECTION_OPEN)
        return;
    c->kept = keep;
    c->familiar |= keep;
    if (keep)
        deadline_clear(&c->deadline);
    else
        deadline_set(&c->streams->deadlines, &c->deadline, c, loop_now(c->streams->config.loop));
}

static void on_writable(void *owner)
{
    struct connection *c = owner;
    watch_stop(&c->writable);
    c->full = false;
    connection_unsettled(c);
}

/* output: as much as the socket takes. */
static void output(struct connection *c)
{
    if (c->full || c->out.len == 0)
        return;
    const int err = outbox_write(&c->out, &c->streams->spare, c->fd);
    if (err == ERR_BUSY) {
        c->full = true;
        watch_write(&c->writable, c->streams->config.loop, c->fd, on_writable, c);
    } else if (err && c->state != CONNECTION_BROKEN) {
        connection_break(c);
    }
}

/* is_media: what may get lost as a datagram may: ChannelData and indications. Replies may not. */
static bool is_media(struct view bytes)
{
    return frame_kind_of(bytes) == FRAME_CHANNEL || (bytes.len >= 2 && stun_type_class(get_u16(bytes.at)) == STUN_INDICATION);
}

/* makes_room: for one more frame, in a connection that may be slow to read. */
static bool makes_room(struct connection *c, struct view bytes)
{
    const size_t drop_at = c->familiar ? OUT_DROP_AT : STRANGER_OUT_MAX, break_at = c->familiar ? OUT_BREAK_AT : STRANGER_OUT_MAX;
    if (c->out.len < drop_at)
        return true;
    output(c);
    if (c->out.len < drop_at)
        return c->state == CONNECTION_OPEN;
    if (!is_media(bytes) && c->out.len >= break_at)
        connection_break(c);
    return !is_media(bytes) && c->state == CONNECTION_OPEN;
}

static bool put(struct connection *c, struct view bytes)
{
    if (!c->ssl)
        return outbox_put(&c->out, &c->streams->spare, bytes);
    ERR_clear_error();
    return SSL_write(c->ssl, bytes.at, (int)bytes.len) == (int)bytes.len;
}

bool connection_send(struct connection *c, struct view bytes)
{
    if (c->state != CONNECTION_OPEN || bytes.len == 0 || bytes.len > FRAME_MAX)
        return false;
    if (!makes_room(c, bytes)) {
        c->streams->counts.dropped_frames++;
        return false;
    }
    if (!put(c, bytes)) {
        connection_break(c);
        return false;
    }
    connection_unsettled(c);
    return true;
}

void connection_settle(struct connection *c)
{
    output(c);
    if (c->state == CONNECTION_CLOSING && c->out.len == 0) {
        c->state = CONNECTION_LINGERING; /* closing now, with bytes unread, would reset the connection and lose what was sent last */
        shutdown(c->fd, SHUT_WR);
        if (c->ended)
            connection_break(c);
    }
    c->unsettled = false;
    if (c->state == CONNECTION_BROKEN)
        connection_free(c);
}

void connection_free(struct connection *c)
{
    struct streams *s = c->streams;
    const uint32_t index = (uint32_t)c->flow.link;
    watch_stop(&c->readable);
    watch_stop(&c->writable);
    deadline_clear(&c->deadline);
    if (c->known && s->config.closed)
        s->config.closed(s->config.ctx, &c->flow);
    SSL_free(c->ssl);
    outbox_clear(&c->out, &s->spare);
    close(c->fd);
    free(c->part);
    free(c->sni);
    sources_give(&s->sources, c->source);
    pool_give(&s->connections, index);
    s->counts.closed++;
    s->counts.open--;
}
