/* roster.h: who is there: the allocations of all workers, for a question at the admin door, and the end of one of them. Main's part; a
 * worker's is in worker_roster.c.
 *
 *     main   the same letter to one worker after the other, to each until it has no more   ROSTER ->   worker, between two events
 *            <- what it found among the next ROSTER_TURN allocations of its pool, as copies, and where it stopped
 *
 * So a worker never looks at more than ROSTER_TURN allocations in a turn of its loop, and what is told is bounded by the question.
 * Allocations that come and go meanwhile may be told or not; none is told twice. One question at a time: others wait for it.
 */
#ifndef RELAY_SERVER_ROSTER_H
#define RELAY_SERVER_ROSTER_H

#include "server/mail.h"
#include "server/service.h"

#define ROSTER_TURN 256

/* struct roster_row: a copy of an allocation. */
struct roster_row {
    uint64_t id;
    unsigned worker;
    char tenant[NAME_MAX_LEN + 1], user[NAME_MAX_LEN + 1], realm[REALM_MAX_LEN + 1]; /* tenant: or the realm, where there is none */
    struct labels labels;
    const char *transport;              /* "udp", "tls/tcp", ... */
    struct addr client, relayed, other; /* other: ADDR_NONE: there is none */
    int64_t created_unix_ms, expires_unix_ms;
    struct usage usage;
    uint32_t permissions, channels;
    bool is_active;
    uint64_t dropped[PACE_LIMITS]; /* packets, by the limit that they were over */
};

/* struct roster_place: from where on a question goes on: a worker, and an index of its pool. */
struct roster_place {
    unsigned worker;
    uint32_t index;
};

/* struct roster_asker: a question; his until `told` is called, once. Texts are borrowed; NULL and 0 ask for any. */
struct roster_asker {
    uint64_t id; /* then `from` is on its worker */
    const char *tenant, *user;
    const char *tag;          /* of a player, or "name=value", or a name: with any value */
    const char *credential;   /* its id, or its whole username */
    bool ends;                /* whoever is found is put out: reason "kicked" */
    unsigned limit;           /* at least 1 */
    struct roster_place from; /* {0}: from the first on */

    void (*found)(struct roster_asker *, const struct roster_row *);
    void (*told)(struct roster_asker *, const struct roster_place *next, const char *failure); /* next: NULL: that is all of them */
    struct roster_asker *next;
};

/* struct roster_letter: the question on its way, and what one worker answers. */
struct roster_letter {
    struct letter letter;
    struct mail *back;
    const struct roster_asker *asker;
    uint32_t from, most; /* index of the pool; rows that are still wanted */
    bool is_full;        /* another one would be at `from` */
    bool is_end;         /* there is nobody from `from` on */
    size_t count;
    struct roster_row rows[ROSTER_TURN];
};

struct roster {
    const struct service *service;
    struct mail mail;
    struct roster_letter *letter;
    struct roster_asker *asking, *waiting; /* asking: NULL: nobody; waiting: the first is next */
    struct roster_place place;
    unsigned left; /* of the limit */
};

/* roster_open: before workers start. 0 or ERR_MEMORY.  roster_close: after they have ended; who waits is told that it failed. */
int roster_open(struct roster *, const struct service *, struct loop *);
void roster_close(struct roster *);

/* roster_ask: nothing is told before this returns. */
void roster_ask(struct roster *, struct roster_asker *);

#endif
