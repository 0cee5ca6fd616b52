/* load.c: a load for a relay, from one thread: clients on this side, their peer on the same, and a count of what is delivered and how late.
 *
 *     load SERVER LOAD [clients=N] [packets=N] [bytes=N] [window=N] [rate=N] [user=NAME]
 *
 * SERVER is an address with a port of loopback, LOAD a row of the table below. With `window` as many packets are on their way at a time (as
 * fast as they are delivered: no loss but the server's own); with `rate` so many a second are sent, whatever happens to them. Ends with one
 * line of NAME=VALUE; a packet that is late by LOST_MS is lost.
 */
#include "turn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define LOST_MS 2000
#define CLIENTS_MAX 4096
#define SLOW 2000 /* packets a second: then a millisecond too late is not much */

struct load;

struct kind {
    const char *name;
    bool stream, relays, bound; /* over TCP; needs allocations; with a channel, else the peer has a permission only */
    void (*put)(struct load *, struct turn *);
    void (*took)(struct load *, struct turn *, struct view frame); /* a frame for a client; NULL: the peer is who receives */
};

struct load {
    const struct kind *kind;
    uint32_t clients, packets, bytes, window, rate;
    struct turn_login login;
    struct turn *turns;
    struct turn **idle; /* of `login`: who may be next */
    uint32_t idle_count;
    uint64_t *begun_ns; /* of each client: when its login began; then how long it took */
    int peer, epoll;
    struct addr peer_at;
    uint64_t start_ns, last_ns;
    uint32_t sent, delivered, lost;
    uint32_t *late_us; /* of each that was delivered */
    uint8_t payload[TURN_PAYLOAD_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static struct view stamped(struct load *load)
{
    put_u64(load->payload, now_ns());
    return view_of(load->payload, load->bytes);
}

static void took(struct load *load, uint64_t sent_ns)
{
    load->last_ns = now_ns();
    if (load->delivered < load->packets)
        load->late_us[load->delivered++] = sent_ns ? (uint32_t)((load->last_ns - sent_ns) / 1000) : 0;
}

/* ---- the loads ---- */

static void put_up(struct load *load, struct turn *turn)
{
    turn_put_channel(turn, stamped(load));
}

static void put_send(struct load *load, struct turn *turn)
{
    turn_put_send(turn, &load->peer_at, stamped(load));
}

static void put_down(struct load *load, struct turn *turn)
{
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(&turn->relayed, &to);
    const struct view payload = stamped(load);
    sendto(load->peer, payload.at, payload.len, 0, (const struct sockaddr *)&to, len);
}

static void put_binding(struct load *load, struct turn *turn)
{
    (void)load;
    turn_put_binding(turn);
}

static void put_allocate(struct load *load, struct turn *turn)
{
    (void)load;
    turn_put_allocate(turn);
}

static void took_data(struct load *load, struct turn *turn, struct view frame)
{
    const struct view data = turn_data(frame);
    (void)turn;
    if (data.len == load->bytes)
        took(load, get_u64(data.at));
}

static void took_binding(struct load *load, struct turn *turn, struct view frame)
{
    (void)turn;
    if (turn_is_granted(frame, METHOD_BINDING))
        took(load, 0);
}

/* A round is Allocate and Refresh(0), each waited for; then the same client begins again, as another might be in the middle of its own. */
static void took_release(struct load *load, struct turn *turn, struct view frame)
{
    if (turn_is_granted(frame, METHOD_ALLOCATE))
        turn_put_release(turn);
    if (!turn_is_granted(frame, METHOD_REFRESH))
        return;
    took(load, 0);
    if (load->sent == load->packets)
        return;
    load->sent++;
    turn_put_allocate(turn);
}

/* A login is an Allocate whose answer is waited for, by whoever is idle; its Refresh(0) is part of it, but not of its time. */
static void put_login(struct load *load, struct turn *turn)
{
    turn = load->idle[--load->idle_count];
    load->begun_ns[turn - load->turns] = now_ns();
    turn_put_allocate(turn);
}

static void took_login(struct load *load, struct turn *turn, struct view frame)
{
    uint64_t *took_ns = &load->begun_ns[turn - load->turns];
    if (turn_is_granted(frame, METHOD_ALLOCATE)) {
        *took_ns = now_ns() - *took_ns;
        turn_put_release(turn);
    }
    if (!turn_is_granted(frame, METHOD_REFRESH))
        return;
    load->idle[load->idle_count++] = turn;
    took(load, now_ns() - *took_ns);
}

static const struct kind kinds[] = {
    {"up", false, true, true, put_up, NULL},
    {"down", false, true, true, put_down, took_data},
    {"send", false, true, false, put_send, NULL},
    {"data", false, true, false, put_down, took_data},
    {"tcp-up", true, true, true, put_up, NULL},
    {"tcp-down", true, true, true, put_down, took_data},
    {"binding", false, false, false, put_binding, took_binding},
    {"allocate", false, false, false, put_allocate, took_release},
    {"login", false, false, false, put_login, took_login},
};

/* ---- the way of a run ---- */

static void peer_receive(struct load *load)
{
    uint8_t bytes[2048];
    ssize_t got;
    while ((got = recv(load->peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        if ((uint32_t)got == load->bytes && !load->kind->took)
            took(load, get_u64(bytes));
}

static void client_receive(struct load *load, struct turn *turn)
{
    struct view frame;
    while (turn_next(turn, &frame))
        if (load->kind->took)
            load->kind->took(load, turn, frame);
}

static void receive(struct load *load, int timeout_ms)
{
    struct epoll_event ready[64];
    const int count = epoll_wait(load->epoll, ready, 64, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (ready[i].data.ptr)
            client_receive(load, ready[i].data.ptr);
        else
            peer_receive(load);
    }
}

static uint32_t on_their_way(const struct load *load)
{
    return load->sent - load->delivered - load->lost;
}

static bool may_send(const struct load *load, uint64_t now)
{
    if (load->sent == load->packets || (load->idle_count == 0 && load->kind->put == put_login))
        return false;
    if (load->rate)
        return (now - load->start_ns) * load->rate / UINT64_C(1000000000) >= load->sent;
    return on_their_way(load) < load->window;
}

static void run(struct load *load)
{
    load->start_ns = load->last_ns = now_ns();
    while (load->delivered + load->lost < load->packets) {
        uint64_t now = now_ns();
        while (may_send(load, now))
            load->kind->put(load, &load->turns[load->sent++ % load->clients]);
        const bool paced = load->rate && load->sent < load->packets;
        receive(load, !paced ? LOST_MS : load->rate <= SLOW); /* who sends seldom leaves the processor to others */
        now = now_ns();
        if (now - load->last_ns > UINT64_C(1000000) * LOST_MS && !paced)
            load->lost += on_their_way(load);
    }
}

/* ---- before and after ---- */

static void watch(const struct load *load, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        turn_die("epoll_ctl");
}

static void open_peer(struct load *load)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    const int bytes = 4 << 20;
    load->peer = socket(AF_INET, SOCK_DGRAM, 0);
    if (load->peer < 0 || bind(load->peer, (const struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(load->peer, (struct sockaddr *)&bound, &len) != 0)
        turn_die("the peer's socket");
    setsockopt(load->peer, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    load->peer_at = addr_from_sockaddr(&bound);
    watch(load, load->peer, NULL);
}

static void open_clients(struct load *load, const struct addr *server)
{
    for (uint32_t i = 0; i < load->clients; i++) {
        struct turn *turn = &load->turns[i];
        turn_open(turn, &load->login, server, load->kind->stream);
        if (load->kind->relays) {
            turn_allocate(turn);
            if (load->kind->bound)
                turn_bind(turn, &load->peer_at);
            else
                turn_permit(turn, &load->peer_at);
        }
        watch(load, turn->fd, turn);
        load->idle[load->idle_count++] = turn;
    }
}

/* The server keeps an allocation for minutes, and the next run may get the same port of ours. */
static void close_clients(struct load *load)
{
    for (uint32_t i = 0; i < load->clients; i++) {
        if (load->kind->relays)
            turn_release(&load->turns[i]);
        close(load->turns[i].fd);
    }
}

static int by_size(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void report(struct load *load)
{
    const uint32_t count = load->delivered;
    qsort(load->late_us, count, sizeof *load->late_us, by_size);
    const double seconds = (double)(load->last_ns - load->start_ns) / 1e9;
    printf("delivered=%u lost=%u seconds=%.4f p50_us=%u p99_us=%u\n", count, load->lost, seconds, count ? load->late_us[count / 2] : 0,
           count ? load->late_us[count - 1 - count / 100] : 0);
}

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static bool set(struct load *load, const char *argument)
{
    const struct {
        const char *name;
        uint32_t *at;
    } names[] = {{"clients=", &load->clients},
                 {"packets=", &load->packets},
                 {"bytes=", &load->bytes},
                 {"window=", &load->window},
                 {"rate=", &load->rate}};
    if (strncmp(argument, "user=", 5) == 0)
        load->login.user = argument + 5;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t len = strlen(names[i].name);
        if (strncmp(argument, names[i].name, len) == 0) {
            *names[i].at = (uint32_t)strtoul(argument + len, NULL, 10);
            return true;
        }
    }
    return strncmp(argument, "user=", 5) == 0;
}

/* fits: whether the numbers go together; a client has one allocation at a time, so who allocates waits. */
static bool fits(const struct load *load)
{
    const bool in_turn = load->kind->put != put_allocate || (!load->rate && load->window <= load->clients);
    return load->clients && load->clients <= CLIENTS_MAX && load->window && load->bytes >= 8 && load->bytes <= TURN_PAYLOAD_MAX && in_turn;
}

int main(int argc, char **argv)
{
    static struct load load = {.clients = 1, .packets = 1000, .bytes = 172, .window = 1, .login = {NULL, "ann", "secret"}};
    struct addr server;
    bool good = argc > 2 && addr_parse(view_text(argv[1]), &server) == 0 && (load.kind = kind_named(argv[2]));
    for (int i = 3; good && i < argc; i++)
        good = set(&load, argv[i]);
    errno = 0;
    if (!good || !fits(&load))
        turn_die("usage: load SERVER:PORT LOAD [clients=N] [packets=N] [bytes=N] [window=N] [rate=N] [user=NAME]");
    load.login.crypto = crypto_new();
    load.turns = calloc(load.clients, sizeof *load.turns);
    load.idle = calloc(load.clients, sizeof *load.idle);
    load.begun_ns = calloc(load.clients, sizeof *load.begun_ns);
    load.late_us = calloc(load.packets + 1, sizeof *load.late_us);
    load.epoll = epoll_create1(0);
    if (!load.login.crypto || !load.turns || !load.idle || !load.begun_ns || !load.late_us || load.epoll < 0)
        turn_die("memory");
    open_peer(&load);
    open_clients(&load, &server);
    run(&load);
    close_clients(&load);
    report(&load);
    return 0;
}
