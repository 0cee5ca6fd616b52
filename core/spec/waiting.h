/* waiting.h: what hooks of a world wait for: its clock, and what the stubs of the spec answer over HTTP. */
#ifndef RELAY_SPEC_WAITING_H
#define RELAY_SPEC_WAITING_H

#include "spec/world.h"

/* waiting_open: the functions of a policy_world that waiting needs, but `answer`. */
void waiting_open(struct policy_world *);

/* waiting_due: when the next hook goes on, or POLICY_NEVER.  waiting_turn: those that are due do.  waiting_close: nothing goes on. */
msec_t waiting_due(struct world *);
void waiting_turn(struct world *);
void waiting_close(struct world *);

#endif
