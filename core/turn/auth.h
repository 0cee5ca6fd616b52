/* auth.h: the long-term credential mechanism of RFC 8489 section 9.2.4, with the realm chosen by the route hook and keys given by the
 * authenticate hook.
 *
 * Where SHA-256 is offered, a client that says which algorithm it took must say what it was offered, too, and the same: whoever shortened
 * the offer on its way is found out (bid-down). One that says neither signs with MD5. Which HMAC it uses is seen from the message.
 *
 * A stranger costs no memory: the nonce is stateless and checked before anybody is asked. An unknown user and a wrong password get the same
 * bytes after the same work.
 */
#ifndef RELAY_TURN_AUTH_H
#define RELAY_TURN_AUTH_H

#include "turn/transaction.h"

/* auth_route: realm and tenant of the transaction, from its allocation or the route hook. */
int auth_route(struct transaction *);

/* auth_check: 0: authentic.  auth_resume: the authenticate hook's late answer. */
int auth_check(struct transaction *);
int auth_resume(struct transaction *, struct verdict *);

/* auth_admit: 0, or the refusal where the credential is good and was revoked. `tags` are those that its allocation has or is to have. */
int auth_admit(struct transaction *, const char *tags);

struct view auth_offer(void); /* PASSWORD-ALGORITHMS of a challenge: SHA-256, then MD5 */

#endif
