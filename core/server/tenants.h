/* tenants.h: numbers for the tenants that were seen first, for what is counted by tenant: that must be bounded, and who can make names must
 * not fill memory. */
#ifndef RELAY_SERVER_TENANTS_H
#define RELAY_SERVER_TENANTS_H

#define TENANTS_MAX 100

struct tenants;

struct tenants *tenants_new(void); /* NULL without memory */
void tenants_free(struct tenants *);

/* tenants_number: of a tenant, the same for good; TENANTS_MAX: there were so many before, or it has no name.  tenants_name: of a number;
 * NULL: it has no tenant yet. Any thread. */
unsigned tenants_number(struct tenants *, const char *name);
const char *tenants_name(const struct tenants *, unsigned number);

#endif
