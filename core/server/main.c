/* main.c: start and stop. Everything that can fail fails before the first packet is answered, with exit code 1 and nothing left running. */
#include "server/buffers.h"
#include "server/clerk.h"
#include "server/mint.h"
#include "server/command.h"
#include "server/events.h"
#include "server/drain.h"
#include "server/help.h"
#include "server/process.h"
#include "server/reload.h"
#include "server/revoker.h"
#include "server/routes.h"
#include "server/steering.h"
#include "server/tenancy.h"
#include "server/webhooks.h"
#include "server/worker.h"

#include "net/loop.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MMAP_BYTES (64 << 10) /* blocks from here on are got from the system one by one, and go back when they are freed; left alone malloc raises its own number */
#define FIFTH_S 0.2
#define HALF_S 0.5
#define SECOND_S 1
#define HOUR_S 3600
#define DAY_HOURS 24

struct relay {
    struct config config;
    struct service service;
    struct loop *loop;
    struct reload policies;
    struct roster roster;
    struct revoker revoker;
    struct drain drain;
    struct routes routes;
    struct watch terminate, interrupt, hangup, usr1, reload, fifth, half, second, hour;
    unsigned hours;
};

static void on_stop(void *owner)
{
    struct relay *relay = owner;
    loop_stop(relay->loop);
}

static void on_terminate(void *owner)
{
    struct relay *relay = owner;
    drain_term(&relay->drain);
}

static void on_drain(void *owner)
{
    struct relay *relay = owner;
    drain_begin(&relay->drain, relay->config.drain_deadline_s, "SIGUSR1");
}

static void on_reload(void *owner)
{
    struct relay *relay = owner;
    service_reload(&relay->service);
    routes_reload(&relay->routes);
}

static void on_second(void *owner)
{
    struct relay *relay = owner;
    revoker_second(&relay->revoker);
    if (!relay->service.policy_shared)
        return;
    policy_shared_look(relay->service.policy_shared, relay->service.log);
    if (relay->service.shadow.shared)
        policy_shared_look(relay->service.shadow.shared, relay->service.log);
    reload_tick(&relay->policies);
}

static void on_hangup(void *owner)
{
    struct relay *relay = owner;
    service_reload(&relay->service);
    routes_reload(&relay->routes);
    if (relay->service.policy_shared)
        reload_ask(&relay->policies, NULL);
}

static void on_fifth(void *owner)
{
    struct relay *relay = owner;
    tenancy_look(relay->service.tenancy, clock_unix_ms());
}

static void on_half(void *owner)
{
    struct relay *relay = owner;
    meter_keep(&relay->service);
}

static void on_news(void *owner, const struct news_item *item)
{
    const struct relay *relay = owner;
    webhooks_take(relay->service.webhooks, relay->service.events, item);
}

static void tell_certificates(struct relay *relay)
{
    service_tell_certificates(&relay->service);
    routes_tell_certificates(&relay->routes);
}

static void on_hour(void *owner)
{
    struct relay *relay = owner;
    service_renew(&relay->service);
    if (++relay->hours % DAY_HOURS == 0)
        tell_certificates(relay);
}

/* What would end the process must not do so while files are half made: signals of ours wait until serve() listens for them. */
static void hold_signals(int how)
{
    static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&set, ours[i]);
    pthread_sigmask(how, &set, NULL);
}

/* Sockets and the pid file first, with the privileges we were started with; then database and policies, without. */
static int prepare(struct relay *relay, struct refusal *refusal)
{
    const struct config *config = &relay->config;
    process_limits();
    if (service_open(&relay->service, config, refusal) != 0)
        return -1;
    struct worker **workers = relay->service.workers = calloc(config->workers, sizeof *workers);
    for (unsigned i = 0; workers && i < config->workers; i++) {
        workers[i] = worker_new(&relay->service, i, refusal);
        if (!workers[i])
            return -1;
    }
    if (config->action == CONFIG_RUN && (process_pidfile(config, refusal) != 0 || routes_open(&relay->routes, config, refusal) != 0))
        return -1;
    if (!workers || process_drop(config, refusal) != 0 || service_open_store(&relay->service, refusal) != 0 ||
        tenancy_open(&relay->service, &relay->service.tenancy, refusal) != 0 ||
        revoker_open(&relay->revoker, &relay->service, refusal) != 0)
        return -1;
    for (unsigned i = 0; i < config->workers; i++)
        if (worker_prepare(workers[i], refusal) != 0)
            return -1;
    return 0;
}

