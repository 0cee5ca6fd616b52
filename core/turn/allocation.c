/* allocation.c: the life of an allocation, from quota to the closed event. */
#include "base/err.h"
#include "turn/channel.h"
#include "turn/event.h"
#include "turn/permission.h"
#include "turn/state.h"

#include <stdlib.h>
#include <string.h>

#define LIFETIME_DEFAULT_S 600 /* RFC 8656 section 3.2 */

_Static_assert(offsetof(struct flow, transport) + 1 == FLOW_KEY_LEN, "a 5-tuple is the first bytes of a flow");

static uint64_t allocation_hash(const struct engine *engine, const struct flow *flow)
{
    return engine_hash(engine, flow, FLOW_KEY_LEN);
}

struct allocation *allocation_find(const struct engine *engine, const struct flow *flow)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->by_flow, allocation_hash(engine, flow), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->by_flow, &cursor)) {
        struct allocation *allocation = pool_index(&engine->allocations, at);
        if (flow_equal(&allocation->flow, flow) || (allocation->next && flow_equal(allocation->next, flow)))
            return allocation;
    }
    return NULL;
}

uint32_t allocation_lifetime(const struct engine *engine, const struct limits *limits, uint32_t lifetime_s)
{
    const uint32_t max = limit_strictest_count(engine->config->max_lifetime_s, limits->max_lifetime_s);
    const uint32_t wanted = lifetime_s > LIFETIME_DEFAULT_S ? lifetime_s : LIFETIME_DEFAULT_S;
    return limit_strictest_count(wanted, max);
}

static msec_t allocation_due(const struct engine *engine, const struct allocation *allocation)
{
    msec_t due = allocation->expires;
    const struct permission *permission = pool_index(&engine->permissions, allocation->permission_list.first);
    if (permission && permission->expires < due)
        due = permission->expires;
    const struct channel *channel = pool_index(&engine->channels, allocation->channel_list.first);
    if (channel && channel->expires < due)
        due = channel->expires;
    return due;
}

/* allocation_key_end: when its key expires, if it ends with it; else never. */
static msec_t allocation_key_end(const struct engine *engine, const struct allocation *allocation, msec_t now)
{
    if (!allocation->limits->is_strict || !allocation->key_expires_unix_s)
        return INT64_MAX;
    return now + allocation->key_expires_unix_s * 1000 - engine_unix_ms(engine, now);
}

/* allocation_until: whole seconds are granted; of a lifetime that the key cuts off the rest of the last one is the client's, too. */
static msec_t allocation_until(const struct engine *engine, const struct allocation *allocation, uint32_t lifetime_s, msec_t now)
{
    const msec_t until = now + (msec_t)lifetime_s * 1000, end = allocation_key_end(engine, allocation, now);
    return end > until && end - until < 1000 ? end : until;
}

void allocation_expire(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const bool is_over = allocation_key_end(engine, allocation, now) <= now;
    allocation_end(engine, allocation, is_over ? "credential_expired" : "expired", "core", now);
}

void allocation_extend(struct engine *engine, struct allocation *allocation, uint32_t lifetime_s, msec_t now)
{
    allocation->expires = allocation_until(engine, allocation, lifetime_s, now);
    wheel_bring_forward(&engine->wheel, &engine->allocations, allocation, allocation_due(engine, allocation));
}

void allocation_look(struct engine *engine, struct allocation *allocation, msec_t now)
{
    permission_reap(engine, allocation, now);
    channel_reap(engine, allocation, now);
    wheel_put(&engine->wheel, &engine->allocations, allocation, allocation_due(engine, allocation));
    if (allocation->expires <= now)
        allocation_expire(engine, allocation, now);
}

struct chain_of allocation_moved_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->allocations, offsetof(struct allocation, moved)};
}

void allocation_move(struct engine *engine, struct allocation *allocation)
{
    if (allocation->has_moved)
        return;
    allocation->has_moved = true;
    chain_append(allocation_moved_chain(engine), &engine->moved, allocation->self.index);
}

void allocation_count(struct engine *engine, struct allocation *allocation, bool in, size_t bytes)
{
    *(in ? &allocation->usage.bytes_in : &allocation->usage.bytes_out) += bytes;
    *(in ? &allocation->usage.packets_in : &allocation->usage.packets_out) += 1;
    *(in ? &engine->counts.relayed_in : &engine->counts.relayed_out) += 1;
    allocation_move(engine, allocation);
}

static const char *allocation_name(char **to, struct view name)
{
    char *at = *to;
    view_copy(name, at, name.len + 1);
    *to += name.len + 1;
    return at;
}

/* struct names: the texts lie behind it, or behind the metering, if there is one. */
struct names {
    struct metering *metering;
};

