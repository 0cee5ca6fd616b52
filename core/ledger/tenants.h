/* tenants.h: what all workers share of a tenant: its limits, what it holds now and what it has used; one entry each, of atomics.
 *
 * Entries are found, made and told new limits under a lock, by requests and by main; on the way of a packet an entry is reached by its
 * pointer alone. Whoever took one (an allocation) keeps it: it is that tenant's until it is given back. Others stay too, with their counts,
 * until all places are used: then one that nobody holds gives up its own, and its counts go to those of nobody's name.
 *
 * Limits have a version, that of the database when they were read: who has read an older one changes nothing. 0 is: no limit.
 */
#ifndef RELAY_LEDGER_TENANTS_H
#define RELAY_LEDGER_TENANTS_H

#include "base/table.h"
#include "ledger/rate.h"

#define TENANT_NAME_MAX 128
#define TENANTS_MAX 16384

/* TENANT_LIMITS: as the columns of db/README.md are called. */
#define TENANT_LIMITS(X)                                                                                                                   \
    X(max_allocations)                                                                                                                     \
    X(max_user_allocations)                                                                                                                \
    X(max_bps)                                                                                                                             \
    X(max_lifetime_s)                                                                                                                      \
    X(max_active)                                                                                                                          \
    X(tenant_bps)                                                                                                                          \
    X(tenant_pps)                                                                                                                          \
    X(max_user_bps)                                                                                                                        \
    X(max_pps)                                                                                                                             \
    X(max_new_peers)                                                                                                                       \
    X(max_permissions)                                                                                                                     \
    X(max_channels)                                                                                                                        \
    X(month_bytes)                                                                                                                         \
    X(max_mints)

enum month_action { MONTH_NOTIFY, MONTH_THROTTLE, MONTH_DISABLE };

struct tenant_limits {
#define X(name) uint64_t name;
    TENANT_LIMITS(X)
#undef X
    uint64_t month_action; /* enum month_action */
    uint64_t is_disabled;
    uint64_t is_strict; /* an allocation ends with its credential */
};
#define TENANT_NUMBERS (sizeof(struct tenant_limits) / sizeof(uint64_t))

/* TENANT_COUNTS: what is counted of a tenant, since the start: bytes and packets of payload; allocations; requests that
 * were refused; credentials; packets that were not relayed. */
#define TENANT_COUNTS(X)                                                                                                                   \
    X(BYTES_IN)                                                                                                                            \
    X(BYTES_OUT)                                                                                                                           \
    X(PACKETS_IN)                                                                                                                          \
    X(PACKETS_OUT)                                                                                                                         \
    X(OPENED)                                                                                                                              \
    X(REFUSED)                                                                                                                             \
    X(MINTED)                                                                                                                              \
    X(DROPPED_OWN)                                                                                                                         \
    X(DROPPED_BPS)                                                                                                                         \
    X(DROPPED_PPS)                                                                                                                         \
    X(DROPPED_ACTIVE)                                                                                                                      \
    X(DROPPED_SERVER)

enum tenant_count {
#define X(name) TENANT_##name,
    TENANT_COUNTS(X)
#undef X
        TENANT_COUNT
};

/* struct tenant_month: bytes of a month; which one, in months since 1970. */
struct tenant_month {
    _Atomic int64_t month;
    _Atomic uint64_t bytes;
};

/* struct tenant: an entry. `name` is only right for whoever holds it. */
struct tenant {
    _Atomic uint64_t version; /* raised whenever its limits are others, or what becomes of them */
    struct rate_pair bps, pps;
    atomic_uint held, active; /* allocations: all; those that carried data lately */
    _Atomic uint64_t limits[TENANT_NUMBERS];
    _Atomic uint64_t counts[TENANT_COUNT];
    struct tenant_month months[2]; /* by the last bit of the month */
    atomic_uint reached;           /* percent of month_bytes that was told: 0, 80 or 100 */
    uint64_t stamp;                /* version of the database that the limits were read at */
    uint64_t hash;
    char name[TENANT_NAME_MAX + 1];
};

struct tenants;

struct tenants *tenants_new(uint32_t most); /* entries; NULL without memory */
void tenants_free(struct tenants *);

/* struct tenant_news: what the database says of a tenant, at a version of its limits; `month` and `month_bytes` count for an entry that is
 * made by it. */
struct tenant_news {
    struct tenant_limits limits;
    uint64_t stamp;
    int64_t month;
    uint64_t month_bytes;
};

/* tenants_tell: the limits of a tenant from now on, unless they are known from a later version. Makes its entry; false: there is no place. */
bool tenants_tell(struct tenants *, struct view name, const struct tenant_news *);

/* tenants_take: the entry of a tenant for one allocation more, made if there is none; NULL: all places are held.  tenants_give: gives it back. */
struct tenant *tenants_take(struct tenants *, struct view name);
void tenants_give(struct tenants *, struct tenant *);

bool tenants_knows(struct tenants *, struct view name);

/* tenants_count: adds to a count of whoever holds nothing for it: of nobody's name, if the tenant has no entry. */
void tenants_count(struct tenants *, struct view name, enum tenant_count, uint64_t more);

/* tenants_version: raised with every entry's.  tenant_version_raise: something that concerns the allocations of a tenant is otherwise. */
uint64_t tenants_version(const struct tenants *);
void tenant_raise(struct tenants *, struct tenant *);

/* tenants_used: places that have been used: walk tenants_at(0..); the last one, behind them all, is nobody's.  tenants_name: of a place; false: it has none. */
uint32_t tenants_used(struct tenants *);
struct tenant *tenants_at(struct tenants *, uint32_t place);
struct tenant *tenants_nobody(struct tenants *);
bool tenants_name(struct tenants *, uint32_t place, char out[TENANT_NAME_MAX + 1]);

/* tenant_limits: a copy.  tenant_limit: one of them: offsetof(struct tenant_limits, NAME). */
void tenant_limits(const struct tenant *, struct tenant_limits *out);
uint64_t tenant_limit(const struct tenant *, size_t offset);
#define TENANT_LIMIT(tenant, name) tenant_limit((tenant), offsetof(struct tenant_limits, name))

/* tenant_add: to a count. */
static inline void tenant_add(struct tenant *tenant, enum tenant_count count, uint64_t more)
{
    atomic_fetch_add_explicit(&tenant->counts[count], more, memory_order_relaxed);
}

/* tenant_month: of Unix milliseconds (UTC), in months since 1970.  tenant_month_add, tenant_month_bytes: what was relayed in it.
 * tenant_is_over: the tenant has used up the bytes of the month.  tenant_reached: 100 then, 80 from that percentage on, else 0. */
int64_t tenant_month(int64_t unix_ms);
void tenant_month_add(struct tenants *, struct tenant *, int64_t month, uint64_t bytes);
uint64_t tenant_month_bytes(const struct tenant *, int64_t month);
bool tenant_is_over(const struct tenant *, int64_t month);
unsigned tenant_reached(const struct tenant *, int64_t month);

/* tenant_wake: one more allocation carries data; false: as many as may.  tenant_rest: one less. */
bool tenant_wake(struct tenant *);
void tenant_rest(struct tenant *);

#endif
