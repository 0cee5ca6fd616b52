/* worker_relay.c: a way to relay: a socket for each allocation, which any system and any user has. */
#include "server/worker_state.h"

#include "base/err.h"

#include <unistd.h>

#define RELAY_BATCH 16 /* datagrams taken from one relay socket in its turn */

static bool relay_send(struct worker *worker, const struct send *send, bool lasting)
{
    struct relay_socket *relay = pool_index(&worker->relays, (uint32_t)send->sock);
    if (!relay)
        return false;
    if (lasting)
        udp_put(worker->out, relay->fd, &send->peer, NULL, send->bytes);
    else
        udp_put_copy(worker->out, relay->fd, &send->peer, NULL, send->bytes);
    if (send->dont_fragment) {
        udp_keep_whole(worker->out);
        relay->whole_to = send->peer;
    }
    return true;
}

/* What networks said of datagrams to peers: read only when the socket was woken by it, so that relaying costs no call more. What the system itself
 * found too long for the link it does not name; it had DF, and the last one that had is the best guess. */
static void peer_errors(struct worker *worker, const struct relay_socket *relay, msec_t now)
{
    const struct handle owner = relay->owner;
    struct peer_error error;
    for (int i = 0; i < RELAY_BATCH && udp_error(relay->fd, &error) == 0; i++) {
        if (error.peer.port == 0)
            error.peer = relay->whole_to;
        const struct send send = engine_peer_error(worker->engine, owner, &error, now);
        worker_deliver(worker, &send, false);
    }
}

static void on_peer(void *owner)
{
    struct relay_socket *relay = owner;
    struct worker *worker = relay->worker;
    const msec_t now = loop_now(worker->loop);
    const int count = worker_receive(worker, relay->fd, RELAY_BATCH);
    const bool has_errors = udp_has_errors(worker->in);
    for (int i = 0; i < count; i++) {
        const struct addr from = udp_from(worker->in, i);
        const struct send send = engine_from_peer(worker->engine, relay->owner, &from, udp_packet(worker->in, i), now);
        worker_deliver(worker, &send, true);
    }
    if (has_errors)
        peer_errors(worker, relay, now);
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
    udp_flush(worker->out);
    watch_stop(&relay->watch);
    close(relay->fd);
    pool_give(&worker->relays, (uint32_t)sock);
}

const struct relay_way relay_by_sockets = {"a socket for each allocation", relay_open, relay_close, relay_send};
