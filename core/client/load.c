/* load.c: a run: clients are set up, the load, what was asked for is given back. */
#include "client/load_state.h"

#include "base/err.h"
#include "wire/attr.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define AT_ONCE 200 /* clients that ask something: more would only fill the server's buffer */
#define TURN_NS (SECOND / 50)
#define EVENTS 256
#define OTHER_FILES 64
#define AT_PEER UINT32_MAX
#define AT_SIGNALS (UINT32_MAX - 1)

uint64_t load_now(void)
{
    return (uint64_t)clock_monotonic_ns();
}

uint32_t load_index(const struct load *load, const struct client *client)
{
    return (uint32_t)(client - load->clients);
}

struct addr load_from(const struct load *load, uint32_t index)
{
    return load->config->from_count ? load->config->from[index % load->config->from_count] : (struct addr){0};
}

void load_fail(struct load *load, const char *format, ...)
{
    va_list args;
    load->is_over = true;
    if (*load->report->why)
        return;
    va_start(args, format);
    vsnprintf(load->report->why, sizeof load->report->why, format, args);
    va_end(args);
}

/* ---- turns ---- */

void load_phase(struct load *load, const char *name)
{
    load->phase = name;
    load->phase_ns = load->told_ns = load_now();
}

void load_tell(struct load *load, uint64_t now, uint64_t done, uint64_t of)
{
    if (!load->config->told || now < load->told_ns + SECOND)
        return;
    load->told_ns = now;
    const struct load_progress progress = {load->phase, done, of, (double)(now - load->phase_ns) / (double)SECOND};
    load->config->told(load->config->ctx, &progress);
}

static void on_peer(struct load *load, struct client *client, struct view frame)
{
    traffic_frame(load, client, &frame);
}

/* on_signal: the first one ends the run, the next one the process: signals do what they did before. */
static void on_signal(struct load *load)
{
    struct signalfd_siginfo info;
    if (read(load->signals, &info, sizeof info) != sizeof info)
        return;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    load->report->is_stopped = load->is_over = true;
}

void load_turn(struct load *load, uint64_t timeout_ns)
{
    struct epoll_event ready[EVENTS];
    const struct timespec wait = {(time_t)(timeout_ns / SECOND), (long)(timeout_ns % SECOND)};
    const int count = epoll_pwait2(load->epoll, ready, EVENTS, &wait, NULL);
    for (int i = 0; i < count; i++) {
        if (ready[i].data.u32 == AT_PEER)
            io_receive(load, load->peer, NULL, on_peer);
        else if (ready[i].data.u32 == AT_SIGNALS)
            on_signal(load);
        else
            line_event(load, &load->clients[ready[i].data.u32], ready[i].events);
    }
    if (load->asking_count)
        client_ask_again(load, clock_monotonic_ms());
}

/* ---- rounds: each client asks for one thing ---- */

static void say_refused(struct load *load, const struct client *client, int code, const struct message *message)
{
    const char *what = "the server refuses", *advice = "its log says why", *name = stun_method_name(client->method);
    struct view reason = {0};
    char phrase[128], peer[ADDR_TEXT_MAX];
    words_of_code(code, client->method, &what, &advice);
    if (code == STUN_UNAUTHENTICATED && !load->config->user) {
        what = "the server wants a user and a password";
        advice = "--user and --password-file, --password-stdin or --password";
    } else if (code == STUN_FORBIDDEN && client->method != METHOD_ALLOCATE && load->config->direction != LOAD_PAIR) {
        load_fail(load, "%s: 403: the server forbids the peer %s, which is the generator's own socket; on loopback it needs allow-loopback-peers (relay, coturn); --peer names another address",
                  name, addr_format_ip(&load->peer_at, peer));
        return;
    }
    attr_error(message, &code, &reason);
    view_copy(reason, phrase, sizeof phrase);
    for (char *at = phrase; *at; at++) /* what a stranger said may be more than text to a terminal */
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
    load_fail(load, "%s of client %u: %d %s: %s; %s", name, load_index(load, client) + 1, code, phrase, what, advice);
}

void load_fail_answer(struct load *load, const struct client *client, int code, const struct message *message)
{
    if (code == LOAD_SILENCE)
        load_fail(load, "no answer to %s of client %u", stun_method_name(client->method), load_index(load, client) + 1);
    else
        say_refused(load, client, code, message);
}

uint16_t load_permitting(const struct load *load)
{
    return load->config->kind == LOAD_HOLD || !load->config->sends ? METHOD_CHANNEL_BIND : METHOD_CREATE_PERMISSION;
}

