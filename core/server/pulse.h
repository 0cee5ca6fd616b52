/* pulse.h: what goes on at the moment, by tenant: allocations held, bits a second, refusals; of the ledger (ledger/tenants.h).
 *
 * The rates are of the last PULSE_SAMPLES - 1 seconds: workers tell what they relayed once a second, each at its own moment.
 */
#ifndef RELAY_SERVER_PULSE_H
#define RELAY_SERVER_PULSE_H

#include "server/service.h"
#include "server/tenancy.h"

#include <jansson.h>

#define PULSE_SAMPLES 5
#define PULSE_PLACES (TENANTS_SHOWN + 1)

struct pulse_sample {
    msec_t at;
    uint64_t held[PULSE_PLACES], active[PULSE_PLACES], bytes[2 * PULSE_PLACES], month[PULSE_PLACES], refused[PULSE_PLACES];
};

struct pulse {
    struct pulse_sample samples[PULSE_SAMPLES];
    uint64_t count; /* taken so far */
};

/* pulse_take: one more sample; once a second. */
void pulse_take(struct pulse *, const struct service *, msec_t now);

/* pulse_json: {"seconds", "tenants": [{"tenant", "held", "active", "bps_in", "bps_out", "bytes_in", "bytes_out", "month_bytes", "refused"}]} of
 * those whom `sees` says; bytes_in, bytes_out and refused are since the start. */
json_t *pulse_json(const struct pulse *, const struct service *, bool (*sees)(const void *ctx, const char *tenant), const void *ctx);

#endif
