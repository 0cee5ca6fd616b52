/* table.h: a keyed hash table from hashes to 32-bit indices (into a pool); the keys stay with their owner.
 *
 * Open addressing, grows by doubling and shrinks again to its smallest size; hashes come from table_hash under a random key, so a sender
 * cannot choose collisions. Of a hash the lower 32 bits are kept, so that a slot is eight bytes, and eight of them a cache line. Two
 * different keys may share those: the owner checks its key for each candidate.
 *
 *     for (uint32_t at = table_first(t, hash, &cursor); at != TABLE_NONE; at = table_next(t, &cursor))
 *         if (key_matches(at)) ...
 */
#ifndef RELAY_BASE_TABLE_H
#define RELAY_BASE_TABLE_H

#include "base/bytes.h"

#define TABLE_NONE UINT32_MAX

struct hash_key {
    uint64_t k0, k1;
};

struct table_slot {
    uint32_t hash;
    uint32_t value; /* TABLE_NONE: empty */
};

struct table {
    struct table_slot *slots;
    uint32_t mask, count;
};

struct table_cursor {
    uint32_t hash, at;
};

/* table_hash: SipHash-1-3 of `bytes`: to find a place by; nobody is shown it, and keys are compared.  table_digest: SipHash-2-4: stands for
 * the bytes where nothing is left to compare, or is shown. */
uint64_t table_hash(const struct hash_key *key, struct view bytes);
uint64_t table_digest(const struct hash_key *key, struct view bytes);

void table_init(struct table *table);
void table_close(struct table *table);
int table_put(struct table *table, uint64_t hash, uint32_t value);  /* 0 or ERR_MEMORY; duplicates are the owner's affair */
bool table_drop(struct table *table, uint64_t hash, uint32_t value); /* true if it was there; backward-shift, no tombstones */
uint32_t table_first(const struct table *table, uint64_t hash, struct table_cursor *cursor);
uint32_t table_next(const struct table *table, struct table_cursor *cursor);

#endif
