/* quota.c: names in chains of a fixed table, guarded by stripes of locks; the total is one atomic.
 *
 * quota_take holds the locks of both its names while it looks at all three limits, so nothing is ever taken and put back: a refused attempt
 * is never seen by another. The total is raised last, by compare and swap, as takers of other names hold other locks.
 */
#include "ledger/quota.h"

#include "base/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define STRIPES 64u
#define NONE UINT32_MAX
#define NAMES_MAX (UINT32_C(1) << 30)

/* struct name: a tenant, or a user of a tenant, that holds units. Free ones are chained by `next` from quota.free. */
struct name {
    uint64_t hash;
    uint32_t units, next;
    struct rate_pair rate; /* of a user */
};

struct quota {
    struct hash_key tenant_key, user_key;
    atomic_uint_least32_t total;
    pthread_mutex_t stripes[STRIPES]; /* bucket i belongs to stripe i % STRIPES: its chain, and the names in it */
    pthread_mutex_t free_lock;        /* taken after stripes */
    uint32_t free, free_count;
    uint32_t mask; /* buckets - 1 */
    uint32_t *buckets;
    struct name *names;
};

/* struct pair: the two names of a request: its realm and its user. */
struct pair {
    uint64_t realm, user;
};

static uint32_t bucket_count(uint32_t names)
{
    uint32_t count = STRIPES;
    while (count < names)
        count *= 2;
    return count;
}

static void make_free(struct quota *quota, uint32_t names)
{
    for (uint32_t i = 0; i <= quota->mask; i++)
        quota->buckets[i] = NONE;
    for (uint32_t i = 0; i < names; i++)
        quota->names[i].next = i + 1 < names ? i + 1 : NONE;
    quota->free = names ? 0 : NONE;
    quota->free_count = names;
}

struct quota *quota_new(uint32_t names)
{
    assert(names <= NAMES_MAX);
    struct quota *quota = calloc(1, sizeof *quota);
    if (!quota)
        return NULL;
    const uint32_t buckets = bucket_count(names);
    quota->mask = buckets - 1;
    quota->buckets = calloc(buckets, sizeof *quota->buckets);
    quota->names = calloc((size_t)names + 1, sizeof *quota->names);
    for (uint32_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&quota->stripes[i], NULL);
    pthread_mutex_init(&quota->free_lock, NULL);
    if (!quota->buckets || !quota->names) {
        quota_free(quota);
        return NULL;
    }
    make_free(quota, names);
    crypto_random(&quota->tenant_key, sizeof quota->tenant_key);
    crypto_random(&quota->user_key, sizeof quota->user_key);
    return quota;
}

void quota_free(struct quota *quota)
{
    if (!quota)
        return;
    for (uint32_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&quota->stripes[i]);
    pthread_mutex_destroy(&quota->free_lock);
    free(quota->buckets);
    free(quota->names);
    free(quota);
}

/* The tenant's hash is part of the key under which its users are hashed: ("a", "bc") and ("ab", "c") are two users. */
static struct pair pair_of(const struct quota *quota, struct view tenant, struct view user)
{
    const uint64_t realm = table_digest(&quota->tenant_key, tenant);
    const struct hash_key key = {.k0 = quota->user_key.k0 ^ realm, .k1 = quota->user_key.k1};
    return (struct pair){.realm = realm, .user = table_digest(&key, user)};
}

static uint32_t stripe_of(uint64_t hash)
{
    return (uint32_t)hash % STRIPES;
}

/* Both stripes, the lower one first, so that two takers never wait for each other. */
static void lock_pair(struct quota *quota, const struct pair *pair)
{
    const uint32_t a = stripe_of(pair->realm), b = stripe_of(pair->user);
    pthread_mutex_lock(&quota->stripes[a < b ? a : b]);
    if (a != b)
        pthread_mutex_lock(&quota->stripes[a < b ? b : a]);
}

static void unlock_pair(struct quota *quota, const struct pair *pair)
{
    const uint32_t a = stripe_of(pair->realm), b = stripe_of(pair->user);
    pthread_mutex_unlock(&quota->stripes[a]);
    if (a != b)
        pthread_mutex_unlock(&quota->stripes[b]);
}

static uint32_t find(const struct quota *quota, uint64_t hash)
{
    uint32_t at = quota->buckets[hash & quota->mask];
    while (at != NONE && quota->names[at].hash != hash)
        at = quota->names[at].next;
    return at;
}

static uint32_t units_at(const struct quota *quota, uint32_t at)
{
    return at == NONE ? 0 : quota->names[at].units;
}

static bool is_full(uint32_t units, uint32_t max)
{
    return max && units >= max;
}

/* reserve_names: `count` free names belong to the caller, who pops them with pop_name. */
static bool reserve_names(struct quota *quota, uint32_t count)
{
    pthread_mutex_lock(&quota->free_lock);
    const bool enough = quota->free_count >= count;
    if (enough)
        quota->free_count -= count;
    pthread_mutex_unlock(&quota->free_lock);
    return enough;
}

