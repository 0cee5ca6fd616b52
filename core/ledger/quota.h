/* quota.h: how many allocations are held: in all, by a realm (tenant), by a user, by a source address; shared by every worker.
 *
 * quota_take reserves all atomically or none; quota_give returns exactly what was taken, once. The invariant that tests and metrics
 * watch: units taken = live allocations. Names are known by a keyed 64-bit hash of (tenant), (tenant, user) and (source); a name's slot is freed with
 * its last unit. Taking and giving lock stripes of the name table: they happen once per allocation, never on the packet path. Reading the
 * total is one atomic load; reading a name's count locks its stripe for a look.
 */
#ifndef RELAY_LEDGER_QUOTA_H
#define RELAY_LEDGER_QUOTA_H

#include "base/table.h"
#include "ledger/rate.h"

struct quota;

struct quota_request {
    struct view tenant, user;
    struct view source; /* looked at where source_max says so */
    uint32_t total_max, realm_max, user_max, source_max; /* 0: no limit */
};

/* enum quota_refusal: which limit said no. QUOTA_FULL: the table of names is full. */
enum quota_refusal { QUOTA_GRANTED = 0, QUOTA_TOTAL, QUOTA_REALM, QUOTA_USER, QUOTA_SOURCE, QUOTA_FULL };

/* struct quota_units: what one allocation holds; zeroed holds nothing. */
struct quota_units {
    uint32_t realm, user, source; /* which name, from 1; 0: none */
};

/* quota_new: room for `names` different tenants and users at a time. NULL without memory. */
struct quota *quota_new(uint32_t names);
void quota_free(struct quota *);

enum quota_refusal quota_take(struct quota *, const struct quota_request *, struct quota_units *out);
void quota_give(struct quota *, struct quota_units *units); /* zeroes `units`: giving twice is harmless */

/* quota_user_rate: what all allocations of the user relay together, shared by every worker, while `units` are held. Full when the first one
 * is taken. */
struct rate_pair *quota_user_rate(struct quota *, const struct quota_units *units);

/* counts, advisory: the next moment they may be others */
uint32_t quota_total(const struct quota *);
uint32_t quota_realm(const struct quota *, struct view tenant);
uint32_t quota_user(const struct quota *, struct view tenant, struct view user);
uint32_t quota_source(const struct quota *, struct view source);

/* quota_refusal_name: "total_quota", "realm_quota", "user_quota", "source_quota", "quota_table_full": the `reason` of a refusal. */
const char *quota_refusal_name(enum quota_refusal);

#endif
