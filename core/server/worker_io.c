/* worker_io.c: the sockets of a worker towards clients, and the way of a datagram: receive a batch, ask the engine, collect what goes out, flush. */
#include "server/process.h"
#include "server/worker_state.h"

#include "base/err.h"
#include "wire/frame.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONNECTIONS 100000
#define MAX_PER_SOURCE 4096
#define HANDSHAKE_S 10
#define DTLS_IDLE_S 60
#define MANY 64 /* handshakes, whose memory is worth looking for */
#define FEW 16  /* of them in half a second: it is calm */

/* send_to_client: says whether it put a datagram. */
static bool send_to_client(struct worker *worker, const struct send *send, bool lasting)
{
    const struct flow *flow = send->flow;
    const struct view bytes = send->bytes;
    if (flow_is_stream(flow)) {
        stream_send(worker->streams, flow->link, bytes);
        return false;
    }
    if (flow->transport == TRANSPORT_DTLS) {
        worker->too_long += bytes.len > DTLS_MAX;
        return dtls_send(worker->dtls, flow, bytes);
    }
    if (worker->steered && steered_answer(worker->steered, send, lasting))
        return false;
    const struct listener_socket *socket = &worker->sockets[flow->listener];
    const struct addr *source = socket->any ? &flow->server : NULL;
    udp_put_either(worker->out, socket->fd, &flow->client, source, bytes, lasting);
    return true;
}

void worker_deliver(struct worker *worker, const struct send *send, bool lasting)
{
    bool put = false;
    lasting &= send->is_relayed;
    switch (send->to) {
        case SEND_NOTHING:
            break;
        case SEND_TO_CLIENT:
            put = send_to_client(worker, send, lasting);
            break;
        case SEND_TO_PEER:
            put = worker->way->send(worker, send, lasting);
            break;
        case SEND_TO_WORKER:
            worker_pass(worker, send);
            break;
        case SEND_TO_HOLDER:
            worker_hand_over(worker, send);
            break;
    }
    if (put && send->mark)
        udp_mark(worker->out, send->mark);
}

/* Datagrams of many sockets gather in the slots and leave together; what borrows the slots, or the rings, goes out before they are used again. */
void worker_flush(struct worker *worker)
{
    if (worker->steered)
        steered_flush(worker->steered);
    udp_flush(worker->out);
    udp_reset(worker->in);
    worker_rings_release(worker);
}

int worker_receive(struct worker *worker, int fd, int most)
{
    if (udp_room(worker->in) < (most + 1) / 2)
        worker_flush(worker);
    return udp_receive(worker->in, fd, most);
}

/* What handshakes took and gave back lies in holes between what lasts, of which malloc gives the system nothing by itself. */
void worker_give_back(struct worker *worker)
{
    const uint64_t shaken = streams_counts(worker->streams)->shaken + (worker->dtls ? dtls_shaken(worker->dtls) : 0);
    const bool is_calm = shaken - worker->shaken < FEW;
    worker->shaken = shaken;
    if (!is_calm || shaken - worker->shaken_before < MANY)
        return;
    worker->shaken_before = shaken;
    malloc_trim(0);
}

static void client_datagram(struct worker *worker, const struct listener_socket *socket, int index, msec_t now)
{
    const struct packet packet = udp_packet(worker->in, index);
    const struct view in = view_of(packet.at, packet.len);
    const struct flow flow = {
        .client = udp_from(worker->in, index),
        .server = socket->any ? udp_local(worker->in, index, &socket->local) : socket->local,
        .transport = TRANSPORT_UDP,
        .mark = packet.mark,
        .listener = (uint16_t)(socket - worker->sockets),
        .link = worker->index,
        .sni = "",
        .alpn = "",
    };
    if (!foreign_is_empty(&worker->foreign) && worker_pass_on(worker, &flow, in))
        return;
    if (worker->dtls && frame_kind_of(in) == FRAME_DTLS) {
        dtls_receive(worker->dtls, &flow, in, now);
        return;
    }
    if (worker->service->config->no_udp)
        return;
    const struct send send = engine_from_client(worker->engine, &flow, packet, now);
    worker_deliver(worker, &send, true);
}

static void on_client(void *owner)
{
    struct listener_socket *socket = owner;
    struct worker *worker = socket->worker;
    const msec_t now = loop_now(worker->loop);
    const int count = worker_receive(worker, socket->fd, UDP_BATCH);
    for (int i = 0; i < count; i++)
        client_datagram(worker, socket, i, now);
}

/* Frames of TCP, TLS and DTLS: the bytes live only during the call. */
static void on_frame(void *ctx, const struct flow *flow, struct packet packet)
{
    struct worker *worker = ctx;
    const struct send send = engine_from_client(worker->engine, flow, packet, loop_now(worker->loop));
    worker_deliver(worker, &send, false);
}

static void on_closed(void *ctx, const struct flow *flow)
{
    struct worker *worker = ctx;
    engine_flow_closed(worker->engine, flow, loop_now(worker->loop));
}

