/* metering.c: meters of policies: relayed bytes are counted into them, caps are held, and sums that are kept go to the database and come back. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdio.h>

/* struct restoring: hands the rows of a reader to the policy. */
struct restoring {
    policy_meter_restore_fn *each;
    void *ctx;
};

static void restore(void *ctx, const struct store_meter *row)
{
    const struct restoring *restoring = ctx;
    restoring->each(restoring->ctx, row->key, row->ends_ms, row->sum);
}

/* read_meters: at the start, before any thread runs. */
static int read_meters(void *ctx, const char *meter, int64_t unix_ms, policy_meter_restore_fn *each, void *each_ctx)
{
    const struct service *service = ctx;
    struct restoring restoring = {each, each_ctx};
    struct store_reader *reader;
    char reason[REFUSAL_MAX];
    int err = store_reader_open(service->config->userdb, &reader, reason, sizeof reason);
    if (err)
        return err;
    err = store_reader_meters(reader, view_text(meter), unix_ms, restore, &restoring);
    store_reader_close(reader);
    return err;
}

struct policy_meters meter_source(struct service *service)
{
    return service->store ? (struct policy_meters){read_meters, service} : (struct policy_meters){0};
}

static void keep(void *ctx, const char *meter, const char *key, int64_t ends_ms, int64_t sum)
{
    store_meter(ctx, &(struct store_meter){meter, key, ends_ms, sum});
}

void meter_keep(struct service *service)
{
    if (service->policy_shared && service->store)
        policy_meters_changed(service->policy_shared, clock_monotonic_ms(), clock_unix_ms(), keep, service->store);
}

void meter_usage(struct worker *worker, const struct allocation *allocation, const struct usage *delta, msec_t now)
{
    const struct metering *metering = allocation_metering(allocation);
    if (!policy_meter_add(metering, delta->bytes_in + delta->bytes_out, now, now + worker->unix_offset_ms))
        return;
    if (metering->on_cap == ON_CAP_THROTTLE)
        engine_limit(worker->engine, allocation->self, limit_strictest(allocation->limits->max_bps, THROTTLE_BPS), now);
    else if (metering->on_cap == ON_CAP_CLOSE && worker->capped_count < CAPPED_MAX)
        worker->capped[worker->capped_count++] = allocation->self;
}

void meter_close_capped(struct worker *worker, msec_t now)
{
    static const struct verdict cap = {.kind = VERDICT_CLOSE, .reason = "meter_cap", .by = "core"};
    for (size_t i = 0; i < worker->capped_count; i++)
        engine_close(worker->engine, worker->capped[i], &cap, now);
    worker->capped_count = 0;
}
