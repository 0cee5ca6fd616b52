/* tenancy.c: see tenancy.h. */
#include "server/tenancy.h"

#include "base/err.h"
#include "server/news.h"

#include <stdlib.h>
#include <string.h>

struct tenancy {
    struct service *service;
    struct store_reader *reader; /* NULL: no database */
    int64_t version;             /* of the tenants that were told */
    bool is_blind;               /* the database could not be read; that was said */
    char (*names)[TENANT_NAME_MAX + 1];
    uint8_t held_reached[TENANTS_MAX]; /* by place: percent of max_allocations that was told: 0, 80 or 100 */
};

/* struct quota_share: what is used of a limit, and what becomes of it when it is all. */
struct quota_share {
    const char *limit;
    uint64_t used, most;
    const char *action;
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

void tenancy_tell(struct tenants *tenants, struct store_reader *reader, const struct store_tenant *row, int64_t unix_ms)
{
    struct tenant_news news = {.limits = limits_of(row), .stamp = (uint64_t)row->version, .month = tenant_month(unix_ms)};
    if (!tenants_knows(tenants, view_text(row->name)))
        store_reader_month(reader, view_text(row->name), news.month, &news.month_bytes); /* nobody relays for it: there is no more than that */
    tenants_tell(tenants, view_text(row->name), &news);
}

void tenancy_meet(struct tenants *tenants, struct store_reader *reader, const char *name, int64_t unix_ms)
{
    struct store_tenant none = {.status = "active"};
    view_copy(view_text(name), none.name, sizeof none.name);
    tenancy_tell(tenants, reader, &none, unix_ms);
}

/* ---- main's look ---- */

struct telling {
    struct tenants *tenants;
    struct store_reader *reader;
    int64_t unix_ms, version;
};

static void tell_row(void *ctx, const struct store_tenant *row)
{
    struct telling *telling = ctx;
    telling->version = row->version;
    tenancy_tell(telling->tenants, telling->reader, row, telling->unix_ms);
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
    struct telling telling = {.tenants = tenancy->service->ledger.tenants, .reader = tenancy->reader, .unix_ms = unix_ms};
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

/* tell_share: of a limit that was reached by 80 or 100 per cent. */
static void tell_share(const struct tenancy *tenancy, uint32_t place, unsigned reached, struct quota_share share)
{
    char name[TENANT_NAME_MAX + 1];
    if (reached && tenants_name(tenancy->service->ledger.tenants, place, name))
        news_tell(tenancy->service->news, reached == 100 ? NEWS_QUOTA_FULL : NEWS_QUOTA_WARNING, name,
                  NEWS(NEWS_TEXT(share.limit), NEWS_NUMBER(share.used), NEWS_NUMBER(share.most), NEWS_TEXT(share.action)));
}

/* What the end of the month's bytes does to allocations that live, workers see by the entry's version. */
static void look_at_month(const struct tenancy *tenancy, uint32_t place, int64_t month)
{
    static const char *const actions[] = {[MONTH_NOTIFY] = "notify", [MONTH_THROTTLE] = "throttle", [MONTH_DISABLE] = "disable"};
    struct tenants *tenants = tenancy->service->ledger.tenants;
    struct tenant *tenant = tenants_at(tenants, place);
    const unsigned before = atomic_load(&tenant->reached), now = tenant_reached(tenant, month);
    if (now == before)
        return;
    atomic_store(&tenant->reached, now);
    if ((now == 100) != (before == 100))
        tenant_raise(tenants, tenant);
    if (now > before)
        tell_share(tenancy, place, now,
                   (struct quota_share){"month_bytes", tenant_month_bytes(tenant, month), TENANT_LIMIT(tenant, month_bytes),
                                        actions[TENANT_LIMIT(tenant, month_action)]});
}

/* Of what is held 80 % are told again when it was less than half, 100 % when it was less than 80 %. */
static void look_at_held(struct tenancy *tenancy, uint32_t place)
{
    struct tenant *tenant = tenants_at(tenancy->service->ledger.tenants, place);
    const uint64_t most = TENANT_LIMIT(tenant, max_allocations), held = atomic_load(&tenant->held);
    const unsigned before = tenancy->held_reached[place], now = !most || held < most - most / 5 ? 0 : held < most ? 80 : 100;
    if (now > before)
        tell_share(tenancy, place, now, (struct quota_share){"max_allocations", held, most, "refuse"});
    if (now > before || !most || held < most / 2)
        tenancy->held_reached[place] = (uint8_t)now;
    else if (before == 100 && now == 0)
        tenancy->held_reached[place] = 80;
}

static void look_at_shares(struct tenancy *tenancy, int64_t unix_ms)
{
    const uint32_t used = tenants_used(tenancy->service->ledger.tenants);
    const int64_t month = tenant_month(unix_ms);
    for (uint32_t place = 0; place < used; place++) {
        look_at_month(tenancy, place, month);
        look_at_held(tenancy, place);
    }
}

void tenancy_call(struct tenancy *tenancy)
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
    look_at_shares(tenancy, unix_ms);
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
