/* permission.c: permissions of allocations. */
#include "turn/permission.h"

#include "base/err.h"
#include "turn/channel.h"
#include "turn/state.h"

#include <string.h>

static uint64_t permission_hash(const struct engine *engine, uint32_t allocation, const struct addr *peer)
{
    uint8_t key[sizeof allocation + sizeof peer->ip + 1];
    memcpy(key, &allocation, sizeof allocation);
    memcpy(key + sizeof allocation, peer->ip, sizeof peer->ip);
    key[sizeof key - 1] = peer->family;
    return engine_hash(engine, key, sizeof key);
}

static struct chain_of permission_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->permissions, offsetof(struct permission, links)};
}

struct permission *permission_find(const struct engine *engine, const struct allocation *allocation, const struct addr *peer, msec_t now)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->by_permission, permission_hash(engine, allocation->self.index, peer), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->by_permission, &cursor)) {
        struct permission *permission = pool_index(&engine->permissions, at);
        if (permission->allocation == allocation->self.index && addr_equal_ip(&permission->peer, peer))
            return permission->expires > now ? permission : NULL;
    }
    return NULL;
}

bool permission_is_granted(const struct engine *engine, const struct allocation *allocation, struct channel *channel, const struct addr *peer, msec_t now)
{
    const struct permission *permission = channel ? pool_at(&engine->permissions, channel->permission) : NULL;
    if (permission)
        return permission->expires > now;
    permission = permission_find(engine, allocation, peer, now);
    if (permission && channel)
        channel->permission = pool_handle(&engine->permissions, permission->index);
    return permission != NULL;
}

static void permission_drop(struct engine *engine, struct allocation *allocation, uint32_t index)
{
    const struct permission *permission = pool_index(&engine->permissions, index);
    table_drop(&engine->by_permission, permission_hash(engine, permission->allocation, &permission->peer), index);
    chain_remove(permission_chain(engine), &allocation->permission_list, index);
    pool_give(&engine->permissions, index);
    allocation->permissions--;
}

int permission_add(struct engine *engine, struct allocation *allocation, const struct addr *peer, msec_t now)
{
    const uint32_t most = allocation->limits->max_permissions;
    if (most && allocation->permissions >= most)
        return ERR_RANGE;
    struct handle self;
    struct permission *permission = pool_take(&engine->permissions, &self);
    if (!permission)
        return ERR_MEMORY;
    permission->index = self.index;
    permission->allocation = allocation->self.index;
    permission->peer = *peer;
    permission->peer.port = 0;
    permission->expires = now + (msec_t)engine->config->permission_lifetime_s * 1000;
    if (table_put(&engine->by_permission, permission_hash(engine, permission->allocation, peer), self.index) != 0) {
        pool_give(&engine->permissions, self.index);
        return ERR_MEMORY;
    }
    chain_append(permission_chain(engine), &allocation->permission_list, self.index);
    allocation->permissions++;
    wheel_bring_forward(&engine->wheel, &engine->allocations, allocation, permission->expires);
    return 0;
}

void permission_refresh(struct engine *engine, struct allocation *allocation, struct permission *permission, msec_t now)
{
    permission->expires = now + (msec_t)engine->config->permission_lifetime_s * 1000;
    chain_remove(permission_chain(engine), &allocation->permission_list, permission->index);
    chain_append(permission_chain(engine), &allocation->permission_list, permission->index);
}

void permission_drop_last(struct engine *engine, struct allocation *allocation, uint32_t count)
{
    while (count-- > 0)
        permission_drop(engine, allocation, allocation->permission_list.last);
}

void permission_reap(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const struct permission *first;
    while ((first = pool_index(&engine->permissions, allocation->permission_list.first)) && first->expires <= now)
        permission_drop(engine, allocation, allocation->permission_list.first);
}
