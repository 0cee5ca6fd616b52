/* event.h: events that are about no request, and the counting that goes with them. */
#ifndef RELAY_TURN_EVENT_H
#define RELAY_TURN_EVENT_H

#include "turn/state.h"

/* event_closed: the end of an allocation, with what was not yet reported of its usage. */
void event_closed(struct engine *, const struct allocation *, const char *reason, const char *by, msec_t now);

/* event_slowed: a remark for each limit that dropped packets of the allocation, every few seconds at most. */
void event_slowed(struct engine *, struct allocation *, msec_t now);

/* usage_since: what was counted after `then`. */
struct usage usage_since(const struct usage *now, const struct usage *then);

#endif
