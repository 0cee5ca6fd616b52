/* question.h: asking the policy, and what becomes of answers that make no sense.
 *
 * A verdict that the hook may not give, a code that it may not deny with, or a promise to answer later where that is not possible counts as
 * a failure of the policy: VERDICT_FAIL, told as policy_error. A hook that nobody answers is silent and costs nothing.
 */
#ifndef RELAY_TURN_QUESTION_H
#define RELAY_TURN_QUESTION_H

#include "turn/park.h"

/* question_put: fills `question` (its hook, peer, channel are set) and *verdict. After VERDICT_LATER the transaction has been parked. A
 * refusal's reason is in the transaction. */
void question_put(struct transaction *, struct question *question, struct verdict *verdict);

/* question_check: the same rules for a verdict that came later, which may not be put off again. */
void question_check(struct transaction *, enum hook, struct verdict *verdict);

#endif
