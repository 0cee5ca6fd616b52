/* world_tcp.c: the connections of TCP allocations in a test. */
#include "world.h"

#include "base/err.h"
#include "turn/state.h"

static int world_listen(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    return world_socket(ctx, &(struct world_socket){.is_listener = true, .local = *local, .owner = owner}, sock);
}

static void world_unlisten(void *ctx, int sock)
{
    struct world *w = ctx;
    CHECK(w->sockets[sock].is_listener);
    world_close(ctx, sock);
}

static int world_conn_open(struct world *w, const struct world_conn *conn)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        if (w->conns[i].is_open)
            continue;
        w->conns[i] = *conn;
        w->conns[i].is_open = true;
        w->open_conns++;
        w->last_conn = i;
        return i;
    }
    return -1;
}

static void world_drop(void *ctx, int conn)
{
    struct world *w = ctx;
    CHECK(conn >= 0 && conn < CONNS_MAX && w->conns[conn].is_open);
    w->conns[conn].is_open = false;
    w->open_conns--;
}

static int world_connect(void *ctx, int sock, const struct addr *to, struct handle peer, int *conn)
{
    struct world *w = ctx;
    CHECK(sock >= 0 && w->sockets[sock].is_open && w->sockets[sock].is_listener);
    if (w->connect_error)
        return w->connect_error;
    *conn = world_conn_open(w, &(struct world_conn){.sock = sock, .to = *to, .peer = peer});
    return *conn < 0 ? ERR_MEMORY : 0;
}

static bool world_splice(void *ctx, int conn, uint64_t link, struct handle peer)
{
    struct world *w = ctx;
    CHECK(conn >= 0 && w->conns[conn].is_open && w->conns[conn].link == 0);
    if (w->no_data_connection)
        return false;
    w->conns[conn].link = link;
    w->conns[conn].peer = peer;
    return true;
}

const struct tcp_host world_tcp = {
    .listen = world_listen, .close = world_unlisten, .connect = world_connect, .drop = world_drop, .splice = world_splice};

struct send world_connected(struct world *w, bool is_there)
{
    const struct world_conn *conn = &w->conns[w->last_conn];
    if (is_there)
        return engine_peer_connected(w->engine, conn->peer, w->now);
    world_drop(w, w->last_conn);
    return engine_peer_failed(w->engine, conn->peer, w->now);
}

struct send world_accept(struct world *w, const struct flow *flow, const char *from, int *conn)
{
    const struct allocation *a = allocation_find(w->engine, flow);
    const struct addr peer = addr_of(from);
    *conn = world_conn_open(w, &(struct world_conn){.sock = -1, .to = peer});
    const struct send send = engine_peer_accepted(w->engine, a ? a->self : (struct handle){0}, &peer, *conn, &w->conns[*conn].peer, w->now);
    if (send.to == SEND_NOTHING) {
        world_drop(w, *conn);
        *conn = -1;
    }
    return send;
}

/* ---- clients ---- */

struct client client_over_tcp(struct world *w)
{
    return client_over(w, TRANSPORT_TCP, "198.18.0.1:5000", SERVER_V4, "ann");
}

struct client world_with_tcp(struct world *w)
{
    world_start(w, NULL);
    struct client ann = client_over_tcp(w);
    CHECK_INT(client_allocate_tcp(&ann), 0);
    return ann;
}

int client_allocate_tcp(struct client *c)
{
    client_begin(c, METHOD_ALLOCATE);
    client_byte(c, ATTR_REQUESTED_TRANSPORT, 6);
    return client_call(c);
}

int client_connect(struct client *c, const char *peer)
{
    client_begin(c, METHOD_CONNECT);
    client_peer(c, peer);
    return client_call(c);
}

int client_bind_connection(struct client *c, uint32_t id)
{
    client_begin(c, METHOD_CONNECTION_BIND);
    build_attr_u32(&c->build, ATTR_CONNECTION_ID, id);
    return client_call(c);
}

struct client client_data(const struct client *c, uint16_t port)
{
    struct client data = *c;
    data.flow.client.port = port;
    data.flow.link = port;
    return data;
}
