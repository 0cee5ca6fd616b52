/* forwarder.c: the least that a relay must do (forwarder.h), and as much STUN as a load generator needs to set it up.
 *
 *     forwarder WAY ADDRESS:PORT RELAY-ADDRESS MIN-PORT MAX-PORT [INTERFACE]
 *
 * WAY is a row of the table below; INTERFACE is what steer-packet sends through (lo). Prints one line when it serves. Every request is
 * granted to whoever asks: for measurements on a machine of one's own, and for nothing else.
 */
#include "forwarder.h"

#include "base/addr.h"
#include "wire/attr.h"
#include "wire/build.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUCKETS 65536 /* a power of two, and more than there are ports */
#define EVENTS 512
#define READS 16 /* of one wake-up, one datagram each */
#define ANSWER_MAX 128
#define LIFETIME_S 600
#define BUFFER_BYTES (4 << 20)

static const struct way WAYS[] = {
    {"one", false, false, false, STEER_NONE},           {"mmsg", true, false, false, STEER_NONE},
    {"mmsg+connected", true, true, false, STEER_NONE},  {"gro", true, false, true, STEER_NONE},
    {"gro+connected", true, true, true, STEER_NONE},    {"steer-raw", true, false, false, STEER_RAW},
    {"steer-packet", true, false, false, STEER_PACKET}, {"steer-packet+gro", true, false, true, STEER_PACKET},
};

struct forwarder {
    const struct way *way;
    struct ports ports;
    uint16_t next_port;
    int epoll, listener, steered; /* `steered`: has the whole range; -1: each client its own socket */
    struct steering steering;
    struct inbox from_clients, from_peers;
    struct outbox to_clients, to_peers;
    struct client *clients, *spare; /* one for each port at most */
    uint32_t used;
    struct client *buckets[BUCKETS];
    struct client *of_port[65536];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "forwarder: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

/* ---- clients ---- */

static struct client **bucket_of(struct forwarder *f, const struct sockaddr_in *at)
{
    const uint64_t key = (uint64_t)at->sin_addr.s_addr << 16 | at->sin_port;
    return &f->buckets[key * UINT64_C(0x9E3779B97F4A7C15) >> 48 & (BUCKETS - 1)];
}

static bool is_same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

static struct client *client_find(struct forwarder *f, const struct sockaddr_in *at)
{
    struct client *client = *bucket_of(f, at);
    while (client && !is_same(&client->at, at))
        client = client->next;
    return client;
}

static void watch(struct forwarder *f, int fd, void *whose)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll");
}

static int open_socket(struct forwarder *f, struct in_addr ip, uint16_t port)
{
    const int bytes = BUFFER_BYTES, on = 1;
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = ip, .sin_port = htons(port)};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (f->way->segments)
        setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    return fd;
}

static uint16_t port_take(struct forwarder *f)
{
    for (unsigned tries = 0; tries <= (unsigned)(f->ports.max - f->ports.min); tries++) {
        const uint16_t port = f->next_port;
        f->next_port = port == f->ports.max ? f->ports.min : (uint16_t)(port + 1);
        if (!f->of_port[port])
            return port;
    }
    return 0;
}

static struct client *client_take(struct forwarder *f, const struct sockaddr_in *at)
{
    const uint16_t port = port_take(f);
    if (!port)
        return NULL;
    struct client *client = f->spare;
    if (client)
        f->spare = client->next;
    else
        client = &f->clients[f->used++];
    *client = (struct client){.at = *at, .relay_port = port, .relay = -1, .expects = 1, .first = -1, .last = -1};
    if (f->steered < 0) {
        client->relay = open_socket(f, f->ports.ip, port);
        if (client->relay < 0)
            die("a relay port");
        watch(f, client->relay, client);
    }
    f->of_port[port] = client;
    client->next = *bucket_of(f, at);
    *bucket_of(f, at) = client;
    return client;
}

static void client_give(struct forwarder *f, struct client *client)
{
    struct client **link = bucket_of(f, &client->at);
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    if (client->relay >= 0)
        close(client->relay);
    f->of_port[client->relay_port] = NULL;
    client->next = f->spare;
    f->spare = client;
}

/* ---- STUN ---- */

static struct addr addr_of(const struct sockaddr_in *at)
{
    return addr_v4((const uint8_t *)&at->sin_addr, ntohs(at->sin_port));
}

static bool grant_allocate(struct forwarder *f, const struct message *request, const struct sockaddr_in *from, struct build *answer)
{
    struct client *client = client_find(f, from);
    (void)request;
    if (!client)
        client = client_take(f, from);
    if (!client)
        return false;
    const struct addr relayed = addr_v4((const uint8_t *)&f->ports.ip, client->relay_port), mapped = addr_of(from);
    build_xor_addr(answer, ATTR_XOR_RELAYED_ADDRESS, &relayed);
    build_xor_addr(answer, ATTR_XOR_MAPPED_ADDRESS, &mapped);
    build_attr_u32(answer, ATTR_LIFETIME, LIFETIME_S);
    return true;
}

