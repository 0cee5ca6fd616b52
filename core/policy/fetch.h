/* fetch.h: the HTTP exchanges that scripts wait for; those with the same single_flight share one. */
#ifndef RELAY_POLICY_FETCH_H
#define RELAY_POLICY_FETCH_H

#include "policy/state.h"

void fetch_init(struct policy *);
void fetch_close(struct policy *);

/* fetch_leave: who waited under this name does not any more; the last one ends the exchange. */
void fetch_leave(struct policy *, struct handle waiter);

#endif
