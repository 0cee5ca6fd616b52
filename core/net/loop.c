/* loop.c: a thin layer over libev. */
#include "net/loop.h"

#include <assert.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct loop {
    struct ev_loop *ev;
    int epoll; /* -1: libev does without */
    msec_t now;
};

enum watch_kind { WATCH_IO, WATCH_EVERY, WATCH_SIGNAL, WATCH_WAKE, WATCH_SLEEP };

union watcher {
    ev_io io;
    ev_timer timer;
    ev_signal signal;
    ev_async async;
    ev_prepare prepare;
};

_Static_assert(sizeof(union watcher) <= sizeof(((struct watch *)0)->ev), "struct watch is too small for libev's watchers");
_Static_assert(_Alignof(union watcher) <= _Alignof(void *), "struct watch is not aligned for libev's watchers");

/* watch_of: that a watcher lies in; its data is whose it is. */
static struct watch *watch_of(void *watcher)
{
    return (struct watch *)(void *)((char *)watcher - offsetof(struct watch, ev));
}

static union watcher *watcher_of(struct watch *watch)
{
    return (union watcher *)(void *)&watch->ev;
}

/* on_woke: right behind the wait, before every watcher of the turn; a watcher of its own would cost four times as much. */
static void on_woke(struct ev_loop *ev) EV_NOEXCEPT
{
    struct loop *loop = ev_userdata(ev);
    loop->now = clock_monotonic_ms();
}

static void on_embedded(struct ev_loop *ev, ev_embed *embed, int events)
{
    (void)ev, (void)embed, (void)events;
}

/* epoll_of: libev tells it only to a loop within which another one runs. */
static int epoll_of(struct ev_loop *ev)
{
    ev_embed embed;
    struct ev_loop *around = ev_backend(ev) == EVBACKEND_EPOLL ? ev_loop_new(EVFLAG_NOENV | EVBACKEND_SELECT) : NULL;
    if (!around)
        return -1;
    ev_embed_init(&embed, on_embedded, ev);
    ev_embed_start(around, &embed);
    const int epoll = embed.io.fd;
    ev_embed_stop(around, &embed);
    ev_loop_destroy(around);
    return epoll;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->ev = ev_loop_new(EVFLAG_NOENV); /* the environment does not choose the backend */
    if (!loop->ev) {
        free(loop);
        return NULL;
    }
    loop->epoll = epoll_of(loop->ev);
    loop->now = clock_monotonic_ms();
    ev_set_userdata(loop->ev, loop);
    ev_set_loop_release_cb(loop->ev, NULL, on_woke);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    ev_loop_destroy(loop->ev);
    free(loop);
}

void loop_run(struct loop *loop)
{
    ev_run(loop->ev, 0);
}

void loop_turn(struct loop *loop)
{
    ev_run(loop->ev, EVRUN_ONCE);
}

void loop_stop(struct loop *loop)
{
    ev_break(loop->ev, EVBREAK_ALL);
}

msec_t loop_now(const struct loop *loop)
{
    return loop->now;
}

static union watcher *watch_init(struct watch *watch, struct loop *loop, void (*call)(void *owner))
{
    assert(!watch->loop);
    *watch = (struct watch){.loop = loop, .call = call};
    return watcher_of(watch);
}

static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
    struct watch *watch = watch_of(io);
    (void)ev, (void)events;
    watch->call(io->data);
}

static void watch_io(struct watch *watch, int fd, int events, void *owner)
{
    ev_io *io = &watcher_of(watch)->io;
    watch->kind = WATCH_IO;
    ev_io_init(io, on_io, fd, events);
    io->data = owner;
    ev_io_start(watch->loop->ev, io);
}

void watch_read(struct watch *watch, struct loop *loop, int fd, void (*call)(void *owner), void *owner)
{
    watch_init(watch, loop, call);
    watch_io(watch, fd, EV_READ, owner);
}

void watch_write(struct watch *watch, struct loop *loop, int fd, void (*call)(void *owner), void *owner)
{
    watch_init(watch, loop, call);
    watch_io(watch, fd, EV_WRITE, owner);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct watch *watch = watch_of(timer);
    (void)ev, (void)events;
    watch->call(timer->data);
}