bool load_gives_back(const struct load *load)
{
    return load->is_releasing || load->config->kind == LOAD_ALLOCATE;
}

static void on_setup(struct load *load, struct client *client, int code, const struct message *message)
{
    load->done++;
    if (code)
        load_fail_answer(load, client, code, message);
    else if (client->method == METHOD_ALLOCATE && !client->is_allocated)
        load_fail(load, "an answer to Allocate without XOR-RELAYED-ADDRESS: this is no TURN server");
}

static void on_release(struct load *load, struct client *client, int code, const struct message *message)
{
    (void)client;
    (void)message;
    load->done++;
    load->report->unreleased += code == LOAD_SILENCE;
}

/* ask_all: the round of one method, AT_ONCE at a time; of a Refresh those who have something to give back. */
static void ask_all(struct load *load, uint16_t method, const char *phase)
{
    uint32_t next = 0;
    const uint32_t count = load->config->clients;
    load->done = 0;
    load_phase(load, phase);
    while (load->done < count && !load->is_over) {
        for (; next < count && load->asking_count < AT_ONCE && !load->is_over; next++) {
            if (method == METHOD_REFRESH && !load->clients[next].is_allocated)
                load->done++;
            else
                client_ask(load, &load->clients[next], method);
        }
        load_turn(load, TURN_NS);
        load_tell(load, load_now(), load->done, count);
    }
}

/* release: whatever came before: a run that failed or was stopped gives back too; a second signal ends the process. */
static void release(struct load *load)
{
    const bool was_over = load->is_over;
    load->is_over = false;
    load->is_releasing = true;
    while (load->asking_count) { /* nobody waits for an answer to what it asked before; if that was an Allocate, it may have been granted */
        struct client *client = &load->clients[load->asking[--load->asking_count]];
        client->is_asking = false;
        client->is_allocated |= client->method == METHOD_ALLOCATE && !client->is_connecting;
    }
    load->answered = on_release;
    ask_all(load, METHOD_REFRESH, "releasing");
    load->is_over = was_over;
}

/* ---- what a run needs ---- */

static bool watch(const struct load *load, int fd, uint32_t as)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = as};
    return fd >= 0 && epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void raise_files(struct load *load)
{
    const rlim_t wanted = (rlim_t)load->config->clients + OTHER_FILES;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t had = limit.rlim_max;
    limit.rlim_cur = wanted > limit.rlim_cur ? wanted : limit.rlim_cur;
    limit.rlim_max = limit.rlim_cur > had ? limit.rlim_cur : had; /* beyond that only root */
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        load_fail(load, "%u clients need %llu open files, and this process may have %llu: ulimit -n", load->config->clients, (unsigned long long)wanted,
                  (unsigned long long)had);
}

/* local_of: the address that the server is reached from. */
static struct addr local_of(const struct load *load)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    const struct addr from = load_from(load, 0);
    const int fd = io_datagrams(&from, &load->server);
    if (fd >= 0) {
        getsockname(fd, (struct sockaddr *)&at, &len);
        close(fd);
    }
    struct addr local = addr_from_sockaddr(&at);
    local.port = 0;
    return local;
}

static void open_peer(struct load *load)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    char text[ADDR_TEXT_MAX];
    load->peer_at = load->config->peer.family ? load->config->peer : local_of(load);
    if (!load->peer_at.family) {
        load_fail(load, "there is no way to %s: %s", load->report->server, strerrordesc_np(errno));
        return;
    }
    load->peer = io_datagrams(&load->peer_at, &(struct addr){0});
    if (load->peer < 0 || getsockname(load->peer, (struct sockaddr *)&at, &len) != 0 || !watch(load, load->peer, AT_PEER))
        load_fail(load, "the peer's socket on %s: %s", addr_format(&load->peer_at, text), strerrordesc_np(errno));
    else
        load->peer_at = addr_from_sockaddr(&at);
}

/* catch_signals: those that end a run come as something to read; a connection that breaks is no signal. */
static void catch_signals(struct load *load)
{
    sigset_t mask;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    load->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (!watch(load, load->signals, AT_SIGNALS))
        load_fail(load, "signals: %s", strerrordesc_np(errno));
}

