/* tenants.c: entries in an array that never moves, found by a keyed hash under one lock. */
#include "ledger/tenants.h"

#include "base/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MONTHS_IN_YEAR 12
#define DAY_MS INT64_C(86400000)

struct tenants {
    pthread_mutex_t lock;
    struct hash_key key;
    struct table by_name;
    uint32_t most, hand; /* hand: where a place was last looked for */
    atomic_uint used;
    _Atomic uint64_t version;
    struct tenant *items; /* one more than `most`: nobody's */
};

struct tenants *tenants_new(uint32_t most)
{
    struct tenants *tenants = calloc(1, sizeof *tenants);
    if (!tenants)
        return NULL;
    pthread_mutex_init(&tenants->lock, NULL);
    table_init(&tenants->by_name);
    tenants->most = most;
    tenants->items = calloc((size_t)most + 1, sizeof *tenants->items);
    crypto_random(&tenants->key, sizeof tenants->key);
    if (tenants->items)
        return tenants;
    tenants_free(tenants);
    return NULL;
}

void tenants_free(struct tenants *tenants)
{
    if (!tenants)
        return;
    table_close(&tenants->by_name);
    pthread_mutex_destroy(&tenants->lock);
    free(tenants->items);
    free(tenants);
}

/* ---- under the lock ---- */

static struct tenant *find(const struct tenants *tenants, struct view name, uint64_t hash)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&tenants->by_name, hash, &cursor); at != TABLE_NONE; at = table_next(&tenants->by_name, &cursor))
        if (view_equal(view_text(tenants->items[at].name), name))
            return &tenants->items[at];
    return NULL;
}

static uint32_t place_of(const struct tenants *tenants, const struct tenant *tenant)
{
    return (uint32_t)(tenant - tenants->items);
}

/* forget: what was counted of a tenant without allocations goes to nobody's; who had the entry before may still look at it, so the version goes on. */
static void forget(struct tenants *tenants, struct tenant *tenant)
{
    struct tenant *nobody = tenants_nobody(tenants);
    table_drop(&tenants->by_name, tenant->hash, place_of(tenants, tenant));
    for (size_t i = 0; i < TENANT_COUNT; i++)
        tenant_add(nobody, (enum tenant_count)i, atomic_exchange(&tenant->counts[i], 0));
    for (size_t i = 0; i < TENANT_NUMBERS; i++)
        atomic_store(&tenant->limits[i], 0);
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&tenant->months[i].bytes, 0);
        atomic_store(&tenant->bps.way[i].spent_until, 0);
        atomic_store(&tenant->pps.way[i].spent_until, 0);
    }
    atomic_store(&tenant->bps.most, 0);
    atomic_store(&tenant->pps.most, 0);
    atomic_store(&tenant->reached, 0);
    tenant->stamp = 0;
    tenant->name[0] = 0;
}

/* room: a place that is free, or was given up; NULL: all are held. */
static struct tenant *room(struct tenants *tenants)
{
    const uint32_t used = atomic_load_explicit(&tenants->used, memory_order_relaxed);
    if (used < tenants->most) {
        atomic_store_explicit(&tenants->used, used + 1, memory_order_release);
        return &tenants->items[used];
    }
    for (uint32_t i = 0; i < used; i++) {
        struct tenant *tenant = &tenants->items[tenants->hand++ % used];
        if (atomic_load(&tenant->held) > 0)
            continue;
        forget(tenants, tenant);
        return tenant;
    }
    return NULL;
}

static struct tenant *make(struct tenants *tenants, struct view name, uint64_t hash)
{
    struct tenant *tenant = name.len <= TENANT_NAME_MAX ? room(tenants) : NULL;
    if (!tenant)
        return NULL;
    view_copy(name, tenant->name, sizeof tenant->name);
    tenant->hash = hash;
    if (table_put(&tenants->by_name, hash, place_of(tenants, tenant)) == 0)
        return tenant;
    tenant->name[0] = 0; /* a free place, of which nobody can make use until it is given up again */
    return NULL;
}

static struct tenant *find_or_make(struct tenants *tenants, struct view name, bool *is_new)
{
    const uint64_t hash = table_hash(&tenants->key, name);
    struct tenant *found = find(tenants, name, hash);
    *is_new = !found;
    return found ? found : make(tenants, name, hash);
}

/* set: false: they are what they were. */
static bool set(struct tenant *tenant, const struct tenant_limits *limits)
{
    uint64_t numbers[TENANT_NUMBERS];
    bool changed = false;
    memcpy(numbers, limits, sizeof numbers);
    for (size_t i = 0; i < TENANT_NUMBERS; i++)
        changed |= atomic_exchange(&tenant->limits[i], numbers[i]) != numbers[i];
    atomic_store_explicit(&tenant->bps.most, limits->tenant_bps, memory_order_relaxed);
    atomic_store_explicit(&tenant->pps.most, limits->tenant_pps, memory_order_relaxed);
    return changed;
}

static void start_month(struct tenant *tenant, int64_t month, uint64_t bytes)
{
    struct tenant_month *slot = &tenant->months[month & 1];
    atomic_store(&slot->bytes, bytes);
    atomic_store(&slot->month, month);
}

/* ---- calls ---- */

bool tenants_tell(struct tenants *tenants, struct view name, const struct tenant_news *news)
{
    bool is_new;
    pthread_mutex_lock(&tenants->lock);
    struct tenant *tenant = find_or_make(tenants, name, &is_new);
    if (tenant && is_new)
        start_month(tenant, news->month, news->month_bytes);
    const bool is_later = tenant && (is_new || news->stamp > tenant->stamp);
    if (is_later) {
        tenant->stamp = news->stamp;
        if (set(tenant, &news->limits))
            tenant_raise(tenants, tenant);
    }
    if (tenant && is_new) /* what had been reached before was told before */
        atomic_store(&tenant->reached, tenant_reached(tenant, news->month));
    pthread_mutex_unlock(&tenants->lock);
    return tenant;
}

