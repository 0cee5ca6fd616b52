/* bounds.c: limits of allocations, each set of them once. */
#include "turn/bounds.h"

#include <string.h>

/* struct bound: `limits` is its first member, so that who has them has it. */
struct bound {
    struct limits limits;
    uint32_t holders, index;
    uint64_t hash;
};

void bounds_init(struct bounds *bounds, const struct hash_key *key)
{
    pool_init(&bounds->kept, sizeof(struct bound), 0);
    table_init(&bounds->by_hash);
    bounds->key = *key;
}

void bounds_close(struct bounds *bounds)
{
    pool_close(&bounds->kept);
    table_close(&bounds->by_hash);
}

/* bounds_plain: without what lies between the members, so that the same limits have the same hash. */
static void bounds_plain(const struct limits *limits, struct limits *out)
{
    memset(out, 0, sizeof *out);
#define COPY(name) out->name = limits->name;
    LIMIT_NUMBERS(COPY)
#undef COPY
    out->is_strict = limits->is_strict;
    out->acl = limits->acl;
}

const struct limits *bounds_take(struct bounds *bounds, const struct limits *limits)
{
    struct limits plain;
    struct table_cursor cursor;
    struct handle self;
    bounds_plain(limits, &plain);
    const uint64_t hash = table_hash(&bounds->key, view_of(&plain, sizeof plain));
    for (uint32_t at = table_first(&bounds->by_hash, hash, &cursor); at != TABLE_NONE; at = table_next(&bounds->by_hash, &cursor)) {
        struct bound *bound = pool_index(&bounds->kept, at);
        if (bound->limits.acl != plain.acl || !limits_equal(&bound->limits, &plain))
            continue;
        bound->holders++;
        return &bound->limits;
    }
    struct bound *bound = pool_take(&bounds->kept, &self);
    if (!bound)
        return NULL;
    bound->limits = plain;
    bound->holders = 1;
    bound->index = self.index;
    bound->hash = hash;
    if (table_put(&bounds->by_hash, hash, self.index) == 0)
        return &bound->limits;
    pool_give(&bounds->kept, self.index);
    return NULL;
}

void bounds_give(struct bounds *bounds, const struct limits *limits)
{
    struct bound *bound = (struct bound *)(uintptr_t)limits; /* of the pool, where nothing is constant */
    if (!bound || --bound->holders > 0)
        return;
    table_drop(&bounds->by_hash, bound->hash, bound->index);
    pool_give(&bounds->kept, bound->index);
}
