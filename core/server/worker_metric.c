/* worker_metric.c: the rows that workers fill in, what they count for them, and the board. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is counted ---- */

void metric_usage(struct worker *worker, const struct allocation *allocation, const struct usage *delta)
{
    struct usage *sum = &worker->tally->relayed[allocation->flow.transport];
    sum->bytes_in += delta->bytes_in;
    sum->bytes_out += delta->bytes_out;
    sum->packets_in += delta->packets_in;
    sum->packets_out += delta->packets_out;
}

void metric_event(struct worker *worker, const struct event *event)
{
    struct tally *tally = worker->tally;
    switch (event->type) {
        case EVENT_ALLOCATED:
            tally->opened[event->flow->transport]++;
            break;
        case EVENT_CLOSED:
            tally->ended[metric_ending(event->reason)]++;
            metric_usage(worker, event->allocation, &event->delta);
            break;
        case EVENT_DENIED:
            tally->refused[metric_refusal(event->reason, event->by)]++;
            break;
        default:
            break;
    }
}

static void add_counts(struct policy_counts *sum, const struct policy_counts *more)
{
    sum->errors += more->errors;
    sum->killed_wall += more->killed_wall;
    sum->killed_instructions += more->killed_instructions;
    sum->memory += more->memory;
    sum->wrong_type += more->wrong_type;
    sum->late += more->late;
    sum->gc_ns += more->gc_ns;
}

void metric_part(struct worker *worker, const struct policy *policy)
{
    add_counts(&worker->tally->gone, policy_counts(policy));
}

/* ---- the rows ---- */

static void read_requests(const struct worker *worker, uint64_t *out)
{
    const struct engine_counts *counts = engine_counts(worker->engine);
    memcpy(out, counts->answered, sizeof counts->answered);
}

static void read_repeated(const struct worker *worker, uint64_t *out)
{
    *out = engine_counts(worker->engine)->repeated;
}

static void read_mutes(const struct worker *worker, uint64_t *out)
{
    memcpy(out, engine_counts(worker->engine)->muted, sizeof engine_counts(worker->engine)->muted);
}

static void read_auth_failures(const struct worker *worker, uint64_t *out)
{
    *out = engine_counts(worker->engine)->auth_failed;
}

static void read_parked(const struct worker *worker, uint64_t *out)
{
    *out = engine_parked(worker->engine);
}

static void read_refusals(const struct worker *worker, uint64_t *out)
{
    memcpy(out, worker->tally->refused, metric_refusal("", "core") * sizeof *out + sizeof *out);
}

static void read_allocations(const struct worker *worker, uint64_t *out)
{
    *out = engine_allocations(worker->engine);
}

static void read_opened(const struct worker *worker, uint64_t *out)
{
    memcpy(out, worker->tally->opened, sizeof worker->tally->opened);
}

static void read_ended(const struct worker *worker, uint64_t *out)
{
    memcpy(out, worker->tally->ended, metric_ending("") * sizeof *out + sizeof *out);
}

static void read_bytes(const struct worker *worker, uint64_t *out)
{
    for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
        out[2 * i] = worker->tally->relayed[i].bytes_in;
        out[2 * i + 1] = worker->tally->relayed[i].bytes_out;
    }
}

static void read_packets(const struct worker *worker, uint64_t *out)
{
    for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
        out[2 * i] = worker->tally->relayed[i].packets_in;
        out[2 * i + 1] = worker->tally->relayed[i].packets_out;
    }
}

/* sent: by all ways. */
static struct udp_counts sent(const struct worker *worker)
{
    struct udp_counts counts = *udp_out_counts(worker->out);
    if (worker->steered) {
        const struct udp_counts *raw = steered_counts(worker->steered);
        counts.sent += raw->sent;
        counts.send_calls += raw->send_calls;
        counts.send_errors += raw->send_errors;
        counts.send_full += raw->send_full;
    }
    return counts;
}

static uint64_t listener_overflows(const struct worker *worker, size_t i)
{
    return i < worker->socket_count && worker->sockets[i].fd >= 0 ? udp_overflows(worker->sockets[i].fd) : 0;
}

/* overflows: of all sockets. */
static uint64_t overflows(const struct worker *worker)
{
    uint64_t sum = worker->overflows + (worker->steered ? steered_overflows(worker->steered) : 0);
    for (size_t i = 0; i < worker->socket_count; i++)
        sum += listener_overflows(worker, i);
    return sum;
}

