/* cidr.h: sets of address ranges: "10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::/32", "192.0.2.1".
 *
 * One ordered compare on 16 bytes (IPv4 as ::ffff:a.b.c.d); ranges are sorted and merged by cidr_seal, lookups are a
 * binary search. A sealed set is constant and may be read by every thread.
 */
#ifndef RELAY_BASE_CIDR_H
#define RELAY_BASE_CIDR_H

#include "base/addr.h"

struct cidr_range {
    uint8_t first[16], last[16];
};

struct cidr_set {
    struct cidr_range *ranges;
    size_t count, cap;
    bool sealed;
};

/* cidr_parse: one range; ERR_BAD if malformed, mixed in family, first > last, or with host bits beyond the prefix length ignored
 * silently: "10.1.2.3/8" is accepted and means 10.0.0.0/8. */
int cidr_parse(struct view text, struct cidr_range *out);
bool cidr_range_has(const struct cidr_range *range, const struct addr *addr);

void cidr_init(struct cidr_set *set);
int cidr_add(struct cidr_set *set, const struct cidr_range *range); /* 0 or ERR_MEMORY */
void cidr_seal(struct cidr_set *set);
bool cidr_equal(const struct cidr_set *a, const struct cidr_set *b); /* both sealed: the same addresses */
bool cidr_has(const struct cidr_set *set, const struct addr *addr); /* the port does not matter; `set` is sealed */
void cidr_close(struct cidr_set *set);

#endif
