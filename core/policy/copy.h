/* copy.h: a question or an event on the heap, for a run that waits: what it was shown stays readable.
 *
 * One block; texts lie behind the struct. Keys are left out. An allocation is as it was when the wait began.
 */
#ifndef RELAY_POLICY_COPY_H
#define RELAY_POLICY_COPY_H

#include "turn/allocation.h"

struct copy {
    struct question question; /* all 0 if it is an event's */
    struct event event;
    struct request request;
    struct flow flow;
    struct message message;
    struct allocation allocation;
    struct usage delta;
    struct addr peer;
};

/* copy_new: of one of the two, the other is NULL; NULL without memory. */
struct copy *copy_new(const struct question *, const struct event *);
void copy_free(struct copy *);

#endif