void watch_every(struct watch *watch, struct loop *loop, double seconds, void (*call)(void *owner), void *owner)
{
    ev_timer *timer = &watch_init(watch, loop, call)->timer;
    watch->kind = WATCH_EVERY;
    ev_timer_init(timer, on_timer, seconds, seconds);
    timer->data = owner;
    ev_timer_start(loop->ev, timer);
}

static void on_once(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct watch *watch = watch_of(timer);
    (void)ev, (void)events;
    watch->loop = NULL;
    watch->call(timer->data);
}

void watch_after(struct watch *watch, struct loop *loop, msec_t ms, void (*call)(void *owner), void *owner)
{
    watch_stop(watch);
    ev_timer *timer = &watch_init(watch, loop, call)->timer;
    watch->kind = WATCH_EVERY;
    ev_now_update(loop->ev);
    ev_timer_init(timer, on_once, (double)ms / 1000, 0);
    timer->data = owner;
    ev_timer_start(loop->ev, timer);
}

static void on_signal(struct ev_loop *ev, ev_signal *signal, int events)
{
    struct watch *watch = watch_of(signal);
    (void)ev, (void)events;
    watch->call(signal->data);
}

void watch_signal(struct watch *watch, struct loop *loop, int signal, void (*call)(void *owner), void *owner)
{
    ev_signal *watcher = &watch_init(watch, loop, call)->signal;
    watch->kind = WATCH_SIGNAL;
    ev_signal_init(watcher, on_signal, signal);
    watcher->data = owner;
    ev_signal_start(loop->ev, watcher);
}

/* on_async: `woken` orders what the waking thread wrote before what is read here; libev makes no promise of it. */
static void on_async(struct ev_loop *ev, ev_async *async, int events)
{
    struct watch *watch = watch_of(async);
    (void)ev, (void)events;
    __atomic_exchange_n(&watch->woken, 0, __ATOMIC_ACQUIRE);
    watch->call(async->data);
}

void watch_wake(struct watch *watch, struct loop *loop, void (*call)(void *owner), void *owner)
{
    ev_async *async = &watch_init(watch, loop, call)->async;
    watch->kind = WATCH_WAKE;
    ev_async_init(async, on_async);
    ev_set_priority(async, EV_MAXPRI - 1); /* what another thread asked for comes before what a socket brought later */
    async->data = owner;
    ev_async_start(loop->ev, async);
}

void loop_wake(struct watch *wake)
{
    __atomic_fetch_or(&wake->woken, 1, __ATOMIC_ACQ_REL);
    ev_async_send(wake->loop->ev, &watcher_of(wake)->async);
}

static void on_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
    struct watch *watch = watch_of(prepare);
    (void)ev, (void)events;
    watch->call(prepare->data);
}

void watch_before_sleep(struct watch *watch, struct loop *loop, void (*call)(void *owner), void *owner)
{
    ev_prepare *prepare = &watch_init(watch, loop, call)->prepare;
    watch->kind = WATCH_SLEEP;
    ev_prepare_init(prepare, on_prepare);
    prepare->data = owner;
    ev_prepare_start(loop->ev, prepare);
}

/* libev leaves a descriptor in the set until it is closed; but here it stays open, and is closed by another thread. */
void loop_forget(struct loop *loop, int fd)
{
    struct epoll_event none = {0};
    if (loop->epoll >= 0)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, &none);
}

void watch_stop(struct watch *watch)
{
    if (!watch->loop)
        return;
    struct ev_loop *ev = watch->loop->ev;
    union watcher *watcher = watcher_of(watch);
    switch ((enum watch_kind)watch->kind) {
        case WATCH_IO:
            ev_io_stop(ev, &watcher->io);
            break;
        case WATCH_EVERY:
            ev_timer_stop(ev, &watcher->timer);
            break;
        case WATCH_SIGNAL:
            ev_signal_stop(ev, &watcher->signal);
            break;
        case WATCH_WAKE:
            ev_async_stop(ev, &watcher->async);
            break;
        case WATCH_SLEEP:
            ev_prepare_stop(ev, &watcher->prepare);
            break;
    }
    watch->loop = NULL;
}
