/* worker_tenant.c: what is counted of tenants, in the ledger, for metrics and for the bytes of their month. */
#include "server/worker_state.h"

void worker_tenant_usage(struct worker *worker, const struct allocation *allocation, const struct usage *delta, int64_t unix_ms)
{
    struct tenant *tenant = allocation->entry;
    tenant_add(tenant, TENANT_BYTES_IN, delta->bytes_in);
    tenant_add(tenant, TENANT_BYTES_OUT, delta->bytes_out);
    tenant_add(tenant, TENANT_PACKETS_IN, delta->packets_in);
    tenant_add(tenant, TENANT_PACKETS_OUT, delta->packets_out);
    tenant_month_add(worker->service->ledger.tenants, tenant, tenant_month(unix_ms), delta->bytes_in + delta->bytes_out);
}

void worker_tenant_event(struct worker *worker, const struct event *event)
{
    const char *name = *event->tenant ? event->tenant : event->realm;
    switch (event->type) {
        case EVENT_ALLOCATED:
            tenant_add(event->allocation->entry, TENANT_OPENED, 1);
            break;
        case EVENT_CLOSED:
            worker_tenant_usage(worker, event->allocation, &event->delta, event->unix_ms);
            break;
        case EVENT_DENIED:
            tenants_count(worker->service->ledger.tenants, view_text(name), TENANT_REFUSED, 1);
            break;
        default:
            break;
    }
}
