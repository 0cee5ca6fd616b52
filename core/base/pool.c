/* pool.c: fixed-size items in chunks.
 *
 * Chunks that have room form a list through `previous` and `next`; its head is the chunk to take from, and a lower chunk goes in front of a
 * higher one, so that the tail of the pool tends to empty. Items of a chunk are taken in their order; one that came back begins with the
 * number of the next that did. A chunk is large enough for malloc to get it from the system by itself, and to give it back alone.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 131072u
#define CHUNK_SHIFT_MIN 3u
#define CHUNK_SHIFT_MAX 11u
#define LINE 64u /* of the cache */
#define UNIT _Alignof(uint64_t) /* nothing that is kept needs more */

struct pool_chunk {
    void *block; /* of malloc's, in which it begins on a line */
    uint32_t live;
    uint32_t fresh;     /* items from this one on were never taken */
    uint32_t free_item; /* that came back last; POOL_NONE: none is left of those */
    uint32_t previous, next; /* chunks with room, POOL_NONE at the ends */
    uint32_t generation[];   /* per item, 0: free; the items follow */
};

static size_t aligned(size_t len, size_t unit)
{
    return (len + unit - 1) / unit * unit;
}

static uint32_t chunk_items(const struct pool *pool)
{
    return UINT32_C(1) << pool->chunk_shift;
}

static uint8_t *item_at(const struct pool *pool, struct pool_chunk *chunk, uint32_t item)
{
    return (uint8_t *)chunk + pool->items_offset + item * pool->item_size;
}

static struct pool_chunk *chunk_of(const struct pool *pool, uint32_t index)
{
    const uint32_t number = index >> pool->chunk_shift;
    return number < pool->chunk_count ? pool->chunks[number] : NULL;
}

static uint32_t generation_of(const struct pool *pool, uint32_t index)
{
    const struct pool_chunk *chunk = chunk_of(pool, index);
    return chunk ? chunk->generation[index & (chunk_items(pool) - 1)] : 0;
}

void pool_init(struct pool *pool, size_t item_size, uint32_t limit)
{
    const uint32_t most = UINT32_MAX - 1;
    *pool = (struct pool){.item_size = aligned(item_size ? item_size : 1, UNIT), .room = POOL_NONE, .next_generation = 1};
    pool->limit = limit && limit < most ? limit : most;
    pool->chunk_shift = CHUNK_SHIFT_MAX;
    while (pool->chunk_shift > CHUNK_SHIFT_MIN && pool->item_size > CHUNK_BYTES >> pool->chunk_shift)
        pool->chunk_shift--;
    pool->items_offset = aligned(sizeof(struct pool_chunk) + chunk_items(pool) * sizeof(uint32_t), LINE);
}

void pool_close(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++)
        if (pool->chunks[i])
            free(pool->chunks[i]->block);
    free(pool->chunks);
    *pool = (struct pool){.item_size = pool->item_size,
                          .items_offset = pool->items_offset,
                          .chunk_shift = pool->chunk_shift,
                          .limit = pool->limit,
                          .room = POOL_NONE,
                          .next_generation = pool->next_generation};
}

static void room_link(struct pool *pool, uint32_t number)
{
    struct pool_chunk *chunk = pool->chunks[number];
    const bool first = pool->room == POOL_NONE || number < pool->room;
    chunk->previous = first ? POOL_NONE : pool->room;
    chunk->next = first ? pool->room : pool->chunks[pool->room]->next;
    if (chunk->next != POOL_NONE)
        pool->chunks[chunk->next]->previous = number;
    if (first)
        pool->room = number;
    else
        pool->chunks[pool->room]->next = number;
}

static void room_unlink(struct pool *pool, uint32_t number)
{
    const struct pool_chunk *chunk = pool->chunks[number];
    if (chunk->next != POOL_NONE)
        pool->chunks[chunk->next]->previous = chunk->previous;
    if (chunk->previous != POOL_NONE)
        pool->chunks[chunk->previous]->next = chunk->next;
    else
        pool->room = chunk->next;
}

/* hole: the number for a new chunk: of one that was given back, or the next. POOL_NONE: there is none, or no memory for it. */
static uint32_t hole(struct pool *pool)
{
    for (uint32_t i = 0; pool->holes && i < pool->chunk_count; i++)
        if (!pool->chunks[i])
            return i;
    if (pool->chunk_count >= UINT32_MAX >> pool->chunk_shift)
        return POOL_NONE;
    struct pool_chunk **chunks = realloc(pool->chunks, (pool->chunk_count + 1) * sizeof(struct pool_chunk *));
    if (!chunks)
        return POOL_NONE;
    pool->chunks = chunks;
    chunks[pool->chunk_count] = NULL;
    return pool->chunk_count;
}

