/* revoker.h: what was revoked, for as long as it stands: main's list, from which every worker has the same set. A worker's part is in worker_revoke.c.
 *
 *     revoker_ask ->  main   a new set to all workers, with the orders   REVOKE ->  worker   refuses by it from this moment on, and goes through its
 *                                                                                  allocations, REVOKE_TURN in a turn of its loop: who is meant ends
 *                     clerk  writes the row and the audit                <- the letter, with how many ended
 *     told            when both have answered
 *
 * So between the moment and the answer nobody comes in again, on any worker. A set that all workers have left is freed: they look at it without a lock.
 *
 * Rows live in the table `revocations`. Once a second the clerk looks whether it has changed, as the command line writes there, too; what has stood its time is removed. A
 * table that cannot be read changes nothing; a row that could not be written stands in memory, and is tried again every second.
 */
#ifndef RELAY_SERVER_REVOKER_H
#define RELAY_SERVER_REVOKER_H

#include "server/clerk.h"
#include "server/revoke_list.h"
#include "server/service.h"

#define REVOKE_TURN 256
#define REVOKE_ROUND REVOCATION_NO_ORDER /* orders that go to the workers together */
#define REVOCATIONS_MAX 65536            /* rows */
#define REVOCATIONS_TENANT 16384         /* of one tenant */
#define REVOKER_WHO_MAX 160

/* struct revoke_letter: what a worker is to do, and what it did. */
struct revoke_letter {
    struct letter letter;
    struct mail *back;
    const struct revocations *set;    /* from now on */
    const struct revocations *walk;   /* whoever matches it is to end */
    uint32_t from;                    /* index of the pool */
    unsigned ended[REVOKE_ROUND + 1]; /* by `order` of the mark */
};

struct revoker;

/* struct revoke_order: somebody is to be shut out; the asker's until `told` is called, once. */
struct revoke_order {
    struct clerk_job job; /* first */
    enum revocation_kind kind;
    char tenant[NAME_MAX_LEN + 1], name[REVOCATION_NAME_MAX + 1];
    char who[REVOKER_WHO_MAX]; /* for the audit */
    const char *reason;        /* that the closed events tell, of the whole process' life; NULL: "revoked" */
    bool only_ends;            /* live allocations end, and nothing stays: whoever it is may come again */
    void (*told)(struct revoke_order *, const char *failure);

    int64_t at_ms, until_ms;
    unsigned ended; /* allocations */
    bool is_stored; /* in the database, as `id`; else job.reason says why not */
    int64_t id;

    struct revoker *revoker;
    bool has_ended, has_saved;
    struct revoke_order *next;
};

struct revoker {
    struct service *service;
    struct mail mail;
    struct revoke_list list;
    struct revoke_letter *letters;         /* one for each worker */
    unsigned out;                          /* letters that are under way */
    struct revocations *set, *walk, *left; /* left: the one before, until all have left it */
    bool has_changed;                      /* the table has: all rows are to be gone through */
    bool is_stale;                         /* the set has rows whose time is over */
    struct revoke_order *waiting, *round[REVOKE_ROUND];
    unsigned in_round;
    struct revoke_look *look; /* made with the revoker; the clerk's while it is under way */
};

/* revoker_open: reads the table; before workers are prepared, who begin with service->revoked. 0, or negative with the refusal.  revoker_serve: on main's
 * loop, before workers start; 0 or ERR_MEMORY.  revoker_close: after workers and the clerk have ended. */
int revoker_open(struct revoker *, struct service *, struct refusal *);
int revoker_serve(struct revoker *, struct loop *);
void revoker_close(struct revoker *);

/* revoker_ask: nothing is told before this returns.  revoker_second: once a second, and after the table was changed. */
void revoker_ask(struct revoker *, struct revoke_order *);
void revoker_second(struct revoker *);

/* Private: revoker_tell: as news.  revoker_rouse: a round is to begin, if there is something to do.  revoker_look.c: revoker_load: the table, at the start.  revoker_look_free. */
void revoker_tell(const struct revoker *, const struct desk_revocation *, const char *who);
void revoker_rouse(struct revoker *);
int revoker_load(struct revoker *, struct refusal *);
void revoker_look_free(struct revoke_look *);

#endif
