/* drain.h: the end that lets its clients go in their own time: SIGTERM, SIGUSR1, or relay drain. Main's part; a worker's is engine_drain, by service.drains_until.
 *
 * From its beginning on no Allocate is granted (300 to a sibling, or 508), no lifetime goes past the deadline, the node is not ready, and nothing is minted for it. The process ends
 * at the deadline, or when the last allocation is gone. Until then it may be called off.
 *
 * SIGTERM drains where drain-deadline says for how long; without it, or the second time, it ends the process at once, as SIGINT does. SIGUSR1 is coturn's: until the last
 * allocation is gone, or for drain-deadline.
 */
#ifndef RELAY_SERVER_DRAIN_H
#define RELAY_SERVER_DRAIN_H

#include "net/loop.h"
#include "server/service.h"

struct drain {
    struct service *service;
    struct loop *loop;
    struct watch tenth;
    bool is_term;          /* SIGTERM came */
    int64_t until_unix_ms; /* 0: there is no deadline */
};

void drain_open(struct drain *, struct service *, struct loop *);
void drain_close(struct drain *);

/* drain_begin: for so long (0: without a deadline), or anew for so long; `who` is for the log.  drain_cancel: it is called off; false: there was none.
 * drain_term: what SIGTERM does. Workers know a tenth of a second later. */
void drain_begin(struct drain *, uint32_t deadline_s, const char *who);
bool drain_cancel(struct drain *, const char *who);
void drain_term(struct drain *);

/* drain_held: allocations that are waited for. */
uint32_t drain_held(const struct drain *);

/* drain_is_on: any thread: whether this node is to be named to nobody any more. */
bool drain_is_on(const struct service *);

#endif
