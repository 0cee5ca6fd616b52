/* auth.h: the long-term credential mechanism of RFC 8489 section 9.2.4, with the realm chosen by the route hook and keys given by the
 * authenticate hook.
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

#endif
