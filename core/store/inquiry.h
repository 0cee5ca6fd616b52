/* inquiry.h: what policies ask of the database, answered by threads of its own that may wait for it; for relay.db and relay.users.
 *
 * Their connections only read: a statement that would write, ATTACH, a PRAGMA, and the columns that hold keys and secrets are refused (db/README.md
 * lists them). An answer is bounded (base/query.h). What waits for a thread is bounded too, and what runs ends when nobody wants it any more, also
 * while the database is locked. There is no other deadline.
 */
#ifndef RELAY_STORE_INQUIRY_H
#define RELAY_STORE_INQUIRY_H

#include "base/query.h"

#include <stdbool.h>
#include <stddef.h>

#define INQUIRY_THREADS 2
#define INQUIRIES_MAX 1024 /* that wait for a thread */

struct inquiries;
struct inquiry;

/* inquiries_open: 0, or an error with a reason.  inquiries_close: after the last inquiry was cancelled or told. NULL is fine. */
int inquiries_open(const char *path, struct inquiries **out, char *error, size_t error_cap);
void inquiries_close(struct inquiries *);

/* struct inquiry_ending: whom to tell, in another thread, which must not wait there; may be before inquiry_start returns. */
struct inquiry_ending {
    void (*done)(void *owner);
    void *owner;
};

/* inquiry_start: 0 and *out, ERR_BUSY, ERR_MEMORY.  inquiry_cancel: true: it is gone, and `done` is not called; false: `done` was called, it is still the
 * caller's. */
int inquiry_start(struct inquiries *, const struct query *, const struct inquiry_ending *, struct inquiry **out);
bool inquiry_cancel(struct inquiry *);

/* inquiries_settle: what `done` touches may go: whoever was told was told whole. NULL is fine. */
void inquiries_settle(struct inquiries *);

/* What came of it, once `done` was called. */
const struct rows *inquiry_rows(const struct inquiry *);
void inquiry_free(struct inquiry *);

#endif
