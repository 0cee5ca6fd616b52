/* pool.c: fixed-size items in chunks.
 *
 * Chunks that have room form a list through `previous` and `next`; its head is the chunk to take from, and a lower chunk goes in front of a
 * higher one, so that the tail of the pool tends to empty. A free item begins with the number of the next free item of its chunk.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 32768u
#define CHUNK_SHIFT_MIN 3u
#define CHUNK_SHIFT_MAX 10u

struct pool_chunk {
    uint32_t live, free_item;
    uint32_t previous, next; /* chunks with room, POOL_NONE at the ends */
    uint32_t generation[];   /* per item, 0: free; the items follow */
};

static size_t aligned(size_t len)
{
    const size_t unit = _Alignof(max_align_t);
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
    *pool = (struct pool){.item_size = aligned(item_size ? item_size : 1), .room = POOL_NONE, .next_generation = 1};
    pool->limit = limit && limit < most ? limit : most;
    pool->chunk_shift = CHUNK_SHIFT_MAX;
    while (pool->chunk_shift > CHUNK_SHIFT_MIN && pool->item_size > CHUNK_BYTES >> pool->chunk_shift)
        pool->chunk_shift--;
    pool->items_offset = aligned(sizeof(struct pool_chunk) + chunk_items(pool) * sizeof(uint32_t));
}

void pool_close(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++)
        free(pool->chunks[i]);
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

static bool chunk_add(struct pool *pool)
{
    if (pool->chunk_count >= UINT32_MAX >> pool->chunk_shift)
        return false;
    struct pool_chunk **chunks = realloc(pool->chunks, (pool->chunk_count + 1) * sizeof(struct pool_chunk *));
    if (!chunks)
        return false;
    pool->chunks = chunks;
    struct pool_chunk *chunk = malloc(pool->items_offset + chunk_items(pool) * pool->item_size);
    if (!chunk)
        return false;
    *chunk = (struct pool_chunk){0};
    for (uint32_t i = 0; i < chunk_items(pool); i++) {
        const uint32_t next = i + 1;
        chunk->generation[i] = 0;
        memcpy(item_at(pool, chunk, i), &next, sizeof next);
    }
    chunks[pool->chunk_count] = chunk;
    room_link(pool, pool->chunk_count++);
    return true;
}

void *pool_take(struct pool *pool, struct handle *out)
{
    if (pool->live >= pool->limit || (pool->room == POOL_NONE && !chunk_add(pool)))
        return NULL;
    const uint32_t number = pool->room;
    struct pool_chunk *chunk = pool->chunks[number];
    const uint32_t item = chunk->free_item;
    uint8_t *at = item_at(pool, chunk, item);
    memcpy(&chunk->free_item, at, sizeof chunk->free_item);
    memset(at, 0, pool->item_size);
    if (pool->next_generation == 0)
        pool->next_generation = 1;
    chunk->generation[item] = pool->next_generation++;
    pool->live++;
    if (++chunk->live == chunk_items(pool))
        room_unlink(pool, number);
    if (out)
        *out = (struct handle){number << pool->chunk_shift | item, chunk->generation[item]};
    return at;
}

static bool is_empty(const struct pool *pool, uint32_t number)
{
    return pool->chunks[number]->live == 0;
}

/* trim: of empty chunks at the end the first stays, so that one item that comes and goes does not make and free a chunk each time. */
static void trim(struct pool *pool)
{
    while (pool->chunk_count > 1 && is_empty(pool, pool->chunk_count - 1) && is_empty(pool, pool->chunk_count - 2)) {
        room_unlink(pool, pool->chunk_count - 1);
        free(pool->chunks[--pool->chunk_count]);
    }
}

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
    if (chunk->live == 0)
        trim(pool);
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
        if (pool->chunks[index >> pool->chunk_shift]->live == 0)
            index = ((index >> pool->chunk_shift) + 1) << pool->chunk_shift;
        else if (generation_of(pool, (uint32_t)index))
            return (uint32_t)index;
        else
            index++;
    }
    return POOL_NONE;
}
