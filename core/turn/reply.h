/* reply.h: the one place that turns a code into bytes.
 *
 * Unauthenticated errors are as short as they can be (no reason phrase, a short nonce): whoever spoofs a source address gains little (RFC
 * 8489 section 16.1.2).
 */
#ifndef RELAY_TURN_REPLY_H
#define RELAY_TURN_REPLY_H

#include "turn/transaction.h"

/* reply_make: the answer to a transaction: success for code 0. Borrowed until the next one; empty if it cannot be made. */
struct view reply_make(struct transaction *, int code);

#endif
