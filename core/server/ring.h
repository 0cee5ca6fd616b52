/* ring.h: a queue of records from one thread to another, without locks: the one puts, the other takes, neither waits.
 *
 * Records lie whole in a buffer of fixed size; one that does not fit is refused. What was put before a wake-up of the taker is seen by it. What was taken
 * stays where it is until the taker releases it, so that it can be sent from there; until then the taker may write upon it, and RING_TAILROOM bytes behind it.
 */
#ifndef RELAY_SERVER_RING_H
#define RELAY_SERVER_RING_H

#include "base/bytes.h"

#define RING_TAILROOM 4

struct ring;

/* ring_new: of `bytes`, a multiple of 64: a record of half of it always fits into an empty ring. NULL without memory. */
struct ring *ring_new(size_t bytes);
void ring_free(struct ring *); /* NULL is fine */

/* ring_put: a record of two parts, copied; false when there is no room.  ring_wants_waking: whether something was put since it was asked last. The putter's. */
bool ring_put(struct ring *, struct view head, struct view body);
bool ring_wants_waking(struct ring *);

/* ring_take: the oldest record that was not taken, of *len bytes, aligned like an allocation; NULL: there is none.  ring_is_empty: whether it would answer
 * NULL.  ring_release: all that was taken may be written over. The taker's. */
uint8_t *ring_take(struct ring *, size_t *len);
bool ring_is_empty(struct ring *);
void ring_release(struct ring *);

#endif