static void on_transmit(void *ctx, const struct flow *flow, struct view bytes)
{
    struct worker *worker = ctx;
    const struct listener_socket *socket = &worker->sockets[flow->listener];
    udp_put_copy(worker->out, socket->fd, &flow->client, socket->any ? &flow->server : NULL, bytes);
}

static int open_udp(struct worker *worker, const struct listener *listener)
{
    struct listener_socket *socket = &worker->sockets[worker->socket_count++];
    *socket = (struct listener_socket){.worker = worker, .local = listener->local, .fd = -1, .any = addr_is_any(&listener->local)};
    if (!listener->udp)
        return 0;
    socket->fd = udp_listen(&listener->local);
    if (socket->fd < 0)
        return socket->fd;
    if (!worker->service->config->no_dscp)
        udp_ask_mark(socket->fd, &listener->local);
    return 0;
}

static int open_listeners(struct worker *worker, struct refusal *refusal)
{
    const struct service *service = worker->service;
    for (size_t i = 0; i < service->listener_count; i++) {
        const struct listener *listener = &service->listeners[i];
        const bool udp_failed = open_udp(worker, listener) != 0;
        if (udp_failed || (listener->stream && streams_listen(worker->streams, &listener->local, (uint16_t)i, listener->door) != 0))
            return refuse_listener(refusal, service->config, &listener->local, udp_failed ? "udp" : "tcp");
    }
    return 0;
}

/* Connections have half of the descriptors, shared by the workers: strangers who hold them all leave the other half to relay with. */
static uint32_t most_connections(uint32_t workers)
{
    const uint32_t share = process_descriptors() / 2 / workers;
    return share > MAX_CONNECTIONS ? MAX_CONNECTIONS : share ? share : 1; /* 0 would be no limit */
}

static struct streams *make_streams(struct worker *worker)
{
    const struct service *service = worker->service;
    const struct streams_config config = {
        .loop = worker->loop,
        .tls = service->config->no_tls ? NULL : service->tls,
        .crypto = worker->crypto,
        .plain = !service->config->no_tcp,
        .marks = !service->config->no_dscp,
        .max_connections = most_connections(service->config->workers),
        .max_per_source = MAX_PER_SOURCE,
        .handshake_s = HANDSHAKE_S,
        .proxies = &service->config->proxies,
        .hash_key = service->engine.hash_key,
        .ctx = worker,
        .frame = on_frame,
        .closed = on_closed,
        .leaves = worker_leaves,
    };
    return streams_new(&config);
}

static struct dtls *make_dtls(struct worker *worker)
{
    const struct service *service = worker->service;
    struct dtls_config config = {
        .tls = service->tls,
        .hash_key = service->engine.hash_key,
        .crypto = worker->crypto,
        .max_sessions = MAX_CONNECTIONS,
        .max_half_open = MAX_PER_SOURCE,
        .max_per_source = MAX_PER_SOURCE,
        .handshake_s = HANDSHAKE_S,
        .idle_s = DTLS_IDLE_S,
        .ctx = worker,
        .transmit = on_transmit,
        .datagram = on_frame,
        .closed = on_closed,
    };
    memcpy(config.cookie_key, service->cookie_key, sizeof config.cookie_key);
    return dtls_new(&config);
}

int worker_io_open(struct worker *worker, struct refusal *refusal)
{
    const struct service *service = worker->service;
    const bool wants_dtls = service->tls && !service->config->no_dtls;
    worker->in = udp_in_new();
    worker->out = udp_out_new();
    worker->sockets = calloc(service->listener_count + 1, sizeof *worker->sockets);
    worker->streams = make_streams(worker);
    worker->peers = worker->streams ? worker_peers_new(worker) : NULL;
    worker->dtls = wants_dtls ? make_dtls(worker) : NULL;
    if (!worker->in || !worker->out || !worker->sockets || !worker->streams || !worker->peers || (wants_dtls && !worker->dtls))
        return ERR_MEMORY;
    const int err = open_listeners(worker, refusal);
    return err || !service->steer ? err : steered_open(worker, refusal);
}

void worker_io_start(struct worker *worker)
{
    for (size_t i = 0; i < worker->socket_count; i++)
        if (worker->sockets[i].fd >= 0)
            watch_read(&worker->sockets[i].watch, worker->loop, worker->sockets[i].fd, on_client, &worker->sockets[i]);
    if (worker->steered)
        steered_start(worker->steered);
}

/* Closing connections ends their allocations, so the engine is still there; relay sockets go with the engine. */
void worker_io_close(struct worker *worker)
{
    streams_free(worker->streams);
    dtls_free(worker->dtls);
    if (worker->out)
        udp_flush(worker->out); /* the goodbyes of DTLS */
    for (size_t i = 0; i < worker->socket_count; i++) {
        watch_stop(&worker->sockets[i].watch);
        if (worker->sockets[i].fd >= 0)
            close(worker->sockets[i].fd);
    }
    free(worker->sockets);
    worker->sockets = NULL;
    worker->socket_count = 0;
}
