/* foreign.h: 5-tuples whose datagrams this worker gets and another one's engine wants: clients that moved (RFC 8016). SO_REUSEPORT sends them here all the same.
 *
 * The owner of the allocation says which, and until when; one that has none is nobody's business. One thread's.
 */
#ifndef RELAY_SERVER_FOREIGN_H
#define RELAY_SERVER_FOREIGN_H

#include "base/pool.h"
#include "base/table.h"
#include "turn/flow.h"

struct foreign {
    struct pool flows;
    struct table table;
    struct hash_key hash_key;
};

void foreign_init(struct foreign *, struct hash_key);
void foreign_close(struct foreign *);

/* foreign_put: `owner` wants the flow: 0 or ERR_MEMORY.  foreign_drop: it does not any more; if another one does, that stays. */
int foreign_put(struct foreign *, const struct flow *, unsigned owner);
void foreign_drop(struct foreign *, const struct flow *, unsigned owner);

/* foreign_find: whether somebody wants the flow.  foreign_is_empty: for every datagram. */
bool foreign_find(const struct foreign *, const struct flow *, unsigned *owner);
static inline bool foreign_is_empty(const struct foreign *foreign)
{
    return foreign->table.count == 0;
}

#endif