static void prepare(struct load *load)
{
    const uint32_t count = load->config->clients;
    const char *why;
    load->peer = load->signals = -1;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->io = io_new();
    load->clients = calloc(count, sizeof *load->clients);
    load->asking = calloc(count, sizeof *load->asking);
    load->idle = calloc(count, sizeof *load->idle);
    for (uint32_t i = 0; load->clients && i < count; i++)
        load->clients[i].fd = -1;
    crypto_random(load->tid_seed, sizeof load->tid_seed);
    load->port = get_u16(load->tid_seed) % 16384;
    if (load->epoll < 0 || !load->io || !load->clients || !load->asking || !load->idle)
        load_fail(load, "out of memory");
    else if (probe_resolve(load->config->url, &load->server, &why) != 0)
        load_fail(load, "%s: %s", load->config->url->host, why);
    addr_format(&load->server, load->report->server);
    if (!load->is_over && (load->config->url->transport == DIAL_TLS || load->config->url->transport == DIAL_DTLS)) {
        load->trust = dial_trust_new(load->config->url->transport, load->config->trusts_everybody);
        if (!load->trust)
            load_fail(load, "out of memory");
    }
    if (!load->is_over)
        catch_signals(load);
    if (!load->is_over)
        raise_files(load);
    if (!load->is_over)
        open_peer(load);
}

static void clear(struct load *load)
{
    if (load->peer >= 0) {
        load->report->dropped_here += io_drops(load->peer);
        close(load->peer);
    }
    for (uint32_t i = 0; load->clients && i < load->config->clients; i++)
        line_close(load, &load->clients[i]);
    if (load->signals >= 0)
        close(load->signals);
    if (load->epoll >= 0)
        close(load->epoll);
    dial_trust_free(load->trust);
    io_free(load->io);
    free(load->clients);
    free(load->asking);
    free(load->idle);
    crypto_wipe(load->key, sizeof load->key);
}

/* ---- a run ---- */

/* open_sockets: connections are opened by the first request of each client. */
static void open_sockets(struct load *load)
{
    load_phase(load, "opening sockets");
    for (uint32_t i = 0; i < load->config->clients && !load->is_over && load->config->url->transport == DIAL_UDP; i++)
        line_open(load, &load->clients[i]);
}

static void set_up(struct load *load)
{
    const uint64_t begun = load_now();
    load->answered = on_setup;
    if (load->config->kind == LOAD_BINDING) {
        ask_all(load, METHOD_BINDING, "connecting");
    } else {
        ask_all(load, METHOD_ALLOCATE, "allocating");
        if (!load->is_over)
            ask_all(load, load_permitting(load), "permitting");
    }
    load->set_up_ns = begun; /* of the first of them */
    load->report->setup_s = (double)(load_now() - begun) / (double)SECOND;
    load->report->clients = load->is_over ? 0 : load->config->clients;
}

static void hold(struct load *load)
{
    const uint64_t begun = load_now(), end = begun + load->config->seconds * SECOND;
    load_phase(load, "holding");
    renew_begin(load);
    for (uint64_t now = begun; now < end && !load->is_over; now = load_now()) {
        load_turn(load, TURN_NS);
        renew_turn(load, now);
        load_tell(load, now, load->config->clients, load->config->clients);
    }
    load->report->held_s = (double)(load_now() - begun) / (double)SECOND;
}

/* run_held: the generator's sockets are there before the kernel's memory is read first: what it grows by are the server's. */
static void run_held(struct load *load)
{
    struct load_report *report = load->report;
    report->resident_before = cost_resident(load->config);
    report->kernel_before = cost_kernel();
    set_up(load);
    if (!load->is_over)
        hold(load);
    report->resident_held = cost_resident(load->config);
    report->kernel_held = cost_kernel();
    report->has_memory = load->config->pid_count > 0 && report->clients > 0;
    release(load);
    report->resident_after = cost_resident(load->config);
    report->kernel_after = cost_kernel();
}

static void run(struct load *load)
{
    open_sockets(load);
    if (load->is_over)
        return;
    if (load->config->kind == LOAD_HOLD) {
        run_held(load);
        return;
    }
    if (load->config->kind != LOAD_ALLOCATE)
        set_up(load);
    if (!load->is_over)
        traffic_run(load);
    release(load);
}

int load_run(const struct load_config *config, struct load_report *out)
{
    struct load *load = calloc(1, sizeof *load);
    *out = (struct load_report){0};
    if (!load) {
        snprintf(out->why, sizeof out->why, "out of memory");
        return ERR_SYSTEM;
    }
    load->config = config;
    load->report = out;
    prepare(load);
    if (!load->is_over)
        run(load);
    clear(load);
    free(load);
    return *out->why ? ERR_SYSTEM : 0;
}
