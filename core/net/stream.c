/* stream.c: the connections of one worker: listeners, deadlines, the way to each by its number. */
#include "net/connection.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SWEEP_S 0.25
#define BACKLOG 1024
#define ACCEPT_MAX 64 /* in one turn of the loop */

static void on_sweep(void *owner)
{
    struct streams *s = owner;
    streams_sweep(s, loop_now(s->config.loop));
}

static void on_before_sleep(void *owner)
{
    streams_flush(owner);
}

struct streams *streams_new(const struct streams_config *config)
{
    struct streams *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->config = *config;
    pool_init(&s->connections, sizeof(struct connection), config->max_connections);
    sources_init(&s->sources, config->hash_key, config->max_per_source);
    deadlines_init(&s->deadlines, (msec_t)config->handshake_s * 1000);
    watch_every(&s->sweep, config->loop, SWEEP_S, on_sweep, s);
    watch_before_sleep(&s->before_sleep, config->loop, on_before_sleep, s);
    return s;
}

/* finish: nobody may be there any more to take over what is on its way out. */
static void finish(struct connection *c)
{
    if (c->state == CONNECTION_LEAVING)
        connection_break(c);
    else
        connection_finish(c);
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    streams_stop_listening(s);
    s->busy = false;
    for (uint32_t at = 0; (at = pool_next(&s->connections, at)) != POOL_NONE; at++)
        finish(pool_index(&s->connections, at));
    streams_flush(s); /* what can be sent at once is */
    for (uint32_t at = 0; (at = pool_next(&s->connections, at)) != POOL_NONE; at++)
        connection_free(pool_index(&s->connections, at));
    watch_stop(&s->sweep);
    watch_stop(&s->before_sleep);
    pool_close(&s->connections);
    sources_close(&s->sources);
    chunks_close(&s->spare);
    free(s);
}

static void on_acceptable(void *owner)
{
    struct listener *listener = owner;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct addr from;
        const int fd = socket_accept(listener->fd, &from);
        if (fd >= 0)
            connection_add(listener, fd, &from);
        if (fd == ERR_MEMORY)
            watch_stop(&listener->acceptable); /* until the next sweep; clients wait in the backlog */
        if (fd == ERR_MEMORY || fd == ERR_NOT_FOUND)
            return;
    }
}

static void accept_again(struct listener *listener)
{
    if (!listener->acceptable.loop)
        watch_read(&listener->acceptable, listener->streams->config.loop, listener->fd, on_acceptable, listener);
}

int streams_listen(struct streams *s, const struct addr *local, uint16_t number, enum stream_door door)
{
    if (s->listener_count == STREAM_LISTENERS_MAX) {
        errno = ENOBUFS;
        return ERR_SYSTEM;
    }
    const int fd = socket_bound(SOCK_STREAM, local, SOCKET_SHARED);
    if (fd < 0)
        return fd;
    if ((s->config.marks && !control_ask_mark(fd, local->family)) || listen(fd, BACKLOG) != 0) {
        socket_close(fd);
        return ERR_SYSTEM;
    }
    struct listener *listener = &s->listeners[s->listener_count++];
    *listener = (struct listener){.streams = s, .fd = fd, .number = number, .door = door};
    accept_again(listener);
    return 0;
}

bool stream_is_taken(const struct addr *local)
{
    return socket_is_taken(SOCK_STREAM, local);
}

void streams_stop_listening(struct streams *s)
{
    while (s->listener_count) {
        struct listener *listener = &s->listeners[--s->listener_count];
        watch_stop(&listener->acceptable);
        socket_close(listener->fd);
    }
}

void streams_sweep(struct streams *s, msec_t now)
{
    struct connection *c;
    while ((c = deadlines_due(&s->deadlines, now)))
        connection_break(c);
    for (unsigned i = 0; i < s->listener_count; i++)
        accept_again(&s->listeners[i]);
}

void streams_flush(struct streams *s)
{
    if (s->busy)
        return;
    s->busy = true;
    while (s->unsettled) {
        struct connection *c = s->unsettled;
        s->unsettled = c->next_unsettled;
        connection_settle(c);
    }
    s->busy = false;
}

struct connection *streams_find(const struct streams *s, uint64_t link)
{
    return pool_at(&s->connections, (struct handle){(uint32_t)link, (uint32_t)(link >> 32)});
}

bool stream_send(struct streams *s, uint64_t link, struct view bytes)
{
    struct connection *c = streams_find(s, link);
    return c && connection_send(c, bytes);
}

void stream_keep(struct streams *s, uint64_t link, bool keep)
{
    struct connection *c = streams_find(s, link);
    if (c)
        connection_keep(c, keep);
}

void stream_close(struct streams *s, uint64_t link)
{
    struct connection *c = streams_find(s, link);
    if (c)
        connection_finish(c);
}

void stream_hand_over(struct streams *s, uint64_t link, unsigned heir)
{
    struct connection *c = streams_find(s, link);
    if (c)
        connection_leave(c, heir);
}

void stream_take_over(struct streams *s, struct connection *parcel)
{
    assert(!s->busy);
    if (connection_arrive(s, parcel)) {
        free(parcel);
    } else {
        s->counts.refused++;
        connection_drop(parcel);
    }
}

const struct stream_counts *streams_counts(const struct streams *s)
{
    return &s->counts;
}
