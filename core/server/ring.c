/* ring.c: a queue of records between two threads. */
#include "server/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64
#define GRAIN 16 /* records start at multiples of it, behind a grain that holds their length */
#define WRAP SIZE_MAX

/* Positions only grow; their remainder by `size` is the place. Each thread remembers what it last saw of the other's, and looks again only when that does not
 * do: so a row of records does not fetch the other's cache line for each. */
struct ring {
    size_t size;
    _Alignas(LINE) atomic_size_t put; /* the putter's: records before it are whole */
    size_t seen_free;                 /* the putter's: `released`, or less */
    bool fresh;                       /* the putter's */
    _Alignas(LINE) atomic_size_t released; /* the taker's: what is before it may be written over */
    size_t taken, seen_put;                /* the taker's */
    _Alignas(LINE) uint8_t bytes[];
};

static size_t whole(size_t len)
{
    return GRAIN + (len + RING_TAILROOM + GRAIN - 1) / GRAIN * GRAIN;
}

struct ring *ring_new(size_t bytes)
{
    assert(bytes > 0 && bytes % LINE == 0);
    struct ring *ring = aligned_alloc(LINE, sizeof *ring + bytes);
    if (!ring)
        return NULL;
    ring->size = bytes;
    atomic_init(&ring->put, 0);
    atomic_init(&ring->released, 0);
    ring->seen_free = ring->taken = ring->seen_put = 0;
    ring->fresh = false;
    return ring;
}

void ring_free(struct ring *ring)
{
    free(ring);
}

static uint8_t *place(struct ring *ring, size_t position)
{
    return ring->bytes + position % ring->size;
}

/* has_room: for `need` bytes behind `at`. */
static bool has_room(struct ring *ring, size_t at, size_t need)
{
    if (need > ring->size)
        return false;
    if (need > ring->size - (at - ring->seen_free))
        ring->seen_free = atomic_load_explicit(&ring->released, memory_order_acquire);
    return need <= ring->size - (at - ring->seen_free);
}

bool ring_put(struct ring *ring, struct view head, struct view body)
{
    const size_t len = head.len + body.len, need = whole(len);
    size_t at = atomic_load_explicit(&ring->put, memory_order_relaxed);
    const size_t to_end = ring->size - at % ring->size, skip = need > to_end ? to_end : 0; /* a record does not go round the end */
    if (!has_room(ring, at, skip + need))
        return false;
    if (skip)
        memcpy(place(ring, at), &(size_t){WRAP}, sizeof(size_t));
    at += skip;
    memcpy(place(ring, at), &len, sizeof len);
    memcpy(place(ring, at) + GRAIN, head.at, head.len);
    if (body.len)
        memcpy(place(ring, at) + GRAIN + head.len, body.at, body.len);
    atomic_store_explicit(&ring->put, at + need, memory_order_release);
    ring->fresh = true;
    return true;
}

bool ring_wants_waking(struct ring *ring)
{
    const bool fresh = ring->fresh;
    ring->fresh = false;
    return fresh;
}

static size_t length_at(struct ring *ring, size_t position)
{
    size_t len;
    memcpy(&len, place(ring, position), sizeof len);
    return len;
}

bool ring_is_empty(struct ring *ring)
{
    if (ring->taken == ring->seen_put)
        ring->seen_put = atomic_load_explicit(&ring->put, memory_order_acquire);
    return ring->taken == ring->seen_put;
}

uint8_t *ring_take(struct ring *ring, size_t *len)
{
    if (ring_is_empty(ring))
        return NULL;
    if (length_at(ring, ring->taken) == WRAP)
        ring->taken += ring->size - ring->taken % ring->size;
    uint8_t *record = place(ring, ring->taken) + GRAIN;
    *len = length_at(ring, ring->taken);
    ring->taken += whole(*len);
    return record;
}

void ring_release(struct ring *ring)
{
    atomic_store_explicit(&ring->released, ring->taken, memory_order_release);
}
