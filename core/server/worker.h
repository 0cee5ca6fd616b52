/* worker.h: one thread with its own loop, sockets, engine, policy and database reader. Workers share only what service.h and the ledger hold.
 *
 * worker_new makes the sockets (in main, before privileges are dropped: a 5-tuple stays with its worker because the set of SO_REUSEPORT sockets never
 * changes), worker_prepare loads what needs no privilege, worker_start starts the thread. worker_stop may be called from any thread.
 */
#ifndef RELAY_SERVER_WORKER_H
#define RELAY_SERVER_WORKER_H

#include "server/service.h"

struct denials;
struct letter;
struct policy_letter;
struct worker;

struct worker *worker_new(const struct service *, unsigned index, struct refusal *);
int worker_prepare(struct worker *, struct refusal *);
int worker_start(struct worker *);

/* worker_post: a letter to its mailbox, from any thread.  worker_policy_state: which policies it has, into the letter; before it is started. */
void worker_post(struct worker *, struct letter *);
void worker_policy_state(const struct worker *, struct policy_letter *);

/* worker_metrics: adds to `sums` what the worker last said of `count` numbers from the place `at` on, of the rows of metric_of_worker; any
 * thread. */
void worker_metrics(const struct worker *, size_t at, uint64_t *sums, size_t count);

/* worker_denials: what it refused last; there is an admin door. */
struct denials *worker_denials(const struct worker *);

/* worker_stop: ask the thread to end its allocations and leave; once.  worker_join: wait for it.  worker_free: NULL is fine. */
void worker_stop(struct worker *);
void worker_join(struct worker *);
void worker_free(struct worker *);

#endif