static bool grant_refresh(struct forwarder *f, const struct message *request, const struct sockaddr_in *from, struct build *answer)
{
    uint32_t lifetime_s = LIFETIME_S;
    struct client *client = client_find(f, from);
    attr_u32(request, SLOT_LIFETIME, &lifetime_s);
    if (client && lifetime_s == 0)
        client_give(f, client);
    build_attr_u32(answer, ATTR_LIFETIME, lifetime_s);
    return client != NULL;
}

static bool grant_permission(struct forwarder *f, const struct message *request, const struct sockaddr_in *from, struct build *answer)
{
    (void)request;
    (void)answer;
    return client_find(f, from) != NULL;
}

static bool grant_channel(struct forwarder *f, const struct message *request, const struct sockaddr_in *from, struct build *answer)
{
    struct client *client = client_find(f, from);
    struct addr peer;
    struct sockaddr_storage at;
    (void)answer;
    if (!client || attr_channel(request, &client->channel) != 0 || attr_xor_addr(request, SLOT_XOR_PEER_ADDRESS, &peer) != 0 ||
        peer.family != ADDR_IPV4)
        return false;
    addr_to_sockaddr(&peer, &at);
    memcpy(&client->peer, &at, sizeof client->peer);
    if (f->way->connects && connect(client->relay, (const struct sockaddr *)&client->peer, sizeof client->peer) != 0)
        die("a relay socket cannot be connected");
    if (steer_toward(&f->steering, client->peer.sin_addr) != 0)
        die("the peer's neighbour entry is missing (ip neigh add)");
    return true;
}

static bool grant_binding(struct forwarder *f, const struct message *request, const struct sockaddr_in *from, struct build *answer)
{
    const struct addr mapped = addr_of(from);
    (void)f;
    (void)request;
    build_xor_addr(answer, ATTR_XOR_MAPPED_ADDRESS, &mapped);
    return true;
}

static const struct {
    uint16_t method;
    bool (*grant)(struct forwarder *, const struct message *, const struct sockaddr_in *from, struct build *answer);
} GRANTS[] = {{METHOD_BINDING, grant_binding},
              {METHOD_ALLOCATE, grant_allocate},
              {METHOD_REFRESH, grant_refresh},
              {METHOD_CREATE_PERMISSION, grant_permission},
              {METHOD_CHANNEL_BIND, grant_channel}};

static void answer_request(struct forwarder *f, struct view in, const struct sockaddr_in *from)
{
    uint8_t bytes[ANSWER_MAX];
    struct message request;
    struct build answer;
    if (message_open(&request, in) != 0 || request.class != STUN_REQUEST)
        return;
    for (size_t i = 0; i < sizeof GRANTS / sizeof *GRANTS; i++) {
        if (GRANTS[i].method != request.method)
            continue;
        build_begin(&answer, slab_over(bytes, sizeof bytes), request.method, STUN_SUCCESS, request.tid);
        if (!GRANTS[i].grant(f, &request, from, &answer))
            return;
        const struct view out = build_end(&answer);
        sendto(f->listener, out.at, out.len, MSG_DONTWAIT, (const struct sockaddr *)from, sizeof *from);
    }
}

/* ---- relaying ---- */

static void from_client(struct forwarder *f, const struct sockaddr_in *from, struct view in)
{
    if (in.len < CHANNEL_HEADER_LEN || in.at[0] >> 6 != 1) {
        answer_request(f, in, from);
        return;
    }
    struct client *client = client_find(f, from);
    const size_t len = get_u16(in.at + 2);
    if (client && get_u16(in.at) == client->channel && len <= in.len - CHANNEL_HEADER_LEN)
        outbox_to_peer(&f->to_peers, client, view_of(in.at + CHANNEL_HEADER_LEN, len));
}

static void from_peer(struct forwarder *f, struct client *client, const struct sockaddr_in *from, struct view in)
{
    if (client && is_same(&client->peer, from))
        outbox_to_client(&f->to_clients, client, in);
}

static void read_listener(struct forwarder *f)
{
    struct inbox *in = &f->from_clients;
    for (unsigned reads = f->way->batches ? 1 : READS; reads && inbox_receive(in, f->listener, f->way->batches ? BATCH : 1); reads--) {
        struct view datagram;
        for (unsigned slot = 0; slot < in->used; slot++)
            for (size_t at = 0; inbox_next(in, slot, &at, &datagram);)
                from_client(f, &in->from[slot], datagram);
        outbox_send(&f->to_peers, f->way->steer == STEER_NONE ? -1 : f->steering.fd);
        in->used = 0;
    }
}

