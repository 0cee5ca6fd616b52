/* tenancy.c: an allocation and what all workers know of its tenant: limits that change while it lives, and whether it is active.
 *
 * Active is who carried data in the last ACTIVE_MS. An idle allocation takes a unit with its first packet, where the tenant has max_active,
 * else when its usage is taken; it gives it back when it has rested, or ends.
 */
#include "turn/state.h"

#include <stddef.h>

#define ACTIVE_MS 10000
#define FOLLOW_TURN 8192 /* allocations that are looked at in a tenth of a second, when something of a tenant changed */

static uint32_t tenancy_number(uint64_t number)
{
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static struct limits tenancy_read(const struct tenant *tenant)
{
    struct tenant_limits of;
    tenant_limits(tenant, &of);
    return (struct limits){.realm_quota = tenancy_number(of.max_allocations),
                           .user_quota = tenancy_number(of.max_user_allocations),
                           .max_lifetime_s = tenancy_number(of.max_lifetime_s),
                           .max_permissions = tenancy_number(of.max_permissions),
                           .max_channels = tenancy_number(of.max_channels),
                           .max_pps = tenancy_number(of.max_pps),
                           .max_new_peers = tenancy_number(of.max_new_peers),
                           .max_bps = of.max_bps,
                           .max_user_bps = of.max_user_bps,
                           .is_strict = of.is_strict};
}

static bool tenancy_is_over(const struct engine *engine, const struct tenant *tenant, enum month_action action, msec_t now)
{
    return TENANT_LIMIT(tenant, month_action) == action && tenant_is_over(tenant, tenant_month(engine_unix_ms(engine, now)));
}

struct limits tenancy_limits(const struct engine *engine, const struct tenant *tenant, msec_t now)
{
    struct limits limits = tenancy_read(tenant);
    if (tenancy_is_over(engine, tenant, MONTH_THROTTLE, now))
        limits.max_bps = limit_strictest(limits.max_bps, THROTTLE_BPS);
    return limits;
}

int tenancy_refuse(const struct engine *engine, const struct tenant *tenant, struct shortage *shortage, msec_t now)
{
    const uint64_t most = TENANT_LIMIT(tenant, max_active), active = atomic_load_explicit(&tenant->active, memory_order_relaxed);
    const uint64_t bytes = tenant_month_bytes(tenant, tenant_month(engine_unix_ms(engine, now)));
    *shortage = (struct shortage){.reason = "tenant_disabled"};
    if (TENANT_LIMIT(tenant, is_disabled))
        return STUN_FORBIDDEN;
    *shortage = (struct shortage){"month_bytes", {(int64_t)bytes, (int64_t)TENANT_LIMIT(tenant, month_bytes)}};
    if (tenancy_is_over(engine, tenant, MONTH_DISABLE, now))
        return STUN_QUOTA;
    *shortage = (struct shortage){"max_active", {(int64_t)active, (int64_t)most}};
    return most && active >= most ? STUN_QUOTA : 0;
}

/* ---- limits that change ---- */

/* tenancy_end: why it may not go on; NULL: it may. */
static const char *tenancy_end(const struct engine *engine, const struct tenant *tenant, msec_t now)
{
    if (TENANT_LIMIT(tenant, is_disabled))
        return "tenant_disabled";
    return tenancy_is_over(engine, tenant, MONTH_DISABLE, now) ? "month_bytes" : NULL;
}

static void tenancy_follow(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const uint64_t version = atomic_load_explicit(&allocation->entry->version, memory_order_acquire);
    if (version == allocation->entry_version)
        return;
    allocation->entry_version = version;
    const char *why = tenancy_end(engine, allocation->entry, now);
    if (!why && !allocation_bound(engine, allocation, now))
        why = "out_of_memory";
    if (why)
        allocation_end(engine, allocation, why, "core", now);
    else
        allocation_shorten(engine, allocation, now);
}

void engine_follow(struct engine *engine, msec_t now)
{
    const uint64_t version = tenants_version(engine->shared.tenants);
    if (engine->followed == version && !engine->follow_at)
        return;
    if (!engine->follow_at)
        engine->followed = version;
    for (uint32_t turn = 0; turn < FOLLOW_TURN; turn++) {
        const uint32_t at = pool_next(&engine->allocations, engine->follow_at);
        if (at == POOL_NONE) {
            engine->follow_at = 0;
            return;
        }
        engine->follow_at = at + 1;
        tenancy_follow(engine, pool_index(&engine->allocations, at), now);
    }
}

/* ---- active ---- */

static struct chain_of tenancy_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->allocations, offsetof(struct allocation, active)};
}

bool tenancy_wake(struct engine *engine, struct allocation *allocation, msec_t now)
{
    if (allocation->is_active)
        return true;
    if (!tenant_wake(allocation->entry))
        return false;
    allocation->is_active = true;
    allocation->moved_at = now;
    chain_append(tenancy_chain(engine), &engine->active, allocation->self.index);
    return true;
}

void tenancy_rest(struct engine *engine, struct allocation *allocation)
{
    if (!allocation->is_active)
        return;
    allocation->is_active = false;
    chain_remove(tenancy_chain(engine), &engine->active, allocation->self.index);
    tenant_rest(allocation->entry);
}

void tenancy_moved(struct engine *engine, struct allocation *allocation, msec_t now)
{
    if (!allocation->is_active) {
        tenancy_wake(engine, allocation, now);
        return;
    }
    allocation->moved_at = now;
    chain_remove(tenancy_chain(engine), &engine->active, allocation->self.index);
    chain_append(tenancy_chain(engine), &engine->active, allocation->self.index);
}

void tenancy_sweep(struct engine *engine, msec_t now)
{
    struct allocation *allocation;
    while ((allocation = pool_index(&engine->allocations, engine->active.first)) && now - allocation->moved_at >= ACTIVE_MS)
        tenancy_rest(engine, allocation);
}

enum pace_limit tenancy_take(struct engine *engine, struct allocation *allocation, unsigned way, size_t bytes, msec_t now)
{
    if (allocation->pace->active && !tenancy_wake(engine, allocation, now))
        return PACE_ACTIVE;
    return pace_take(allocation->pace, way, bytes, now);
}

void tenancy_drop(struct allocation *allocation, enum pace_limit limit)
{
    static const enum tenant_count counts[PACE_LIMITS] = {
        [PACE_BPS] = TENANT_DROPPED_OWN,        [PACE_PPS] = TENANT_DROPPED_OWN,        [PACE_USER_BPS] = TENANT_DROPPED_OWN,
        [PACE_TENANT_BPS] = TENANT_DROPPED_BPS, [PACE_TENANT_PPS] = TENANT_DROPPED_PPS, [PACE_ACTIVE] = TENANT_DROPPED_ACTIVE,
        [PACE_SERVER_BPS] = TENANT_DROPPED_SERVER,
    };
    allocation->pace->dropped[limit]++;
    tenant_add(allocation->entry, counts[limit], 1);
}