static int serve(struct relay *relay, struct refusal *refusal)
{
    const struct config *config = &relay->config;
    relay->loop = loop_new();
    snprintf(refusal->text, sizeof refusal->text, "relay: out of memory");
    if (!relay->loop)
        return -1;
    if (reload_open(&relay->policies, &relay->service, relay->loop) != 0 || roster_open(&relay->roster, &relay->service, relay->loop) != 0)
        return -1;
    if (config->door_count && mint_open(&relay->service, &relay->service.mint, refusal->text, sizeof refusal->text) != 0)
        return -1;
    if (revoker_serve(&relay->revoker, relay->loop) != 0)
        return -1;
    if (config->userdb && clerk_open(config->userdb, relay->loop, &relay->service.clerk) != 0)
        return -1;
    drain_open(&relay->drain, &relay->service, relay->loop);
    signal(SIGPIPE, SIG_IGN);
    if (config->door_count && !(relay->service.events = events_new(&relay->service, relay->loop)))
        return -1;
    if (config->userdb && webhooks_open(&relay->service, relay->loop) != 0)
        return -1;
    news_serve(relay->service.news, relay->loop, on_news, relay);
    watch_signal(&relay->terminate, relay->loop, SIGTERM, on_terminate, relay);
    watch_signal(&relay->interrupt, relay->loop, SIGINT, on_stop, relay);
    watch_signal(&relay->hangup, relay->loop, SIGHUP, on_hangup, relay);
    watch_signal(&relay->usr1, relay->loop, SIGUSR1, on_drain, relay);   /* coturn's for draining */
    watch_signal(&relay->reload, relay->loop, SIGUSR2, on_reload, relay); /* coturn's for certificates */
    if (relay->service.policy_shared && relay->service.store)
        watch_every(&relay->half, relay->loop, HALF_S, on_half, relay);
    watch_every(&relay->second, relay->loop, SECOND_S, on_second, relay);
    watch_every(&relay->fifth, relay->loop, FIFTH_S, on_fifth, relay);
    watch_every(&relay->hour, relay->loop, HOUR_S, on_hour, relay);
    steering_log(&relay->service);
    hold_signals(SIG_UNBLOCK);
    for (unsigned i = 0; i < config->workers; i++)
        if (worker_start(relay->service.workers[i]) != 0)
            return -1;
    if (routes_serve(&relay->routes, &relay->service, relay->loop, &relay->policies, &relay->roster) != 0)
        return -1;
    tell_certificates(relay);
    log_say(relay->service.log, LOG_INFO, "started", "version=%s workers=%u listeners=%zu policies=%zu relaying=%s", RELAY_VERSION, config->workers,
            relay->service.listener_count, config->policy_count, config->relaying ? "yes" : "no");
    buffers_log(&relay->service);
    loop_run(relay->loop);
    log_say(relay->service.log, LOG_INFO, "stopping", "reason=signal");
    webhooks_finish(relay->service.webhooks);
    return 0;
}

static void stop(struct relay *relay)
{
    struct worker **workers = relay->service.workers;
    const unsigned count = workers ? relay->config.workers : 0;
    routes_stop(&relay->routes);
    for (unsigned i = 0; i < count; i++)
        if (workers[i])
            worker_stop(workers[i]);
    for (unsigned i = 0; i < count; i++)
        if (workers[i])
            worker_join(workers[i]);
    meter_keep(&relay->service);
    reload_close(&relay->policies);
    roster_close(&relay->roster);
    tenancy_close(relay->service.tenancy);
    clerk_close(relay->service.clerk);
    relay->service.clerk = NULL;
    news_close(relay->service.news); /* nobody else tells any more; what is for webhooks is put into the database by themselves */
    webhooks_close(relay->service.webhooks);
    revoker_close(&relay->revoker);
    mint_close(relay->service.mint);
    routes_close(&relay->routes);
    events_free(relay->service.events);
    for (unsigned i = 0; i < count; i++)
        worker_free(workers[i]);
    free(workers);
    process_pidfile_remove(&relay->config);
    service_close(&relay->service);
    if (relay->loop) {
        watch_stop(&relay->terminate);
        watch_stop(&relay->interrupt);
        watch_stop(&relay->hangup);
        watch_stop(&relay->usr1);
        watch_stop(&relay->reload);
        watch_stop(&relay->fifth);
        drain_close(&relay->drain);
        watch_stop(&relay->half);
        watch_stop(&relay->second);
        watch_stop(&relay->hour);
        loop_free(relay->loop);
    }
}

static int run(struct relay *relay)
{
    struct refusal refusal = {"relay: out of memory"};
    const bool checking = relay->config.action == CONFIG_CHECK;
    hold_signals(SIG_BLOCK);
    int failed = prepare(relay, &refusal);
    if (!failed && checking) {
        config_print(&relay->config, stdout);
        steering_print(&relay->service, stdout);
        buffers_print(&relay->service, stdout);
    } else if (!failed) {
        failed = serve(relay, &refusal);
    }
    if (failed)
        fprintf(stderr, "%s\n", refusal.text);
    stop(relay);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void print_lines(char **lines, size_t count, const char *prefix)
{
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s%s\n", prefix, lines[i]);
}

static int act(struct relay *relay)
{
    switch (relay->config.action) {
        case CONFIG_HELP:
            help_print(stdout);
            return EXIT_SUCCESS;
        case CONFIG_MANUAL:
            help_manual(stdout);
            return EXIT_SUCCESS;
        case CONFIG_EXAMPLE:
            help_example(stdout);
            return EXIT_SUCCESS;
        case CONFIG_VERSION:
            puts("relay " RELAY_VERSION);
            return EXIT_SUCCESS;
        default:
            return run(relay);
    }
}

int main(int argc, char **argv)
{
    struct relay relay = {0};
    struct config_report report;
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    const int code = command_run(argc, argv);
    if (code >= 0)
        return code;
    const int failed = config_load(&relay.config, argc, argv, &report);
    print_lines(report.warnings, report.warning_count, "warning: ");
    print_lines(report.notes, report.note_count, "note: ");
    print_lines(report.errors, report.error_count, "");
    config_report_close(&report);
    const int result = failed ? EXIT_FAILURE : act(&relay);
    config_close(&relay.config);
    return result;
}
