/* strangers.c: a place for each hash of a source. */
#include "ledger/strangers.h"

#include "base/crypto.h"
#include "base/table.h"
#include "ledger/rate.h"

#include <stdlib.h>

#define PLACES 65536u /* a power of two; 1.5 MiB */
#define MINUTE_MS 60000

struct place {
    struct rate answers, failures;
    _Atomic int64_t told; /* when too many wrong logins were last told of; 0: never */
};

struct strangers {
    struct hash_key key;
    struct rate_limit answers, failures;
    struct place places[PLACES];
};

struct strangers *strangers_new(struct strangers_limits limits)
{
    struct strangers *strangers = calloc(1, sizeof *strangers);
    if (!strangers)
        return NULL;
    crypto_random(&strangers->key, sizeof strangers->key);
    strangers->answers = RATE_EACH_SECOND((uint64_t)limits.answers * STRANGERS_ANSWER);
    strangers->failures = (struct rate_limit){limits.failures, MINUTE_MS};
    return strangers;
}

void strangers_free(struct strangers *strangers)
{
    free(strangers);
}

static struct place *place_of(struct strangers *strangers, const struct addr *from)
{
    const struct addr source = addr_source(from);
    return &strangers->places[table_hash(&strangers->key, view_of(&source, ADDR_KEY_LEN)) & (PLACES - 1)];
}

bool strangers_answer(struct strangers *strangers, const struct addr *from, unsigned cost, msec_t now)
{
    return strangers->answers.most == 0 || rate_take(&place_of(strangers, from)->answers, strangers->answers, cost, now);
}

enum strangers_login strangers_fail(struct strangers *strangers, const struct addr *from, msec_t now)
{
    if (strangers->failures.most == 0)
        return STRANGERS_LOGIN_FEW;
    struct place *place = place_of(strangers, from);
    if (rate_take(&place->failures, strangers->failures, 1, now))
        return STRANGERS_LOGIN_FEW;
    int64_t told = atomic_load_explicit(&place->told, memory_order_relaxed);
    if (told && now - told < MINUTE_MS)
        return STRANGERS_LOGIN_MANY;
    return atomic_compare_exchange_strong(&place->told, &told, now) ? STRANGERS_LOGIN_FIRST : STRANGERS_LOGIN_MANY;
}

uint32_t strangers_failures(const struct strangers *strangers)
{
    return (uint32_t)strangers->failures.most;
}
