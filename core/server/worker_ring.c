/* worker_ring.c: packets that cross from one worker to another, by a ring for each two of them: what clients sent whose allocation is another worker's, and what
 * one allocation sent to another worker's.
 *
 * A packet is copied once, into the ring, and leaves from there: what was taken is released when it has been flushed. All that an allocation sends to another
 * goes by one ring, so nothing overtakes; what finds no room is lost and counted.
 */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define RING_TURN 256            /* packets taken from one ring before others have their turn */
#define RING_SHARE (4u << 20)    /* bytes of the rings into one worker, as far as the bounds allow */
#define RING_BYTES_MAX (1u << 20)
#define RING_BYTES_MIN (1u << 18) /* two of the longest packets that a stream can bring */

enum passage_kind {
    PASSAGE_CLIENT, /* as if it had come by this worker's own socket of the same listener, by which the answer goes */
    PASSAGE_PEER,   /* as if it had come by the relay socket of `owner` */
};

/* struct passage: what lies in front of a packet in a ring. */
struct passage {
    enum passage_kind kind;
    union {
        struct flow flow;
        struct {
            struct handle owner;
            struct addr from;
            uint8_t mark;
        } peer;
    };
};

_Static_assert(sizeof(struct passage) >= ENGINE_HEADROOM && RING_TAILROOM >= ENGINE_TAILROOM, "there is room for headers around a packet in a ring");

int worker_rings_open(struct worker *worker)
{
    const uint32_t workers = worker->service->config->workers;
    worker->inward = calloc(workers, sizeof *worker->inward);
    for (uint32_t i = 0; worker->inward && i < workers; i++)
        atomic_init(&worker->inward[i], NULL);
    return worker->inward ? 0 : ERR_MEMORY;
}

void worker_rings_close(struct worker *worker)
{
    for (unsigned i = 0; worker->inward && i < worker->service->config->workers; i++)
        ring_free(atomic_load(&worker->inward[i]));
    free(worker->inward);
}

/* ---- this worker puts ---- */

static size_t ring_bytes(uint32_t workers)
{
    const size_t share = RING_SHARE / workers;
    return share > RING_BYTES_MAX ? RING_BYTES_MAX : share < RING_BYTES_MIN ? RING_BYTES_MIN : share / 64 * 64;
}

/* ring_to: the ring of this worker and that one, made when it is first wanted. */
static struct ring *ring_to(const struct worker *worker, unsigned to)
{
    _Atomic(struct ring *) *place = &worker->service->workers[to]->inward[worker->index];
    struct ring *ring = atomic_load_explicit(place, memory_order_relaxed);
    if (!ring && (ring = ring_new(ring_bytes(worker->service->config->workers))))
        atomic_store_explicit(place, ring, memory_order_release);
    return ring;
}

static void pass(struct worker *worker, unsigned to, const struct passage *passage, struct view bytes)
{
    struct ring *ring = ring_to(worker, to);
    if (ring && ring_put(ring, view_of(passage, sizeof *passage), bytes))
        worker->has_passed = true;
    else
        worker->lost++;
}

void worker_pass_datagram(struct worker *worker, unsigned to, const struct flow *flow, struct view bytes)
{
    const struct passage passage = {.kind = PASSAGE_CLIENT, .flow = *flow};
    pass(worker, to, &passage, bytes);
}

bool worker_pass_on(struct worker *worker, const struct flow *flow, struct view bytes)
{
    unsigned owner;
    if (!foreign_find(&worker->foreign, flow, &owner))
        return false;
    worker_pass_datagram(worker, owner, flow, bytes);
    return true;
}

void worker_hand_over(struct worker *worker, const struct send *send)
{
    const struct passage passage = {.kind = PASSAGE_PEER,
                                    .peer = {.owner = send->holder.allocation, .from = send->peer, .mark = send->mark}};
    pass(worker, send->holder.worker, &passage, send->bytes);
}

void worker_rouse(struct worker *worker)
{
    if (!worker->has_passed)
        return;
    worker->has_passed = false;
    for (unsigned i = 0; i < worker->service->config->workers; i++) {
        struct worker *other = worker->service->workers[i];
        struct ring *ring = atomic_load_explicit(&other->inward[worker->index], memory_order_relaxed);
        if (ring && ring_wants_waking(ring))
            loop_wake(&other->mail.wake);
    }
}

/* ---- this worker takes ---- */

/* The passage is copied: the engine writes a header where it lies. */
static void take(struct worker *worker, uint8_t *record, size_t len)
{
    const msec_t now = loop_now(worker->loop);
    struct passage passage;
    memcpy(&passage, record, sizeof passage);
    struct packet packet = {.at = record + sizeof passage, .len = len - sizeof passage};
    struct send send;
    if (passage.kind == PASSAGE_PEER) {
        packet.mark = passage.peer.mark;
        send = engine_from_peer(worker->engine, passage.peer.owner, &passage.peer.from, packet, now);
    } else {
        send = engine_from_client(worker->engine, &passage.flow, packet, now);
    }
    worker_deliver(worker, &send, true);
}

static void read_ring(struct worker *worker, struct ring *ring)
{
    uint8_t *record;
    size_t len;
    for (unsigned left = RING_TURN; left > 0 && (record = ring_take(ring, &len)); left--) {
        take(worker, record, len);
        worker->has_taken = true;
    }
    if (!ring_is_empty(ring))
        loop_wake(&worker->mail.wake);
}

static struct ring *ring_from(const struct worker *worker, unsigned from)
{
    return atomic_load_explicit(&worker->inward[from], memory_order_acquire);
}

void worker_rings_read(struct worker *worker)
{
    for (unsigned i = 0; i < worker->service->config->workers && !worker->stopped; i++)
        if (ring_from(worker, i))
            read_ring(worker, ring_from(worker, i));
}

void worker_rings_release(struct worker *worker)
{
    for (unsigned i = 0; worker->has_taken && i < worker->service->config->workers; i++)
        if (ring_from(worker, i))
            ring_release(ring_from(worker, i));
    worker->has_taken = false;
}
