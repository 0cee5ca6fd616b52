/* ports.h: which relay ports are taken, for each relay address, and who holds them: atomics, shared by every worker.
 *
 * A port is taken before its socket is bound and given back after it is closed; in between an allocation holds it. Who holds it is known by
 * the allocation's group: allocations of different groups exchange nothing, so both ends of a packet look here, and what either of them
 * finds stale the other does not. It is known by name, too: the worker whose engine has it, and its handle there, which may be stale as any
 * handle. Who sees the group sees the holder, or that it is just letting go. Start-up costs nothing per port. Random ports come from the caller's random number and a scan from there,
 * so they are unpredictable and a full range is noticed in one pass. UDP and TCP relay ports have tables of their own.
 */
#ifndef RELAY_LEDGER_PORTS_H
#define RELAY_LEDGER_PORTS_H

#include "base/addr.h"
#include "base/pool.h"

struct ports;

#define GROUP_NOBODY UINT64_C(0) /* no allocation holds the port */
#define GROUP_OPEN UINT64_C(1)   /* the one that does is in no group; any other number is a group */

enum ports_want {
    PORTS_ANY,
    PORTS_EVEN, /* EVEN-PORT with R = 0: an even port; its sibling stays free */
    PORTS_PAIR, /* EVEN-PORT with R = 1: an even port and the next one, both taken */
};

/* struct holder: an allocation: of which worker's engine, and its handle there; a port keeps both in one word. */
#define HOLDER_WORKERS 256u           /* numbers below it */
#define HOLDER_ALLOCATIONS (1u << 24) /* indices below it */
struct holder {
    unsigned worker;
    struct handle allocation;
};

/* ports_new: `addresses` relay addresses, ports first..last (inclusive, first <= last). NULL without memory. */
struct ports *ports_new(uint32_t addresses, uint16_t first, uint16_t last);
void ports_free(struct ports *);

/* ports_take: 0 and *port, or ERR_BUSY when none is left. `random`: 32 unpredictable bits. */
int ports_take(struct ports *, uint32_t address, enum ports_want want, uint32_t random, uint16_t *port);
void ports_give(struct ports *, uint32_t address, uint16_t port);

/* ports_hold: an allocation has a socket on the port, which is taken; until it is given back.  ports_group: of the allocation that holds it
 * now, or GROUP_NOBODY.  ports_holder: which one that is; false: none. Both for any port, one load each: for every packet between two
 * relayed addresses. */
struct port_hold {
    uint64_t group;
    struct holder by;
};
void ports_hold(struct ports *, uint32_t address, uint16_t port, const struct port_hold *);
uint64_t ports_group(const struct ports *, uint32_t address, uint16_t port);
bool ports_holder(const struct ports *, uint32_t address, uint16_t port, struct holder *out);

bool ports_is_taken(const struct ports *, uint32_t address, uint16_t port);
uint32_t ports_free_count(const struct ports *, uint32_t address);
uint32_t ports_count(const struct ports *); /* of each address */

#endif
