/* tenants.c: a list that only grows: whoever has read how long it is may read so much of it. */
#include "server/tenants.h"

#include "base/bytes.h"
#include "turn/verdict.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tenants {
    pthread_mutex_t lock; /* of who adds */
    atomic_uint count;
    char names[TENANTS_MAX][NAME_MAX_LEN + 1];
};

struct tenants *tenants_new(void)
{
    struct tenants *tenants = calloc(1, sizeof *tenants);
    if (tenants)
        pthread_mutex_init(&tenants->lock, NULL);
    return tenants;
}

void tenants_free(struct tenants *tenants)
{
    if (!tenants)
        return;
    pthread_mutex_destroy(&tenants->lock);
    free(tenants);
}

/* find: among the first `count`; `count`: it is not there. */
static unsigned find(const struct tenants *tenants, const char *name, unsigned count)
{
    unsigned i = 0;
    while (i < count && strcmp(tenants->names[i], name) != 0)
        i++;
    return i;
}

static unsigned add(struct tenants *tenants, const char *name)
{
    pthread_mutex_lock(&tenants->lock);
    const unsigned count = atomic_load_explicit(&tenants->count, memory_order_relaxed), number = find(tenants, name, count);
    if (number == count && count < TENANTS_MAX) {
        view_copy(view_text(name), tenants->names[number], sizeof tenants->names[number]);
        atomic_store_explicit(&tenants->count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&tenants->lock);
    return number;
}

unsigned tenants_number(struct tenants *tenants, const char *name)
{
    if (!*name)
        return TENANTS_MAX;
    const unsigned count = atomic_load_explicit(&tenants->count, memory_order_acquire), number = find(tenants, name, count);
    return number < count || count == TENANTS_MAX ? number : add(tenants, name);
}

const char *tenants_name(const struct tenants *tenants, unsigned number)
{
    return number < atomic_load_explicit(&tenants->count, memory_order_acquire) ? tenants->names[number] : NULL;
}
