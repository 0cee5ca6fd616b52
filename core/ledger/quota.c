/* quota.c: names in chains of a fixed table, guarded by stripes of locks; the total is one atomic.
 *
 * quota_take holds the locks of all its names while it looks at all limits, so nothing is ever taken and put back: a refused attempt
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

/* struct name: a tenant, a user of a tenant, or a source, that holds units. Free ones are chained by `next` from quota.free. */
struct name {
    uint64_t hash;
    uint32_t units, next;
    struct rate_pair rate; /* of a user */
};

struct quota {
    struct hash_key tenant_key, user_key, source_key;
    atomic_uint_least32_t total;
    pthread_mutex_t stripes[STRIPES]; /* bucket i belongs to stripe i % STRIPES: its chain, and the names in it */
    pthread_mutex_t free_lock;        /* taken after stripes */
    uint32_t free, free_count;
    uint32_t mask; /* buckets - 1 */
    uint32_t *buckets;
    struct name *names;
};

enum name_of { NAME_REALM, NAME_USER, NAME_SOURCE, NAMES };

/* struct hashes: of the names of a request; the first `count`: without a source two. */
struct hashes {
    uint64_t of[NAMES];
    unsigned count;
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
    crypto_random(&quota->source_key, sizeof quota->source_key);
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
static struct hashes hashes_of(const struct quota *quota, struct view tenant, struct view user)
{
    const uint64_t realm = table_digest(&quota->tenant_key, tenant);
    const struct hash_key key = {.k0 = quota->user_key.k0 ^ realm, .k1 = quota->user_key.k1};
    return (struct hashes){.of = {[NAME_REALM] = realm, [NAME_USER] = table_digest(&key, user)}, .count = NAME_SOURCE};
}

static uint64_t source_hash(const struct quota *quota, struct view source)
{
    return table_digest(&quota->source_key, source);
}

static uint32_t stripe_of(uint64_t hash)
{
    return (uint32_t)hash % STRIPES;
}

/* stripes_of: the stripes of the names, each once, in order, so that two takers never wait for each other; how many. */
static unsigned stripes_of(const struct hashes *hashes, uint32_t out[NAMES])
{
    unsigned count = 0;
    for (unsigned i = 0; i < hashes->count; i++) {
        const uint32_t stripe = stripe_of(hashes->of[i]);
        unsigned at = count;
        while (at > 0 && out[at - 1] > stripe)
            at--;
        if (at > 0 && out[at - 1] == stripe)
            continue;
        for (unsigned k = count++; k > at; k--)
            out[k] = out[k - 1];
        out[at] = stripe;
    }
    return count;
}

static void lock_names(struct quota *quota, const struct hashes *hashes)
{
    uint32_t stripes[NAMES];
    const unsigned count = stripes_of(hashes, stripes);
    for (unsigned i = 0; i < count; i++)
        pthread_mutex_lock(&quota->stripes[stripes[i]]);
}

static void unlock_names(struct quota *quota, const struct hashes *hashes)
{
    uint32_t stripes[NAMES];
    const unsigned count = stripes_of(hashes, stripes);
    for (unsigned i = 0; i < count; i++)
        pthread_mutex_unlock(&quota->stripes[stripes[i]]);
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

static enum quota_refusal take_locked(struct quota *quota, const struct quota_request *request, const struct hashes *hashes,
                                      struct quota_units *out)
{
    static const enum quota_refusal refusals[NAMES] = {QUOTA_REALM, QUOTA_USER, QUOTA_SOURCE};
    const uint32_t most[NAMES] = {request->realm_max, request->user_max, request->source_max};
    uint32_t missing = 0, slots[NAMES] = {NONE, NONE, NONE};
    for (unsigned i = 0; i < hashes->count; i++) {
        slots[i] = find(quota, hashes->of[i]);
        missing += slots[i] == NONE;
        if (is_full(units_at(quota, slots[i]), most[i]))
            return refusals[i];
    }
    if (!reserve_names(quota, missing))
        return QUOTA_FULL;
    if (!raise_total(quota, request->total_max)) {
        return_names(quota, missing);
        return QUOTA_TOTAL;
    }
    for (unsigned i = 0; i < hashes->count; i++) {
        if (slots[i] == NONE)
            slots[i] = pop_name(quota, hashes->of[i]);
        quota->names[slots[i]].units++;
    }
    *out = (struct quota_units){slots[NAME_REALM] + 1, slots[NAME_USER] + 1, slots[NAME_SOURCE] + 1}; /* NONE + 1 is 0 */
    return QUOTA_GRANTED;
}

enum quota_refusal quota_take(struct quota *quota, const struct quota_request *request, struct quota_units *out)
{
    struct hashes hashes = hashes_of(quota, request->tenant, request->user);
    if (request->source_max)
        hashes.of[hashes.count++] = source_hash(quota, request->source);
    *out = (struct quota_units){0};
    lock_names(quota, &hashes);
    const enum quota_refusal refusal = take_locked(quota, request, &hashes, out);
    unlock_names(quota, &hashes);
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
    if (!units->realm)
        return;
    /* a name that holds our unit is not freed, so its hash may be read before its lock is held */
    const uint32_t slots[NAMES] = {units->realm - 1, units->user - 1, units->source - 1};
    struct hashes hashes = {.count = units->source ? NAMES : NAME_SOURCE};
    for (unsigned i = 0; i < hashes.count; i++)
        hashes.of[i] = quota->names[slots[i]].hash;
    lock_names(quota, &hashes);
    for (unsigned i = 0; i < hashes.count; i++)
        give_name(quota, slots[i]);
    atomic_fetch_sub(&quota->total, 1);
    unlock_names(quota, &hashes);
    *units = (struct quota_units){0};
}

struct rate_pair *quota_user_rate(struct quota *quota, const struct quota_units *units)
{
    return &quota->names[units->user - 1].rate;
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
    return read_units(quota, hashes_of(quota, tenant, (struct view){0}).of[NAME_REALM]);
}

uint32_t quota_user(const struct quota *quota, struct view tenant, struct view user)
{
    return read_units(quota, hashes_of(quota, tenant, user).of[NAME_USER]);
}

uint32_t quota_source(const struct quota *quota, struct view source)
{
    return read_units(quota, source_hash(quota, source));
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
        case QUOTA_SOURCE:
            return "source_quota";
        case QUOTA_FULL:
            return "quota_table_full";
    }
    return "unknown";
}
