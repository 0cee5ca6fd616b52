/* load_traffic.c: what goes through the server, or is asked of it, as fast as the pace lets. */
#include "client/load_state.h"

#include "wire/channel.h"

#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define LATE_NS (2 * SECOND)          /* what comes later than that after the last packet left is lost */
#define GIVEN_UP_NS (SECOND / 4)      /* it holds its place in a window no longer */
#define ASKING_NS (SECOND / 50)
#define ROUND 64                      /* packets between two looks at what has come */
#define SPIN_NS UINT64_C(200000)      /* who sends again so soon does not sleep before */

/* ---- packets ---- */

/* struct stamp of a packet: when it left, its number, and whose it is. */
static void put_stamp(struct load *load, uint8_t *at, uint32_t client, uint64_t now)
{
    put_u64(at, now);
    put_u32(at + 8, pace_sent(&load->pace, now));
    put_u32(at + 12, client);
}

static void put_up(struct load *load, struct client *client, uint64_t now)
{
    uint8_t *at = io_room(load, client, NULL);
    put_stamp(load, at + CHANNEL_HEADER_LEN, load_index(load, client), now);
    io_put(load, channel_around(at + CHANNEL_HEADER_LEN, load->config->bytes, LOAD_CHANNEL, client->dial && dial_is_stream(client->dial)));
}

static void put_send(struct load *load, struct client *client, uint64_t now)
{
    uint8_t payload[LOAD_BYTES_MAX] = {0}, tid[STUN_TID_LEN];
    struct build build;
    put_stamp(load, payload, load_index(load, client), now);
    memcpy(tid, payload, sizeof tid);
    build_begin(&build, slab_over(io_room(load, client, NULL), LOAD_BYTES_MAX + LOAD_HEADER_MAX), METHOD_SEND, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS,
                   load->config->direction == LOAD_PAIR ? &load->clients[load_index(load, client) ^ 1].relayed : &load->peer_at);
    build_attr(&build, ATTR_DATA, view_of(payload, load->config->bytes));
    io_put(load, build_end(&build));
}

static void put_down(struct load *load, struct client *client, uint64_t now)
{
    uint8_t *at = io_room(load, NULL, &client->relayed);
    put_stamp(load, at, load_index(load, client), now);
    io_put(load, view_of(at, load->config->bytes));
}

static void put_binding(struct load *load, struct client *client, uint64_t now)
{
    struct build build;
    uint8_t tid[STUN_TID_LEN];
    put_u64(tid, now);
    put_u32(tid + 8, pace_sent(&load->pace, now));
    build_begin(&build, slab_over(io_room(load, client, NULL), LOAD_BYTES_MAX), METHOD_BINDING, STUN_REQUEST, tid);
    io_put(load, build_end(&build));
}

static void put_packet(struct load *load, struct client *client, uint64_t now)
{
    const struct load_config *config = load->config;
    const bool is_down = config->direction == LOAD_DOWN || (config->direction == LOAD_BOTH && load->pace.sent / config->burst % 2);
    if (config->kind == LOAD_BINDING)
        put_binding(load, client, now);
    else if (is_down)
        put_down(load, client, now);
    else if (config->sends)
        put_send(load, client, now);
    else
        put_up(load, client, now);
}

static void note_latency(struct load *load, struct client *client, uint64_t sent_ns)
{
    const uint64_t took = load->now_ns > sent_ns ? load->now_ns - sent_ns : 0;
    tally_add(&load->tally, took);
    jitter_add(&client->jitter, took);
}

static void count(struct load *load, struct client *client)
{
    load->came_ns = load->now_ns;
    load->report->delivered++;
    client->delivered++;
}

void traffic_frame(struct load *load, struct client *client, const struct view *data)
{
    if (data->len != load->config->bytes)
        return;
    const uint32_t index = get_u32(data->at + 12), at = client ? load_index(load, client) : index;
    const bool is_mine = index < load->config->clients && (index == at || (load->config->direction == LOAD_PAIR && index == (at ^ 1)));
    if (!is_mine || !pace_came(&load->pace, get_u32(data->at + 8), get_u64(data->at)))
        return;
    note_latency(load, &load->clients[index], get_u64(data->at));
    count(load, &load->clients[index]);
}

void traffic_binding(struct load *load, struct client *client, const uint8_t tid[STUN_TID_LEN])
{
    if (!pace_came(&load->pace, get_u32(tid + 8), get_u64(tid)))
        return;
    note_latency(load, client, get_u64(tid));
    count(load, client);
}

/* ---- cycles: a client comes, is challenged, allocates, and gives back with Refresh(0) ---- */

static void begin_cycle(struct load *load)
{
    struct client *client = &load->clients[load->idle[load->idle_first]];
    load->idle_first = (load->idle_first + 1) % load->config->clients;
    load->idle_count--;
    if (client->has_cycled)
        client_leave(load, client);
    client->has_cycled = true;
    client->begun_ns = load_now();
    client->number = pace_sent(&load->pace, client->begun_ns);
    client_ask(load, client, METHOD_ALLOCATE);
}

/* The way of a cycle whose Allocate was not granted ends there; it is not delivered. */
static void on_answer(struct load *load, struct client *client, int code, const struct message *message)
{
    (void)message;
    if (code > 0) {
        load->report->refused++;
        load->report->refused_code = code;
    }
    if (client->method == METHOD_ALLOCATE && code == 0) {
        note_latency(load, client, client->asked_ns);
        client_ask(load, client, METHOD_REFRESH);
        return;
    }
    if (code == 0)
        count(load, client);
    pace_came(&load->pace, client->number, client->begun_ns);
    load->idle[(load->idle_first + load->idle_count++) % load->config->clients] = load_index(load, client);
}

