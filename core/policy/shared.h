/* shared.h: what the policies of all workers share, by name, for as long as the process: tables, rate limits, meters, gates, sets, counters; and files
 * (source.h).
 *
 * A name is made once; asking for it again with other options, or for a table, rate limit, meter or gate of the name of another of them, is an
 * error. What new policies no longer ask for goes with the old ones (policy_shared_sweep); meters, counters and sets stay. Lists grow under one lock while policies load; what they hold is
 * found once and used by pointer, so hooks never take that lock.
 */
#ifndef RELAY_POLICY_SHARED_H
#define RELAY_POLICY_SHARED_H

#include "policy/dictionary.h"
#include "policy/limiter.h"
#include "policy/policy.h"
#include "policy/source.h"

#include <stdatomic.h>

enum shared_kind { SHARED_DICTIONARY, SHARED_LIMITER, SHARED_METER, SHARED_GATE, SHARED_COUNTER };

/* struct shared_options: what a name was made with: a, b: numbers that must be the same the next time. */
struct shared_options {
    int64_t a, b;
};

struct shared_object {
    enum shared_kind kind;
    char *name;
    struct shared_options options;
    uint64_t made, asked; /* at which loading: the first, the last */
    union {
        struct dictionary *dictionary; /* and of a meter, a gate */
        struct limiter *limiter;
        _Atomic uint64_t counter;
    } as;
    struct shared_object *next;
};

/* shared_object: the object of that kind and name, made by `make` (which fills ->as; 0, or an error with a reason in `error`) if there is
 * none. NULL on failure, with a reason in `error`. */
typedef int shared_make_fn(struct policy_shared *, struct shared_object *, void *ctx, char *error, size_t error_cap);
struct shared_object *shared_object(struct policy_shared *, enum shared_kind, const char *name, const struct shared_options *,
                                    shared_make_fn *make, void *ctx, char *error, size_t error_cap);

/* shared_each: calls `each` for every object of that kind, under the lock of the list. */
typedef void shared_each_fn(void *ctx, const struct shared_object *);
void shared_each(struct policy_shared *, enum shared_kind, shared_each_fn *each, void *ctx);

/* shared_has_room: whether the counter `full`, "name{label="value"}", is there already, or its name has fewer than `most` of them. */
bool shared_has_room(struct policy_shared *, const char *full, size_t most);

/* shared_acl: a set with the ranges of `set`, which it takes over; the same one for the same ranges. NULL without memory.  shared_acl_both:
 * those of two sets. */
struct cidr_set *shared_acl(struct policy_shared *, struct cidr_set *set);
const struct cidr_set *shared_acl_both(struct policy_shared *, const struct cidr_set *a, const struct cidr_set *b);

const struct hash_key *shared_hash_key(const struct policy_shared *);
struct sources *shared_sources(const struct policy_shared *);

#endif
