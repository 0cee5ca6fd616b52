/* connections.c: CONNECTION-IDs in a fixed array, found by number; one lock. */
#include "ledger/connections.h"

#include "base/crypto.h"
#include "base/err.h"
#include "base/table.h"

#include <pthread.h>
#include <stdlib.h>

struct issued {
    uint32_t id; /* 0: free */
    uint32_t worker, next_free;
};

struct connections {
    pthread_mutex_t lock; /* guards all below */
    struct table by_id;   /* an id is random, so it is its own hash */
    uint32_t free;
    struct issued issued[];
};

struct connections *connections_new(uint32_t count)
{
    struct connections *connections = calloc(1, sizeof *connections + count * sizeof connections->issued[0]);
    if (!connections)
        return NULL;
    pthread_mutex_init(&connections->lock, NULL);
    table_init(&connections->by_id);
    connections->free = count ? 0 : TABLE_NONE;
    for (uint32_t i = 0; i < count; i++)
        connections->issued[i].next_free = i + 1 < count ? i + 1 : TABLE_NONE;
    return connections;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    table_close(&connections->by_id);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

static struct issued *find(struct connections *connections, uint32_t id)
{
    struct table_cursor cursor;
    const uint32_t at = id ? table_first(&connections->by_id, id, &cursor) : TABLE_NONE;
    return at == TABLE_NONE ? NULL : &connections->issued[at];
}

static uint32_t new_id(struct connections *connections)
{
    uint32_t id;
    do
        crypto_random(&id, sizeof id);
    while (id == 0 || find(connections, id));
    return id;
}

static int issue_locked(struct connections *connections, unsigned worker, uint32_t *id)
{
    const uint32_t at = connections->free;
    if (at == TABLE_NONE)
        return ERR_BUSY;
    *id = new_id(connections);
    if (table_put(&connections->by_id, *id, at))
        return ERR_BUSY;
    connections->free = connections->issued[at].next_free;
    connections->issued[at] = (struct issued){.id = *id, .worker = worker};
    return 0;
}

int connections_issue(struct connections *connections, unsigned worker, uint32_t *id)
{
    pthread_mutex_lock(&connections->lock);
    const int err = issue_locked(connections, worker, id);
    pthread_mutex_unlock(&connections->lock);
    return err;
}

void connections_forget(struct connections *connections, uint32_t id)
{
    pthread_mutex_lock(&connections->lock);
    struct issued *issued = find(connections, id);
    if (issued) {
        const uint32_t at = (uint32_t)(issued - connections->issued);
        table_drop(&connections->by_id, id, at);
        *issued = (struct issued){.next_free = connections->free};
        connections->free = at;
    }
    pthread_mutex_unlock(&connections->lock);
}

bool connections_find(struct connections *connections, uint32_t id, unsigned *worker)
{
    pthread_mutex_lock(&connections->lock);
    const struct issued *issued = find(connections, id);
    if (issued)
        *worker = issued->worker;
    pthread_mutex_unlock(&connections->lock);
    return issued != NULL;
}

uint32_t connections_count(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    const uint32_t count = connections->by_id.count;
    pthread_mutex_unlock(&connections->lock);
    return count;
}
