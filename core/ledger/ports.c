/* ports.c: a bit for each port, 64 to an atomic word; and who holds it, two words for each: the group, and worker and handle.
 *
 * Words begin at multiples of 64, so an even port and the next one lie in the same word and a pair is taken by one compare and swap. Bits
 * of ports outside first..last are set for good: the search never needs to know the range.
 */
#include "ledger/ports.h"

#include "base/err.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define INDEX_BITS 24
#define GENERATION_BITS 32
_Static_assert(HOLDER_ALLOCATIONS == 1u << INDEX_BITS && HOLDER_WORKERS << INDEX_BITS == 0, "a holder is one word");

#define EVEN_BITS UINT64_C(0x5555555555555555)

struct place {
    _Atomic uint64_t group, holder; /* GROUP_NOBODY and 0: nobody; a generation is never 0 */
};

struct ports {
    uint32_t addresses;
    uint32_t words; /* for each address */
    uint16_t first, last;
    struct place *places;    /* of each port of each address, behind the bits */
    _Atomic uint64_t bits[]; /* 1: taken */
};

static _Atomic uint64_t *word_of(const struct ports *ports, uint32_t address, uint16_t port)
{
    assert(address < ports->addresses);
    assert(port >= ports->first && port <= ports->last);
    return (_Atomic uint64_t *)&ports->bits[(size_t)address * ports->words + (port / 64u - ports->first / 64u)];
}

static uint32_t range(const struct ports *ports)
{
    return ports->last - ports->first + 1u;
}

static struct place *place_of(const struct ports *ports, uint32_t address, uint16_t port)
{
    return &ports->places[(size_t)address * range(ports) + port - ports->first];
}

struct ports *ports_new(uint32_t addresses, uint16_t first, uint16_t last)
{
    assert(first <= last);
    const uint32_t words = last / 64u - first / 64u + 1, count = last - first + 1u;
    struct ports *ports = calloc(1, sizeof *ports + (size_t)addresses * (words * sizeof ports->bits[0] + count * sizeof *ports->places));
    if (!ports)
        return NULL;
    ports->addresses = addresses;
    ports->words = words;
    ports->first = first;
    ports->last = last;
    ports->places = (struct place *)(ports->bits + (size_t)addresses * words);
    for (uint32_t address = 0; address < addresses; address++) {
        atomic_fetch_or(word_of(ports, address, first), (UINT64_C(1) << first % 64) - 1);
        atomic_fetch_or(word_of(ports, address, last), UINT64_MAX << last % 64 << 1);
    }
    return ports;
}

void ports_free(struct ports *ports)
{
    free(ports);
}

/* candidates: where in the word `taken` the wanted bits are free. */
static uint64_t candidates(uint64_t taken, enum ports_want want)
{
    switch (want) {
        case PORTS_EVEN:
            return ~taken & EVEN_BITS;
        case PORTS_PAIR:
            return ~taken & ~taken >> 1 & EVEN_BITS;
        case PORTS_ANY:
            break;
    }
    return ~taken;
}

/* take_in_word: the lowest candidate among the bits of `among`, or -1. */
static int take_in_word(_Atomic uint64_t *word, enum ports_want want, uint64_t among)
{
    uint64_t taken = atomic_load(word);
    for (;;) {
        const uint64_t found = candidates(taken, want) & among;
        if (!found)
            return -1;
        const int bit = __builtin_ctzll(found);
        if (atomic_compare_exchange_weak(word, &taken, taken | (want == PORTS_PAIR ? UINT64_C(3) : UINT64_C(1)) << bit))
            return bit;
    }
}

/* From a random port upwards, round the range, to the ports before it in its own word. */
int ports_take(struct ports *ports, uint32_t address, enum ports_want want, uint32_t random, uint16_t *port)
{
    const uint32_t start = ports->first + random % range(ports);
    const uint32_t base = ports->first / 64u;
    uint64_t among = UINT64_MAX << start % 64;
    for (uint32_t step = 0; step <= ports->words; step++) {
        const uint32_t word = (start / 64 - base + step) % ports->words;
        const int bit = take_in_word(&ports->bits[(size_t)address * ports->words + word], want, among);
        if (bit >= 0) {
            *port = (uint16_t)((base + word) * 64 + (uint32_t)bit);
            return 0;
        }
        among = UINT64_MAX;
    }
    return ERR_BUSY;
}

void ports_give(struct ports *ports, uint32_t address, uint16_t port)
{
    const uint64_t bit = UINT64_C(1) << port % 64;
    struct place *place = place_of(ports, address, port);
    atomic_store(&place->group, GROUP_NOBODY);
    atomic_store(&place->holder, 0);
    const uint64_t before = atomic_fetch_and(word_of(ports, address, port), ~bit);
    assert(before & bit);
    (void)before;
}

static uint64_t packed(const struct holder *by)
{
    assert(by->worker < HOLDER_WORKERS && by->allocation.index < HOLDER_ALLOCATIONS && by->allocation.generation != 0);
    return ((uint64_t)by->worker << INDEX_BITS | by->allocation.index) << GENERATION_BITS | by->allocation.generation;
}

void ports_hold(struct ports *ports, uint32_t address, uint16_t port, const struct port_hold *hold)
{
    assert(ports_is_taken(ports, address, port) && hold->group != GROUP_NOBODY);
    struct place *place = place_of(ports, address, port);
    atomic_store(&place->holder, packed(&hold->by));
    atomic_store(&place->group, hold->group);
}

uint64_t ports_group(const struct ports *ports, uint32_t address, uint16_t port)
{
    if (port < ports->first || port > ports->last)
        return GROUP_NOBODY;
    return atomic_load(&place_of(ports, address, port)->group);
}

bool ports_holder(const struct ports *ports, uint32_t address, uint16_t port, struct holder *out)
{
    if (port < ports->first || port > ports->last)
        return false;
    const uint64_t word = atomic_load(&place_of(ports, address, port)->holder), who = word >> GENERATION_BITS;
    *out = (struct holder){(unsigned)(who >> INDEX_BITS), {(uint32_t)who & (HOLDER_ALLOCATIONS - 1), (uint32_t)word}};
    return word != 0;
}

bool ports_is_taken(const struct ports *ports, uint32_t address, uint16_t port)
{
    if (port < ports->first || port > ports->last)
        return false;
    return atomic_load(word_of(ports, address, port)) >> port % 64 & 1;
}

uint32_t ports_free_count(const struct ports *ports, uint32_t address)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ports->words; i++)
        count += (uint32_t)__builtin_popcountll(~atomic_load(&ports->bits[(size_t)address * ports->words + i]));
    return count;
}

uint32_t ports_count(const struct ports *ports)
{
    return range(ports);
}
