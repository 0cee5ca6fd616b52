/* keyring.c: see keyring.h. */
#include "server/keyring.h"

#include "base/err.h"
#include "ledger/rate.h"
#include "server/api_key.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_S 1     /* Retry-After of who is too fast */
#define UNKNOWN_S 5  /* of whom nobody knows */
#define NETWORK_V6 7 /* bytes of an IPv6 address that tell sources apart: a /56 */

struct held {
    struct store_api_key key; /* without an id: the place is free */
    unsigned scopes;
    msec_t read_ms; /* when it was */
    struct rate rate;
};

struct keyring {
    struct keyring_config config;
    struct crypto *crypto;
    struct table table; /* of ids, to places in `held` */
    uint32_t next;      /* the place to use when a key has none */
    struct rate wrong[KEYRING_SOURCES];
    struct held held[KEYRING_KEYS];
};

struct keyring *keyring_new(const struct keyring_config *config)
{
    struct keyring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    ring->config = *config;
    table_init(&ring->table);
    ring->crypto = crypto_new();
    if (ring->crypto)
        return ring;
    keyring_free(ring);
    return NULL;
}

void keyring_free(struct keyring *ring)
{
    if (!ring)
        return;
    table_close(&ring->table);
    crypto_free(ring->crypto);
    free(ring);
}

/* ---- what is kept ---- */

static struct held *find_held(struct keyring *ring, struct view id)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&ring->table, table_hash(&ring->config.hash_key, id), &cursor);
    while (at != TABLE_NONE && !view_equal(view_text(ring->held[at].key.id), id))
        at = table_next(&ring->table, &cursor);
    return at == TABLE_NONE ? NULL : &ring->held[at];
}

static void drop(struct keyring *ring, struct held *held)
{
    if (*held->key.id)
        table_drop(&ring->table, table_hash(&ring->config.hash_key, view_text(held->key.id)), (uint32_t)(held - ring->held));
    *held = (struct held){0};
}

/* room_for: the next place in turn; NULL without memory. */
static struct held *room_for(struct keyring *ring, const struct store_api_key *key)
{
    struct held *held = &ring->held[ring->next];
    drop(ring, held);
    if (table_put(&ring->table, table_hash(&ring->config.hash_key, view_text(key->id)), ring->next) != 0)
        return NULL;
    ring->next = (ring->next + 1) % KEYRING_KEYS;
    return held;
}

/* keep: what was read; what was spent of its rate stays spent. */
static struct held *keep(struct keyring *ring, const struct store_api_key *key, msec_t now)
{
    struct held *held = find_held(ring, view_text(key->id));
    if (!held)
        held = room_for(ring, key);
    if (!held)
        return NULL;
    held->key = *key;
    held->read_ms = now;
    if (!api_key_scopes(key->scopes, &held->scopes))
        held->scopes = 0;
    return held;
}

void keyring_forget(struct keyring *ring, const char *id)
{
    struct held *held = find_held(ring, view_text(id));
    if (held)
        drop(ring, held);
}

/* ---- who comes ---- */

/* struct proof: what somebody shows: the name of a key, and the hash of its secret. */
struct proof {
    struct view id;
    uint8_t hash[STORE_API_KEY_HASH_LEN];
};

/* take_proof: false: the token has not the form of one. */
static bool take_proof(struct keyring *ring, const char *token, struct proof *out)
{
    struct view secret;
    return api_key_split(token, &out->id, &secret) && api_key_hash(ring->crypto, secret, out->hash) == 0;
}

static bool is_over(const struct store_api_key *key, int64_t unix_ms)
{
    return key->revoked_ms || (key->expires_ms && key->expires_ms <= unix_ms);
}

/* opens: the whole of both hashes is compared, whatever they are. */
static bool opens(const struct proof *proof, const struct store_api_key *key, int64_t unix_ms)
{
    return crypto_equal(view_of(proof->hash, sizeof proof->hash), view_of(key->hash, sizeof key->hash)) && !is_over(key, unix_ms);
}

