/* worker_mail.c: what main and other workers ask of a worker: a row for each kind of letter. */
#include "server/worker_state.h"

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

static void read_stop(struct worker *worker, struct letter *letter)
{
    (void)letter;
    worker_end(worker);
}

static void drop_stop(struct letter *letter)
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

/* As if it had come by this worker's own socket of the same listener, by which the answer goes. */
static void read_datagram(struct worker *worker, struct letter *letter)
{
    struct datagram_letter *read = (struct datagram_letter *)letter;
    const struct send send = engine_from_client(worker->engine, &read->flow, view_of(read->bytes, read->len), loop_now(worker->loop));
    worker_deliver(worker, &send, false);
    free(read);
}

static void drop_datagram(struct letter *letter)
{
    free(letter);
}

static const struct {
    void (*read)(struct worker *, struct letter *);
    void (*drop)(struct letter *); /* unread: the worker has stopped */
} kinds[] = {
    [LETTER_STOP] = {read_stop, drop_stop},
    [LETTER_CONNECTION] = {read_connection, drop_connection},
    [LETTER_DATAGRAM] = {read_datagram, drop_datagram},
};

static void on_mail(void *owner)
{
    struct worker *worker = owner;
    for (struct letter *letter = mail_take(&worker->mail), *next; letter; letter = next) {
        next = letter->next;
        if (worker->stopped)
            kinds[letter->kind].drop(letter);
        else
            kinds[letter->kind].read(worker, letter);
    }
}

void worker_mail_open(struct worker *worker)
{
    mail_init(&worker->mail, worker->loop, on_mail, worker);
}

void worker_mail_close(struct worker *worker)
{
    worker->stopped = true;
    on_mail(worker);
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
