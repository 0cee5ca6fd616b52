/* clerk.h: the clerk: a thread that reads and changes the database for questions at the admin door. Main hands it jobs and never waits.
 *
 *     main    clerk_ask ->                   clerk   work(desk, job), one job after the other, in the order in which they were asked
 *             done(job, err)  <- a letter
 *
 * A job that takes long holds up those behind it: what is large is done in pieces of some milliseconds, each a job that is asked by the `done` of the one before. A
 * database that is locked, full, read-only or broken fails a job, with the reason, after CLERK_PATIENCE_MS at most; for the next it is opened anew.
 */
#ifndef RELAY_SERVER_CLERK_H
#define RELAY_SERVER_CLERK_H

#include "server/mail.h"
#include "store/desk.h"

#define CLERK_JOBS_MAX 256 /* that wait */
#define CLERK_PATIENCE_MS 2000
#define CLERK_REASON_MAX 512

struct clerk;

/* struct clerk_job: the first member of what it works on; the clerk's from clerk_ask until `done` is called. */
struct clerk_job {
    struct letter letter;
    int (*work)(struct desk *, struct clerk_job *); /* in the clerk's thread: 0, or a negative enum err that says why in desk_error */
    void (*done)(struct clerk_job *, int err);      /* in main's; err: what `work` said, or why it was not called: ERR_BUSY, ERR_SYSTEM */
    struct clerk_job *next;
    int err;
    char reason[CLERK_REASON_MAX]; /* in words, where err is not 0 */
};

/* clerk_open: starts the thread, which opens the file. 0, ERR_MEMORY, ERR_SYSTEM.  clerk_close: ends it after the job at hand; `done` of all jobs is called: those that
 * were not begun are told that they failed. NULL is fine. */
int clerk_open(const char *path, struct loop *, struct clerk **out);
void clerk_close(struct clerk *);

/* clerk_ask: of main. `done` is called once; at once, and with ERR_BUSY, if too many wait or the relay is stopping; with ERR_SYSTEM if there is no database: NULL. */
void clerk_ask(struct clerk *, struct clerk_job *);

#endif
