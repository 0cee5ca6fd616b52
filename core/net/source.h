/* source.h: how many connections each source (addr_source) has.
 *
 * Private to the room. A source that holds nothing costs nothing.
 */
#ifndef RELAY_NET_SOURCE_H
#define RELAY_NET_SOURCE_H

#include "base/addr.h"
#include "base/pool.h"
#include "base/table.h"

#define SOURCE_NONE POOL_NONE

struct sources {
    struct pool pool;
    struct table table;
    struct hash_key hash_key;
    uint32_t most; /* per source; 0: no limit */
};

void sources_init(struct sources *, struct hash_key, uint32_t most);
void sources_close(struct sources *);

/* sources_take: one more for the source of `from`: a number for sources_give, or SOURCE_NONE if it has all that it may, or without memory.
 */
uint32_t sources_take(struct sources *, const struct addr *from);
void sources_give(struct sources *, uint32_t source);

#endif
