/* chain.h: to run the hooks of all policies in order; policy_ask and policy_tell are in chain.c too. */
#ifndef RELAY_POLICY_CHAIN_H
#define RELAY_POLICY_CHAIN_H

#include "policy/wait.h"

void chain_open(lua_State *L); /* anchors what arguments need; may raise */

/* chain_begin: run init of every policy; false if one failed, and *policy->init says why. Where the world turns while they wait, that is waited
 * for; else some may still wait. */
bool chain_begin(struct policy *);
void chain_tell(struct policy *, enum hook);
void chain_timer(struct policy *, struct timer *);

/* chain_save: run `save` of one policy: the thread on whose top its result is, until budget_end; NULL: it failed, and *failure says why. */
lua_State *chain_save(struct policy *, size_t script, struct verdict *failure);

/* chain_why: `file:line: reason` of a failure. */
void chain_why(const struct verdict *failure, char *error, size_t error_cap);

/* chain_resume: a run that waits can go on.  chain_expire: it has waited too long, and has failed.  chain_drop: nobody wants to know. */
void chain_resume(struct policy *, struct wait *);
void chain_expire(struct policy *, struct wait *);
void chain_drop(struct policy *, struct wait *);

#endif