static void read_drops(const struct worker *worker, uint64_t *out)
{
    const struct engine_counts *counts = engine_counts(worker->engine);
    const struct udp_counts out_counts = sent(worker);
    const uint64_t drops[] = {counts->dropped_no_permission,
                              counts->dropped_not_in_group,
                              counts->dropped_malformed,
                              worker->lost,
                              streams_counts(worker->streams)->dropped_frames,
                              out_counts.send_errors,
                              out_counts.send_full,
                              udp_in_counts(worker->in)->truncated + worker->too_long,
                              overflows(worker)};
    memcpy(out, drops, sizeof drops);
    memcpy(out + sizeof drops / sizeof *drops, counts->paced, sizeof counts->paced); /* in the order of enum pace_limit */
}

static void read_handovers(const struct worker *worker, uint64_t *out)
{
    memcpy(out, engine_counts(worker->engine)->handed_over, sizeof engine_counts(worker->engine)->handed_over);
}

static void read_listener_drops(const struct worker *worker, uint64_t *out)
{
    for (size_t i = 0; i < worker->service->listener_count; i++)
        out[i] = listener_overflows(worker, i);
}

static void read_buffers(const struct worker *worker, uint64_t *out)
{
    for (size_t i = 0; i < worker->socket_count; i++) {
        const int fd = worker->sockets[i].fd;
        const struct udp_buffer_sizes sizes = fd >= 0 ? udp_buffers_of(fd) : (struct udp_buffer_sizes){0, 0};
        out[2 * i] = sizes.receive;
        out[2 * i + 1] = sizes.send;
    }
}

static void read_receive_errors(const struct worker *worker, uint64_t *out)
{
    *out = udp_in_counts(worker->in)->receive_errors;
}

static void read_datagrams(const struct worker *worker, uint64_t *out)
{
    out[0] = udp_in_counts(worker->in)->received;
    out[1] = sent(worker).sent;
}

static void read_calls(const struct worker *worker, uint64_t *out)
{
    out[0] = udp_in_counts(worker->in)->receive_calls;
    out[1] = sent(worker).send_calls;
}

static void read_streams(const struct worker *worker, uint64_t *out)
{
    const struct stream_counts *counts = streams_counts(worker->streams);
    const uint64_t events[] = {counts->accepted, counts->closed, counts->handed, counts->refused, counts->handshake_failed};
    memcpy(out, events, sizeof events);
}

static void read_open(const struct worker *worker, uint64_t *out)
{
    *out = streams_counts(worker->streams)->open;
}

static size_t each_hook(const struct worker *worker)
{
    return worker->tally->hooks ? worker->service->config->policy_count * HOOK_COUNT : 0;
}

static void read_hooks(const struct worker *worker, uint64_t *out)
{
    const struct policy_tally *tally = each_hook(worker) ? worker->tally->hooks[0] : NULL;
    for (size_t i = 0; i < each_hook(worker); i++)
        out[i] = tally[i].is_there;
}

static void read_answers(const struct worker *worker, uint64_t *out)
{
    const struct policy_tally *tally = each_hook(worker) ? worker->tally->hooks[0] : NULL;
    for (size_t i = 0; i < each_hook(worker); i++)
        memcpy(out + i * VERDICT_KINDS, tally[i].answers, sizeof tally[i].answers);
}

static void read_times(const struct worker *worker, uint64_t *out)
{
    const struct policy_tally *tally = each_hook(worker) ? worker->tally->hooks[0] : NULL;
    for (size_t i = 0; i < each_hook(worker); i++) {
        const struct policy_times *times[] = {&tally[i].busy, &tally[i].all};
        for (size_t k = 0; k < 2; k++, out += POLICY_TIMES + 1) {
            memcpy(out, times[k]->counts, sizeof times[k]->counts);
            out[POLICY_TIMES] = times[k]->ns;
        }
    }
}

static void read_shadow(const struct worker *worker, uint64_t *out)
{
    if (worker->shadow)
        memcpy(out, worker->shadow->counts, sizeof worker->shadow->counts);
}

/* all_counts: of the policies that were and of those that are. */
static struct policy_counts all_counts(const struct worker *worker)
{
    struct policy_counts sum = worker->tally->gone;
    if (worker->tenure)
        add_counts(&sum, policy_counts(worker->tenure->policy));
    for (const struct tenure *each = worker->retired; each; each = each->next)
        add_counts(&sum, policy_counts(each->policy));
    return sum;
}

