/* worker_mail.c: what main and other workers ask of a worker: a row for each kind of letter. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct connection_letter {
    struct letter letter;
    struct connection *connection;
};

struct foreign_letter {
    struct letter letter;
    struct flow flow;
    unsigned owner;
    bool holds;
};

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

static void on_mail(void *owner)
{
    struct worker *worker = owner;
    read_letters(worker);
    worker_rings_read(worker);
}

int worker_mail_open(struct worker *worker)
{
    foreign_init(&worker->foreign, worker->service->engine.hash_key);
    mail_init(&worker->mail, worker->loop, on_mail, worker);
    return worker_rings_open(worker);
}

void worker_mail_close(struct worker *worker)
{
    worker->stopped = true;
    read_letters(worker);
    worker_rings_close(worker);
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

void worker_pass(struct worker *worker, const struct send *send)
{
    if (send->worker >= worker->service->config->workers || send->worker == worker->index)
        return;
    if (flow_is_stream(send->flow))
        stream_hand_over(worker->streams, send->flow->link, send->worker);
    else if (send->flow->transport == TRANSPORT_UDP)
        worker_pass_datagram(worker, send->worker, send->flow, send->bytes);
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
