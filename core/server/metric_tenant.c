/* metric_tenant.c: the rows of the tenants, which main reads in the ledger. */
#include "server/metric.h"

#include "server/tenancy.h"

typedef uint64_t tenant_number_fn(const struct tenant *, size_t what);

/* each_tenant: a number of each that has a place of its own, every `step` places; of all others together, and of nobody, in the last. */
static void each_tenant(const struct service *service, uint64_t *out, size_t step, tenant_number_fn *number, size_t what)
{
    struct tenants *tenants = service->ledger.tenants;
    const uint32_t used = tenants_used(tenants);
    for (uint32_t place = 0; place < used; place++)
        out[step * (place < TENANTS_SHOWN ? place : TENANTS_SHOWN)] += number(tenants_at(tenants, place), what);
    out[step * TENANTS_SHOWN] += number(tenants_nobody(tenants), what);
}

static uint64_t held_of(const struct tenant *tenant, size_t what)
{
    (void)what;
    return atomic_load_explicit(&tenant->held, memory_order_relaxed);
}

static uint64_t active_of(const struct tenant *tenant, size_t what)
{
    (void)what;
    return atomic_load_explicit(&tenant->active, memory_order_relaxed);
}

static uint64_t count_of(const struct tenant *tenant, size_t what)
{
    return atomic_load_explicit(&tenant->counts[what], memory_order_relaxed);
}

static uint64_t limit_of(const struct tenant *tenant, size_t what)
{
    return tenant_limit(tenant, what);
}

static uint64_t month_of(const struct tenant *tenant, size_t what)
{
    return tenant_month_bytes(tenant, (int64_t)what);
}

void metric_tenants(const struct service *service, enum tenant_count first, size_t count, uint64_t *out)
{
    for (size_t i = 0; i < count; i++)
        each_tenant(service, out + i, count, count_of, first + i);
}

void metric_tenants_held(const struct service *service, uint64_t *out)
{
    each_tenant(service, out, 1, held_of, 0);
}

void metric_tenants_active(const struct service *service, uint64_t *out)
{
    each_tenant(service, out, 1, active_of, 0);
}

void metric_tenants_month(const struct service *service, uint64_t *out)
{
    each_tenant(service, out, 1, month_of, (size_t)tenant_month(clock_unix_ms()));
}

static void read_held(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants_held(sources->service, out);
}

static void read_active(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants_active(sources->service, out);
}

static void read_held_limit(const struct metric_sources *sources, uint64_t *out)
{
    each_tenant(sources->service, out, 1, limit_of, offsetof(struct tenant_limits, max_allocations));
    out[TENANTS_SHOWN] = 0; /* a sum of limits is none */
}

static void read_month_limit(const struct metric_sources *sources, uint64_t *out)
{
    each_tenant(sources->service, out, 1, limit_of, offsetof(struct tenant_limits, month_bytes));
    out[TENANTS_SHOWN] = 0;
}

static void read_month(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants_month(sources->service, out);
}

static void read_bytes(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_BYTES_IN, 2, out);
}

static void read_packets(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_PACKETS_IN, 2, out);
}

static void read_opened(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_OPENED, 1, out);
}

static void read_refused(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_REFUSED, 1, out);
}

static void read_minted(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_MINTED, 1, out);
}

static void read_dropped(const struct metric_sources *sources, uint64_t *out)
{
    metric_tenants(sources->service, TENANT_DROPPED_OWN, TENANT_COUNT - TENANT_DROPPED_OWN, out);
}

#define COUNTER(NAME, READ, HELP, ...)                                                                                                     \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_COUNTER, .axes = {AXIS_TENANT, __VA_ARGS__}, .of_main = READ, .help = HELP                            \
    }
#define GAUGE(NAME, READ, HELP)                                                                                                            \
    {                                                                                                                                      \
        .name = NAME, .type = METRIC_GAUGE, .axes = {AXIS_TENANT}, .of_main = READ, .help = HELP                                           \
    }

const struct metric metric_of_tenants[] = {
    GAUGE("relay_tenant_allocations", read_held,
          "Allocations that are held now, by tenant, or realm where there is none: their sum is relay_quota_allocations."),
    GAUGE("relay_tenant_active_allocations", read_active, "Those of them that carried data in the last 10 s."),
    GAUGE("relay_tenant_allocations_limit", read_held_limit, "max_allocations of the tenant; 0: there is none."),
    GAUGE("relay_tenant_month_bytes", read_month, "Payload that was relayed in this month (UTC), both ways."),
    GAUGE("relay_tenant_month_bytes_limit", read_month_limit, "month_bytes of the tenant; 0: there is none."),
    COUNTER("relay_tenant_bytes_total", read_bytes, "Payload that was relayed, from clients (in) and to clients (out), by tenant.",
            AXIS_DIRECTION),
    COUNTER("relay_tenant_packets_total", read_packets, "Packets that were relayed, from clients (in) and to clients (out), by tenant.",
            AXIS_DIRECTION),
    COUNTER("relay_tenant_allocations_opened_total", read_opened, "Allocations that were made, by tenant.", AXIS_NONE),
    COUNTER("relay_tenant_refusals_total", read_refused, "Requests that were refused, as in relay_refusals_total, by tenant.", AXIS_NONE),
    COUNTER("relay_tenant_drops_total", read_dropped,
            "Packets that were not relayed: over a limit of the allocation or its user (own), of the tenant, of the server.", AXIS_LIMIT),
    COUNTER("relay_credentials_minted_total", read_minted, "Credentials that were minted, or told again, by tenant.", AXIS_NONE),
    {.name = NULL},
};
