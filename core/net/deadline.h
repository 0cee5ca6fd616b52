/* deadline.h: a queue of things that all wait equally long: who came first is due first, so that a sweep looks only at those that are due.
 *
 * Private to the room. The links are embedded in their owner, which must not move and must be out of the queue when it goes.
 */
#ifndef RELAY_NET_DEADLINE_H
#define RELAY_NET_DEADLINE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct deadline {
    struct deadline *previous, *next; /* NULL: not waiting */
    msec_t due_ms;
    void *owner;
};

struct deadlines {
    struct deadline ends; /* of the ring: next is the oldest */
    msec_t wait_ms;
};

void deadlines_init(struct deadlines *, msec_t wait_ms);

/* deadline_set: due `wait_ms` after `now`, whatever it was before. deadline_clear: not waiting any more. */
void deadline_set(struct deadlines *, struct deadline *, void *owner, msec_t now);
void deadline_clear(struct deadline *);
bool deadline_is_set(const struct deadline *);

/* deadlines_due: the owner of the first that is due, NULL if none; it stays in the queue. deadlines_oldest: whether due or not. */
void *deadlines_due(const struct deadlines *, msec_t now);
void *deadlines_oldest(const struct deadlines *);

/* deadlines_after: the next newer owner, NULL at the end; `at` NULL: the oldest. */
struct deadline *deadlines_after(const struct deadlines *, const struct deadline *at);

#endif
