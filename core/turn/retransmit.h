/* retransmit.h: answers of the last 40 s, so that a retransmitted request gets the same answer again, RFC 8489 section 6.3.1.
 *
 * Of fixed size: a full set gives up its oldest answer. Only answers to authenticated requests are kept, so a stranger can neither fill nor
 * flush it.
 */
#ifndef RELAY_TURN_RETRANSMIT_H
#define RELAY_TURN_RETRANSMIT_H

#include "base/table.h"
#include "turn/flow.h"
#include "wire/message.h"

#define RETRANSMIT_MS 40000
#define RETRANSMIT_ANSWER_MAX 272 /* longer ones are not kept: what cannot be repeated fits */

struct retransmit;

struct retransmit *retransmit_new(const struct hash_key *key); /* NULL without memory */
void retransmit_free(struct retransmit *);

/* retransmit_find: the answer to this very transaction, borrowed; empty if there is none.  retransmit_keep: remember one. */
struct view retransmit_find(const struct retransmit *, const struct flow *, const struct message *, int64_t now);
void retransmit_keep(struct retransmit *, const struct flow *, const struct message *, struct view answer, int64_t now);

#endif
