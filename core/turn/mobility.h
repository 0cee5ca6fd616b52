/* mobility.h: an allocation outlives its client's address, RFC 8016: tickets, and the way from one 5-tuple to another.
 *
 * A ticket is 32 characters, because clients keep it as text in so much room. It says which worker has the allocation, which one it is and
 * how often it has moved; nobody but us can read or make one, and none is remembered:
 *
 *     base64( body ^ pad: 96 bits | mac: 96 bits )      body: worker 8, index 32, generation 32, serial 24 bits
 *     mac = HMAC-SHA256(mobility_key, 0 | body)         pad = HMAC-SHA256(mobility_key, 1 | mac)
 *
 *     HERE --Refresh with the ticket from elsewhere--> BOTH --data or another request from there--> HERE
 *       \--the connection ends--> ADRIFT --Refresh with the ticket--> HERE
 *
 * A Refresh with the ticket of the last move makes the 5-tuple that it came from the next one (section 3.2.2) and gives a new ticket. Until
 * the client is seen there, the old 5-tuple goes on: both are received from, the old one is sent to. Each move ends the ticket that it was
 * made with, but for one thing: repeated from the 5-tuple that it led to, it is answered again with what it was given. Only the user of the
 * allocation moves it; quota, limits, permissions, channels and the names that a handshake told stay as they are.
 */
#ifndef RELAY_TURN_MOBILITY_H
#define RELAY_TURN_MOBILITY_H

#include "turn/transaction.h"

/* mobility_refusal: for a request with MOBILITY-TICKET: 0, STUN_BAD_REQUEST or STUN_MOBILITY_FORBIDDEN. */
int mobility_refusal(struct transaction *);

/* mobility_find: whose allocation a Refresh with a ticket is about that comes from a 5-tuple without one: the transaction's from then on,
 * which is_moving. False: another worker's, *worker. */
bool mobility_find(struct transaction *, unsigned *worker);

/* mobility_grant: the ticket of a Refresh is good: the allocation moves if it is_moving; the answer gets a ticket. 0 or the refusal. */
int mobility_grant(struct transaction *);

/* mobility_give: a ticket of the transaction's allocation into its answer. */
void mobility_give(struct transaction *);

/* mobility_seen: the client said something from `flow`.  For every packet.  mobility_arrive: the next 5-tuple becomes the only one. */
void mobility_arrive(struct engine *, struct allocation *);
static inline void mobility_seen(struct engine *engine, struct allocation *allocation, const struct flow *flow)
{
    if (allocation->next && flow_equal(allocation->next, flow))
        mobility_arrive(engine, allocation);
}

/* mobility_leave: a connection of the allocation is gone. False: with it the allocation should go, which is not mobile. */
bool mobility_leave(struct engine *, struct allocation *, const struct flow *);

#endif