static bool chunk_add(struct pool *pool)
{
    const uint32_t number = hole(pool);
    char *block = number == POOL_NONE ? NULL : malloc(LINE + pool->items_offset + chunk_items(pool) * pool->item_size);
    if (!block)
        return false;
    struct pool_chunk *chunk = (struct pool_chunk *)(void *)(block + (LINE - (uintptr_t)block % LINE));
    *chunk = (struct pool_chunk){.block = block, .free_item = POOL_NONE};
    memset(chunk->generation, 0, chunk_items(pool) * sizeof chunk->generation[0]);
    pool->chunks[number] = chunk;
    if (number == pool->chunk_count)
        pool->chunk_count++;
    else
        pool->holes--;
    pool->empty++;
    room_link(pool, number);
    return true;
}

/* item_take: there is one. */
static uint32_t item_take(const struct pool *pool, struct pool_chunk *chunk)
{
    const uint32_t item = chunk->free_item == POOL_NONE ? chunk->fresh++ : chunk->free_item;
    if (item == chunk->free_item)
        memcpy(&chunk->free_item, item_at(pool, chunk, item), sizeof chunk->free_item);
    return item;
}

void *pool_take(struct pool *pool, struct handle *out)
{
    if (pool->live >= pool->limit || (pool->room == POOL_NONE && !chunk_add(pool)))
        return NULL;
    const uint32_t number = pool->room;
    struct pool_chunk *chunk = pool->chunks[number];
    const uint32_t item = item_take(pool, chunk);
    uint8_t *at = item_at(pool, chunk, item);
    memset(at, 0, pool->item_size);
    if (pool->next_generation == 0)
        pool->next_generation = 1;
    chunk->generation[item] = pool->next_generation++;
    pool->live++;
    pool->empty -= chunk->live == 0;
    if (++chunk->live == chunk_items(pool))
        room_unlink(pool, number);
    if (out)
        *out = (struct handle){number << pool->chunk_shift | item, chunk->generation[item]};
    return at;
}

/* chunk_free: an empty one. */
static void chunk_free(struct pool *pool, uint32_t number)
{
    room_unlink(pool, number);
    free(pool->chunks[number]->block);
    pool->chunks[number] = NULL;
    pool->empty--;
    pool->holes++;
    for (; pool->chunk_count && !pool->chunks[pool->chunk_count - 1]; pool->holes--)
        pool->chunk_count--;
}

/* An empty chunk stays, so that one item that comes and goes does not make and free a chunk each time. */
void pool_give(struct pool *pool, uint32_t index)
{
    const uint32_t item = index & (chunk_items(pool) - 1);
    struct pool_chunk *chunk = chunk_of(pool, index);
    assert(chunk && chunk->generation[item] != 0);
    memcpy(item_at(pool, chunk, item), &chunk->free_item, sizeof chunk->free_item);
    chunk->free_item = item;
    chunk->generation[item] = 0;
    if (chunk->live-- == chunk_items(pool))
        room_link(pool, index >> pool->chunk_shift);
    pool->live--;
    if (chunk->live == 0 && pool->empty++)
        chunk_free(pool, index >> pool->chunk_shift);
}

void *pool_at(const struct pool *pool, struct handle handle)
{
    return handle.generation && generation_of(pool, handle.index) == handle.generation ? pool_index(pool, handle.index) : NULL;
}

void *pool_index(const struct pool *pool, uint32_t index)
{
    struct pool_chunk *chunk = chunk_of(pool, index);
    const uint32_t item = index & (chunk_items(pool) - 1);
    return chunk && chunk->generation[item] ? item_at(pool, chunk, item) : NULL;
}

struct handle pool_handle(const struct pool *pool, uint32_t index)
{
    const uint32_t generation = generation_of(pool, index);
    return generation ? (struct handle){index, generation} : (struct handle){0};
}

uint32_t pool_next(const struct pool *pool, uint32_t from)
{
    uint64_t index = from;
    const uint64_t end = (uint64_t)pool->chunk_count << pool->chunk_shift;
    while (index < end) {
        const struct pool_chunk *chunk = pool->chunks[index >> pool->chunk_shift];
        if (!chunk || chunk->live == 0)
            index = ((index >> pool->chunk_shift) + 1) << pool->chunk_shift;
        else if (generation_of(pool, (uint32_t)index))
            return (uint32_t)index;
        else
            index++;
    }
    return POOL_NONE;
}
