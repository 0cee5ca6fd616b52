/* worker_steered.c: a way to relay: the ports of all allocations come to one socket of the worker for each family (net/steer), what is sent from them, and
 * what clients get over UDP, goes by raw sockets (net/raw), and what networks say of it comes as ICMP (net/icmp). `sock` of the engine is the index of a struct
 * steered_port.
 *
 * A port that the system might give to another program is held by a socket, which receives nothing, as steering goes first. Of ports that it does not
 * give away (steer_is_reserved) only those have one that send what a raw socket cannot: fragments, and trains (UDP_SEGMENT).
 */
#include "server/worker_state.h"

#include "base/err.h"
#include "net/bound.h"
#include "net/icmp.h"
#include "net/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ICMP_BATCH 16
#define V6_ALWAYS 1232   /* the longest payload that any link of IPv6 takes: the system does not fragment what comes with its headers */
static const uint8_t families[] = {ADDR_IPV4, ADDR_IPV6};
#define FAMILIES (sizeof families / sizeof *families)

#define OF_LISTENER (UINT32_C(1) << 31) /* in a tag: the rest is the index of a listener, else of a port */

/* struct steered_socket: of a family; both -1 where no relay address is of it. */
struct steered_socket {
    struct steered *steered;
    int fd, icmp;
    uint8_t family;
    struct watch watch, icmp_watch;
};

/* struct steered_port: of an allocation. */
struct steered_port {
    struct addr local;
    uint32_t address; /* which relay address that is */
    int fd;           /* -1: it needs no socket */
    bool has_sent;    /* by it */
};

struct steered {
    struct worker *worker;
    struct raw_out *out;
    bool is_flushing; /* nothing can be put into `out` now */
    struct bound others; /* ports of other programs */
    struct steered_socket sockets[FAMILIES];
    struct pool ports;
    size_t raw_count;
    int raw[]; /* of each relay address, and then of each listener; -1: none */
};

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* owner_of: the allocation of this worker that has the port; {0}: none. */
static struct handle owner_of(const struct worker *worker, const struct addr *local)
{
    struct holder holder;
    const uint32_t address = steer_address(worker->service->steer, local);
    const bool is_ours = address < worker->service->config->relay_count && ports_holder(worker->service->ledger.ports, address, local->port, &holder) &&
                         holder.worker == worker->index;
    return is_ours ? holder.allocation : (struct handle){0};
}

static void on_steered(void *owner)
{
    struct steered_socket *socket = owner;
    struct worker *worker = socket->steered->worker;
    const msec_t now = loop_now(worker->loop);
    const int count = worker_receive(worker, socket->fd, UDP_BATCH);
    for (int i = 0; i < count; i++) {
        const struct addr from = udp_from(worker->in, i), local = udp_destination(worker->in, i);
        const struct send send = engine_from_peer(worker->engine, owner_of(worker, &local), &from, udp_packet(worker->in, i), now);
        worker_deliver(worker, &send, true);
    }
}

static void tell(struct worker *worker, const struct addr *from, const struct peer_error *error)
{
    const struct send send = engine_peer_error(worker->engine, owner_of(worker, from), error, loop_now(worker->loop));
    worker_deliver(worker, &send, false);
}

static void on_icmp(void *owner)
{
    struct steered_socket *socket = owner;
    struct icmp_error told;
    int err = 0;
    for (int i = 0; i < ICMP_BATCH && err != ERR_NOT_FOUND; i++) {
        err = icmp_receive(socket->icmp, socket->family, &told);
        if (!err)
            tell(socket->steered->worker, &told.from, &told.error);
    }
}

/* send_by: a socket, from there (NULL: its own address). */
static void send_by(struct steered *steered, int fd, const struct addr *from, const struct raw_datagram *datagram)
{
    struct udp_out *out = steered->worker->out;
    udp_put_either(out, fd, &datagram->to, from, datagram->bytes, !datagram->passing);
    if (datagram->mark)
        udp_mark(out, datagram->mark);
}

/* send_by_port: by its socket, which is made when it is first wanted. */
static bool send_by_port(struct steered *steered, struct steered_port *port, const struct raw_datagram *datagram)
{
    if (port && port->fd < 0)
        port->fd = udp_relay(&port->local);
    if (!port || port->fd < 0)
        return false;
    port->has_sent = true;
    send_by(steered, port->fd, NULL, datagram);
    return true;
}

