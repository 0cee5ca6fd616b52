/* feed.h: an answer that is given piece by piece, as there is something to say: events, exports.
 *
 * Its source is asked for bytes whenever the reader has room for some, and may say that there are none now: the connection is set aside,
 * and costs nothing, until feed_wake. Nobody waits for a reader: one who takes nothing for DOOR_TIMEOUT_S while there is something for him
 * is cut off. One who has gone is noticed when there is something to write. All in the thread of the door; its source is
 * called by door_run alone, never from within these.
 */
#ifndef RELAY_ADMIN_FEED_H
#define RELAY_ADMIN_FEED_H

#include "admin/door.h"

#include <sys/types.h>

enum {
    FEED_LATER = 0, /* nothing now: feed_wake follows */
    FEED_END = -1,  /* that was all */
    FEED_CUT = -2   /* it was not: the connection ends so that the reader can tell */
};

/* struct feed_source: `read` puts up to `cap` bytes into `out`: how many, or one of the above.  close: once, when the reader has all or has
 * gone; the feed is gone too. */
struct feed_source {
    ssize_t (*read)(void *owner, char *out, size_t cap);
    void (*close)(void *owner);
    void *owner;
};

struct feed;

/* feed_open: the answer of a request, now or later: of that status and media type. Asked for by HEAD, it is not read, only closed. NULL
 * without memory: the request was answered 500, and nothing is closed. */
struct feed *feed_open(struct door_request *, unsigned status, const char *type, const struct feed_source *);

/* feed_wake: there is something to read, or it comes to its end. */
void feed_wake(struct feed *);

/* ---- between the files of the room ---- */

struct MHD_Connection;
struct MHD_Response;

/* door_feeds: where a door keeps those that are open.  door_connection, door_of: of a request.  door_respond: its answer, which is sent
 * when the door runs next.  door_wake: it runs soon: its descriptor is readable.  feed_close_all: the library may not be stopped while
 * connections are set aside. */
struct feed **door_feeds(struct door *);
struct MHD_Connection *door_connection(const struct door_request *);
void door_respond(struct door_request *, unsigned status, struct MHD_Response *);
void door_wake(const struct door *);
struct door *door_of(const struct door_request *);
void feed_close_all(struct feed *first);

#endif