const struct metering *allocation_metering(const struct allocation *allocation)
{
    return allocation->names->metering;
}

static bool allocation_names(struct allocation *allocation, const struct opening *opening)
{
    const struct view tenant = view_text(opening->tenant), user = view_text(opening->user), realm = view_text(opening->realm);
    const struct view sni = view_text(opening->flow->sni), alpn = view_text(opening->flow->alpn);
    const size_t head = sizeof(struct names) + (opening->metering ? sizeof *opening->metering : 0);
    const struct view tags = view_text(opening->tags), group = view_text(opening->group);
    const size_t texts = tenant.len + user.len + realm.len + opening->username.len + sni.len + alpn.len + tags.len + group.len + 8;
    struct names *names = malloc(head + texts);
    if (!names)
        return false;
    char *to = (char *)names + head;
    names->metering = opening->metering ? (struct metering *)(void *)(names + 1) : NULL;
    if (names->metering)
        *names->metering = *opening->metering;
    allocation->names = names;
    allocation->flow.sni = allocation_name(&to, sni);
    allocation->flow.alpn = allocation_name(&to, alpn);
    allocation->tenant = allocation_name(&to, tenant);
    allocation->user = allocation_name(&to, user);
    allocation->realm = allocation_name(&to, realm);
    allocation->username = allocation_name(&to, opening->username);
    allocation->tags = allocation_name(&to, tags);
    allocation->group_name = allocation_name(&to, group);
    return true;
}

int allocation_rename(struct allocation *allocation, struct view username)
{
    const struct flow flow = allocation->flow;
    const struct opening same = {.flow = &flow,
                                 .metering = allocation->names->metering,
                                 .tenant = allocation->tenant,
                                 .user = allocation->user,
                                 .realm = allocation->realm,
                                 .tags = allocation->tags,
                                 .group = allocation->group_name,
                                 .username = username};
    struct names *before = allocation->names;
    if (view_equal(view_text(allocation->username), username))
        return 0;
    if (!allocation_names(allocation, &same)) {
        allocation->names = before;
        return ERR_MEMORY;
    }
    free(before);
    return 0;
}

/* allocation_group: the group's number: never one that means something else. */
static uint64_t allocation_group(const struct engine *engine, const struct opening *opening)
{
    if (!opening->group[0])
        return GROUP_OPEN;
    const uint64_t digest = engine_digest(engine, opening->tenant, opening->group);
    return digest > GROUP_OPEN ? digest : digest + 2;
}

/* allocation_rare: false without memory. */
static bool allocation_rare(struct allocation *allocation, const struct opening *opening)
{
    if (!opening->has_additional && !opening->is_mobile && opening->want != PORTS_PAIR && opening->protocol != PROTOCOL_TCP)
        return true;
    allocation->rare = calloc(1, sizeof *allocation->rare);
    if (!allocation->rare)
        return false;
    allocation->rare->other.sock = -1;
    chain_init(&allocation->rare->tcp_peers);
    return true;
}

/* allocation_pace: the user's last allocation says how much all of his may relay. False without memory. */
static bool allocation_pace(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const struct limits *limits = allocation->limits;
    struct tenant *tenant = allocation->entry;
    struct rate_pair *user = quota_user_rate(engine->shared.quota, &allocation->units);
    struct rate_pair *shared[PACE_LIMITS - PACE_SHARED] = {user, &tenant->bps, &tenant->pps, engine->shared.server};
    const uint64_t active = TENANT_LIMIT(tenant, max_active);
    bool is_paced = limits->max_bps || limits->max_pps || limits->max_new_peers || active;
    atomic_store_explicit(&user->most, limits->max_user_bps, memory_order_relaxed);
    for (size_t i = 0; i < PACE_LIMITS - PACE_SHARED; i++) {
        if (shared[i] && !atomic_load_explicit(&shared[i]->most, memory_order_relaxed))
            shared[i] = NULL;
        is_paced |= shared[i] != NULL;
    }
    const bool is_new = is_paced && !allocation->pace;
    if (is_new && !(allocation->pace = pace_new()))
        return false;
    if (!allocation->pace)
        return true;
    struct pace *pace = allocation->pace;
    pace->bps = limits->max_bps;
    pace->pps = limits->max_pps;
    pace->new_peers = limits->max_new_peers;
    pace->active = active;
    memcpy(pace->shared, shared, sizeof shared);
    if (is_new)
        pace_fill(pace, now);
    return true;
}

