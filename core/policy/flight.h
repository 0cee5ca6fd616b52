/* flight.h: what the world does for scripts that wait: an exchange over HTTP, a query, a lookup; waits with the same key share one.
 *
 * A flight lands once, with an answer for all who wait for it. When nobody waits for it any more the world is told so.
 */
#ifndef RELAY_POLICY_FLIGHT_H
#define RELAY_POLICY_FLIGHT_H

#include "policy/wait.h"

/* struct flight_plan: `begin` has the world start it under that name: 0 and *errand, or an error. */
struct flight_plan {
    const char *key; /* NULL: nobody else joins */
    int (*begin)(struct policy *, struct handle, const void *wish, void **errand);
    const void *wish;
};

void flights_init(struct policy *);
void flights_close(struct policy *);

/* flight_join: of one that is under way with this key, or else of a new one: 0, ERR_MEMORY, or what `begin` said. */
int flight_join(struct policy *, struct handle waiter, const struct flight_plan *);

/* flight_leave: who waited under this name does not any more; the last one ends the errand. */
void flight_leave(struct policy *, struct handle waiter);

/* flight_land: all who wait for it go on with this answer; nothing happens if nobody does. */
void flight_land(struct policy *, struct handle, const void *answer);

#endif
