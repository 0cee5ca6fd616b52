/* park.h: requests that wait for the policy: copied to the heap once, found by ticket, each with a deadline.
 *
 * A retransmission of a parked request is absorbed. All wait equally long at most, so the list is in the order of deadlines. A flow may
 * have PARK_PER_FLOW of them, a tenant max_parked_each.
 */
#ifndef RELAY_TURN_PARK_H
#define RELAY_TURN_PARK_H

#include "turn/transaction.h"

#define PARK_PER_FLOW 8

/* struct parked_request: the heap copy; the request's bytes and the flow's strings lie behind it. */
struct parked_request {
    struct flow flow;
    struct view bytes;
    uint64_t decision;
    struct identity identity;
    bool is_authentic;
    enum hook hook; /* that is to answer: where to go on */
};

/* struct parked: the pool's item; `request` is NULL while the question is being asked. */
struct parked {
    msec_t deadline;
    struct parked_request *request;
    struct links links;
};

/* park_ticket: a place for a request that may have to wait; {0} when there is none for it.  park_keep: it waits: 0, or ERR_MEMORY and the place is
 * given back.  park_forget: it does not wait. */
struct ticket park_ticket(const struct transaction *);
int park_keep(struct transaction *, struct ticket, enum hook hook);
void park_forget(struct engine *, struct ticket);

/* park_copy: the transaction's request on the heap, with what is known of it, for something else than this list to keep; park_free ends it. NULL without
 * memory. A request that was parked before is not copied again. */
struct parked_request *park_copy(struct transaction *);

/* park_has: whether this very transaction waits. */
bool park_has(const struct engine *, const struct flow *, const struct message *);

/* park_take: the request of a ticket, for the caller to park_free; NULL if stale.  park_overdue: the ticket of one whose deadline has passed, or
 * {0}. */
struct parked_request *park_take(struct engine *, struct ticket);
struct ticket park_overdue(const struct engine *, msec_t now);

/* park_free: wipes its key. NULL is fine. */
void park_free(struct parked_request *);

/* park_drop_flow: and the host forgets them.  park_drop_all: silently. */
void park_drop_flow(struct engine *, const struct flow *);
void park_drop_all(struct engine *);

#endif
