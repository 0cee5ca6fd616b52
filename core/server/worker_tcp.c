/* worker_tcp.c: the sockets of TCP allocations (RFC 6062) between the engine and core/net. */
#include "server/worker_state.h"

#include "turn/tcp_relay.h"

static int tcp_listen(void *ctx, const struct addr *local, struct handle allocation, int *sock)
{
    struct worker *worker = ctx;
    return peer_stream_listen(worker->peers, local, allocation, sock);
}

static void tcp_close(void *ctx, int sock)
{
    struct worker *worker = ctx;
    peer_stream_unlisten(worker->peers, sock);
}

static int tcp_connect(void *ctx, int sock, const struct addr *to, struct handle peer, int *conn)
{
    struct worker *worker = ctx;
    return peer_stream_connect(worker->peers, sock, to, peer, conn);
}

static void tcp_drop(void *ctx, int conn)
{
    struct worker *worker = ctx;
    peer_stream_drop(worker->peers, conn);
}

static bool tcp_splice(void *ctx, int conn, uint64_t link, struct handle peer)
{
    struct worker *worker = ctx;
    return peer_stream_bind(worker->peers, conn, link, peer);
}

const struct tcp_host worker_tcp_host = {
    .listen = tcp_listen, .close = tcp_close, .connect = tcp_connect, .drop = tcp_drop, .splice = tcp_splice};

static void on_connected(void *ctx, struct handle peer, bool is_there)
{
    struct worker *worker = ctx;
    const msec_t now = loop_now(worker->loop);
    const struct send send = (is_there ? engine_peer_connected : engine_peer_failed)(worker->engine, peer, now);
    worker_deliver(worker, &send, false);
}

static bool on_accepted(void *ctx, struct handle allocation, const struct addr *from, int conn, struct handle *peer)
{
    struct worker *worker = ctx;
    const struct send send = engine_peer_accepted(worker->engine, allocation, from, conn, peer, loop_now(worker->loop));
    worker_deliver(worker, &send, false);
    return send.to != SEND_NOTHING;
}

static size_t on_room(void *ctx, struct handle peer, bool in)
{
    struct worker *worker = ctx;
    return engine_peer_room(worker->engine, peer, in, loop_now(worker->loop));
}

static void on_moved(void *ctx, struct handle peer, bool in, size_t bytes)
{
    struct worker *worker = ctx;
    engine_peer_moved(worker->engine, peer, in, bytes, loop_now(worker->loop));
}

static void on_ended(void *ctx, struct handle peer)
{
    struct worker *worker = ctx;
    engine_peer_ended(worker->engine, peer);
}

struct peer_streams *worker_peers_new(struct worker *worker)
{
    const struct peer_streams_config config = {
        .loop = worker->loop,
        .clients = worker->streams,
        .ctx = worker,
        .connected = on_connected,
        .accepted = on_accepted,
        .room = on_room,
        .moved = on_moved,
        .ended = on_ended,
    };
    return peer_streams_new(&config);
}
