/* redirect.h: 300 (Try Alternate): which other server a client is sent to, RFC 8489 section 10.
 *
 * By the configuration, in turn, as in coturn: an Allocate without credentials is answered before it is challenged, and so without a
 * signature: section 10 lets it be, section 14.8 does not; but clients follow with the realm and the nonce that they have, and the other
 * server would have to refuse the first one's (browsers give up on that). With credentials they are checked first and the answer is signed,
 * as it is where the authorize hook redirects.
 *
 * While the engine drains its siblings take the place of those servers.
 *
 * Nobody is sent to an address of the other family alone.
 */
#ifndef RELAY_TURN_REDIRECT_H
#define RELAY_TURN_REDIRECT_H

#include "turn/transaction.h"

/* redirect_fits: whether it has an address of the client's family. */
bool redirect_fits(const struct alternate *, const struct flow *);

/* redirect_to: the answer's addresses and domain; STUN_TRY_ALTERNATE. */
int redirect_to(struct transaction *, const struct alternate *);

/* redirect_configured: for an Allocate: 0 if it may stay, or STUN_TRY_ALTERNATE. */
int redirect_configured(struct transaction *);

#endif
