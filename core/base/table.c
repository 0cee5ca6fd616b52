/* table.c: hash table with linear probing. */
#include "base/table.h"

#include "base/err.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16u
#define SLOTS_MAX (UINT32_C(1) << 31)

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* sip_word: fewer than eight bytes, little-endian, as SipHash reads them. */
static uint64_t sip_word(const uint8_t *at, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t table_hash(const struct hash_key *key, struct view bytes)
{
    uint64_t v[4] = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; bytes.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.at + at, sizeof word);
        sip_absorb(v, le64toh(word));
    }
    sip_absorb(v, (uint64_t)bytes.len << 56 | sip_word(bytes.at + at, bytes.len - at));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
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
    uint32_t at = (uint32_t)slot.hash & table->mask;
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
    place(table, (struct table_slot){.hash = hash, .value = value});
    table->count++;
    return 0;
}

/* close_gap: backward shift: what was pushed past the emptied slot moves back, so that no probe ends too early. */
static void close_gap(struct table *table, uint32_t gap)
{
    for (uint32_t at = (gap + 1) & table->mask; table->slots[at].value != TABLE_NONE; at = (at + 1) & table->mask) {
        const uint32_t home = (uint32_t)table->slots[at].hash & table->mask;
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
    if (table->count == 0)
        table_close(table);
    else if (slots > SLOTS_MIN && table->count < slots / 8)
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
    *cursor = (struct table_cursor){.hash = hash, .at = (uint32_t)hash & table->mask};
    return table->slots ? probe(table, cursor) : TABLE_NONE;
}

uint32_t table_next(const struct table *table, struct table_cursor *cursor)
{
    cursor->at = (cursor->at + 1) & table->mask;
    return probe(table, cursor);
}
