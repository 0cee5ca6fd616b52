/* flight.c: who shares what is under way. */
#include "policy/flight.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct flight {
    char *key;
    uint64_t hash;
    void *errand;        /* the world's name for it */
    struct handle first; /* of those that wait */
    bool has_landed;
};

void flights_init(struct policy *policy)
{
    pool_init(&policy->flights, sizeof(struct flight), 0);
    table_init(&policy->flights_by_key);
}

void flights_close(struct policy *policy)
{
    table_close(&policy->flights_by_key);
    pool_close(&policy->flights);
}

static void end(struct policy *policy, struct handle handle)
{
    struct flight *flight = pool_at(&policy->flights, handle);
    if (flight->key)
        table_drop(&policy->flights_by_key, flight->hash, handle.index);
    free(flight->key);
    pool_give(&policy->flights, handle.index);
}

static uint64_t hash_of(const struct policy *policy, const char *key)
{
    return table_hash(&policy->config->hash_key, view_text(key));
}

/* find: one that is under way, with this key; {0} if there is none. */
static struct handle find(const struct policy *policy, const char *key)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&policy->flights_by_key, hash_of(policy, key), &cursor); at != TABLE_NONE;
         at = table_next(&policy->flights_by_key, &cursor)) {
        const struct flight *flight = pool_index(&policy->flights, at);
        if (strcmp(flight->key, key) == 0 && !flight->has_landed)
            return pool_handle(&policy->flights, at);
    }
    return (struct handle){0};
}

/* start: 0 and *out, or an error. */
static int start(struct policy *policy, const struct flight_plan *plan, struct handle *out)
{
    struct flight *flight = pool_take(&policy->flights, out);
    if (!flight)
        return ERR_MEMORY;
    if (plan->key) {
        flight->hash = hash_of(policy, plan->key);
        flight->key = strdup(plan->key);
        if (flight->key && table_put(&policy->flights_by_key, flight->hash, out->index) != 0) {
            free(flight->key);
            flight->key = NULL;
        }
    }
    const int err = plan->key && !flight->key ? ERR_MEMORY : plan->begin(policy, *out, plan->wish, &flight->errand);
    if (err)
        end(policy, *out);
    return err;
}

int flight_join(struct policy *policy, struct handle waiter, const struct flight_plan *plan)
{
    struct handle handle = plan->key ? find(policy, plan->key) : (struct handle){0};
    const int err = handle.generation ? 0 : start(policy, plan, &handle);
    if (err)
        return err;
    struct flight *flight = pool_at(&policy->flights, handle);
    struct pending *pending = pool_at(&policy->pending, waiter);
    pending->flight = handle;
    pending->sharing = flight->first;
    flight->first = waiter;
    return 0;
}

void flight_leave(struct policy *policy, struct handle waiter)
{
    struct pending *pending = pool_at(&policy->pending, waiter);
    const struct handle handle = pending->flight;
    struct flight *flight = pool_at(&policy->flights, handle);
    if (!flight)
        return;
    struct handle *link = &flight->first;
    for (struct pending *each; (each = pool_at(&policy->pending, *link)) && each != pending;)
        link = &each->sharing;
    *link = pending->sharing;
    pending->flight = pending->sharing = (struct handle){0};
    if (flight->first.generation || flight->has_landed)
        return;
    policy->world.cancel(policy->world.ctx, flight->errand);
    end(policy, handle);
}

void flight_land(struct policy *policy, struct handle handle, const void *answer)
{
    struct flight *flight = pool_at(&policy->flights, handle);
    if (!flight)
        return;
    flight->has_landed = true;
    for (struct pending *pending; (pending = pool_at(&policy->pending, flight->first));) {
        const struct handle waiter = flight->first;
        flight->first = pending->sharing;
        pending->flight = pending->sharing = (struct handle){0};
        wait_wake(policy, waiter, answer);
        flight = pool_at(&policy->flights, handle);
    }
    end(policy, handle);
}
