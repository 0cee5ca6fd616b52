/* chain.h: to run the hooks of all policies in order; policy_ask and policy_tell are in chain.c too. */
#ifndef RELAY_POLICY_CHAIN_H
#define RELAY_POLICY_CHAIN_H

#include "policy/wait.h"

void chain_open(lua_State *L); /* anchors what arguments need; may raise */

/* chain_begin: run init of every policy, and wait for it; false if one failed, and *failure says why. */
bool chain_begin(struct policy *, struct verdict *failure);
void chain_tell(struct policy *, enum hook);
void chain_timer(struct policy *, struct timer *);

/* chain_resume: a run that waits can go on.  chain_expire: it has waited too long, and has failed.  chain_drop: nobody wants to know. */
void chain_resume(struct policy *, struct wait *);
void chain_expire(struct policy *, struct wait *);
void chain_drop(struct policy *, struct wait *);

#endif
