/* denials.c: two rings: of clients whose address is theirs, and of others. */
#include "server/denials.h"

#include "base/crypto.h"
#include "base/pool.h"
#include "base/table.h"
#include "turn/chain.h"
#include "wire/minted.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNPROVEN_SHARE 8 /* of the places one in so many is for those whom nobody vouches for */
#define V6_SITE_LEN 8
#define DENIALS_LEAST 64 /* of a worker */

/* struct place: of a ring. */
struct place {
    struct denial denial;
    uint64_t source; /* hash of it */
    struct links links;
};

/* struct ring: the oldest is the first of the chain. */
struct ring {
    struct pool places;
    struct chain order;
    struct table by_source;
};

struct denials {
    pthread_mutex_t lock;
    struct hash_key key;
    int64_t serial;
    struct ring proven, unproven;
};

static void ring_init(struct ring *ring, uint32_t count)
{
    pool_init(&ring->places, sizeof(struct place), count);
    chain_init(&ring->order);
    table_init(&ring->by_source);
}

static void ring_close(struct ring *ring)
{
    pool_close(&ring->places);
    table_close(&ring->by_source);
}

static struct chain_of order_of(const struct ring *ring)
{
    return (struct chain_of){&ring->places, offsetof(struct place, links)};
}

struct denials *denials_new(unsigned workers)
{
    const uint32_t share = DENIALS / workers, count = share > DENIALS_LEAST ? share : DENIALS_LEAST;
    struct denials *denials = calloc(1, sizeof *denials);
    if (!denials)
        return NULL;
    pthread_mutex_init(&denials->lock, NULL);
    crypto_random(&denials->key, sizeof denials->key);
    ring_init(&denials->proven, count - count / UNPROVEN_SHARE);
    ring_init(&denials->unproven, count / UNPROVEN_SHARE);
    return denials;
}

void denials_free(struct denials *denials)
{
    if (!denials)
        return;
    ring_close(&denials->proven);
    ring_close(&denials->unproven);
    pthread_mutex_destroy(&denials->lock);
    free(denials);
}

static uint64_t source_of(const struct denials *denials, const struct addr *client)
{
    return table_digest(&denials->key, view_of(client->ip, client->family == ADDR_IPV6 ? V6_SITE_LEN : sizeof client->ip));
}

/* oldest_of: of this source, if it has its share already; else POOL_NONE. Of one source they lie in the table in no order. */
static uint32_t oldest_of(const struct ring *ring, uint64_t source)
{
    struct table_cursor cursor;
    uint32_t held = 0, oldest = POOL_NONE;
    int64_t least = INT64_MAX;
    for (uint32_t i = table_first(&ring->by_source, source, &cursor); i != TABLE_NONE; i = table_next(&ring->by_source, &cursor)) {
        const struct place *place = pool_index(&ring->places, i);
        if (place->source != source)
            continue;
        held++;
        if (place->denial.serial >= least)
            continue;
        least = place->denial.serial;
        oldest = i;
    }
    return held >= DENIALS_EACH ? oldest : POOL_NONE;
}

static void drop(struct ring *ring, uint32_t index)
{
    const struct place *place = pool_index(&ring->places, index);
    if (!place)
        return;
    table_drop(&ring->by_source, place->source, index);
    chain_remove(order_of(ring), &ring->order, index);
    pool_give(&ring->places, index);
}

/* take: a place for one more of the source; NULL without memory. */
static struct denial *take(struct ring *ring, uint64_t source)
{
    struct handle self;
    struct place *place;
    drop(ring, oldest_of(ring, source));
    place = pool_take(&ring->places, &self);
    if (!place) { /* all are taken */
        drop(ring, ring->order.first);
        place = pool_take(&ring->places, &self);
    }
    if (!place)
        return NULL;
    if (table_put(&ring->by_source, source, self.index) != 0) {
        pool_give(&ring->places, self.index);
        return NULL;
    }
    place->source = source;
    chain_append(order_of(ring), &ring->order, self.index);
    return &place->denial;
}

char *denials_name(struct view name, char *out, size_t cap)
{
    view_copy(name, out, cap);
    char *point = strncmp(out, "eyJ", 3) == 0 ? strchr(out, '.') : NULL;
    point = point ? strchr(point + 1, '.') : NULL;
    if (point)
        point[1] = 0;
    return out;
}

/* fill_minted: whom the name of a minted credential speaks of, where nothing is known. */
static void fill_minted(struct denial *denial, struct view username)
{
    struct minted minted;
    if (*denial->user || minted_parse(username, &minted) != 0)
        return;
    snprintf(denial->tenant, sizeof denial->tenant, "%s", minted.tenant);
    snprintf(denial->user, sizeof denial->user, "%s", minted_user(&minted));
}

static void fill(struct denial *denial, const struct event *event)
{
    *denial = (struct denial){
        .decision = event->decision,
        .unix_ms = event->unix_ms,
        .type = event->type,
        .code = event->code,
        .method = event->method,
        .transport = event->flow->transport,
        .hook = event->hook,
        .client = event->flow->client,
        .measure = event->measure,
    };
    if (event->peer)
        denial->peer = *event->peer;
    view_copy(view_text(event->reason), denial->reason, sizeof denial->reason);
    view_copy(view_text(event->by), denial->by, sizeof denial->by);
    view_copy(view_text(event->tenant), denial->tenant, sizeof denial->tenant);
    view_copy(view_text(event->realm), denial->realm, sizeof denial->realm);
    view_copy(view_text(event->user), denial->user, sizeof denial->user);
    denials_name(event->username, denial->username, sizeof denial->username);
    fill_minted(denial, event->username);
}

void denials_put(struct denials *denials, const struct event *event, const char *peer_kind, const char *revision)
{
    struct ring *ring = event->is_proven ? &denials->proven : &denials->unproven;
    const uint64_t source = source_of(denials, &event->flow->client);
    pthread_mutex_lock(&denials->lock);
    struct denial *denial = take(ring, source);
    if (denial) {
        fill(denial, event);
        denial->serial = ++denials->serial;
        denial->peer_kind = peer_kind;
        view_copy(view_text(revision), denial->revision, sizeof denial->revision);
    }
    pthread_mutex_unlock(&denials->lock);
}

static const struct place *newest(const struct ring *ring)
{
    return pool_index(&ring->places, ring->order.last);
}

static const struct place *older(const struct ring *ring, const struct place *place)
{
    return pool_index(&ring->places, place->links.prev);
}

/* The two rings are walked side by side, from the last one back. */
size_t denials_find(struct denials *denials, denials_fn *wants, const void *ctx, struct denial *out, size_t cap)
{
    size_t count = 0;
    pthread_mutex_lock(&denials->lock);
    const struct place *a = newest(&denials->proven), *b = newest(&denials->unproven);
    while ((a || b) && count < cap) {
        const bool first = !b || (a && a->denial.serial > b->denial.serial);
        const struct denial *denial = first ? &a->denial : &b->denial;
        if (wants(ctx, denial))
            out[count++] = *denial;
        if (first)
            a = older(&denials->proven, a);
        else
            b = older(&denials->unproven, b);
    }
    pthread_mutex_unlock(&denials->lock);
    return count;
}
