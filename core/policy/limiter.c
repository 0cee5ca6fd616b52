/* limiter.c: GCRA; see limiter.h for the word. */
#include "policy/limiter.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LINES 8192 /* a power of two; 512 KiB */
#define WORDS 8
#define TIME_BITS 44
#define TIME_MASK (((uint64_t)1 << TIME_BITS) - 1)
#define UNITS_PER_S 100000.0
#define UNITS_PER_MS 100

struct limiter {
    struct hash_key hash_key;
    msec_t start;
    double interval, tolerance; /* in units */
    _Atomic uint64_t words[LINES][WORDS];
};

struct limiter *limiter_new(const struct hash_key *hash_key, double interval_s, uint32_t burst, msec_t now)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        return NULL;
    limiter->hash_key = *hash_key;
    limiter->start = now - 1; /* time 0 is a free word */
    limiter->interval = interval_s * UNITS_PER_S;
    limiter->tolerance = limiter->interval * burst;
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    free(limiter);
}

/* pick: the word of `tag` in a line, else the one that is free soonest; *seen is what it holds. */
static _Atomic uint64_t *pick(_Atomic uint64_t line[WORDS], uint64_t tag, uint64_t *seen)
{
    _Atomic uint64_t *best = NULL;
    for (int i = 0; i < WORDS; i++) {
        const uint64_t word = atomic_load_explicit(&line[i], memory_order_relaxed);
        const bool own = word && word >> TIME_BITS == tag;
        if (own || !best || (word & TIME_MASK) < (*seen & TIME_MASK)) {
            best = &line[i];
            *seen = word;
        }
        if (own)
            break;
    }
    return best;
}

bool limiter_take(struct limiter *limiter, struct view key, double n, msec_t now, double *wait_s)
{
    const uint64_t hash = table_digest(&limiter->hash_key, key), tag = hash >> TIME_BITS;
    const double here = (double)(now - limiter->start) * UNITS_PER_MS;
    for (;;) {
        uint64_t seen = 0;
        _Atomic uint64_t *word = pick(limiter->words[hash & (LINES - 1)], tag, &seen);
        const double busy_until = seen >> TIME_BITS == tag ? (double)(seen & TIME_MASK) : 0;
        const double next = fmax(busy_until, here) + limiter->interval * n;
        const double excess = next - here - limiter->tolerance;
        *wait_s = 0;
        if (excess > 0.5) { /* half a unit: rounding */
            *wait_s = excess / UNITS_PER_S;
            return false;
        }
        const uint64_t wanted = tag << TIME_BITS | ((uint64_t)llround(next) & TIME_MASK);
        if (atomic_compare_exchange_weak_explicit(word, &seen, wanted, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

uint32_t limiter_burst(const struct limiter *limiter)
{
    return (uint32_t)llround(limiter->tolerance / limiter->interval);
}
