/* outbox.h: bytes that wait to be written to a connection, in chunks that the worker's connections share out among them.
 *
 * Private to the room. An empty outbox owns no memory; in a steady state chunks come from the spare ones, not from the heap.
 */
#ifndef RELAY_NET_OUTBOX_H
#define RELAY_NET_OUTBOX_H

#include "base/bytes.h"

#define OUTBOX_ROW_MAX 4072

struct chunk;

struct chunks { /* spare ones */
    struct chunk *first;
    unsigned count;
};

struct outbox {
    struct chunk *first, *last;
    size_t len;
};

void chunks_close(struct chunks *);

/* outbox_put: append; false without memory (part of the bytes may be in). outbox_clear: forget all. */
bool outbox_put(struct outbox *, struct chunks *, struct view bytes);
void outbox_clear(struct outbox *, struct chunks *);

/* outbox_room: at least `least` bytes in a row at the end (OUTBOX_ROW_MAX at most), and how many there are; NULL without memory. They are free until the next put, fill or
 * write.  outbox_fill: so many of them are to be sent now. */
uint8_t *outbox_room(struct outbox *, struct chunks *, size_t least, size_t *room);
void outbox_fill(struct outbox *, size_t len);

/* outbox_write: to the socket: 0 when all is written, ERR_BUSY when it takes no more now, ERR_SYSTEM when it never will. */
int outbox_write(struct outbox *, struct chunks *, int fd);

#endif
