/* load_line.c: what a client speaks over: a socket of its own, over UDP, or a connection of net/dial. */
#include "client/load_state.h"

#include "base/err.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST_MAX (1 << 20)
#define PORT_FIRST 32768u /* as the system gives them */
#define PORT_COUNT 28232u
#define TRIES 1000

/* watch: for what the client waits for now; EPOLL_CTL_ADD or EPOLL_CTL_MOD. */
static int watch(const struct load *load, const struct client *client, int how, bool wants_room)
{
    struct epoll_event event = {.events = wants_room ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = load_index(load, client)};
    return epoll_ctl(load->epoll, how, client->fd, &event);
}

static void fail_open(struct load *load, const struct client *client, const char *why)
{
    const uint32_t index = load_index(load, client);
    const struct addr from = load_from(load, index);
    char text[ADDR_TEXT_MAX] = "this host";
    if (from.family)
        addr_format_ip(&from, text);
    if (errno == EADDRINUSE || errno == EAGAIN || errno == EADDRNOTAVAIL)
        load_fail(load, "%s has no port left for client %u, or is no address of this host: more of them by --from", text, index + 1);
    else
        load_fail(load, "client %u, from %s: %s", index + 1, text, why);
}

/* dial: whoever closes first keeps the port for a minute, and the server is not to: the connection is reset at its end. */
static int dial(struct load *load, struct client *client, const struct addr *from)
{
    const struct load_config *config = load->config;
    const struct linger none = {.l_onoff = 1};
    const struct dial_config how = {.transport = config->url->transport,
                                    .server = load->server,
                                    .from = *from,
                                    .name = config->url->host,
                                    .trusts_everybody = config->trusts_everybody,
                                    .trust = load->trust};
    char why[DIAL_WHY_MAX];
    if (dial_begin(&how, &client->dial, why) != 0) {
        fail_open(load, client, why);
        return ERR_SYSTEM;
    }
    client->fd = dial_fd(client->dial);
    client->is_connecting = true;
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return watch(load, client, EPOLL_CTL_ADD, true);
}

/* datagrams: those who come and go take one port after the other: a server may keep for some seconds what another client had at that port. */
static int datagrams(struct load *load, struct addr *from)
{
    int fd = ERR_SYSTEM;
    if (load->config->kind != LOAD_ALLOCATE)
        return io_datagrams(from, &load->server);
    if (!from->family)
        *from = load->server.family == ADDR_IPV6 ? addr_v6((const uint8_t[16]){0}, 0) : addr_v4((const uint8_t[4]){0}, 0);
    errno = EADDRINUSE;
    for (unsigned tries = 0; fd < 0 && errno == EADDRINUSE && tries < TRIES; tries++) {
        from->port = (uint16_t)(PORT_FIRST + load->port);
        load->port = (load->port + 1) % PORT_COUNT;
        fd = io_datagrams(from, &load->server);
    }
    return fd;
}

int line_open(struct load *load, struct client *client)
{
    struct addr from = load_from(load, load_index(load, client));
    if (load->config->url->transport != DIAL_UDP)
        return dial(load, client, &from);
    client->fd = datagrams(load, &from);
    if (client->fd >= 0 && watch(load, client, EPOLL_CTL_ADD, false) == 0)
        return 0;
    fail_open(load, client, strerrordesc_np(errno));
    return ERR_SYSTEM;
}

void line_close(struct load *load, struct client *client)
{
    if (client->fd < 0)
        return;
    if (load->config->url->transport == DIAL_UDP)
        load->report->dropped_here += io_drops(client->fd);
    if (client->dial)
        dial_close(client->dial);
    else
        close(client->fd);
    free(client->rest);
    client->rest = NULL;
    client->rest_len = 0;
    client->dial = NULL;
    client->fd = -1;
    client->is_connecting = false;
}

void line_go_on(struct load *load, struct client *client)
{
    char why[DIAL_WHY_MAX], text[ADDR_TEXT_MAX];
    const int err = dial_go_on(client->dial, why);
    if (err == ERR_PARTIAL) {
        watch(load, client, EPOLL_CTL_MOD, dial_wants(client->dial) & POLLOUT);
        return;
    }
    if (err) {
        load_fail(load, "client %u to %s: %s%s", load_index(load, client) + 1, addr_format(&load->server, text), why,
                  err == ERR_DENIED ? "; --insecure believes every certificate" : "");
        return;
    }
    client->is_connecting = false;
    watch(load, client, EPOLL_CTL_MOD, false);
    client_connected(load, client);
}

/* ---- out ---- */

/* broken: no matter to whom has given back what it had, or is about to. */
static void broken(struct load *load, struct client *client)
{
    const bool is_needed = load->config->kind != LOAD_ALLOCATE || client->is_asking || client->is_allocated;
    line_close(load, client);
    if (load->is_releasing)
        client_lost(load, client);
    else if (is_needed)
        load_fail(load, "the connection of client %u was closed by the server, or broke", load_index(load, client) + 1);
}

/* keep: of a stream, what did not go; a server that takes nothing for long loses it. */
static void keep(struct load *load, struct client *client, struct view rest)
{
    if (!client->rest)
        client->rest = malloc(REST_MAX);
    if (!client->rest || rest.len > REST_MAX - client->rest_len) {
        load->report->unsent++;
        return;
    }
    memcpy(client->rest + client->rest_len, rest.at, rest.len);
    if (!client->rest_len)
        watch(load, client, EPOLL_CTL_MOD, true);
    client->rest_len += rest.len;
}

void line_put(struct load *load, struct client *client, struct view frame)
{
    if (client->fd < 0)
        return; /* it broke */
    const ssize_t put = client->rest_len ? 0 : dial_put(client->dial, frame);
    if (put < 0 && dial_is_stream(client->dial))
        broken(load, client);
    else if (put >= 0 && (size_t)put < frame.len)
        keep(load, client, view_from(frame, (size_t)put));
}

static void put_rest(struct load *load, struct client *client)
{
    const ssize_t put = dial_put(client->dial, view_of(client->rest, client->rest_len));
    if (put < 0) {
        broken(load, client);
        return;
    }
    client->rest_len -= (size_t)put;
    memmove(client->rest, client->rest + put, client->rest_len);
    if (!client->rest_len)
        watch(load, client, EPOLL_CTL_MOD, false);
}

/* ---- in ---- */

static void receive(struct load *load, struct client *client)
{
    struct view frame;
    const int err = dial_fill(client->dial);
    load->now_ns = load_now();
    if (err == ERR_SYSTEM) {
        broken(load, client);
        return;
    }
    while (client->dial && dial_take(client->dial, &frame) == 0)
        client_frame(load, client, frame);
}

void line_event(struct load *load, struct client *client, uint32_t events)
{
    char text[ADDR_TEXT_MAX];
    if (client->fd < 0)
        return; /* it was closed meanwhile */
    if (client->is_connecting) {
        line_go_on(load, client);
    } else if (!client->dial) {
        if (io_receive(load, client->fd, client, client_frame) == ERR_DENIED && client->is_asking)
            load_fail(load, "%s says that nobody listens on that port", addr_format(&load->server, text));
    } else {
        if (events & EPOLLOUT && client->rest_len)
            put_rest(load, client);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(load, client);
    }
}
