/* worker_mail.c: what main and other workers ask of a worker: a row for each kind of letter. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct connection_letter {
    struct letter letter;
    struct connection *connection;
};

struct datagram_letter {
    struct letter letter;
    struct flow flow;
    size_t len;
    uint8_t bytes[];
};

struct foreign_letter {
    struct letter letter;
    struct flow flow;
    unsigned owner;
    bool holds;
};

#define RING_TURN 256 /* datagrams taken from one ring before others have their turn */

/* A datagram as if it had come by this worker's own socket of the same listener, by which the answer goes. */
static void take_datagram(struct worker *worker, const struct flow *flow, struct view bytes)
{
    const struct send send = engine_from_client(worker->engine, flow, bytes, loop_now(worker->loop));
    worker_deliver(worker, &send, false);
}

static void read_stop(struct worker *worker, struct letter *letter)
{
    (void)letter;
    worker_end(worker);
}

/* drop_mains: it is main's, who waits no more. */
static void drop_mains(struct letter *letter)
{
    (void)letter;
}

static void read_connection(struct worker *worker, struct letter *letter)
{
    struct connection_letter *read = (struct connection_letter *)letter;
    stream_take_over(worker->streams, read->connection);
    free(read);
}

static void drop_connection(struct letter *letter)
{
    struct connection_letter *dropped = (struct connection_letter *)letter;
    connection_drop(dropped->connection);
    free(dropped);
}

static void read_datagram(struct worker *worker, struct letter *letter)
{
    struct datagram_letter *read = (struct datagram_letter *)letter;
    take_datagram(worker, &read->flow, view_of(read->bytes, read->len));
    free(read);
}

/* Without memory for it the client is not heard; it will try again. */
static void read_foreign(struct worker *worker, struct letter *letter)
{
    struct foreign_letter *read = (struct foreign_letter *)letter;
    if (read->holds)
        foreign_put(&worker->foreign, &read->flow, read->owner);
    else
        foreign_drop(&worker->foreign, &read->flow, read->owner);
    free(read);
}

static void drop_plain(struct letter *letter)
{
    free(letter);
}

static const struct {
    void (*read)(struct worker *, struct letter *);
    void (*drop)(struct letter *); /* unread: the worker has stopped */
} kinds[] = {
    [LETTER_STOP] = {read_stop, drop_mains},
    [LETTER_CONNECTION] = {read_connection, drop_connection},
    [LETTER_DATAGRAM] = {read_datagram, drop_plain},
    [LETTER_FOREIGN] = {read_foreign, drop_plain},
    [LETTER_PREPARE] = {worker_policy_prepare, drop_mains},
    [LETTER_COMMIT] = {worker_policy_commit, drop_mains},
    [LETTER_ABORT] = {worker_policy_abort, drop_mains},
    [LETTER_ROSTER] = {worker_roster, drop_mains},
    [LETTER_REVOKE] = {worker_revoke, drop_mains},
};

static void read_letters(struct worker *worker)
{
    for (struct letter *letter = mail_take(&worker->mail), *next; letter; letter = next) {
        next = letter->next;
        if (worker->stopped)
            kinds[letter->kind].drop(letter);
        else
            kinds[letter->kind].read(worker, letter);
    }
}

/* A record is a flow and the datagram that came from it. */
static void read_ring(struct worker *worker, struct ring *ring)
{
    struct view record;
    for (unsigned left = RING_TURN; left > 0 && (record = ring_first(ring)).len; left--) {
        struct flow flow;
        memcpy(&flow, record.at, sizeof flow);
        take_datagram(worker, &flow, view_from(record, sizeof flow));
        ring_drop(ring);
    }
    if (ring_first(ring).len)
        loop_wake(&worker->mail.wake);
}

static void on_mail(void *owner)
{
    struct worker *worker = owner;
    read_letters(worker);
    for (unsigned i = 0; i < worker->service->config->workers && !worker->stopped; i++) {
        struct ring *ring = atomic_load_explicit(&worker->inward[i], memory_order_acquire);
        if (ring)
            read_ring(worker, ring);
    }
}

