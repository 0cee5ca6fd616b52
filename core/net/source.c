/* source.c: connections per source. */
#include "net/source.h"

struct source {
    struct addr prefix;
    uint32_t count;
};

void sources_init(struct sources *sources, struct hash_key key, uint32_t most)
{
    sources->hash_key = key;
    sources->most = most;
    pool_init(&sources->pool, sizeof(struct source), 0);
    table_init(&sources->table);
}

void sources_close(struct sources *sources)
{
    pool_close(&sources->pool);
    table_close(&sources->table);
}

static uint64_t hash_of(const struct sources *sources, const struct addr *prefix)
{
    return table_hash(&sources->hash_key, view_of(prefix, ADDR_KEY_LEN));
}

static uint32_t find(const struct sources *sources, const struct addr *prefix, uint64_t hash)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&sources->table, hash, &cursor); at != TABLE_NONE; at = table_next(&sources->table, &cursor)) {
        const struct source *source = pool_index(&sources->pool, at);
        if (addr_equal(&source->prefix, prefix))
            return at;
    }
    return SOURCE_NONE;
}

static uint32_t add(struct sources *sources, const struct addr *prefix, uint64_t hash)
{
    struct handle handle;
    struct source *source = pool_take(&sources->pool, &handle);
    if (!source)
        return SOURCE_NONE;
    *source = (struct source){*prefix, 1};
    if (table_put(&sources->table, hash, handle.index) == 0)
        return handle.index;
    pool_give(&sources->pool, handle.index);
    return SOURCE_NONE;
}

uint32_t sources_take(struct sources *sources, const struct addr *from)
{
    const struct addr prefix = addr_source(from);
    const uint64_t hash = hash_of(sources, &prefix);
    const uint32_t at = find(sources, &prefix, hash);
    if (at == SOURCE_NONE)
        return add(sources, &prefix, hash);
    struct source *source = pool_index(&sources->pool, at);
    if (sources->most && source->count >= sources->most)
        return SOURCE_NONE;
    source->count++;
    return at;
}

void sources_give(struct sources *sources, uint32_t at)
{
    struct source *source = pool_index(&sources->pool, at);
    if (--source->count)
        return;
    table_drop(&sources->table, hash_of(sources, &source->prefix), at);
    pool_give(&sources->pool, at);
}