/* ---- a run ---- */

static uint64_t due(const struct load *load, uint64_t now)
{
    uint64_t count = pace_due(&load->pace, now);
    if (load->config->kind == LOAD_ALLOCATE && count > load->idle_count)
        count = load->idle_count;
    return count < ROUND ? count : ROUND / load->pace.burst * load->pace.burst;
}

static void put_some(struct load *load, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (load->config->kind == LOAD_ALLOCATE) {
            begin_cycle(load);
            continue;
        }
        put_packet(load, &load->clients[load->turn], load_now());
        if (load->pace.sent % load->pace.burst != 0)
            continue;
        load->turn = (load->turn + 1) % load->config->clients;
        if (load->config->gso)
            io_flush(load);
    }
    io_flush(load);
}

/* rest_ns: how long to wait for what comes before the next packet is due, or a request is to be sent again. */
static uint64_t rest_ns(const struct load *load, uint64_t now)
{
    const uint64_t most = load->asking_count ? ASKING_NS : GIVEN_UP_NS;
    if (!load->pace.rate)
        return due(load, now) ? 0 : most;
    const uint64_t rest = pace_sleep_ns(&load->pace, now);
    return rest < SPIN_NS ? 0 : rest < most ? rest : most;
}

/* is_waiting: for what may come still. */
static bool is_waiting(const struct load *load, uint64_t now, uint64_t last_ns)
{
    if (load->is_over)
        return false;
    return load->config->kind == LOAD_ALLOCATE ? load->asking_count > 0 : load->pace.came < load->pace.sent && now < last_ns + LATE_NS;
}

static void drive(struct load *load)
{
    uint64_t now = load_now(), last_ns = now;
    while (!load->is_over && !pace_is_over(&load->pace, now)) {
        const uint64_t count = due(load, now);
        put_some(load, count);
        if (count)
            last_ns = now;
        load_turn(load, rest_ns(load, now));
        now = load_now();
        if (load->config->kind == LOAD_RELAY)
            renew_turn(load, now);
        if (load->pace.window && load->config->kind != LOAD_ALLOCATE)
            pace_give_up(&load->pace, now - GIVEN_UP_NS);
        load_tell(load, now, load->report->delivered, load->pace.sent);
    }
    for (; is_waiting(load, now, last_ns); now = load_now())
        load_turn(load, SECOND / 20);
    load->report->seconds = (double)((load->came_ns > last_ns ? load->came_ns : last_ns) - load->pace.start_ns) / (double)SECOND;
}

static void begin_all(struct load *load, uint32_t packets, uint64_t ns)
{
    const struct load_config *config = load->config;
    load->pace = (struct pace){.rate = config->rate, .window = config->window, .burst = config->burst, .packets = packets};
    if (pace_open(&load->pace) != 0) {
        load_fail(load, "out of memory");
        return;
    }
    if (config->kind == LOAD_ALLOCATE)
        load->answered = on_answer;
    else
        renew_begin(load);
    for (load->idle_first = load->idle_count = 0; load->idle_count < config->clients; load->idle_count++)
        load->idle[load->idle_count] = load->idle_count;
    load->pace.start_ns = load_now();
    load->pace.end_ns = ns ? load->pace.start_ns + ns : 0;
}

static void sum_up(struct load *load)
{
    const uint32_t count = load->config->clients;
    struct load_report *report = load->report;
    uint64_t *each = calloc(count, sizeof *each);
    double jitter_ns = 0;
    for (uint32_t i = 0; each && i < count; i++) {
        each[i] = load->clients[i].delivered;
        jitter_ns += load->clients[i].jitter.ns;
    }
    if (each)
        tally_shares(each, count, &report->share_least, &report->share_median);
    free(each);
    report->jitter_us = jitter_ns / count / 1000;
    report->p50_us = (double)tally_at(&load->tally, 0.5) / 1000;
    report->p99_us = (double)tally_at(&load->tally, 0.99) / 1000;
    report->p999_us = (double)tally_at(&load->tally, 0.999) / 1000;
}

static void measure(struct load *load)
{
    struct load_report *report = load->report;
    load_phase(load, "traffic");
    begin_all(load, load->config->packets, load->config->seconds * SECOND);
    if (load->is_over)
        return;
    const uint64_t before = cost_cpu_ns(load->config);
    drive(load);
    report->cpu_s = (double)(cost_cpu_ns(load->config) - before) / (double)SECOND;
    report->has_cost = load->config->pid_count > 0;
    report->sent = load->pace.sent;
    sum_up(load);
    pace_close(&load->pace);
}

/* count_calls: another quarter of the same, of which nothing else is told: counting has its price. */
static void count_calls(struct load *load)
{
    const struct load_config *config = load->config;
    const struct load_report measured = *load->report;
    struct calls *calls = calls_open(config->pids, config->pid_count, load->report->calls_why);
    if (!calls)
        return;
    load_phase(load, "counting system calls");
    begin_all(load, config->packets ? config->packets / 4 + 1 : 0, config->seconds * SECOND / 4);
    if (!load->is_over) {
        const uint64_t before = calls_count(calls);
        drive(load);
        const uint64_t count = calls_count(calls) - before, packets = load->report->delivered - measured.delivered;
        const bool is_stopped = load->report->is_stopped;
        *load->report = measured;
        load->report->is_stopped = is_stopped;
        load->report->calls = count;
        load->report->calls_packets = packets;
        pace_close(&load->pace);
    }
    calls_close(calls);
}

void traffic_run(struct load *load)
{
    measure(load);
    if (!load->is_over && load->config->pid_count)
        count_calls(load);
}
