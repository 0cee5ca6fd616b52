/* mint_rate.c: see mint_rate.h. */
#include "server/mint_rate.h"

#include "base/crypto.h"
#include "base/table.h"
#include "ledger/rate.h"

#include <stdlib.h>

#define WAYS 8 /* places that a name may have */
#define SETS (MINT_RATE_PLACES / WAYS)

struct place {
    uint64_t name; /* digest of it */
    msec_t seen;   /* 0: nobody has it */
    struct rate rate;
};

struct mint_rates {
    struct hash_key key;
    struct place places[SETS][WAYS];
};

struct mint_rates *mint_rates_new(void)
{
    struct mint_rates *rates = calloc(1, sizeof *rates);
    if (rates)
        crypto_random(&rates->key, sizeof rates->key);
    return rates;
}

void mint_rates_free(struct mint_rates *rates)
{
    free(rates);
}

/* place_of: its own, or that of whom nobody has seen for the longest time. */
static struct place *place_of(struct mint_rates *rates, uint64_t name)
{
    struct place *set = rates->places[name % SETS], *oldest = set;
    for (struct place *place = set; place < set + WAYS; place++) {
        if (place->seen && place->name == name)
            return place;
        if (place->seen < oldest->seen)
            oldest = place;
    }
    *oldest = (struct place){.name = name};
    return oldest;
}

bool mint_rates_take(struct mint_rates *rates, struct view name, uint64_t most, msec_t now)
{
    if (!most)
        return true;
    struct place *place = place_of(rates, table_digest(&rates->key, name));
    place->seen = now;
    return rate_take(&place->rate, RATE_EACH_SECOND(most), 1, now);
}
