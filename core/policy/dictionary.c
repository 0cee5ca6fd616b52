/* dictionary.c: chains in shards; a list from the most to the least recently used entry. */
#include "policy/dictionary.h"

#include "base/err.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 16
#define SHARD_FROM 1024 /* below it one shard keeps the bound exact */
#define SWEEP 64        /* entries looked at for expired ones when a shard is full */

struct entry {
    uint64_t hash;
    struct entry *next;          /* in the chain */
    struct entry *newer, *older; /* by use */
    msec_t deadline;
    bool changed; /* since dictionary_changed */
    struct value value; /* a text lies behind the key */
    size_t key_len;
    uint8_t bytes[];
};

struct shard {
    pthread_mutex_t lock;
    struct entry **chains;
    struct entry *newest, *oldest;
    uint32_t mask, count, max, changed; /* changed: how many entries are */
};

struct dictionary {
    struct hash_key hash_key;
    bool evict;
    uint32_t shard_count;
    struct shard shards[SHARDS];
};

static int shard_init(struct shard *shard, uint32_t max)
{
    uint32_t size = 8;
    while (size < max)
        size *= 2;
    shard->chains = calloc(size, sizeof *shard->chains);
    if (!shard->chains)
        return ERR_MEMORY;
    shard->mask = size - 1;
    shard->max = max;
    return pthread_mutex_init(&shard->lock, NULL) ? ERR_MEMORY : 0;
}

static void shard_close(struct shard *shard)
{
    for (struct entry *entry = shard->newest, *older; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
    free(shard->chains);
    pthread_mutex_destroy(&shard->lock);
}

struct dictionary *dictionary_new(const struct hash_key *hash_key, uint32_t max, bool evict)
{
    struct dictionary *dictionary = calloc(1, sizeof *dictionary);
    if (!dictionary)
        return NULL;
    const uint32_t shards = max < SHARD_FROM ? 1 : SHARDS;
    dictionary->hash_key = *hash_key;
    dictionary->evict = evict;
    for (; dictionary->shard_count < shards; dictionary->shard_count++)
        if (shard_init(&dictionary->shards[dictionary->shard_count], max / shards)) {
            free(dictionary->shards[dictionary->shard_count].chains);
            dictionary_free(dictionary);
            return NULL;
        }
    return dictionary;
}

void dictionary_free(struct dictionary *dictionary)
{
    if (!dictionary)
        return;
    for (uint32_t i = 0; i < dictionary->shard_count; i++)
        shard_close(&dictionary->shards[i]);
    free(dictionary);
}

/* enter: the locked shard of a key. */
static struct shard *enter(struct dictionary *dictionary, struct view key, uint64_t *hash)
{
    *hash = table_hash(&dictionary->hash_key, key);
    struct shard *shard = &dictionary->shards[(*hash >> 32) % dictionary->shard_count];
    pthread_mutex_lock(&shard->lock);
    return shard;
}

static int leave(struct shard *shard, int status)
{
    pthread_mutex_unlock(&shard->lock);
    return status;
}

static void unlink_use(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void link_use(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

static void drop(struct shard *shard, struct entry *entry)
{
    struct entry **at = &shard->chains[entry->hash & shard->mask];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    unlink_use(shard, entry);
    shard->count--;
    shard->changed -= entry->changed;
    free(entry);
}

static void mark(struct shard *shard, struct entry *entry, bool changed)
{
    shard->changed += changed;
    shard->changed -= entry->changed;
    entry->changed = changed;
}

/* seek: the entry of a key, expired or not. */
static struct entry *seek(const struct shard *shard, struct view key, uint64_t hash)
{
    struct entry *entry = shard->chains[hash & shard->mask];
    while (entry && (entry->hash != hash || !view_equal(view_of(entry->bytes, entry->key_len), key)))
        entry = entry->next;
    return entry;
}

/* find: the live entry of a key, now the most recently used; an expired one is dropped. */
static struct entry *find(struct shard *shard, struct view key, uint64_t hash, msec_t now)
{
    struct entry *entry = seek(shard, key, hash);
    if (!entry)
        return NULL;
    if (entry->deadline <= now) {
        drop(shard, entry);
        return NULL;
    }
    unlink_use(shard, entry);
    link_use(shard, entry);
    return entry;
}

/* make_room: for one more. */
static bool make_room(struct shard *shard, bool evict, msec_t now)
{
    if (shard->count < shard->max)
        return true;
    struct entry *newer;
    int left = SWEEP;
    for (struct entry *entry = shard->oldest; entry && left > 0; entry = newer, left--) {
        newer = entry->newer;
        if (entry->deadline <= now) {
            drop(shard, entry);
        } else if (!evict) { /* look at others the next time */
            unlink_use(shard, entry);
            link_use(shard, entry);
        }
    }
    if (shard->count >= shard->max && evict)
        drop(shard, shard->oldest);
    return shard->count < shard->max;
}

static int insert(struct shard *shard, struct view key, uint64_t hash, const struct value *value, msec_t deadline)
{
    const size_t text = value->type == VALUE_TEXT ? value->as.text.len : 0;
    struct entry *entry = malloc(sizeof *entry + key.len + text);
    if (!entry)
        return ERR_MEMORY;
    *entry = (struct entry){.hash = hash, .deadline = deadline, .value = *value, .key_len = key.len};
    memcpy(entry->bytes, key.at, key.len);
    if (text) {
        memcpy(entry->bytes + key.len, value->as.text.at, text);
        entry->value.as.text.at = entry->bytes + key.len;
    }
    entry->next = shard->chains[hash & shard->mask];
    shard->chains[hash & shard->mask] = entry;
    link_use(shard, entry);
    shard->count++;
    mark(shard, entry, true);
    return 0;
}

/* replace: `entry` (or nothing) by a new value. */
static int replace(struct dictionary *dictionary, struct shard *shard, struct entry *entry, struct view key, uint64_t hash,
                   const struct value *value, msec_t deadline, msec_t now)
{
    if (!entry && !make_room(shard, dictionary->evict, now))
        return ERR_MEMORY;
    const int status = insert(shard, key, hash, value, deadline);
    if (!status && entry)
        drop(shard, entry);
    return status;
}

static bool same_value(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
        case VALUE_INTEGER:
            return a->as.integer == b->as.integer;
        case VALUE_NUMBER:
            return a->as.number == b->as.number;
        case VALUE_BOOLEAN:
            return a->as.boolean == b->as.boolean;
        case VALUE_TEXT:
            return view_equal(a->as.text, b->as.text);
        default:
            return true;
    }
}

/* copy_value: of an entry (NULL: there is none), a text to `text`. */
static struct value copy_value(const struct entry *entry, uint8_t *text)
{
    struct value value = entry ? entry->value : (struct value){0};
    if (value.type == VALUE_TEXT) {
        memcpy(text, value.as.text.at, value.as.text.len);
        value.as.text.at = text;
    }
    return value;
}

struct value dictionary_get(struct dictionary *dictionary, struct view key, msec_t now, uint8_t *text)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    const struct value value = copy_value(find(shard, key, hash, now), text);
    leave(shard, 0);
    return value;
}

struct value dictionary_peek(struct dictionary *dictionary, struct view key, msec_t now, uint8_t *text)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    const struct entry *entry = seek(shard, key, hash);
    const struct value value = copy_value(entry && entry->deadline > now ? entry : NULL, text);
    leave(shard, 0);
    return value;
}