static void return_names(struct quota *quota, uint32_t count)
{
    pthread_mutex_lock(&quota->free_lock);
    quota->free_count += count;
    pthread_mutex_unlock(&quota->free_lock);
}

static uint32_t pop_name(struct quota *quota, uint64_t hash)
{
    pthread_mutex_lock(&quota->free_lock);
    const uint32_t at = quota->free;
    assert(at != NONE);
    quota->free = quota->names[at].next;
    pthread_mutex_unlock(&quota->free_lock);
    uint32_t *head = &quota->buckets[hash & quota->mask];
    quota->names[at] = (struct name){.hash = hash, .next = *head};
    *head = at;
    return at;
}

static void drop_name(struct quota *quota, uint32_t at)
{
    uint32_t *link = &quota->buckets[quota->names[at].hash & quota->mask];
    while (*link != at)
        link = &quota->names[*link].next;
    *link = quota->names[at].next;
    pthread_mutex_lock(&quota->free_lock);
    quota->names[at].next = quota->free;
    quota->free = at;
    quota->free_count++;
    pthread_mutex_unlock(&quota->free_lock);
}

static bool raise_total(struct quota *quota, uint32_t max)
{
    uint_least32_t total = atomic_load(&quota->total);
    do {
        if (is_full((uint32_t)total, max))
            return false;
    } while (!atomic_compare_exchange_weak(&quota->total, &total, total + 1));
    return true;
}

static enum quota_refusal take_locked(struct quota *quota, const struct quota_request *request, const struct pair *pair,
                                      struct quota_units *out)
{
    uint32_t realm = find(quota, pair->realm), user = find(quota, pair->user);
    const uint32_t missing = (realm == NONE ? 1u : 0u) + (user == NONE ? 1u : 0u);
    if (is_full(units_at(quota, realm), request->realm_max))
        return QUOTA_REALM;
    if (is_full(units_at(quota, user), request->user_max))
        return QUOTA_USER;
    if (!reserve_names(quota, missing))
        return QUOTA_FULL;
    if (!raise_total(quota, request->total_max)) {
        return_names(quota, missing);
        return QUOTA_TOTAL;
    }
    if (realm == NONE)
        realm = pop_name(quota, pair->realm);
    if (user == NONE)
        user = pop_name(quota, pair->user);
    quota->names[realm].units++;
    quota->names[user].units++;
    *out = (struct quota_units){.realm_slot = realm, .user_slot = user, .taken = true};
    return QUOTA_GRANTED;
}

enum quota_refusal quota_take(struct quota *quota, const struct quota_request *request, struct quota_units *out)
{
    const struct pair pair = pair_of(quota, request->tenant, request->user);
    *out = (struct quota_units){0};
    lock_pair(quota, &pair);
    const enum quota_refusal refusal = take_locked(quota, request, &pair, out);
    unlock_pair(quota, &pair);
    return refusal;
}

static void give_name(struct quota *quota, uint32_t at)
{
    assert(quota->names[at].units > 0);
    if (--quota->names[at].units == 0)
        drop_name(quota, at);
}

void quota_give(struct quota *quota, struct quota_units *units)
{
    if (!units->taken)
        return;
    /* a name that holds our unit is not freed, so its hash may be read before its lock is held */
    const struct pair pair = {.realm = quota->names[units->realm_slot].hash, .user = quota->names[units->user_slot].hash};
    lock_pair(quota, &pair);
    give_name(quota, units->realm_slot);
    give_name(quota, units->user_slot);
    atomic_fetch_sub(&quota->total, 1);
    unlock_pair(quota, &pair);
    *units = (struct quota_units){0};
}

struct rate_pair *quota_user_rate(struct quota *quota, const struct quota_units *units)
{
    return &quota->names[units->user_slot].rate;
}

static uint32_t read_units(const struct quota *quota, uint64_t hash)
{
    pthread_mutex_t *stripe = (pthread_mutex_t *)&quota->stripes[stripe_of(hash)];
    pthread_mutex_lock(stripe);
    const uint32_t units = units_at(quota, find(quota, hash));
    pthread_mutex_unlock(stripe);
    return units;
}

uint32_t quota_total(const struct quota *quota)
{
    return (uint32_t)atomic_load(&quota->total);
}

uint32_t quota_realm(const struct quota *quota, struct view tenant)
{
    return read_units(quota, pair_of(quota, tenant, (struct view){0}).realm);
}

uint32_t quota_user(const struct quota *quota, struct view tenant, struct view user)
{
    return read_units(quota, pair_of(quota, tenant, user).user);
}

const char *quota_refusal_name(enum quota_refusal refusal)
{
    switch (refusal) {
        case QUOTA_GRANTED:
            return "granted";
        case QUOTA_TOTAL:
            return "total_quota";
        case QUOTA_REALM:
            return "realm_quota";
        case QUOTA_USER:
            return "user_quota";
        case QUOTA_FULL:
            return "quota_table_full";
    }
    return "unknown";
}
