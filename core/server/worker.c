/* worker.c: the life of a worker: make, prepare, run, stop. */
#include "server/worker_state.h"

#include "base/err.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define HALF_S 0.5
#define TENTH_S 0.1

static void tell_lost(const struct worker *worker)
{
    const uint64_t lost = journal_lost(worker->page);
    if (lost)
        log_say(worker->service->log, LOG_WARNING, "decisions_lost", "worker=%u count=%llu", worker->index + 1, (unsigned long long)lost);
}

/* Twice a second, so that a crash loses less than a second of usage, the store's own tenth included. */
static void on_half(void *owner)
{
    struct worker *worker = owner;
    const msec_t now = loop_now(worker->loop);
    const int64_t unix_ms = clock_unix_ms();
    worker->unix_offset_ms = unix_ms - now;
    engine_clock(worker->engine, now, unix_ms);
    engine_sweep(worker->engine, now);
    worker_give_back(worker);
    worker_record_usage(worker, now);
    if (worker->policy)
        policy_idle(worker->policy, now, unix_ms);
    if (worker->shadow)
        shadow_idle(worker->shadow, now, unix_ms);
    if (worker->page)
        tell_lost(worker);
    if (worker->tally)
        metric_publish(worker);
}

static void on_tenth(void *owner)
{
    struct worker *worker = owner;
    const msec_t now = loop_now(worker->loop);
    if (worker->dtls)
        dtls_tick(worker->dtls, now);
    worker_policy_tick(worker, now);
    engine_follow(worker->engine, now);
    worker_look(worker);
    engine_drain(worker->engine, atomic_load_explicit(&worker->service->drains_until, memory_order_relaxed));
    for (struct send send = engine_next_overdue(worker->engine, now); send.to != SEND_NOTHING; send = engine_next_overdue(worker->engine, now))
        worker_deliver(worker, &send, false);
}

static void on_flush(void *owner)
{
    struct worker *worker = owner;
    worker->turn++;
    worker_rouse(owner);
    worker_flush(owner);
    if (worker->page)
        journal_write(worker->page);
}

void worker_end(struct worker *worker)
{
    const msec_t now = loop_now(worker->loop);
    engine_close_all(worker->engine, "shutdown", now);
    if (worker->policy)
        policy_shutdown(worker->policy, now, now + worker->unix_offset_ms);
    worker_flush(worker);
    worker->stopped = true;
    loop_stop(worker->loop);
}

static int make_engine(struct worker *worker)
{
    worker->host = (struct host){
        .ctx = worker,
        .hooks = 0,
        .relay_open = worker->way->open,
        .relay_close = worker->way->close,
        .tcp = worker->service->config->no_tcp_relay ? NULL : &worker_tcp_host,
        .ask = worker_ask,
        .forget = worker_forget,
        .tell = worker_tell,
        .remark = worker_remark,
        .hold = worker_hold,
        .unhash = worker_unhash,
        .is_revoked = worker_is_revoked,
    };
    worker->engine = engine_new(&worker->service->engine, &worker->service->ledger, &worker->host, worker->index);
    if (!worker->engine)
        return ERR_MEMORY;
    const msec_t now = clock_monotonic_ms();
    const int64_t unix_ms = clock_unix_ms();
    worker->unix_offset_ms = unix_ms - now;
    engine_clock(worker->engine, now, unix_ms);
    return 0;
}

struct worker *worker_new(const struct service *service, unsigned index, struct refusal *refusal)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->service = service;
    worker->index = index;
    worker->way = service->steer ? &relay_by_steering : &relay_by_sockets;
    pool_init(&worker->relays, sizeof(struct relay_socket), 0);
    worker_lines_init(worker);
    worker->loop = loop_new();
    worker->crypto = crypto_new();
    snprintf(refusal->text, sizeof refusal->text, "relay: out of memory");
    if (!worker->loop || worker_mail_open(worker) != 0 || !worker->crypto || make_engine(worker) != 0 || worker_io_open(worker, refusal) != 0) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

int worker_prepare(struct worker *worker, struct refusal *refusal)
{
    const struct service *service = worker->service;
    char reason[REFUSAL_MAX];
    if (service->store) {
        const int err = store_reader_open(service->config->userdb, &worker->reader, reason, sizeof reason);
        if (err)
            return refuse(refusal, service->config, "userdb", "%s", reason);
        if (service->config->offer_userhash && !store_reader_knows_hashes(worker->reader))
            return refuse(refusal, service->config, "offer-userhash",
                          "%s has users of coturn's (turnusers_lt), who are not found by their hash: add them with relay user add, and drop the table",
                          service->config->userdb);
    }
    worker->revoked = service->revoked;
    if (service->journal && !(worker->page = journal_page_new(service->journal, worker->index + 1, worker->crypto)))
        return ERR_MEMORY;
    if (service->config->door_count && !(worker->denials = denials_new(service->config->workers)))
        return ERR_MEMORY;
    int failed = metric_open(worker);
    if (!failed)
        failed = worker_policy_open(worker, refusal);
    if (failed)
        return failed;
    engine_hooks(worker->engine, worker_hooks(worker));
    if (worker->tally)
        metric_publish(worker);
    return 0;
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    loop_run(worker->loop);
    return NULL;
}

/* Signals are main's: the thread is born with all of them blocked. */
int worker_start(struct worker *worker)
{
    sigset_t all, before;
    worker_io_start(worker);
    watch_every(&worker->half, worker->loop, HALF_S, on_half, worker);
    watch_every(&worker->tenth, worker->loop, TENTH_S, on_tenth, worker);
    watch_before_sleep(&worker->flush, worker->loop, on_flush, worker);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&worker->thread, NULL, worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = failed == 0;
    return failed ? ERR_SYSTEM : 0;
}

void worker_post(struct worker *worker, struct letter *letter)
{
    mail_post(&worker->mail, letter);
}

void worker_stop(struct worker *worker)
{
    worker->stop.kind = LETTER_STOP;
    worker_post(worker, &worker->stop);
}

void worker_join(struct worker *worker)
{
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = false;
}

struct denials *worker_denials(const struct worker *worker)
{
    return worker->denials;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    worker_io_close(worker);
    engine_free(worker->engine);
    peer_streams_free(worker->peers);
    pool_close(&worker->lines);
    pool_close(&worker->relays);
    steered_free(worker->steered);
    udp_out_free(worker->out);
    udp_in_free(worker->in);
    worker_policy_close(worker);
    journal_page_free(worker->page);
    metric_close(worker);
    denials_free(worker->denials);
    store_reader_close(worker->reader);
    crypto_free(worker->crypto);
    if (worker->loop) {
        watch_stop(&worker->flush);
        watch_stop(&worker->tenth);
        watch_stop(&worker->half);
        worker_mail_close(worker);
        loop_free(worker->loop);
    }
    marks_close(worker);
    free(worker);
}
