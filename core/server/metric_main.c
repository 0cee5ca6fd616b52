/* metric_main.c: the rows that main reads: what all workers share, and what is its own. */
#include "server/metric.h"

#include "net/tls.h"
#include "server/webhooks.h"
#include "server/drain.h"
#include "server/events.h"
#include "server/mint.h"

#include <string.h>

static void read_version(const struct metric_sources *sources, uint64_t *out)
{
    (void)sources;
    *out = 1;
}

static void read_started(const struct metric_sources *sources, uint64_t *out)
{
    *out = (uint64_t)sources->service->started_unix_s;
}

static void read_workers(const struct metric_sources *sources, uint64_t *out)
{
    *out = sources->service->config->workers;
}

static void read_quota(const struct metric_sources *sources, uint64_t *out)
{
    *out = quota_total(sources->service->ledger.quota);
}

static void read_quota_limit(const struct metric_sources *sources, uint64_t *out)
{
    *out = sources->service->config->total_quota;
}

static void read_draining(const struct metric_sources *sources, uint64_t *out)
{
    *out = drain_is_on(sources->service);
}

static struct store_counts store_of(const struct metric_sources *sources)
{
    struct store_counts counts = {0};
    if (sources->service->store)
        store_counts(sources->service->store, &counts);
    return counts;
}

static void read_rows(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).rows;
}

static void read_batches(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).batches;
}

static void read_waiting(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).waiting;
}

static void read_dropped(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).dropped;
}

static void read_rolled(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).rolled;
}

static void read_folded(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).folded;
}

static void read_failures(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).failures;
}

static void read_failing(const struct metric_sources *sources, uint64_t *out)
{
    *out = store_of(sources).failing;
}

static void read_expiry(const struct metric_sources *sources, uint64_t *out)
{
    for (size_t i = 0; sources->service->tls && i < sources->service->config->cert_count; i++) {
        const int64_t unix_s = tls_expiry(sources->service->tls, i);
        out[i] = unix_s > 0 ? (uint64_t)unix_s : 0;
    }
}

static void read_certificate_loads(const struct metric_sources *sources, uint64_t *out)
{
    out[0] = sources->service->certificate_loads[0];
    out[1] = sources->service->certificate_loads[1];
}

static void read_reloads(const struct metric_sources *sources, uint64_t *out)
{
    out[0] = sources->reload->done;
    out[1] = sources->reload->failed;
}

static void read_loaded(const struct metric_sources *sources, uint64_t *out)
{
    *out = (uint64_t)(sources->reload->loaded_unix_ms / 1000);
}

static void read_told(const struct metric_sources *sources, uint64_t *out)
{
    const struct news_counts counts = news_counts(sources->service->news);
    for (size_t i = 0; i < NEWS_KINDS; i++)
        out[i] = counts.told[i];
}

static void read_lost(const struct metric_sources *sources, uint64_t *out)
{
    *out = news_counts(sources->service->news).lost;
}

static void read_streams(const struct metric_sources *sources, uint64_t *out)
{
    *out = events_counts(sources->service->events).streams;
}

static void read_cut(const struct metric_sources *sources, uint64_t *out)
{
    *out = events_counts(sources->service->events).cut;
}

static void read_unminted(const struct metric_sources *sources, uint64_t *out)
{
    if (sources->service->mint)
        memcpy(out, sources->service->mint->refused, sizeof sources->service->mint->refused);
}

static void read_deliveries(const struct metric_sources *sources, uint64_t *out)
{
    const struct webhooks_counts counts = webhooks_counts(sources->service->webhooks);
    const uint64_t results[] = {counts.delivered, counts.failed, counts.dead, counts.lost};
    memcpy(out, results, sizeof results);
}

static void read_outbox(const struct metric_sources *sources, uint64_t *out)
{
    *out = webhooks_counts(sources->service->webhooks).waiting;
}

#define COUNTER(NAME, READ, HELP, ...)                                                                                                     \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_COUNTER, .axes = {__VA_ARGS__}, .of_main = READ, .help = HELP                                         \
    }
#define GAUGE(NAME, READ, HELP, ...)                                                                                                       \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_GAUGE, .axes = {__VA_ARGS__}, .of_main = READ, .help = HELP                                           \
    }

const struct metric metric_of_main[] = {
    GAUGE("relay_build_info", read_version, "Always 1; the label says which version runs.", AXIS_VERSION),
    GAUGE("relay_start_time_seconds", read_started, "When the relay was started, in Unix time.", AXIS_NONE),
    GAUGE("relay_workers", read_workers, "Threads that relay.", AXIS_NONE),
    GAUGE("relay_quota_allocations", read_quota, "Allocations that count for total-quota now: as many as are held.", AXIS_NONE),
    GAUGE("relay_quota_limit", read_quota_limit, "total-quota; 0: there is none.", AXIS_NONE),
    GAUGE("relay_draining", read_draining, "1 while the relay drains: it takes no new clients, and ends.", AXIS_NONE),
    COUNTER("relay_store_rows_total", read_rows, "Rows that were written to the database.", AXIS_NONE),
    COUNTER("relay_store_batches_total", read_batches, "Commits that this took.", AXIS_NONE),
    GAUGE("relay_store_waiting_rows", read_waiting, "Rows that are not committed yet.", AXIS_NONE),
    COUNTER("relay_store_dropped_total", read_dropped, "Rows that were lost because too many waited.", AXIS_NONE),
    COUNTER("relay_store_rollups_total", read_rolled, "Transactions that merged usage of long ago into hours and days, or deleted what is older.", AXIS_NONE),
    COUNTER("relay_store_folded_total", read_folded, "Rows of usage that were kept without room, tag and user because too many waited.", AXIS_NONE),
    COUNTER("relay_store_failures_total", read_failures, "Commits that failed, and are tried again.", AXIS_NONE),
    GAUGE("relay_store_failing", read_failing, "1 while the database cannot be written.", AXIS_NONE),
    GAUGE("relay_certificate_expiry_timestamp_seconds", read_expiry, "When a certificate's time is over, in Unix time.", AXIS_CERTIFICATE),
    COUNTER("relay_certificate_reloads_total", read_certificate_loads, "How often the certificates were read anew.", AXIS_RELOAD),
    COUNTER("relay_policy_reloads_total", read_reloads, "How often the policies were exchanged, or kept because the new ones were refused.",
            AXIS_RELOAD),
    GAUGE("relay_policy_loaded_timestamp_seconds", read_loaded, "When the policies that answer now were loaded, in Unix time.", AXIS_NONE),
    COUNTER("relay_events_total", read_told, "Events that happened, as GET /v1/events tells them.", AXIS_NEWS),
    COUNTER("relay_events_lost_total", read_lost, "Events that nobody was told of: too many came at once.", AXIS_NONE),
    GAUGE("relay_event_streams", read_streams, "Readers of GET /v1/events.", AXIS_NONE),
    COUNTER("relay_event_streams_cut_total", read_cut, "Readers that were cut off because they read too slowly.", AXIS_NONE),
    COUNTER("relay_mint_refusals_total", read_unminted, "Credentials that were asked for and not minted.", AXIS_MINT),
    COUNTER("relay_webhook_deliveries_total", read_deliveries,
            "What became of events for webhooks: attempts that were taken or failed; events that nobody took in the end, or that the outbox had no room for.",
            AXIS_DELIVERY),
    GAUGE("relay_webhook_waiting", read_outbox, "Events that are still to be told to webhooks.", AXIS_NONE),
    {.name = NULL},
};