/* send_by_socket: as if there were no others. */
static bool send_by_socket(struct steered *steered, const struct raw_datagram *datagram)
{
    if (!(datagram->tag & OF_LISTENER))
        return send_by_port(steered, pool_index(&steered->ports, datagram->tag), datagram);
    send_by(steered, steered->worker->sockets[datagram->tag & ~OF_LISTENER].fd, datagram->is_any ? &datagram->from : NULL, datagram);
    return true;
}

static bool on_train(void *ctx, const struct raw_datagram *first, unsigned count)
{
    struct steered *steered = ctx;
    for (unsigned i = 0; i < count; i++)
        if (!send_by_socket(steered, first + i))
            return false;
    udp_flush(steered->worker->out);
    return true;
}

static void on_too_long(void *ctx, const struct raw_datagram *datagram)
{
    struct steered *steered = ctx;
    if (datagram->whole) {
        const struct peer_error error = udp_too_big(&datagram->to, udp_path_mtu(&datagram->from, &datagram->to));
        steered->is_flushing = true;
        tell(steered->worker, &datagram->from, &error);
        steered->is_flushing = false;
    } else {
        send_by_socket(steered, datagram);
    }
}

static void put(struct steered *steered, const struct raw_datagram *datagram)
{
    const size_t most = datagram->to.family == ADDR_IPV6 ? V6_ALWAYS : UDP_SLOT_BYTES; /* over a stream a client sends longer ones */
    if (!datagram->whole && datagram->bytes.len > most) {
        send_by_socket(steered, datagram);
        return;
    }
    raw_clock(steered->out, loop_now(steered->worker->loop));
    raw_put(steered->out, datagram);
}

static bool steered_send(struct worker *worker, const struct send *send, bool lasting)
{
    struct steered *steered = worker->steered;
    const struct steered_port *port = pool_index(&steered->ports, (uint32_t)send->sock);
    if (!port)
        return false;
    const struct raw_datagram datagram = {
        .fd = steered->raw[port->address],
        .tag = (uint32_t)send->sock,
        .from = port->local,
        .to = send->peer,
        .bytes = send->bytes,
        .passing = !lasting,
        .whole = send->dont_fragment,
        .mark = send->mark,
    };
    put(steered, &datagram);
    return false;
}

bool steered_answer(struct steered *steered, const struct send *send, bool lasting)
{
    const struct worker *worker = steered->worker;
    const uint16_t listener = send->flow->listener;
    const struct raw_datagram datagram = {
        .fd = steered->raw[worker->service->config->relay_count + listener],
        .tag = OF_LISTENER | listener,
        .from = send->flow->server,
        .to = send->flow->client,
        .bytes = send->bytes,
        .passing = !lasting,
        .is_any = worker->sockets[listener].any,
        .mark = send->mark,
    };
    if (datagram.fd < 0 || steered->is_flushing)
        return false;
    put(steered, &datagram);
    return true;
}

/* claim: no other program has the port, or gets it; steering goes before sockets that are bound, and another's would get nothing any more. */
static int claim(struct worker *worker, const struct addr *local, int *fd)
{
    *fd = -1;
    if (!worker->service->holds_ports)
        return bound_find(&worker->steered->others, local, loop_now(worker->loop));
    *fd = udp_relay(local);
    return *fd < 0 ? *fd : 0;
}

static int steered_relay_open(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    struct worker *worker = ctx;
    struct handle handle;
    int fd;
    (void)owner; /* whom the ledger knows */
    const int err = claim(worker, local, &fd);
    if (err)
        return err;
    struct steered_port *port = pool_take(&worker->steered->ports, &handle);
    if (!port) {
        close_one(fd);
        return ERR_MEMORY;
    }
    *port = (struct steered_port){.local = *local, .address = steer_address(worker->service->steer, local), .fd = fd};
    steer_own(worker->service->steer, port->address, local->port, worker->index);
    *sock = (int)handle.index;
    return 0;
}

/* Nothing that is still to be sent may find its descriptor closed, or another's. */
static void steered_relay_close(void *ctx, int sock)
{
    struct worker *worker = ctx;
    struct steered_port *port = pool_index(&worker->steered->ports, (uint32_t)sock);
    if (!port)
        return;
    steer_disown(worker->service->steer, port->address, port->local.port);
    if (port->has_sent)
        udp_flush(worker->out);
    close_one(port->fd);
    pool_give(&worker->steered->ports, (uint32_t)sock);
}