int worker_mail_open(struct worker *worker)
{
    const uint32_t workers = worker->service->config->workers;
    foreign_init(&worker->foreign, worker->service->engine.hash_key);
    mail_init(&worker->mail, worker->loop, on_mail, worker);
    worker->inward = calloc(workers, sizeof *worker->inward);
    for (uint32_t i = 0; worker->inward && i < workers; i++)
        atomic_init(&worker->inward[i], NULL);
    return worker->inward ? 0 : ERR_MEMORY;
}

void worker_mail_close(struct worker *worker)
{
    worker->stopped = true;
    read_letters(worker);
    for (unsigned i = 0; worker->inward && i < worker->service->config->workers; i++)
        ring_free(atomic_load(&worker->inward[i]));
    free(worker->inward);
    foreign_close(&worker->foreign);
    mail_close(&worker->mail);
}

/* offer: what does not fit into the mailbox is lost, as datagrams are. */
static void offer(const struct worker *worker, unsigned to, struct letter *letter)
{
    if (!mail_offer(&worker->service->workers[to]->mail, letter))
        kinds[letter->kind].drop(letter);
}

void worker_leaves(void *ctx, struct connection *connection, unsigned heir)
{
    struct connection_letter *letter = malloc(sizeof *letter);
    if (!letter) {
        connection_drop(connection);
        return;
    }
    *letter = (struct connection_letter){{.kind = LETTER_CONNECTION}, connection};
    offer(ctx, heir, &letter->letter);
}

static void pass_datagram(const struct worker *worker, const struct send *send)
{
    struct datagram_letter *letter = malloc(sizeof *letter + send->bytes.len);
    if (!letter)
        return;
    *letter = (struct datagram_letter){.letter = {.kind = LETTER_DATAGRAM}, .flow = *send->flow, .len = send->bytes.len};
    memcpy(letter->bytes, send->bytes.at, send->bytes.len);
    offer(worker, send->worker, &letter->letter);
}

void worker_pass(struct worker *worker, const struct send *send)
{
    if (send->worker >= worker->service->config->workers || send->worker == worker->index)
        return;
    if (flow_is_stream(send->flow))
        stream_hand_over(worker->streams, send->flow->link, send->worker);
    else if (send->flow->transport == TRANSPORT_UDP)
        pass_datagram(worker, send);
}

void worker_hold(void *ctx, const struct flow *flow, bool holds)
{
    const struct worker *worker = ctx;
    if (flow_is_stream(flow)) {
        stream_keep(worker->streams, flow->link, holds);
    } else if (flow->transport == TRANSPORT_DTLS) {
        dtls_keep(worker->dtls, flow, holds);
    } else if (flow->link != worker->index) {
        struct foreign_letter *letter = malloc(sizeof *letter);
        if (!letter)
            return;
        *letter = (struct foreign_letter){.letter = {.kind = LETTER_FOREIGN}, .flow = *flow, .owner = worker->index, .holds = holds};
        letter->flow.sni = letter->flow.alpn = "";
        mail_post(&worker->service->workers[flow->link]->mail, &letter->letter);
    }
}

/* ring_to: the ring of this worker and that one, made when it is first wanted. */
static struct ring *ring_to(const struct worker *worker, unsigned owner)
{
    _Atomic(struct ring *) *place = &worker->service->workers[owner]->inward[worker->index];
    struct ring *ring = atomic_load_explicit(place, memory_order_relaxed);
    if (!ring && (ring = ring_new()))
        atomic_store_explicit(place, ring, memory_order_release);
    return ring;
}

bool worker_pass_on(struct worker *worker, const struct flow *flow, struct view bytes)
{
    unsigned owner;
    if (!foreign_find(&worker->foreign, flow, &owner))
        return false;
    struct ring *ring = ring_to(worker, owner);
    if (ring && ring_put(ring, view_of(flow, sizeof *flow), bytes))
        worker->has_passed = true;
    else
        worker->lost++;
    return true;
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
