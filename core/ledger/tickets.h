/* tickets.h: reservations of EVEN-PORT R = 1: a token that any worker may claim once, RFC 8656 section 7.2 and 18.7.
 *
 * The port beside an even one stays taken in ledger/ports while its ticket lives: until it is claimed, 30 s have passed, or the allocation
 * that reserved it ends. So nobody pins ports by churning. A ticket is claimed only by its own user. Fixed size; all calls lock a small
 * table (requests, never the packet path).
 */
#ifndef RELAY_LEDGER_TICKETS_H
#define RELAY_LEDGER_TICKETS_H

#include "base/clock.h"
#include "ledger/ports.h"

#define TICKET_LIFETIME_MS 30000

struct tickets;

struct ticket_port {
    uint32_t address; /* index of the relay address in ledger/ports */
    uint16_t port;
    uint8_t family; /* enum addr_family */
};

struct tickets *tickets_new(uint32_t count, struct ports *ports);
void tickets_free(struct tickets *);

/* tickets_issue: `owner` is a hash of (tenant, user). 0 and an unpredictable *token, or ERR_BUSY when the table is full (the port stays the
 * caller's). */
int tickets_issue(struct tickets *, const struct ticket_port *, uint64_t owner, msec_t now, uint64_t *token);

/* tickets_claim: 0 and *out: the port is the caller's now; ERR_NOT_FOUND for an unknown, expired or foreign token. */
int tickets_claim(struct tickets *, uint64_t token, uint64_t owner, msec_t now, struct ticket_port *out);

/* tickets_cancel: gives the port back if the token still lives.  tickets_sweep: the same for all expired ones. */
void tickets_cancel(struct tickets *, uint64_t token);
void tickets_sweep(struct tickets *, msec_t now);

#endif
