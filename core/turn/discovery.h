/* discovery.h: NAT behaviour discovery: what a Binding request may ask of its answer: from where, to which port, how long. RFC 5780.
 *
 * Of the server's two addresses and two ports the request came to Da:Dp, and Ca, Cp are the others; section 6.1, table 1:
 *
 *     CHANGE-REQUEST   answer from   OTHER-ADDRESS
 *     nothing          Da:Dp         Ca:Cp
 *     change port      Da:Cp         Ca:Cp
 *     change IP        Ca:Dp         Ca:Cp
 *     both             Ca:Cp         Ca:Cp
 *
 * Over UDP alone; elsewhere these wishes are 400, and OTHER-ADDRESS serves to find the mapping. PADDING makes an answer no longer than its
 * request made it, and at most DISCOVERY_PADDING_MAX, so that nothing is amplified by it. A request of RFC 3489 may carry CHANGE-REQUEST
 * only; its RESPONSE-ADDRESS, which names a third party, is unknown here.
 */
#ifndef RELAY_TURN_DISCOVERY_H
#define RELAY_TURN_DISCOVERY_H

#include "turn/transaction.h"

#define DISCOVERY_PADDING_MAX 1500 /* the MTU of an Ethernet: with the rest of the answer that is two fragments, section 7.6 */

/* discovery_understands: whether the attribute of RFC 5780 in this `slot` can be honoured for this request; else it is unknown, 420. */
bool discovery_understands(const struct transaction *, enum attr_slot slot);

/* discovery_read: the wishes of a Binding request into tr->answer. 0, or STUN_BAD_REQUEST: malformed, contradictory, or not over UDP. */
int discovery_read(struct transaction *);

/* discovery_origin: where the answer comes from, as the client will see it.  discovery_other: OTHER-ADDRESS, or NULL: there is none. */
struct addr discovery_origin(const struct transaction *);
const struct addr *discovery_other(const struct transaction *);

/* discovery_moves: the answer leaves from, or goes to, elsewhere than the request's flow says.  discovery_route: changes a copy of that
 * flow. */
bool discovery_moves(const struct transaction *);
void discovery_route(const struct transaction *, struct flow *);

#endif
