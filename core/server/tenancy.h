/* tenancy.h: what main does for the tenants: five times a second it tells the workers what the database says of them now, and others what of
 * a limit is used up.
 *
 * What was changed, by whomever, is so for new requests at once, and for allocations that live within half a second. While the database cannot
 * be read what was known counts.
 */
#ifndef RELAY_SERVER_TENANCY_H
#define RELAY_SERVER_TENANCY_H

#include "server/service.h"

#define TENANTS_SHOWN 2000 /* tenants that have numbers of their own in metrics: those that came first */

struct tenancy;

/* tenancy_open: before workers start: what the database says is told. 0, or an error with the refusal.  tenancy_close: after they have ended. NULL is fine. */
int tenancy_open(struct service *, struct tenancy **out, struct refusal *);
void tenancy_close(struct tenancy *);

/* tenancy_look: looks whether something changed. */
void tenancy_look(struct tenancy *, int64_t unix_ms);

/* tenancy_call: takes down the names.  tenancy_name: of the place of an entry, below TENANTS_SHOWN, as it was taken down; NULL: none. */
void tenancy_call(struct tenancy *);
const char *tenancy_name(const struct tenancy *, size_t place);

/* tenancy_tell: what a row of the database says goes to the ledger; of a tenant that was not there, with its month, from `reader`. Any thread.
 * tenancy_meet: the same of one that has no row. */
void tenancy_tell(struct tenants *, struct store_reader *, const struct store_tenant *, int64_t unix_ms);
void tenancy_meet(struct tenants *, struct store_reader *, const char *name, int64_t unix_ms);

#endif
