/* connection.c: the life of a connection and what it sends. */
#include "net/connection.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"
#include "net/splice.h"
#include "wire/stun.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct record_way connection_way(struct connection *c)
{
    return (struct record_way){c->streams->config.crypto, &c->out, &c->streams->spare};
}

/* reset: so that nothing of it stays in the system. */
static void reset(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

static void refuse(struct streams *s, int fd)
{
    reset(fd);
    s->counts.refused++;
}

/* place: for a connection from `from`, NULL while that is not known; NULL when its source or all together have as many as they may. */
static struct connection *place(struct streams *s, const struct addr *from, uint64_t *link)
{
    struct handle handle = {0};
    const uint32_t source = from ? sources_take(&s->sources, from) : SOURCE_NONE;
    if (from && source == SOURCE_NONE)
        return NULL;
    struct connection *c = pool_take(&s->connections, &handle);
    if (!c) {
        if (from)
            sources_give(&s->sources, source);
        return NULL;
    }
    c->source = source;
    *link = (uint64_t)handle.generation << 32 | handle.index;
    return c;
}

static void begin(struct connection *c, struct streams *s)
{
    c->streams = s;
    deadline_set(&s->deadlines, &c->deadline, c, loop_now(s->config.loop));
    watch_read(&c->readable, s->config.loop, c->fd, connection_receive, c);
    s->counts.accepted++;
    s->counts.open++;
}

void connection_add(const struct listener *listener, int fd, const struct addr *from)
{
    struct streams *s = listener->streams;
    const bool is_proxy = listener->door != DOOR_CLIENTS && cidr_has(s->config.proxies, from);
    uint64_t link;
    struct connection *c = is_proxy || listener->door != DOOR_PROXIES ? place(s, is_proxy ? NULL : from, &link) : NULL;
    if (!c) {
        refuse(s, fd);
        return;
    }
    c->fd = fd;
    c->header_due = is_proxy;
    c->flow = (struct flow){.client = *from,
                            .server = socket_local(fd),
                            .transport = TRANSPORT_TCP,
                            .listener = listener->number,
                            .link = link,
                            .sni = "",
                            .alpn = ""};
    if (s->config.marks)
        c->flow.mark = control_connection_mark(fd, from->family);
    socket_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    begin(c, s);
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
    const struct record_way way = connection_way(c);
    if (c->records && !c->silent && !records_goodbye(c->records, &way))
        connection_break(c);
}

void connection_finish(struct connection *c)
{
    if (c->state != CONNECTION_OPEN) {
        if (c->state < CONNECTION_OPEN)
            connection_break(c);
        return;
    }
    c->state = CONNECTION_CLOSING;
    say_goodbye(c);
    if (c->state == CONNECTION_BROKEN)
        return;
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

void connection_leave(struct connection *c, unsigned heir)
{
    if (c->state != CONNECTION_OPEN)
        return;
    if (c->handed == HANDED_MAX) {
        connection_break(c);
        return;
    }
    c->state = CONNECTION_LEAVING;
    c->heir = heir;
    watch_stop(&c->readable);
    deadline_clear(&c->deadline);
    connection_unsettled(c);
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

/* is_media: what may get lost as a datagram may: ChannelData and Data. Replies and ConnectionAttempts may not. */
static bool is_media(struct view bytes)
{
    return frame_kind_of(bytes) == FRAME_CHANNEL || (bytes.len >= 2 && get_u16(bytes.at) == stun_type(METHOD_DATA, STUN_INDICATION));
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
    if (!c->records)
        return outbox_put(&c->out, &c->streams->spare, bytes);
    const struct record_way way = connection_way(c);
    return records_put(c->records, &way, bytes);
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

/* ---- a data connection ---- */

void connection_splice(struct connection *c, struct splice *splice)
{
    connection_keep(c, true);
    c->splice = splice;
}

void connection_unsplice(struct connection *c)
{
    c->splice = NULL;
    if (c->state == CONNECTION_BROKEN)
        return;
    connection_finish(c);
    connection_resume(c); /* for its end */
}

bool connection_put(struct connection *c, struct view bytes)
{
    connection_unsettled(c);
    return c->state == CONNECTION_OPEN && put(c, bytes);
}

size_t connection_waiting(const struct connection *c)
{
    return c->out.len;
}

void connection_end_output(struct connection *c)
{
    say_goodbye(c);
    c->silent = true;
    connection_unsettled(c);
}

void connection_pause(struct connection *c)
{
    watch_stop(&c->readable);
}

void connection_resume(struct connection *c)
{
    if (!c->readable.loop && !c->ended && c->state != CONNECTION_BROKEN)
        watch_read(&c->readable, c->streams->config.loop, c->fd, connection_receive, c);
}

void connection_free(struct connection *c)
{
    struct streams *s = c->streams;
    const uint32_t index = (uint32_t)c->flow.link;
    watch_stop(&c->readable);
    watch_stop(&c->writable);
    deadline_clear(&c->deadline);
    if (c->splice)
        splice_client_gone(c->splice);
    if (c->known && s->config.closed)
        s->config.closed(s->config.ctx, &c->flow);
    handshake_free(c->handshake);
    records_free(c->records);
    outbox_clear(&c->out, &s->spare);
    if (c->fd >= 0)
        close(c->fd);
    free(c->part);
    free(c->sni);
    if (c->source != SOURCE_NONE)
        sources_give(&s->sources, c->source);
    pool_give(&s->connections, index);
    s->counts.closed++;
    s->counts.open--;
}

/* depart: what crosses is taken out of the connection, which then ends here like any other. */
static void depart(struct connection *c)
{
    struct streams *s = c->streams;
    const unsigned heir = c->heir;
    struct connection *parcel = malloc(sizeof *parcel);
    if (parcel) {
        *parcel = (struct connection){.flow = c->flow,
                                      .fd = c->fd,
                                      .state = CONNECTION_OPEN,
                                      .familiar = c->familiar,
                                      .handed = (uint8_t)(c->handed + 1),
                                      .part_len = c->part_len,
                                      .record_len = c->record_len,
                                      .part = c->part,
                                      .records = c->records,
                                      .sni = c->sni,
                                      .out = c->out};
        watch_stop(&c->writable);
        loop_forget(s->config.loop, c->fd);
        c->fd = -1;
        c->part = NULL;
        c->records = NULL;
        c->sni = NULL;
        c->out = (struct outbox){0};
        s->counts.handed++;
    }
    connection_free(c);
    if (parcel)
        s->config.leaves(s->config.ctx, parcel, heir);
}

void connection_drop(struct connection *parcel)
{
    struct chunks none = {0};
    records_free(parcel->records);
    outbox_clear(&parcel->out, &none);
    chunks_close(&none);
    reset(parcel->fd);
    free(parcel->part);
    free(parcel->sni);
    free(parcel);
}

bool connection_arrive(struct streams *s, const struct connection *parcel)
{
    uint64_t link;
    struct connection *c = place(s, &parcel->flow.client, &link);
    if (!c)
        return false;
    const uint32_t source = c->source;
    *c = *parcel;
    c->source = source;
    c->flow.link = link;
    begin(c, s);
    connection_unsettled(c); /* there may be something to send */
    connection_continue(c);
    return true;
}

static void settle_splice(struct connection *c)
{
    if (c->silent && c->out.len == 0)
        shutdown(c->fd, SHUT_WR);
    else
        splice_client_drained(c->splice);
}

void connection_settle(struct connection *c)
{
    output(c);
    if (c->splice)
        settle_splice(c);
    if (c->state == CONNECTION_CLOSING && c->out.len == 0) {
        c->state = CONNECTION_LINGERING; /* closing now, with bytes unread, would reset the connection and lose what was sent last */
        shutdown(c->fd, SHUT_WR);
        if (c->ended)
            connection_break(c);
    }
    c->unsettled = false;
    if (c->state == CONNECTION_LEAVING)
        depart(c);
    else if (c->state == CONNECTION_BROKEN)
        connection_free(c);
}
