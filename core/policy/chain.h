/* chain.h: to run hooks that are told rather than asked, and timers; policy_ask and policy_tell are in chain.c too. */
#ifndef RELAY_POLICY_CHAIN_H
#define RELAY_POLICY_CHAIN_H

#include "policy/state.h"

void chain_open(lua_State *L); /* anchors what arguments need; may raise */

/* chain_tell: run `hook` of every policy; false if one failed (it is said and counted; `init` stops there), and *failure says why. */
bool chain_tell(struct policy *, enum hook, const struct slice *, struct verdict *failure);
void chain_timer(struct policy *, const struct timer *);

#endif
