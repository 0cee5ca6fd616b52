/* pool.h: fixed-size items in chunks, reached by index and generation; what survives a call is a handle, not a pointer.
 *
 * An item's address is stable while it lives; one whose size is a multiple of a cache line begins on a line. Chunks that hold nothing live
 * are given back to the system, all but one, wherever they are; of a chunk only what was ever taken was touched. A handle of a given-back
 * item is stale: pool_at answers NULL for it (the generations, one count for the pool, come round after 2^32 - 1 items taken).
 */
#ifndef RELAY_BASE_POOL_H
#define RELAY_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct handle {
    uint32_t index;
    uint32_t generation; /* never 0 for a live item: {0} is no handle */
};

struct pool_chunk;

struct pool {
    struct pool_chunk **chunks; /* NULL: was given back */
    size_t item_size, items_offset; /* in a chunk */
    uint32_t chunk_shift, chunk_count, live, limit;
    uint32_t room;  /* first of the chunks with a free item */
    uint32_t empty; /* chunks that hold nothing live */
    uint32_t holes; /* chunks that were given back from between others */
    uint32_t next_generation;
};

/* pool_init: items of `item_size` bytes, at most `limit` of them (0: 2^32 - 2). Allocates nothing yet. */
void pool_init(struct pool *pool, size_t item_size, uint32_t limit);
void pool_close(struct pool *pool);

/* pool_take: a zeroed item, and its handle in *out (may be NULL); NULL when out of memory or at the limit. */
void *pool_take(struct pool *pool, struct handle *out);
void pool_give(struct pool *pool, uint32_t index);

void *pool_at(const struct pool *pool, struct handle handle);    /* NULL if stale */
void *pool_index(const struct pool *pool, uint32_t index);       /* NULL if not live */
struct handle pool_handle(const struct pool *pool, uint32_t index);

/* pool_next: the first live index >= `from`, or POOL_NONE: to walk all items, also while giving back the current one. */
uint32_t pool_next(const struct pool *pool, uint32_t from);

#endif
