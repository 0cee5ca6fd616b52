/* tenancy.c: see tenancy.h. */
#include "server/tenancy.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct tenancy {
    struct service *service;
    struct store_reader *reader; /* NULL: no database */
    int64_t version;             /* of the tenants that were told */
    bool is_blind;               /* the database could not be read; that was said */
    char (*names)[TENANT_NAME_MAX + 1];
};

/* ---- rows ---- */

static uint64_t positive(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static struct tenant_limits limits_of(const struct store_tenant *row)
{
    struct tenant_limits limits = {
        .is_disabled = strcmp(row->status, "active") != 0,
        .is_strict = strcmp(row->expiry, "strict") == 0,
        .month_action = strcmp(row->month_action, "disable") == 0    ? MONTH_DISABLE
                        : strcmp(row->month_action, "throttle") == 0 ? MONTH_THROTTLE
                                                                     : MONTH_NOTIFY,
    };
#define X(name) limits.name = positive(row->name);
    TENANT_LIMITS(X)
#undef X
    return limits;
}

void tenancy_tell(struct tenants *tenants, const struct store_tenant *row, int64_t unix_ms)
{
    const struct tenant_news news = {.limits = limits_of(row), .stamp = (uint64_t)row->version, .month = tenant_month(unix_ms)};
    tenants_tell(tenants, view_text(row->name), &news);
}

/* ---- main's look ---- */

struct telling {
    struct tenants *tenants;
    int64_t unix_ms, version;
};

static void tell_row(void *ctx, const struct store_tenant *row)
{
    struct telling *telling = ctx;
    telling->version = row->version;
    tenancy_tell(telling->tenants, row, telling->unix_ms);
}

/* Who is not in the database any more has no limits; nor has who never was. */
static void tell_gone(struct tenants *tenants, const struct telling *telling)
{
    const struct tenant_news none = {.stamp = (uint64_t)telling->version, .month = tenant_month(telling->unix_ms)};
    char name[TENANT_NAME_MAX + 1];
    for (uint32_t place = 0; place < tenants_used(tenants); place++)
        if (tenants_name(tenants, place, name))
            tenants_tell(tenants, view_text(name), &none); /* older than what was just told of the others */
}

static void say_blind(struct tenancy *tenancy, bool is_blind)
{
    struct log *log = tenancy->service->log;
    if (tenancy->is_blind == is_blind)
        return;
    tenancy->is_blind = is_blind;
    if (is_blind)
        log_say(log, LOG_ERROR, "tenants_unreadable", "limits=kept");
    else
        log_say(log, LOG_INFO, "tenants_readable", "limits=read");
}

static void look_at_database(struct tenancy *tenancy, int64_t unix_ms)
{
    struct telling telling = {.tenants = tenancy->service->ledger.tenants, .unix_ms = unix_ms};
    const int64_t version = store_reader_version(tenancy->reader);
    bool is_blind = version < 0;
    if (!is_blind && version != tenancy->version) {
        telling.version = version;
        is_blind = store_reader_tenants(tenancy->reader, tell_row, &telling) != 0;
        if (!is_blind) {
            tell_gone(telling.tenants, &telling);
            tenancy->version = version;
        }
    }
    say_blind(tenancy, is_blind);
}

static void look_at_names(struct tenancy *tenancy)
{
    struct tenants *tenants = tenancy->service->ledger.tenants;
    const uint32_t used = tenants_used(tenants);
    for (uint32_t place = 0; place < used && place < TENANTS_SHOWN; place++)
        tenants_name(tenants, place, tenancy->names[place]);
}

void tenancy_look(struct tenancy *tenancy, int64_t unix_ms)
{
    if (tenancy->reader)
        look_at_database(tenancy, unix_ms);
    look_at_names(tenancy);
}

const char *tenancy_name(const struct tenancy *tenancy, size_t place)
{
    return tenancy->names[place][0] ? tenancy->names[place] : NULL;
}

int tenancy_open(struct service *service, struct tenancy **out, struct refusal *refusal)
{
    char reason[REFUSAL_MAX];
    struct tenancy *tenancy = calloc(1, sizeof *tenancy);
    *out = tenancy;
    if (!tenancy)
        return ERR_MEMORY;
    tenancy->service = service;
    tenancy->names = calloc(TENANTS_SHOWN, sizeof *tenancy->names);
    if (!tenancy->names)
        return ERR_MEMORY;
    if (service->store && store_reader_open(service->config->userdb, &tenancy->reader, reason, sizeof reason) != 0)
        return refuse(refusal, service->config, "userdb", "%s", reason);
    tenancy_look(tenancy, clock_unix_ms());
    return 0;
}

void tenancy_close(struct tenancy *tenancy)
{
    if (!tenancy)
        return;
    store_reader_close(tenancy->reader);
    free(tenancy->names);
    free(tenancy);
}
