/* chain.h: doubly linked lists of a pool's items, by index: an item carries its links, the owner of the list its two ends.
 *
 * An item is in at most one list through one pair of links. Every operation is O(1).
 */
#ifndef RELAY_TURN_CHAIN_H
#define RELAY_TURN_CHAIN_H

#include "base/pool.h"

struct links {
    uint32_t next, prev; /* POOL_NONE at the ends */
};

struct chain {
    uint32_t first, last; /* POOL_NONE when empty */
};

/* struct chain_of: which items a list is made of, and where in an item its links lie: offsetof(...). */
struct chain_of {
    const struct pool *pool;
    size_t links;
};

void chain_init(struct chain *chain);
void chain_append(struct chain_of of, struct chain *chain, uint32_t index);
void chain_remove(struct chain_of of, struct chain *chain, uint32_t index);
uint32_t chain_next(struct chain_of of, uint32_t index);

#endif
