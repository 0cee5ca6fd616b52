/* events.h: who follows what happens: GET /v1/events as server-sent events, from a memory of the last EVENTS_KEPT.
 *
 * A reader is a place in that memory: nothing is kept for him, and nobody waits for him. One whose place is no longer there reads too
 * slowly and is cut off; whoever comes back with Last-Event-ID goes on where he was, or is told that there is a `gap`. An `id` is of this
 * start: after another one everything that is remembered is new, behind a gap. A comment every EVENTS_BEAT_S seconds shows that there is
 * somebody. All of it is main's.
 */
#ifndef RELAY_SERVER_EVENTS_H
#define RELAY_SERVER_EVENTS_H

#include "admin/door.h"
#include "server/news.h"
#include "server/service.h"

#define EVENTS_KEPT 1024
#define EVENTS_STREAMS 32     /* readers in all */
#define EVENTS_STREAMS_EACH 8 /* of a tenant's */
#define EVENTS_BEAT_S 15

struct events;

/* events_new: NULL without memory.  events_free: those who read have gone: after door_close. */
struct events *events_new(const struct service *, struct loop *);
void events_free(struct events *);

/* events_publish: one more. */
void events_publish(struct events *, const struct news_item *);

/* events_stream: answers a question for them; `query`: tenant, type. */
extern const struct field events_query[];
void events_stream(struct events *, struct door_request *);

struct events_counts {
    uint64_t streams, cut;
};
struct events_counts events_counts(const struct events *);

#endif