uint64_t dictionary_count(struct dictionary *dictionary)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < dictionary->shard_count; i++) {
        pthread_mutex_lock(&dictionary->shards[i].lock);
        count += dictionary->shards[i].count;
        pthread_mutex_unlock(&dictionary->shards[i].lock);
    }
    return count;
}

int dictionary_set(struct dictionary *dictionary, struct view key, const struct value *value, msec_t deadline, msec_t now)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    return leave(shard, replace(dictionary, shard, find(shard, key, hash, now), key, hash, value, deadline, now));
}

int dictionary_swap(struct dictionary *dictionary, struct view key, const struct value *old, const struct value *value, msec_t deadline,
                    msec_t now)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    struct entry *entry = find(shard, key, hash, now);
    if (!same_value(entry ? &entry->value : &(struct value){0}, old))
        return leave(shard, ERR_DENIED);
    return leave(shard, replace(dictionary, shard, entry, key, hash, value, deadline, now));
}

int dictionary_add(struct dictionary *dictionary, struct view key, const struct value *value, msec_t deadline, msec_t now)
{
    const int status = dictionary_swap(dictionary, key, &(struct value){0}, value, deadline, now);
    return status == ERR_DENIED ? ERR_EXISTS : status;
}

int dictionary_increase(struct dictionary *dictionary, struct view key, int64_t n, int64_t init, msec_t deadline, msec_t now, int64_t *out)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    struct entry *entry = find(shard, key, hash, now);
    if (entry && entry->value.type != VALUE_INTEGER)
        return leave(shard, ERR_BAD);
    *out = (int64_t)((uint64_t)(entry ? entry->value.as.integer : init) + (uint64_t)n); /* wraps as Lua's integers do */
    if (entry) {
        entry->value.as.integer = *out;
        mark(shard, entry, true);
        return leave(shard, 0);
    }
    const struct value value = {.type = VALUE_INTEGER, .as.integer = *out};
    return leave(shard, replace(dictionary, shard, NULL, key, hash, &value, deadline, now));
}

int dictionary_take(struct dictionary *dictionary, struct view key, int64_t most, msec_t now)
{
    static const struct value first = {.type = VALUE_INTEGER, .as.integer = 1};
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    struct entry *entry = find(shard, key, hash, now);
    if (!entry)
        return leave(shard, replace(dictionary, shard, NULL, key, hash, &first, DEADLINE_NEVER, now));
    if (entry->value.as.integer >= most)
        return leave(shard, ERR_BUSY);
    entry->value.as.integer++;
    return leave(shard, 0);
}

void dictionary_give(struct dictionary *dictionary, struct view key, msec_t now)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    struct entry *entry = find(shard, key, hash, now);
    if (entry && --entry->value.as.integer == 0)
        drop(shard, entry);
    leave(shard, 0);
}

/* What was used last is looked at first. */
void dictionary_changed(struct dictionary *dictionary, dictionary_fn *each, void *ctx)
{
    for (uint32_t i = 0; i < dictionary->shard_count; i++) {
        struct shard *shard = &dictionary->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (struct entry *entry = shard->newest; entry && shard->changed; entry = entry->older)
            if (entry->changed) {
                each(ctx, view_of(entry->bytes, entry->key_len), &entry->value, entry->deadline);
                mark(shard, entry, false);
            }
        pthread_mutex_unlock(&shard->lock);
    }
}

bool dictionary_delete(struct dictionary *dictionary, struct view key, msec_t now)
{
    uint64_t hash;
    struct shard *shard = enter(dictionary, key, &hash);
    struct entry *entry = find(shard, key, hash, now);
    if (entry)
        drop(shard, entry);
    leave(shard, 0);
    return entry != NULL;
}