static void read_errors(const struct worker *worker, uint64_t *out)
{
    const struct policy_counts sum = all_counts(worker);
    const uint64_t kinds[] = {sum.errors, sum.killed_wall, sum.killed_instructions, sum.memory, sum.wrong_type, sum.late};
    memcpy(out, kinds, sizeof kinds);
}

static void read_waits(const struct worker *worker, uint64_t *out)
{
    if (worker->tenure)
        *out = policy_waits(worker->tenure->policy);
    for (const struct tenure *each = worker->retired; each; each = each->next)
        *out += policy_waits(each->policy);
}

static void read_heap(const struct worker *worker, uint64_t *out)
{
    if (worker->tenure)
        *out = policy_heap_bytes(worker->tenure->policy);
    for (const struct tenure *each = worker->retired; each; each = each->next)
        *out += policy_heap_bytes(each->policy);
}

static void read_gc(const struct worker *worker, uint64_t *out)
{
    *out = all_counts(worker).gc_ns;
}

#define COUNTER(NAME, READ, HELP, ...)                                                                                                     \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_COUNTER, .axes = {__VA_ARGS__}, .of_worker = READ, .help = HELP                                       \
    }
#define GAUGE(NAME, READ, HELP, ...)                                                                                                       \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_GAUGE, .axes = {__VA_ARGS__}, .of_worker = READ, .help = HELP                                         \
    }

const struct metric metric_of_worker[] = {
    COUNTER("relay_requests_total", read_requests, "Requests that were answered, by the code of the answer.", AXIS_METHOD, AXIS_CODE),
    COUNTER("relay_requests_repeated_total", read_repeated, "Retransmitted requests that were answered as before.", AXIS_NONE),
    COUNTER("relay_auth_failures_total", read_auth_failures, "Requests with a wrong name, password or token.", AXIS_NONE),
    COUNTER("relay_unanswered_total", read_mutes,
            "Requests that were not answered because of what else came from their source address: those of strangers, and wrong logins.",
            AXIS_MUTE),
    COUNTER("relay_refusals_total", read_refusals,
            "Requests of clients who are known, and those that policies denied, that were refused, by reason.", AXIS_REFUSAL),
    GAUGE("relay_parked_requests", read_parked, "Requests that wait: for a hook that waits, or for a peer's connection.", AXIS_NONE),
    GAUGE("relay_allocations", read_allocations, "Allocations that are held now.", AXIS_NONE),
    COUNTER("relay_allocations_opened_total", read_opened, "Allocations that were made, by the client's transport.", AXIS_TRANSPORT),
    COUNTER("relay_allocations_closed_total", read_ended, "Allocations that ended, by reason; a policy's reasons are `other`.",
            AXIS_ENDING),
    COUNTER("relay_bytes_total", read_bytes, "Payload that was relayed, from clients (in) and to clients (out), by the client's transport.",
            AXIS_TRANSPORT, AXIS_DIRECTION),
    COUNTER("relay_packets_total", read_packets,
            "Packets that were relayed, from clients (in) and to clients (out), by the client's transport.", AXIS_TRANSPORT,
            AXIS_DIRECTION),
    COUNTER("relay_handed_over_packets_total", read_handovers,
            "Packets of clients that went to an allocation of this server without a socket on the way: of the same worker, or another.",
            AXIS_HANDOVER),
    COUNTER("relay_drops_total", read_drops,
            "What was not relayed: without permission, malformed, no room between two workers, a client that reads too slowly, refused by "
            "the system, no room in a socket's buffer to send, longer than 9216 bytes or a DTLS record, no room in a socket's buffer to receive; over the bits or packets a second of the allocation, of its user, its tenant, the server; idle beside max_active others.",
            AXIS_DROP),
    COUNTER("relay_udp_datagrams_total", read_datagrams,
            "Datagrams that were received (in) and sent (out), on listening and relayed addresses.", AXIS_DIRECTION),
    COUNTER("relay_udp_calls_total", read_calls, "System calls that this took.", AXIS_DIRECTION),
    COUNTER("relay_udp_receive_errors_total", read_receive_errors,
            "Errors in place of a datagram: what networks said of one that was sent before.", AXIS_NONE),
    COUNTER("relay_listener_drops_total", read_listener_drops,
            "Datagrams that found the receive buffer of a listening address full; in relay_drops_total too.", AXIS_LISTENER),
    GAUGE("relay_listener_buffer_bytes", read_buffers,
          "Socket buffers of a listening address, of all workers together: to receive (in) and to send (out).", AXIS_LISTENER,
          AXIS_DIRECTION),
    COUNTER("relay_connections_total", read_streams, "What became of clients' TCP and TLS connections.", AXIS_STREAM),
    GAUGE("relay_connections", read_open, "Clients' TCP and TLS connections that are open now.", AXIS_NONE),
    {.name = "relay_policy_hooks",
     .type = METRIC_GAUGE,
     .axes = {AXIS_POLICY, AXIS_PHASE},
     .guards = true,
     .guarded = false,
     .of_worker = read_hooks,
     .help = "How many workers have had a policy with that hook."},
    {.name = "relay_policy_hook_total",
     .type = METRIC_COUNTER,
     .axes = {AXIS_POLICY, AXIS_PHASE, AXIS_RESULT},
     .guarded = true,
     .of_worker = read_answers,
     .help = "Calls of hooks, by what they answered; `none`: no opinion, or nothing is asked."},
    {.name = "relay_policy_hook_seconds",
     .type = METRIC_TIMES,
     .axes = {AXIS_POLICY, AXIS_PHASE, AXIS_CLOCK},
     .guarded = true,
     .of_worker = read_times,
     .help = "How long hooks took: `cpu` while they held a worker, `wall` with what they waited for."},
    COUNTER("relay_policy_errors_total", read_errors,
            "Hooks that failed: an error, out of time, too many instructions, out of memory, a wrong answer, waited too long; timers too.",
            AXIS_ERROR),
    GAUGE("relay_policy_parked", read_waits, "Hooks and timers that wait now.", AXIS_NONE),
    GAUGE("relay_policy_heap_bytes", read_heap, "Memory of the policies of all workers.", AXIS_NONE),
    {.name = "relay_policy_gc_seconds_total",
     .type = METRIC_COUNTER,
     .unit = 1e-9,
     .of_worker = read_gc,
     .help = "Time spent on collecting the policies' garbage between hooks."},
    COUNTER(
        "relay_shadow_answers_total", read_shadow,
        "What a shadow would have answered, beside what the policies did; `undecided`: it would have waited, or rests. Without a shadow "
        "there is none.",
        AXIS_PHASE, AXIS_SHADOW),
    {.name = NULL},
};