/* read_key: from the database; what is not there has no id, and a hash that no secret has. ERR_SYSTEM: nobody knows. */
static int read_key(struct keyring *ring, struct view id, struct store_api_key *out)
{
    *out = (struct store_api_key){0};
    const int err = ring->config.find(ring->config.ctx, id, out);
    if (err == ERR_NOT_FOUND)
        crypto_random(out->hash, sizeof out->hash);
    return err == ERR_NOT_FOUND ? 0 : err;
}

static struct door_pass pass_of_unknown(void)
{
    return (struct door_pass){.status = 503, .retry_s = UNKNOWN_S, .reason = "the database cannot be read: nobody knows this key"};
}

/* source_of: sources share a place by chance: one that is busy is shared with few. */
static struct rate *source_of(struct keyring *ring, const struct addr *source)
{
    const size_t len = source->family == ADDR_IPV6 ? NETWORK_V6 : sizeof source->ip;
    return &ring->wrong[table_hash(&ring->config.hash_key, view_of(source->ip, len)) % KEYRING_SOURCES];
}

static struct door_pass pass_of_wrong(struct keyring *ring, const struct keyring_visit *visit)
{
    static const struct rate_limit limit = {KEYRING_WRONG, KEYRING_WRONG * 1000};
    if (visit->source->family != ADDR_NONE && !rate_take(source_of(ring, visit->source), limit, 1, visit->now))
        return (struct door_pass){.status = 429, .retry_s = BUSY_S, .reason = "too many wrong keys from this address"};
    return (struct door_pass){.status = 401, .reason = "no such key, or its time is over"};
}

static struct door_pass pass_of(struct keyring *ring, struct held *held, msec_t now)
{
    struct door_pass pass = {.caller.scopes = held->scopes};
    if (ring->config.rate && !rate_take(&held->rate, RATE_EACH_SECOND(ring->config.rate), 1, now))
        return (struct door_pass){.status = 429, .retry_s = BUSY_S, .reason = "too many requests with this key"};
    view_copy(view_text(held->key.tenant), pass.caller.tenant, sizeof pass.caller.tenant);
    view_copy(view_text(held->key.id), pass.caller.key, sizeof pass.caller.key);
    return pass;
}

/* pass_without: the database does not answer. */
static struct door_pass pass_without(struct keyring *ring, const struct keyring_visit *visit, const struct proof *proof)
{
    struct held *held = find_held(ring, proof->id);
    const bool is_good = held && visit->now - held->read_ms < KEYRING_GRACE_MS && opens(proof, &held->key, visit->unix_ms);
    return is_good ? pass_of(ring, held, visit->now) : pass_of_unknown();
}

/* read_anew: the key as the database has it now. */
static struct door_pass read_anew(struct keyring *ring, const struct keyring_visit *visit, const struct proof *proof)
{
    struct store_api_key key;
    struct held *held = find_held(ring, proof->id);
    if (read_key(ring, proof->id, &key) != 0)
        return pass_without(ring, visit, proof);
    const bool is_right = opens(proof, &key, visit->unix_ms);
    if (held && !*key.id)
        drop(ring, held);
    else if (held || is_right)
        held = keep(ring, &key, visit->now);
    if (!is_right)
        return pass_of_wrong(ring, visit);
    return held ? pass_of(ring, held, visit->now) : pass_of_unknown();
}

void keyring_admit(struct keyring *ring, const struct keyring_visit *visit, struct door_pass *out)
{
    struct proof proof;
    if (!take_proof(ring, visit->token, &proof)) {
        *out = pass_of_wrong(ring, visit);
        return;
    }
    struct held *held = find_held(ring, proof.id);
    const bool is_good = held && visit->now - held->read_ms < KEYRING_FRESH_MS && opens(&proof, &held->key, visit->unix_ms);
    *out = is_good ? pass_of(ring, held, visit->now) : read_anew(ring, visit, &proof);
}
