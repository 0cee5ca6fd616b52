/* channel.c: channel bindings of allocations. */
#include "turn/channel.h"

#include "base/err.h"
#include "turn/state.h"

#include <string.h>

static uint64_t channel_hash_number(const struct engine *engine, uint32_t allocation, uint16_t number)
{
    const uint32_t key[] = {allocation, number};
    return engine_hash(engine, key, sizeof key);
}

static uint64_t channel_hash_peer(const struct engine *engine, uint32_t allocation, const struct addr *peer)
{
    uint8_t key[sizeof allocation + ADDR_KEY_LEN];
    memcpy(key, &allocation, sizeof allocation);
    memcpy(key + sizeof allocation, peer, ADDR_KEY_LEN);
    return engine_hash(engine, key, sizeof key);
}

static struct chain_of channel_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->channels, offsetof(struct channel, links)};
}

struct channel *channel_numbered(const struct engine *engine, const struct allocation *allocation, uint16_t number, msec_t now)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->by_number, channel_hash_number(engine, allocation->self.index, number), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->by_number, &cursor)) {
        struct channel *channel = pool_index(&engine->channels, at);
        if (channel->allocation == allocation->self.index && channel->number == number)
            return channel->expires > now ? channel : NULL;
    }
    return NULL;
}

struct channel *channel_to(const struct engine *engine, const struct allocation *allocation, const struct addr *peer, msec_t now)
{
    struct table_cursor cursor;
    uint32_t at = table_first(&engine->by_peer, channel_hash_peer(engine, allocation->self.index, peer), &cursor);
    for (; at != TABLE_NONE; at = table_next(&engine->by_peer, &cursor)) {
        struct channel *channel = pool_index(&engine->channels, at);
        if (channel->allocation == allocation->self.index && addr_equal(&channel->peer, peer))
            return channel->expires > now ? channel : NULL;
    }
    return NULL;
}

static void channel_drop(struct engine *engine, struct allocation *allocation, uint32_t index)
{
    const struct channel *channel = pool_index(&engine->channels, index);
    table_drop(&engine->by_number, channel_hash_number(engine, channel->allocation, channel->number), index);
    table_drop(&engine->by_peer, channel_hash_peer(engine, channel->allocation, &channel->peer), index);
    chain_remove(channel_chain(engine), &allocation->channel_list, index);
    pool_give(&engine->channels, index);
    allocation->channels--;
}

static int channel_index_put(struct engine *engine, const struct channel *channel)
{
    const uint64_t number = channel_hash_number(engine, channel->allocation, channel->number);
    if (table_put(&engine->by_number, number, channel->index) != 0)
        return ERR_MEMORY;
    if (table_put(&engine->by_peer, channel_hash_peer(engine, channel->allocation, &channel->peer), channel->index) == 0)
        return 0;
    table_drop(&engine->by_number, number, channel->index);
    return ERR_MEMORY;
}

int channel_add(struct engine *engine, struct allocation *allocation, uint16_t number, const struct addr *peer, msec_t now)
{
    const uint32_t most = allocation->limits->max_channels;
    if (most && allocation->channels >= most)
        return ERR_RANGE;
    struct handle self;
    struct channel *channel = pool_take(&engine->channels, &self);
    if (!channel)
        return ERR_MEMORY;
    channel->index = self.index;
    channel->allocation = allocation->self.index;
    channel->number = number;
    channel->peer = *peer;
    channel->expires = now + (msec_t)engine->config->channel_lifetime_s * 1000;
    if (channel_index_put(engine, channel) != 0) {
        pool_give(&engine->channels, self.index);
        return ERR_MEMORY;
    }
    chain_append(channel_chain(engine), &allocation->channel_list, self.index);
    allocation->channels++;
    wheel_bring_forward(&engine->wheel, &engine->allocations, allocation, channel->expires);
    return 0;
}

void channel_refresh(struct engine *engine, struct allocation *allocation, struct channel *channel, msec_t now)
{
    channel->expires = now + (msec_t)engine->config->channel_lifetime_s * 1000;
    chain_remove(channel_chain(engine), &allocation->channel_list, channel->index);
    chain_append(channel_chain(engine), &allocation->channel_list, channel->index);
}

void channel_reap(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const struct channel *first;
    while ((first = pool_index(&engine->channels, allocation->channel_list.first)) && first->expires <= now)
        channel_drop(engine, allocation, allocation->channel_list.first);
}