bool allocation_bound(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const struct limits tenant = tenancy_limits(engine, allocation->entry, now);
    struct limits limits = *allocation->granted;
    limits_tighten(&limits, &tenant);
    limits.max_bps = limit_strictest(limits.max_bps, allocation->said_bps);
    const struct limits *bounds = bounds_take(&engine->bounds, &limits);
    if (!bounds)
        return false;
    bounds_give(&engine->bounds, allocation->limits);
    allocation->limits = bounds;
    return allocation_pace(engine, allocation, now);
}

/* allocation_grant: what was authorized, within what the configuration says of every allocation. False without memory. */
static bool allocation_grant(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now)
{
    const struct engine_config *config = engine->config;
    struct limits limits = opening->limits;
    limits_tighten(&limits, &(struct limits){.max_permissions = config->max_permissions,
                                             .max_channels = config->max_channels,
                                             .max_pps = config->max_pps,
                                             .max_new_peers = config->max_new_peers,
                                             .max_user_bps = config->max_user_bps});
    allocation->granted = bounds_take(&engine->bounds, &limits);
    return allocation->granted && allocation_bound(engine, allocation, now);
}

static void allocation_cut(struct engine *engine, struct allocation *allocation, msec_t until)
{
    if (until >= allocation->expires)
        return;
    allocation->expires = until;
    wheel_bring_forward(&engine->wheel, &engine->allocations, allocation, allocation_due(engine, allocation));
}

void allocation_shorten(struct engine *engine, struct allocation *allocation, msec_t now)
{
    allocation_cut(engine, allocation, allocation_key_end(engine, allocation, now));
}

static void allocation_fill(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now)
{
    allocation->id = engine_id(engine, now);
    allocation->flow = *opening->flow;
    allocation->protocol = opening->protocol;
    allocation->sock = -1;
    allocation->created = now;
    allocation->created_unix_ms = engine_unix_ms(engine, now);
    allocation->key_expires_unix_s = opening->key_expires_unix_s;
    allocation->expires = now + (msec_t)opening->lifetime_s * 1000;
    allocation->key = opening->key;
    allocation->on_expiry = opening->on_expiry;
    allocation->is_minted = opening->is_minted;
    allocation->group = allocation_group(engine, opening);
    allocation->is_mobile = opening->is_mobile;
    memcpy(allocation->tid, opening->tid, STUN_TID_LEN);
    bucket_fill(&allocation->errors, PEER_ERRORS_BPS, now);
    chain_init(&allocation->permission_list);
    chain_init(&allocation->channel_list);
}

/* quota_measure: what was held when the limit said no, or a moment later. */
static struct gauge quota_measure(const struct quota *quota, const struct quota_request *request, enum quota_refusal refusal)
{
    switch (refusal) {
        case QUOTA_TOTAL:
            return (struct gauge){quota_total(quota), request->total_max};
        case QUOTA_REALM:
            return (struct gauge){quota_realm(quota, request->tenant), request->realm_max};
        case QUOTA_USER:
            return (struct gauge){quota_user(quota, request->tenant, request->user), request->user_max};
        case QUOTA_SOURCE:
            return (struct gauge){quota_source(quota, request->source), request->source_max};
        default:
            return (struct gauge){0};
    }
}

/* allocation_quota: a unit each of all, the tenant and the user. 0, or STUN_QUOTA or STUN_CAPACITY. */
static int allocation_quota(struct engine *engine, const struct opening *opening, const struct limits *limits, struct quota_units *units,
                            struct shortage *shortage)
{
    const struct addr source = addr_source(&opening->flow->client);
    const struct quota_request request = {
        .tenant = view_text(opening->tenant),
        .user = view_text(opening->user),
        .source = view_of(&source, ADDR_KEY_LEN),
        .source_max = engine->config->source_quota,
        .total_max = limit_strictest_count(engine->config->total_quota, limits->total_quota),
        .realm_max = limits->realm_quota,
        .user_max = limit_strictest_count(engine->config->user_quota, limits->user_quota),
    };
    const enum quota_refusal refusal = quota_take(engine->shared.quota, &request, units);
    *shortage = (struct shortage){quota_refusal_name(refusal), {0}};
    if (refusal == QUOTA_GRANTED)
        return 0;
    shortage->measure = quota_measure(engine->shared.quota, &request, refusal);
    return refusal == QUOTA_FULL ? STUN_CAPACITY : STUN_QUOTA;
}

/* struct reservation: what is taken for an allocation before there is one. */
struct reservation {
    struct tenant *entry;
    uint64_t version; /* of its limits, from before they were looked at */
    struct quota_units units;
};

static void allocation_unreserve(struct engine *engine, struct reservation *reservation)
{
    quota_give(engine->shared.quota, &reservation->units);
    if (reservation->entry)
        tenants_give(engine->shared.tenants, reservation->entry);
}

