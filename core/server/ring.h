/* ring.h: a queue of records from one thread to another, without locks: the one puts, the other takes, neither waits.
 *
 * Records lie whole in a buffer of fixed size; one that does not fit is refused. What was put before a wake-up of the taker is seen by it.
 */
#ifndef RELAY_SERVER_RING_H
#define RELAY_SERVER_RING_H

#include "base/bytes.h"

#define RING_BYTES (1u << 20)

struct ring;

struct ring *ring_new(void);
void ring_free(struct ring *); /* NULL is fine */

/* ring_put: a record of two parts, copied; false when there is no room.  ring_wants_waking: whether something was put since it was asked last. The putter's. */
bool ring_put(struct ring *, struct view head, struct view body);
bool ring_wants_waking(struct ring *);

/* ring_first: the oldest record, aligned like an allocation, empty when there is none; it lives until ring_drop. The taker's. */
struct view ring_first(struct ring *);
void ring_drop(struct ring *);

#endif
