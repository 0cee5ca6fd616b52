/* pulse.c: samples of the boards, and what lies between the oldest and the newest. */
#include "server/pulse.h"

#include "base/utf8.h"
#include "server/metric.h"

static const struct pulse_sample *newest_of(const struct pulse *pulse)
{
    return &pulse->samples[(pulse->count - 1) % PULSE_SAMPLES];
}

static const struct pulse_sample *oldest_of(const struct pulse *pulse)
{
    return &pulse->samples[pulse->count < PULSE_SAMPLES ? 0 : pulse->count % PULSE_SAMPLES];
}

void pulse_take(struct pulse *pulse, const struct service *service, msec_t now)
{
    struct pulse_sample *sample = &pulse->samples[pulse->count++ % PULSE_SAMPLES];
    *sample = (struct pulse_sample){.at = now};
    tenancy_call(service->tenancy);
    metric_tenants_held(service, sample->held);
    metric_tenants_active(service, sample->active);
    metric_tenants_month(service, sample->month);
    metric_tenants(service, TENANT_BYTES_IN, 2, sample->bytes);
    metric_tenants(service, TENANT_REFUSED, 1, sample->refused);
}

/* rate: bits a second between two counts of bytes. */
static json_int_t rate(uint64_t before, uint64_t after, msec_t ms)
{
    return ms > 0 ? (json_int_t)((after - before) * 8000 / (uint64_t)ms) : 0;
}

static json_t *row_of(const struct pulse *pulse, const char *tenant, size_t place)
{
    const struct pulse_sample *then = oldest_of(pulse), *now = newest_of(pulse);
    const msec_t ms = now->at - then->at;
    const uint64_t *before = &then->bytes[2 * place], *after = &now->bytes[2 * place];
    char clean[2 * NAME_MAX_LEN + 1];
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tenant", utf8_text(view_text(tenant), clean, sizeof clean), "held",
                     (json_int_t)now->held[place], "active", (json_int_t)now->active[place], "bps_in", rate(before[0], after[0], ms), "bps_out",
                     rate(before[1], after[1], ms), "bytes_in", (json_int_t)after[0], "bytes_out", (json_int_t)after[1], "month_bytes",
                     (json_int_t)now->month[place], "refused", (json_int_t)now->refused[place]);
}

json_t *pulse_json(const struct pulse *pulse, const struct service *service, bool (*sees)(const void *ctx, const char *tenant),
                   const void *ctx)
{
    json_t *rows = json_array();
    for (size_t i = 0; pulse->count && i < PULSE_PLACES; i++) {
        const char *tenant = metric_tenant(service, i);
        if (tenant && sees(ctx, tenant))
            json_array_append_new(rows, row_of(pulse, tenant, i));
    }
    const double seconds = pulse->count ? (double)(newest_of(pulse)->at - oldest_of(pulse)->at) / 1000 : 0;
    return json_pack("{s:f, s:o}", "seconds", seconds, "tenants", rows);
}
