/* reload.h: policies are exchanged while the workers run, everywhere or nowhere. Main's part of it; a worker's is in worker_policy.c.
 *
 *     main                                       each worker, between two events
 *     reads the files, tries them   PREPARE ->   makes a policy of the texts, beside the one that answers
 *     all are ready:                 COMMIT ->   changes over
 *     one has failed:                 ABORT ->   drops the new one
 *     all have answered: tells who asked
 *
 * Hooks that wait in the old policy go on in it, for at most 10 s.
 *
 * From the first COMMIT to the last a request may be decided by either version, each of them whole; who is told that it is done will find the old one
 * nowhere. One exchange at a time: who asks meanwhile has the next one, as the files may have changed since they were read.
 */
#ifndef RELAY_SERVER_RELOAD_H
#define RELAY_SERVER_RELOAD_H

#include "server/mail.h"
#include "server/service.h"

/* struct policy_letter: PREPARE, COMMIT or ABORT, and the answer: the same letter, posted back. */
struct policy_letter {
    struct letter letter;
    struct mail *back;
    struct policy_edition *edition, *shadow; /* PREPARE; live until the answer is read */
    atomic_uint *retired;           /* COMMIT: counts the policies that have been replaced and not ended yet */
    bool failed;                    /* to make one: `reason` says why */
    char reason[REFUSAL_MAX];
    char revision[POLICY_REVISION_LEN + 1]; /* of the policy that answers questions now */
    uint32_t hooks;
};

/* struct reload_asker: who wants to know; his until `told` is called, once. */
struct reload_asker {
    void (*told)(struct reload_asker *, const char *failure); /* NULL: done */
    struct reload_asker *next;
};

enum reload_phase { RELOAD_IDLE, RELOAD_PREPARING, RELOAD_COMMITTING, RELOAD_ABORTING };

/* struct reload: all of it may be read by its owner, main; all counts are since the start. */
struct reload {
    struct service *service;
    struct loop *loop;
    struct mail mail;
    struct crypto *crypto;
    enum reload_phase phase;
    struct policy_letter *letters; /* one for each worker */
    unsigned expected;             /* answers */
    atomic_uint retired;           /* policies that hooks still wait in; what only those share stays until they have ended */
    struct policy_edition *edition, *shadow; /* the last that were read */
    uint64_t seen, tried;          /* policy-watch: how the files were at the last look, and when they were last loaded */
    char failure[REFUSAL_MAX];     /* of the exchange that is under way */
    bool is_wanted;                /* another one, after this */
    msec_t began;
    struct reload_asker *asking, *waiting; /* for this exchange, for the next */

    int64_t loaded_unix_ms, failed_unix_ms; /* 0: never */
    char last_failure[REFUSAL_MAX];
    uint64_t done, failed;
};

/* reload_open: after the workers were prepared, before they start. 0 or ERR_MEMORY.  reload_close: after they have ended; who still waits is told that it failed. */
int reload_open(struct reload *, struct service *, struct loop *);
void reload_close(struct reload *);

/* reload_ask: exchange the policies by what the files say now. NULL: nobody wants to know, the log says it. Nothing is told before this returns. */
void reload_ask(struct reload *, struct reload_asker *);

/* reload_tick: once a second: ends what nobody needs any more, and with policy-watch asks if files have changed. */
void reload_tick(struct reload *);

#endif
