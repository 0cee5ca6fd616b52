/* loop.h: the event loop of one thread, and what waits on it. The only room that knows libev.
 *
 * Watchers are embedded in their owner and must be stopped before it goes; stopping one that is not running does nothing. loop_wake is the one call
 * that other threads may make: what they wrote before it is seen by `call`.
 */
#ifndef RELAY_NET_LOOP_H
#define RELAY_NET_LOOP_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;

/* struct watch: one readable or writable descriptor, timer, wake-up or signal. `call` runs in the loop's thread. Zeroed before its first use, opaque after. */
struct watch {
    struct loop *loop; /* NULL: not running */
    void (*call)(void *owner);
    int kind;
    int woken;
    union {
        void *align;
        char bytes[48];
    } ev; /* libev's watcher */
};

struct loop *loop_new(void);
void loop_free(struct loop *);
void loop_run(struct loop *); /* until loop_stop, called in its thread */
void loop_turn(struct loop *); /* once: waits for the first thing that happens */
void loop_stop(struct loop *);
msec_t loop_now(const struct loop *); /* CLOCK_MONOTONIC when the loop last woke: one clock read per wake-up */

void watch_read(struct watch *, struct loop *, int fd, void (*call)(void *owner), void *owner);
void watch_write(struct watch *, struct loop *, int fd, void (*call)(void *owner), void *owner);
void watch_every(struct watch *, struct loop *, double seconds, void (*call)(void *owner), void *owner);
void watch_after(struct watch *, struct loop *, msec_t ms, void (*call)(void *owner), void *owner); /* once; running, it is set anew */
void watch_signal(struct watch *, struct loop *, int signal, void (*call)(void *owner), void *owner); /* a signal has one loop in the process */
void watch_wake(struct watch *, struct loop *, void (*call)(void *owner), void *owner);   /* runs after loop_wake */
void watch_before_sleep(struct watch *, struct loop *, void (*call)(void *owner), void *owner); /* each turn, before the loop waits: flush batches here */
void watch_stop(struct watch *);
void loop_forget(struct loop *, int fd); /* an open descriptor without a watch that another thread's loop is to have from now on */
void loop_wake(struct watch *wake); /* any thread, from watch_wake to watch_stop */

#endif
