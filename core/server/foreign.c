/* foreign.c: a table from 5-tuples to workers. */
#include "server/foreign.h"

#include "base/err.h"

struct foreign_flow {
    struct flow flow;
    unsigned owner;
};

void foreign_init(struct foreign *foreign, struct hash_key hash_key)
{
    pool_init(&foreign->flows, sizeof(struct foreign_flow), 0);
    table_init(&foreign->table);
    foreign->hash_key = hash_key;
}

void foreign_close(struct foreign *foreign)
{
    pool_close(&foreign->flows);
    table_close(&foreign->table);
}

static uint64_t hash_of(const struct foreign *foreign, const struct flow *flow)
{
    return table_hash(&foreign->hash_key, view_of(flow, FLOW_KEY_LEN));
}

static uint32_t index_of(const struct foreign *foreign, const struct flow *flow)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&foreign->table, hash_of(foreign, flow), &cursor);
    while (at != TABLE_NONE && !flow_equal(&((const struct foreign_flow *)pool_index(&foreign->flows, at))->flow, flow))
        at = table_next(&foreign->table, &cursor);
    return at;
}

bool foreign_find(const struct foreign *foreign, const struct flow *flow, unsigned *owner)
{
    const uint32_t at = index_of(foreign, flow);
    if (at == TABLE_NONE)
        return false;
    *owner = ((const struct foreign_flow *)pool_index(&foreign->flows, at))->owner;
    return true;
}

int foreign_put(struct foreign *foreign, const struct flow *flow, unsigned owner)
{
    struct handle handle;
    const uint32_t at = index_of(foreign, flow);
    struct foreign_flow *entry = at == TABLE_NONE ? pool_take(&foreign->flows, &handle) : pool_index(&foreign->flows, at);
    if (!entry)
        return ERR_MEMORY;
    *entry = (struct foreign_flow){*flow, owner};
    if (at != TABLE_NONE || table_put(&foreign->table, hash_of(foreign, flow), handle.index) == 0)
        return 0;
    pool_give(&foreign->flows, handle.index);
    return ERR_MEMORY;
}

void foreign_drop(struct foreign *foreign, const struct flow *flow, unsigned owner)
{
    const uint32_t at = index_of(foreign, flow);
    if (at == TABLE_NONE || ((const struct foreign_flow *)pool_index(&foreign->flows, at))->owner != owner)
        return;
    table_drop(&foreign->table, hash_of(foreign, flow), at);
    pool_give(&foreign->flows, at);
}
