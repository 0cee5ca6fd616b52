/* worker_relay.c: a way to relay: a socket for each allocation, which any system and any user has. */
#include "server/process.h"
#include "server/worker_state.h"

#include "base/err.h"

#include <unistd.h>

#define RELAY_BATCH 16 /* datagrams taken from one relay socket in its turn */
#define LINE_ROW 32    /* datagrams to one peer, none to another between, before that peer gets a line */
#define LINE_SHARE 8   /* of all descriptors that many parts: one for lines */
#define LOOKS 64       /* relay sockets that are looked at in a turn */

static void on_line(void *owner);

void worker_lines_init(struct worker *worker)
{
    const uint32_t most = process_descriptors() / LINE_SHARE / worker->service->config->workers;
    pool_init(&worker->lines, sizeof(struct relay_line), most ? most : 1);
}

/* line_open: without one, things go on as they did. */
static void line_open(struct worker *worker, struct relay_socket *relay)
{
    struct handle handle;
    struct relay_line *line = pool_take(&worker->lines, &handle);
    if (!line)
        return;
    const int fd = udp_line(relay->fd, &relay->to);
    if (fd < 0) {
        pool_give(&worker->lines, handle.index);
        return;
    }
    if (!worker->service->config->no_dscp)
        udp_ask_mark(fd, &relay->to);
    *line = (struct relay_line){.relay = relay, .fd = fd, .to = relay->to, .index = handle.index, .is_new = true};
    watch_read(&line->watch, worker->loop, fd, on_line, line);
    relay->line = line;
    relay->is_on_line = true;
}

/* line_move: what was put for the peer before goes to him. */
static void line_move(struct worker *worker, struct relay_socket *relay)
{
    udp_flush(worker->out);
    if (udp_line_move(relay->line->fd, &relay->to) != 0)
        return;
    relay->line->to = relay->to;
    relay->line->is_new = relay->is_on_line = true;
}

static void line_close(struct worker *worker, struct relay_socket *relay)
{
    if (!relay->line)
        return;
    udp_flush_of(worker->out, relay->line->fd);
    watch_stop(&relay->line->watch);
    close(relay->line->fd);
    pool_give(&worker->lines, relay->line->index);
}

/* line_to: whether there is a line to that peer now. Who is sent to for long gets it: once for many packets. */
static bool line_to(struct worker *worker, struct relay_socket *relay, const struct addr *peer)
{
    if (!addr_equal(&relay->to, peer)) {
        relay->to = *peer;
        relay->row = 0;
        relay->is_on_line = relay->line && addr_equal(&relay->line->to, peer);
    } else if (relay->row < LINE_ROW && ++relay->row == LINE_ROW && !relay->is_on_line) {
        if (relay->line)
            line_move(worker, relay);
        else
            line_open(worker, relay);
    }
    return relay->is_on_line;
}

static bool relay_send(struct worker *worker, const struct send *send, bool lasting)
{
    struct relay_socket *relay = pool_index(&worker->relays, (uint32_t)send->sock);
    if (!relay)
        return false;
    const bool on_line = !send->dont_fragment && line_to(worker, relay, &send->peer);
    const int fd = on_line ? relay->line->fd : relay->fd;
    udp_put_either(worker->out, fd, &send->peer, NULL, send->bytes, lasting);
    if (on_line)
        udp_on_line(worker->out);
    if (send->dont_fragment) {
        udp_keep_whole(worker->out);
        relay->whole_to = send->peer;
    }
    return true;
}

/* What networks said of datagrams to peers: read only when the socket was woken by it, so that relaying costs no call more. What the system itself
 * found too long for the link it does not name; it had DF, and the last one that had is the best guess. */
static void peer_errors(struct worker *worker, const struct relay_socket *relay, int fd, msec_t now)
{
    const struct handle owner = relay->owner;
    struct peer_error error;
    for (int i = 0; i < RELAY_BATCH && udp_error(fd, &error) == 0; i++) {
        if (error.peer.port == 0)
            error.peer = relay->whole_to;
        const struct send send = engine_peer_error(worker->engine, owner, &error, now);
        worker_deliver(worker, &send, false);
    }
}

/* expected: how many datagrams are asked for. That there are no more costs half of what a datagram does, so who had but one is asked for one; what more there
 * is comes in the next turn, and then with all the rest. */
static int expected(const struct relay_socket *relay)
{
    return relay->got > 1 || relay->turn + 1 == relay->worker->turn ? RELAY_BATCH : 1;
}

static void receive(struct relay_socket *relay, int fd)
{
    struct worker *worker = relay->worker;
    const msec_t now = loop_now(worker->loop);
    const int count = worker_receive(worker, fd, expected(relay));
    const bool has_errors = udp_has_errors(worker->in);
    relay->turn = worker->turn;
    relay->got = count > 0 ? (uint16_t)count : 0;
    for (int i = 0; i < count; i++) {
        const struct addr from = udp_from(worker->in, i);
        const struct send send = engine_from_peer(worker->engine, relay->owner, &from, udp_packet(worker->in, i), now);
        worker_deliver(worker, &send, true);
    }
    if (has_errors)
        peer_errors(worker, relay, fd, now);
}

static void on_peer(void *owner)
{
    struct relay_socket *relay = owner;
    receive(relay, relay->fd);
}

static void on_line(void *owner)
{
    struct relay_line *line = owner;
    struct relay_socket *relay = line->relay;
    if (line->is_new) {
        line->is_new = false;
        receive(relay, relay->fd);
    }
    receive(relay, line->fd);
}

/* count_overflows: those since the last time. */
static void count_overflows(struct worker *worker, struct relay_socket *relay)
{
    const uint32_t all = udp_overflows(relay->fd) + (relay->line ? udp_overflows(relay->line->fd) : 0);
    worker->overflows += all - relay->overflows;
    relay->overflows = all;
}

void worker_look(struct worker *worker)
{
    for (int i = 0; i < LOOKS; i++) {
        const uint32_t at = pool_next(&worker->relays, worker->looked_at);
        worker->looked_at = at == POOL_NONE ? 0 : at + 1;
        if (at == POOL_NONE)
            return;
        count_overflows(worker, pool_index(&worker->relays, at));
    }
}

static int relay_open(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    struct worker *worker = ctx;
    struct handle handle;
    const int fd = udp_relay(local);
    if (fd < 0)
        return fd;
    if (!worker->service->config->no_dscp)
        udp_ask_mark(fd, local);
    struct relay_socket *relay = pool_take(&worker->relays, &handle);
    if (!relay) {
        close(fd);
        return ERR_MEMORY;
    }
    *relay = (struct relay_socket){.worker = worker, .owner = owner, .fd = fd};
    watch_read(&relay->watch, worker->loop, fd, on_peer, relay);
    *sock = (int)handle.index;
    return 0;
}

/* Nothing that is still to be sent may find its descriptor closed, or another's. */
static void relay_close(void *ctx, int sock)
{
    struct worker *worker = ctx;
    struct relay_socket *relay = pool_index(&worker->relays, (uint32_t)sock);
    if (!relay)
        return;
    udp_flush_of(worker->out, relay->fd);
    count_overflows(worker, relay);
    line_close(worker, relay);
    watch_stop(&relay->watch);
    close(relay->fd);
    pool_give(&worker->relays, (uint32_t)sock);
}

const struct relay_way relay_by_sockets = {"a socket for each allocation", relay_open, relay_close, relay_send};
