/* cost.h: what an answer cost: the time and the instructions of all runs of its hooks, where that is wanted (policy_config.measures). */
#ifndef RELAY_POLICY_COST_H
#define RELAY_POLICY_COST_H

struct policy;

/* cost_begin: the current run begins, or goes on.  cost_end: it is through, or waits: policy_cost says what it came to so far. */
void cost_begin(struct policy *);
void cost_end(struct policy *);

#endif