/* allocation_reserve: 0, or a code, and nothing is taken. */
static int allocation_reserve(struct engine *engine, const struct opening *opening, msec_t now, struct reservation *out, struct shortage *shortage)
{
    struct limits limits = opening->limits;
    *out = (struct reservation){.entry = tenants_take(engine->shared.tenants, view_text(*opening->tenant ? opening->tenant : opening->realm))};
    *shortage = (struct shortage){"quota_table_full", {0}};
    if (!out->entry)
        return STUN_CAPACITY;
    out->version = atomic_load_explicit(&out->entry->version, memory_order_acquire);
    const struct limits tenant = tenancy_limits(engine, out->entry, now);
    limits_tighten(&limits, &tenant);
    int code = tenancy_refuse(engine, out->entry, shortage, now);
    if (!code)
        code = allocation_quota(engine, opening, &limits, &out->units, shortage);
    if (code)
        allocation_unreserve(engine, out);
    return code;
}

/* allocation_furnish: all that an allocation has but its quotas. 0 or STUN_CAPACITY. */
static int allocation_furnish(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now,
                              struct shortage *shortage)
{
    const uint32_t flow_index = allocation->self.index;
    shortage->reason = "out_of_memory";
    if (!allocation_names(allocation, opening) || !allocation_rare(allocation, opening) || !allocation_grant(engine, allocation, opening, now) ||
        table_put(&engine->by_flow, allocation_hash(engine, opening->flow), flow_index) != 0)
        return STUN_CAPACITY;
    const uint32_t most_s = allocation->limits->max_lifetime_s;
    allocation->expires = allocation_until(engine, allocation, opening->lifetime_s, now);
    allocation_cut(engine, allocation, most_s ? now + (msec_t)most_s * 1000 : INT64_MAX);
    allocation_shorten(engine, allocation, now);
    return relayed_open(engine, allocation, opening, now, shortage);
}

int allocation_open(struct engine *engine, const struct opening *opening, msec_t now, struct allocation **out, struct shortage *shortage)
{
    struct reservation reservation;
    int code = allocation_reserve(engine, opening, now, &reservation, shortage);
    if (code)
        return code;

    struct handle self;
    struct allocation *allocation = pool_take(&engine->allocations, &self);
    if (!allocation) {
        allocation_unreserve(engine, &reservation);
        *shortage = (struct shortage){"max_allocations", {engine->allocations.live, engine->allocations.limit}};
        return STUN_CAPACITY;
    }
    allocation->self = self;
    allocation->units = reservation.units;
    allocation->entry = reservation.entry;
    allocation->entry_version = reservation.version;
    allocation_fill(engine, allocation, opening, now);
    wheel_put(&engine->wheel, &engine->allocations, allocation, allocation->expires);
    code = allocation_furnish(engine, allocation, opening, now, shortage);
    if (code) {
        allocation_discard(engine, allocation);
        return code;
    }
    engine->host->hold(engine->host->ctx, &allocation->flow, true);
    *out = allocation;
    return 0;
}

void allocation_discard(struct engine *engine, struct allocation *allocation)
{
    tcp_peer_drop_all(engine, allocation, ADDR_NONE);
    relayed_close(engine, allocation);
    permission_reap(engine, allocation, INT64_MAX);
    channel_reap(engine, allocation, INT64_MAX);
    wheel_remove(&engine->wheel, &engine->allocations, allocation);
    if (allocation->has_moved)
        chain_remove(allocation_moved_chain(engine), &engine->moved, allocation->self.index);
    table_drop(&engine->by_flow, allocation_hash(engine, &allocation->flow), allocation->self.index);
    if (allocation->next)
        table_drop(&engine->by_flow, allocation_hash(engine, allocation->next), allocation->self.index);
    tenancy_rest(engine, allocation);
    quota_give(engine->shared.quota, &allocation->units);
    tenants_give(engine->shared.tenants, allocation->entry);
    crypto_wipe(&allocation->key, sizeof allocation->key);
    free(allocation->next);
    free(allocation->names);
    free(allocation->rare);
    bounds_give(&engine->bounds, allocation->limits);
    bounds_give(&engine->bounds, allocation->granted);
    pace_free(allocation->pace);
    pool_give(&engine->allocations, allocation->self.index);
}

void allocation_end(struct engine *engine, struct allocation *allocation, const char *reason, const char *by, msec_t now)
{
    engine->counts.closed++;
    event_closed(engine, allocation, reason, by, now);
    if (!allocation->is_adrift)
        engine->host->hold(engine->host->ctx, &allocation->flow, false);
    if (allocation->next)
        engine->host->hold(engine->host->ctx, allocation->next, false);
    allocation_discard(engine, allocation);
}