static void send_to_clients(struct forwarder *f)
{
    outbox_send(&f->to_clients, f->listener);
    f->from_peers.used = 0;
}

static void read_peers(struct forwarder *f, int fd, struct client *client, unsigned count)
{
    struct inbox *in = &f->from_peers;
    struct view datagram;
    const unsigned got = inbox_receive(in, fd, count);
    for (unsigned slot = in->used - got; slot < in->used; slot++)
        for (size_t at = 0; inbox_next(in, slot, &at, &datagram);)
            from_peer(f, client ? client : f->of_port[inbox_port(in, slot)], &in->from[slot], datagram);
    if (client) /* a read that finds less than it has room for asks the system once more: so much is asked for as comes */
        client->expects = got == count ? 2 * count : got ? got : 1;
    if (in->used == BATCH || !f->way->batches)
        send_to_clients(f);
}

static void read_relay(struct forwarder *f, struct client *client)
{
    const unsigned most = f->way->batches ? BATCH - f->from_peers.used : 1;
    read_peers(f, client->relay, client, client->expects < most ? client->expects : most);
}

static void serve(struct forwarder *f)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        const int count = epoll_wait(f->epoll, events, EVENTS, -1);
        bool has_requests = false;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &f->listener)
                has_requests = true; /* last, as one of them may end a client that is among the events */
            else if (events[i].data.ptr == &f->steered)
                read_peers(f, f->steered, NULL, BATCH);
            else
                read_relay(f, events[i].data.ptr);
        }
        send_to_clients(f);
        if (has_requests)
            read_listener(f);
    }
}

/* ---- starting ---- */

static void open_sockets(struct forwarder *f, const struct addr *at, const char *interface)
{
    const int on = 1;
    struct sockaddr_storage bound;
    addr_to_sockaddr(at, &bound);
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->listener = open_socket(f, ((const struct sockaddr_in *)&bound)->sin_addr, at->port);
    f->steered = -1;
    if (f->epoll < 0 || f->listener < 0)
        die("the listening socket");
    watch(f, f->listener, &f->listener);
    if (f->way->steer == STEER_NONE)
        return;
    f->steered = open_socket(f, f->ports.ip, 0);
    if (f->steered < 0 || setsockopt(f->steered, SOL_IP, IP_RECVORIGDSTADDR, &on, sizeof on) != 0)
        die("the socket of the relay range");
    if (steer_range(&f->ports, f->steered) != 0)
        die("sk_lookup");
    if (steer_open(&f->steering, f->way->steer, interface) != 0)
        die("the socket to send with");
    watch(f, f->steered, &f->steered);
}

static void make_boxes(struct forwarder *f)
{
    f->clients = calloc((size_t)(f->ports.max - f->ports.min) + 1, sizeof *f->clients);
    if (!f->clients || inbox_init(&f->from_clients, f->way) != 0 || inbox_init(&f->from_peers, f->way) != 0)
        die("memory");
    f->to_clients.way = f->to_peers.way = f->way;
    f->to_peers.relay_ip = f->ports.ip;
    f->to_peers.steering = f->way->steer == STEER_NONE ? NULL : &f->steering;
}

static const struct way *way_named(const char *name)
{
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
        if (strcmp(WAYS[i].name, name) == 0)
            return &WAYS[i];
    return NULL;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: forwarder WAY ADDRESS:PORT RELAY-ADDRESS MIN-PORT MAX-PORT [INTERFACE]\nways:");
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
        fprintf(stderr, " %s", WAYS[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

int main(int argc, char **argv)
{
    struct addr at, relay;
    struct forwarder *f = calloc(1, sizeof *f);
    if (!f || argc < 6 || argc > 7 || !(f->way = way_named(argv[1])) || addr_parse(view_text(argv[2]), &at) != 0 ||
        addr_parse_ip(view_text(argv[3]), &relay) != 0 || at.family != ADDR_IPV4 || relay.family != ADDR_IPV4 ||
        addr_parse_port(view_text(argv[4]), &f->ports.min) != 0 || addr_parse_port(view_text(argv[5]), &f->ports.max) != 0 ||
        f->ports.min == 0 || f->ports.max < f->ports.min)
        usage();
    memcpy(&f->ports.ip, relay.ip + 12, sizeof f->ports.ip);
    f->next_port = f->ports.min;
    make_boxes(f);
    open_sockets(f, &at, argc == 7 ? argv[6] : "lo");
    printf("serving %s\n", argv[2]);
    fflush(stdout);
    serve(f);
}
