/* ring.c: a queue of records between two threads. */
#include "server/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64
#define GRAIN 16 /* records start at multiples of it, behind a grain that holds their length */
#define WRAP SIZE_MAX

/* Positions only grow; their remainder by RING_BYTES is the place. */
struct ring {
    _Alignas(LINE) atomic_size_t put;   /* the putter's: records before it are whole */
    bool fresh;                         /* the putter's */
    _Alignas(LINE) atomic_size_t taken; /* the taker's: what is before it may be written over */
    _Alignas(LINE) uint8_t bytes[RING_BYTES];
};

static size_t whole(size_t len)
{
    return GRAIN + (len + GRAIN - 1) / GRAIN * GRAIN;
}

struct ring *ring_new(void)
{
    struct ring *ring = aligned_alloc(LINE, sizeof *ring);
    if (!ring)
        return NULL;
    atomic_init(&ring->put, 0);
    atomic_init(&ring->taken, 0);
    ring->fresh = false;
    return ring;
}

void ring_free(struct ring *ring)
{
    free(ring);
}

static uint8_t *place(struct ring *ring, size_t position)
{
    return ring->bytes + position % RING_BYTES;
}

bool ring_put(struct ring *ring, struct view head, struct view body)
{
    const size_t len = head.len + body.len, need = whole(len);
    size_t at = atomic_load_explicit(&ring->put, memory_order_relaxed);
    const size_t to_end = RING_BYTES - at % RING_BYTES, skip = need > to_end ? to_end : 0;
    if (need > RING_BYTES || skip + need > RING_BYTES - (at - atomic_load_explicit(&ring->taken, memory_order_acquire)))
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

struct view ring_first(struct ring *ring)
{
    size_t at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    if (at == atomic_load_explicit(&ring->put, memory_order_acquire))
        return view_of(NULL, 0);
    if (length_at(ring, at) == WRAP) {
        at += RING_BYTES - at % RING_BYTES;
        atomic_store_explicit(&ring->taken, at, memory_order_release);
    }
    return view_of(place(ring, at) + GRAIN, length_at(ring, at));
}

void ring_drop(struct ring *ring)
{
    const size_t at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    assert(at != atomic_load_explicit(&ring->put, memory_order_relaxed));
    atomic_store_explicit(&ring->taken, at + whole(length_at(ring, at)), memory_order_release);
}