const struct relay_way relay_by_steering = {"one socket for each worker, steered", steered_relay_open, steered_relay_close, steered_send};

static bool has_family(const struct config *config, uint8_t family)
{
    for (size_t i = 0; i < config->relay_count; i++)
        if (config->relays[i].local.family == family)
            return true;
    return false;
}

static bool open_socket(struct steered *steered, size_t index)
{
    struct worker *worker = steered->worker;
    const struct config *config = worker->service->config;
    struct steered_socket *socket = &steered->sockets[index];
    const struct addr any = {.family = families[index]};
    *socket = (struct steered_socket){.steered = steered, .fd = -1, .icmp = -1, .family = families[index]};
    if (!has_family(config, socket->family))
        return true;
    socket->fd = steer_socket(worker->service->steer, worker->index, socket->family);
    socket->icmp = icmp_socket(socket->family, config->min_port, config->max_port);
    return socket->fd >= 0 && socket->icmp >= 0 && (config->no_dscp || udp_ask_mark(socket->fd, &any));
}

static bool open_sockets(struct steered *steered)
{
    const struct config *config = steered->worker->service->config;
    bool opened = true;
    for (size_t i = 0; i < FAMILIES; i++)
        opened &= open_socket(steered, i);
    for (size_t i = 0; i < config->relay_count && opened; i++)
        opened = (steered->raw[i] = raw_socket(&config->relays[i].local)) >= 0;
    for (size_t i = 0; i < steered->worker->socket_count; i++)
        if (steered->worker->sockets[i].fd >= 0)
            steered->raw[config->relay_count + i] = raw_socket(&steered->worker->sockets[i].local);
    if (opened && config->sends_frames)
        opened = raw_frames(steered->out, &steered->worker->service->engine.hash_key);
    return opened;
}

int steered_open(struct worker *worker, struct refusal *refusal)
{
    const struct config *config = worker->service->config;
    const size_t raw_count = config->relay_count + worker->socket_count;
    struct steered *steered = worker->steered = calloc(1, sizeof *steered + raw_count * sizeof *steered->raw);
    const struct raw_others others = {.ctx = steered, .too_long = on_too_long, .train = on_train};
    if (!steered || !(steered->out = raw_out_new(&worker->service->engine.hash_key, &others)))
        return ERR_MEMORY;
    steered->worker = worker;
    steered->others = (struct bound){.first = config->min_port, .last = config->max_port};
    steered->raw_count = raw_count;
    memset(steered->raw, -1, raw_count * sizeof *steered->raw);
    pool_init(&steered->ports, sizeof(struct steered_port), 0);
    return open_sockets(steered) ? 0 : refuse(refusal, config, "relay-steering", "its sockets cannot be opened: %s", strerrordesc_np(errno));
}

void steered_start(struct steered *steered)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        struct steered_socket *socket = &steered->sockets[i];
        if (socket->fd < 0)
            continue;
        watch_read(&socket->watch, steered->worker->loop, socket->fd, on_steered, socket);
        watch_read(&socket->icmp_watch, steered->worker->loop, socket->icmp, on_icmp, socket);
    }
}

void steered_flush(struct steered *steered)
{
    raw_flush(steered->out);
}

const struct udp_counts *steered_counts(const struct steered *steered)
{
    return raw_out_counts(steered->out);
}

uint64_t steered_overflows(const struct steered *steered)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FAMILIES; i++)
        sum += steered->sockets[i].fd >= 0 ? udp_overflows(steered->sockets[i].fd) : 0;
    return sum;
}

void steered_free(struct steered *steered)
{
    if (!steered)
        return;
    for (size_t i = 0; i < FAMILIES; i++) {
        watch_stop(&steered->sockets[i].watch);
        watch_stop(&steered->sockets[i].icmp_watch);
        close_one(steered->sockets[i].fd);
        close_one(steered->sockets[i].icmp);
    }
    pool_close(&steered->ports);
    for (size_t i = 0; i < steered->raw_count; i++)
        close_one(steered->raw[i]);
    raw_out_free(steered->out);
    free(steered);
}