struct tenant *tenants_take(struct tenants *tenants, struct view name)
{
    bool is_new;
    pthread_mutex_lock(&tenants->lock);
    struct tenant *tenant = find_or_make(tenants, name, &is_new);
    if (tenant)
        atomic_fetch_add(&tenant->held, 1);
    pthread_mutex_unlock(&tenants->lock);
    return tenant;
}

/* The last one of all might let another thread take the place: that is under the lock, and nothing is done with it here afterwards. */
void tenants_give(struct tenants *tenants, struct tenant *tenant)
{
    (void)tenants;
    const unsigned before = atomic_fetch_sub(&tenant->held, 1);
    assert(before > 0);
    (void)before;
}

bool tenants_knows(struct tenants *tenants, struct view name)
{
    pthread_mutex_lock(&tenants->lock);
    const bool known = find(tenants, name, table_hash(&tenants->key, name));
    pthread_mutex_unlock(&tenants->lock);
    return known;
}

void tenants_count(struct tenants *tenants, struct view name, enum tenant_count count, uint64_t more)
{
    pthread_mutex_lock(&tenants->lock);
    struct tenant *tenant = find(tenants, name, table_hash(&tenants->key, name));
    tenant_add(tenant ? tenant : tenants_nobody(tenants), count, more);
    pthread_mutex_unlock(&tenants->lock);
}

uint64_t tenants_version(const struct tenants *tenants)
{
    return atomic_load_explicit(&tenants->version, memory_order_acquire);
}

/* The entry's first: who sees the other sees this. */
void tenant_raise(struct tenants *tenants, struct tenant *tenant)
{
    atomic_fetch_add_explicit(&tenant->version, 1, memory_order_release);
    atomic_fetch_add_explicit(&tenants->version, 1, memory_order_release);
}

uint32_t tenants_used(struct tenants *tenants)
{
    return atomic_load_explicit(&tenants->used, memory_order_acquire);
}

struct tenant *tenants_at(struct tenants *tenants, uint32_t place)
{
    return &tenants->items[place];
}

struct tenant *tenants_nobody(struct tenants *tenants)
{
    return &tenants->items[tenants->most];
}

bool tenants_name(struct tenants *tenants, uint32_t place, char out[TENANT_NAME_MAX + 1])
{
    pthread_mutex_lock(&tenants->lock);
    memcpy(out, tenants->items[place].name, TENANT_NAME_MAX + 1);
    pthread_mutex_unlock(&tenants->lock);
    return out[0];
}

/* ---- of one ---- */

void tenant_limits(const struct tenant *tenant, struct tenant_limits *out)
{
    uint64_t numbers[TENANT_NUMBERS] = {0};
    for (size_t i = 0; i < TENANT_NUMBERS; i++)
        numbers[i] = atomic_load_explicit(&tenant->limits[i], memory_order_relaxed);
    memcpy(out, numbers, sizeof numbers);
}

uint64_t tenant_limit(const struct tenant *tenant, size_t offset)
{
    return atomic_load_explicit(&tenant->limits[offset / sizeof(uint64_t)], memory_order_relaxed);
}

/* Days since 1970 to the month they are in: years begin in March here, so that the leap day is their last. */
int64_t tenant_month(int64_t unix_ms)
{
    const int64_t days = unix_ms / DAY_MS + 719468, era = days / 146097, day = days % 146097;
    const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365, of_year = day - (365 * year + year / 4 - year / 100);
    const int64_t march = (5 * of_year + 2) / 153; /* months since March */
    return (era * 400 + year - 1970) * MONTHS_IN_YEAR + march + 2;
}

void tenant_month_add(struct tenants *tenants, struct tenant *tenant, int64_t month, uint64_t bytes)
{
    struct tenant_month *slot = &tenant->months[month & 1];
    if (atomic_load_explicit(&slot->month, memory_order_acquire) != month) {
        pthread_mutex_lock(&tenants->lock);
        if (atomic_load_explicit(&slot->month, memory_order_relaxed) < month)
            start_month(tenant, month, 0);
        pthread_mutex_unlock(&tenants->lock);
    }
    atomic_fetch_add_explicit(&slot->bytes, bytes, memory_order_relaxed);
}

uint64_t tenant_month_bytes(const struct tenant *tenant, int64_t month)
{
    const struct tenant_month *slot = &tenant->months[month & 1];
    const bool is_it = atomic_load_explicit(&slot->month, memory_order_acquire) == month;
    return is_it ? atomic_load_explicit(&slot->bytes, memory_order_relaxed) : 0;
}

bool tenant_is_over(const struct tenant *tenant, int64_t month)
{
    const uint64_t most = TENANT_LIMIT(tenant, month_bytes);
    return most && tenant_month_bytes(tenant, month) >= most;
}

unsigned tenant_reached(const struct tenant *tenant, int64_t month)
{
    const uint64_t most = TENANT_LIMIT(tenant, month_bytes), bytes = tenant_month_bytes(tenant, month);
    if (!most || bytes < most - most / 5)
        return 0;
    return bytes < most ? 80 : 100;
}

bool tenant_wake(struct tenant *tenant)
{
    const uint64_t most = TENANT_LIMIT(tenant, max_active);
    unsigned active = atomic_load_explicit(&tenant->active, memory_order_relaxed);
    do {
        if (most && active >= most)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&tenant->active, &active, active + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}

void tenant_rest(struct tenant *tenant)
{
    atomic_fetch_sub_explicit(&tenant->active, 1, memory_order_relaxed);
}
