/* tally.c: a row for each 128th of a doubling. */
#include "client/tally.h"

#include <stdlib.h>

/* Below 128 each number has its row; above, the 128 that begin with the highest bit of the number share its octave. */
static size_t row_of(uint64_t ns)
{
    if (ns < TALLY_STEPS)
        return (size_t)ns;
    const unsigned shift = (unsigned)(63 - __builtin_clzll(ns)) - 7;
    return (size_t)(shift + 1) * TALLY_STEPS + (size_t)((ns >> shift) - TALLY_STEPS);
}

/* most_of: the greatest number of the row. */
static uint64_t most_of(size_t row)
{
    if (row < TALLY_STEPS)
        return row;
    const unsigned shift = (unsigned)(row / TALLY_STEPS) - 1;
    return ((uint64_t)(row % TALLY_STEPS + TALLY_STEPS + 1) << shift) - 1;
}

void tally_add(struct tally *tally, uint64_t ns)
{
    tally->counts[row_of(ns)]++;
    tally->total++;
}

uint64_t tally_at(const struct tally *tally, double share)
{
    const double wanted = share * (double)tally->total;
    uint64_t seen = 0;
    for (size_t row = 0; row < TALLY_ROWS; row++) {
        seen += tally->counts[row];
        if (seen && (double)seen >= wanted)
            return most_of(row);
    }
    return 0;
}

void jitter_add(struct jitter *jitter, uint64_t ns)
{
    const uint64_t change = ns > jitter->before_ns ? ns - jitter->before_ns : jitter->before_ns - ns;
    if (jitter->before_ns)
        jitter->ns += ((double)change - jitter->ns) / 16;
    jitter->before_ns = ns;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void tally_shares(uint64_t *each, size_t count, double *least, double *median)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)each[i];
    *least = *median = 0;
    if (sum <= 0)
        return;
    qsort(each, count, sizeof *each, by_size);
    *least = (double)each[0] * (double)count / sum;
    const size_t middle = count / 2;
    *median = (double)each[middle] * (double)count / sum;
}
