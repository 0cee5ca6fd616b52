/* crowd.h: how many allocations each tenant holds at the moment, for the peak of each minute; for core/store only.
 *
 * There are as many entries as tenants that hold something, at most CROWD_MAX. Not locked: whoever holds it guards it.
 */
#ifndef RELAY_STORE_CROWD_H
#define RELAY_STORE_CROWD_H

#include "store/batch.h"

#define CROWD_MAX 100000

struct crowd_tenant {
    char *name; /* NULL: free */
    int64_t minute, held;
};

struct crowd {
    struct hash_key hash_key;
    struct table by_name;
    struct crowd_tenant *tenants;
    uint32_t count, cap, *free, free_count; /* `free` has `cap` places */
};

void crowd_init(struct crowd *, const struct hash_key *);
void crowd_close(struct crowd *);

/* crowd_enter, crowd_leave: an allocation of the tenant was made, or ended.  crowd_stay: one goes on, `active` ones carried data. What is known of the
 * minutes up to then goes to the batch. False: there was no room, and the peak may be too low. */
bool crowd_enter(struct crowd *, struct batch *, const char *tenant, int64_t at_ms);
bool crowd_stay(struct crowd *, struct batch *, const char *tenant, int64_t at_ms, int64_t active);
bool crowd_leave(struct crowd *, struct batch *, const char *tenant, int64_t at_ms);

#endif
