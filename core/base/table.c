/* table.c: hash table with linear probing. */
#include "base/table.h"

#include "base/err.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16u
#define SLOTS_MAX (UINT32_C(1) << 31)

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline struct sip sip_rounds(struct sip v, int rounds)
{
    while (rounds-- > 0) {
        v.a += v.b;
        v.c += v.d;
        v.b = rotate(v.b, 13) ^ v.a;
        v.d = rotate(v.d, 16) ^ v.c;
        v.a = rotate(v.a, 32);
        v.c += v.b;
        v.a += v.d;
        v.b = rotate(v.b, 17) ^ v.c;
        v.d = rotate(v.d, 21) ^ v.a;
        v.c = rotate(v.c, 32);
    }
    return v;
}

/* sip_word: fewer than eight bytes, little-endian, as SipHash reads them. */
static uint64_t sip_word(const uint8_t *at, size_t len)
{
    uint64_t word = 0;
    while (len > 0)
        word = word << 8 | at[--len];
    return word;
}

static inline struct sip sip_absorb(struct sip v, uint64_t word, int rounds)
{
    v.d ^= word;
    v = sip_rounds(v, rounds);
    v.a ^= word;
    return v;
}

/* sip: inlined into both callers, so that the numbers of rounds are constants there. */
__attribute__((always_inline)) static inline uint64_t sip(const struct hash_key *key, struct view bytes, int rounds, int last_rounds)
{
    struct sip v = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; bytes.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.at + at, sizeof word);
        v = sip_absorb(v, le64toh(word), rounds);
    }
    v = sip_absorb(v, (uint64_t)bytes.len << 56 | sip_word(bytes.at + at, bytes.len - at), rounds);
    v.c ^= 0xff;
    v = sip_rounds(v, last_rounds);
    return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t table_hash(const struct hash_key *key, struct view bytes)
{
    return sip(key, bytes, 1, 3);
}

uint64_t table_digest(const struct hash_key *key, struct view bytes)
{
    return sip(key, bytes, 2, 4);
}

void table_init(struct table *table)
{
    *table = (struct table){0};
}

void table_close(struct table *table)
{
    free(table->slots);
    table_init(table);
}

static void place(struct table *table, struct table_slot slot)
{
    uint32_t at = slot.hash & table->mask;
    while (table->slots[at].value != TABLE_NONE)
        at = (at + 1) & table->mask;
    table->slots[at] = slot;
}

static int resize(struct table *table, uint32_t slots)
{
    struct table grown = {.mask = slots - 1, .count = table->count};
    grown.slots = malloc(slots * sizeof *grown.slots);
    if (!grown.slots)
        return ERR_MEMORY;
    memset(grown.slots, 0xff, slots * sizeof *grown.slots); /* TABLE_NONE everywhere */
    for (uint32_t i = 0; table->slots && i <= table->mask; i++)
        if (table->slots[i].value != TABLE_NONE)
            place(&grown, table->slots[i]);
    free(table->slots);
    *table = grown;
    return 0;
}

int table_put(struct table *table, uint64_t hash, uint32_t value)
{
    assert(value != TABLE_NONE);
    const uint32_t slots = table->slots ? table->mask + 1 : 0;
    if (table->count >= slots / 4 * 3) { /* at most three quarters full: a probe always meets an empty slot */
        if (slots == SLOTS_MAX || resize(table, slots ? 2 * slots : SLOTS_MIN))
            return ERR_MEMORY;
    }
    place(table, (struct table_slot){.hash = (uint32_t)hash, .value = value});
    table->count++;
    return 0;
}

/* close_gap: backward shift: what was pushed past the emptied slot moves back, so that no probe ends too early. */
static void close_gap(struct table *table, uint32_t gap)
{
    for (uint32_t at = (gap + 1) & table->mask; table->slots[at].value != TABLE_NONE; at = (at + 1) & table->mask) {
        const uint32_t home = table->slots[at].hash & table->mask;
        if (((at - home) & table->mask) < ((at - gap) & table->mask))
            continue; /* its home lies behind the gap */
        table->slots[gap] = table->slots[at];
        gap = at;
    }
    table->slots[gap].value = TABLE_NONE;
}

static void shrink(struct table *table)
{
    const uint32_t slots = table->mask + 1;
    if (slots > SLOTS_MIN && table->count < slots / 8)
        (void)resize(table, slots / 2); /* without memory it stays as large as it is */
}

bool table_drop(struct table *table, uint64_t hash, uint32_t value)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(table, hash, &cursor); at != TABLE_NONE; at = table_next(table, &cursor)) {
        if (at != value)
            continue;
        close_gap(table, cursor.at);
        table->count--;
        shrink(table);
        return true;
    }
    return false;
}

static uint32_t probe(const struct table *table, struct table_cursor *cursor)
{
    for (;; cursor->at = (cursor->at + 1) & table->mask) {
        const struct table_slot *slot = &table->slots[cursor->at];
        if (slot->value == TABLE_NONE || slot->hash == cursor->hash)
            return slot->value;
    }
}

uint32_t table_first(const struct table *table, uint64_t hash, struct table_cursor *cursor)
{
    *cursor = (struct table_cursor){.hash = (uint32_t)hash, .at = (uint32_t)hash & table->mask};
    return table->slots ? probe(table, cursor) : TABLE_NONE;
}

uint32_t table_next(const struct table *table, struct table_cursor *cursor)
{
    cursor->at = (cursor->at + 1) & table->mask;
    return probe(table, cursor);
}
