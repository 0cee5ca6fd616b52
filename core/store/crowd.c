/* crowd.c: see crowd.h. */
#include "store/crowd.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000
#define GAP_MAX 5 /* minutes without a word of a tenant that holds something: more only where the clock was set */

void crowd_init(struct crowd *crowd, const struct hash_key *hash_key)
{
    *crowd = (struct crowd){.hash_key = *hash_key};
    table_init(&crowd->by_name);
}

void crowd_close(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++)
        free(crowd->tenants[i].name);
    table_close(&crowd->by_name);
    free(crowd->tenants);
    free(crowd->free);
}

static uint64_t hash_of(const struct crowd *crowd, const char *name)
{
    return table_hash(&crowd->hash_key, view_text(name));
}

static struct crowd_tenant *find(const struct crowd *crowd, const char *name)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&crowd->by_name, hash_of(crowd, name), &cursor); at != TABLE_NONE; at = table_next(&crowd->by_name, &cursor))
        if (strcmp(crowd->tenants[at].name, name) == 0)
            return &crowd->tenants[at];
    return NULL;
}

/* make_place: an index that is free, or CROWD_MAX. */
static uint32_t make_place(struct crowd *crowd)
{
    if (crowd->free_count)
        return crowd->free[crowd->free_count - 1];
    if (crowd->count == crowd->cap && crowd->cap < CROWD_MAX) {
        const uint32_t cap = crowd->cap ? 2 * crowd->cap : 16;
        void *tenants = realloc(crowd->tenants, cap * sizeof *crowd->tenants);
        if (tenants)
            crowd->tenants = tenants;
        void *places = tenants ? realloc(crowd->free, cap * sizeof *crowd->free) : NULL;
        if (!places)
            return CROWD_MAX;
        crowd->free = places;
        crowd->cap = cap;
    }
    return crowd->count < crowd->cap && crowd->count < CROWD_MAX ? crowd->count : CROWD_MAX;
}

static struct crowd_tenant *add(struct crowd *crowd, const char *name, int64_t minute)
{
    const uint32_t place = make_place(crowd);
    char *copy = place < CROWD_MAX ? strdup(name) : NULL;
    if (!copy || table_put(&crowd->by_name, hash_of(crowd, name), place)) {
        free(copy);
        return NULL;
    }
    if (place == crowd->count)
        crowd->count++;
    else
        crowd->free_count--;
    crowd->tenants[place] = (struct crowd_tenant){.name = copy, .minute = minute};
    return &crowd->tenants[place];
}

static void drop(struct crowd *crowd, struct crowd_tenant *tenant)
{
    const uint32_t place = (uint32_t)(tenant - crowd->tenants);
    table_drop(&crowd->by_name, hash_of(crowd, tenant->name), place);
    free(tenant->name);
    tenant->name = NULL;
    crowd->free[crowd->free_count++] = place;
}

/* go_on: what was held at the end of a minute was held in those that follow. What comes late counts for the minute that there is. */
static bool go_on(struct crowd_tenant *tenant, struct batch *batch, int64_t minute)
{
    bool taken = true;
    if (minute > tenant->minute + GAP_MAX)
        tenant->minute = minute - 1;
    while (tenant->minute < minute)
        taken &= batch_put_peak(batch, tenant->name, ++tenant->minute, tenant->held, 0);
    return taken;
}

bool crowd_enter(struct crowd *crowd, struct batch *batch, const char *name, int64_t at_ms)
{
    struct crowd_tenant *tenant = find(crowd, name);
    if (!tenant && !(tenant = add(crowd, name, at_ms / MINUTE_MS)))
        return false;
    const bool taken = go_on(tenant, batch, at_ms / MINUTE_MS);
    tenant->held++;
    return batch_put_peak(batch, name, tenant->minute, tenant->held, 0) && taken;
}

bool crowd_stay(struct crowd *crowd, struct batch *batch, const char *name, int64_t at_ms, int64_t active)
{
    struct crowd_tenant *tenant = find(crowd, name);
    const bool taken = !tenant || go_on(tenant, batch, at_ms / MINUTE_MS);
    return (!active || batch_put_peak(batch, name, at_ms / MINUTE_MS, 0, active)) && taken;
}

/* One who entered when there was no room leaves nothing. */
bool crowd_leave(struct crowd *crowd, struct batch *batch, const char *name, int64_t at_ms)
{
    struct crowd_tenant *tenant = find(crowd, name);
    if (!tenant)
        return true;
    const bool taken = go_on(tenant, batch, at_ms / MINUTE_MS);
    if (--tenant->held == 0)
        drop(crowd, tenant);
    return taken;
}
