/* tally.h: how often hooks answer what, and how long they take (struct policy_tally); two looks at the clock for each, and none where
 * nobody measures. */
#ifndef RELAY_POLICY_TALLY_H
#define RELAY_POLICY_TALLY_H

#include "policy/wait.h"

/* tally_hooks: which hooks there are, from now on. */
void tally_hooks(struct policy *);

/* The script that is asked by policy->run begins, waits, goes on, and has ended with such an answer. */
void tally_begin(struct policy *);
void tally_pause(struct policy *);
void tally_resume(struct policy *);
void tally_end(struct policy *, enum verdict_kind);

#endif