/* ---- the board ---- */

int metric_open(struct worker *worker)
{
    const size_t policies = worker->service->config->policy_count;
    struct tally *tally = worker->service->config->door_count ? calloc(1, sizeof *tally) : NULL;
    worker->tally = tally;
    if (!tally)
        return worker->service->config->door_count ? ERR_MEMORY : 0;
    tally->places = 1; /* one more, of no row */
    for (const struct metric *metric = metric_of_worker; metric->name; metric++)
        tally->places += metric_places(metric, worker->service);
    tally->hooks = policies ? calloc(policies, sizeof *tally->hooks) : NULL;
    tally->numbers = calloc(tally->places, sizeof *tally->numbers);
    tally->board = calloc(tally->places, sizeof *tally->board);
    return (tally->hooks || !policies) && tally->numbers && tally->board ? 0 : ERR_MEMORY;
}

void metric_close(struct worker *worker)
{
    if (!worker->tally)
        return;
    free(worker->tally->hooks);
    free(worker->tally->numbers);
    free(worker->tally->board);
    free(worker->tally);
}

void metric_publish(struct worker *worker)
{
    const struct tally *tally = worker->tally;
    uint64_t *at = tally->numbers;
    memset(at, 0, tally->places * sizeof *at);
    for (const struct metric *metric = metric_of_worker; metric->name; metric++) {
        metric->of_worker(worker, at);
        at += metric_places(metric, worker->service);
    }
    for (size_t i = 0; i < tally->places; i++)
        atomic_store_explicit(&tally->board[i], tally->numbers[i], memory_order_relaxed);
}

void worker_metrics(const struct worker *worker, size_t at, uint64_t *sums, size_t count)
{
    const struct tally *tally = worker->tally;
    for (size_t i = 0; tally && i < count; i++)
        sums[i] += atomic_load_explicit(&tally->board[at + i], memory_order_relaxed);
}
