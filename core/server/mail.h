/* mail.h: a mailbox: what other threads ask of the thread that owns it, in the order in which it came, and a wake-up of its loop.
 *
 * A letter is the first member of what it carries and belongs to who has it: the sender until it is posted, the reader from mail_take on. Posting takes no
 * lock and no memory. Letters that clients cause are offered: of those only MAIL_OFFERS_MAX wait, so that nobody fills the memory of a busy thread. The first
 * letter that waits wakes the reader, who takes all that have come.
 */
#ifndef RELAY_SERVER_MAIL_H
#define RELAY_SERVER_MAIL_H

#include "net/loop.h"

#include <stdatomic.h>
#include <stdint.h>

#define MAIL_OFFERS_MAX 256

/* enum letter_kind: a row each in worker_mail.c */
enum letter_kind {
    LETTER_STOP,
    LETTER_CONNECTION,
    LETTER_FOREIGN,
    LETTER_PREPARE,
    LETTER_COMMIT,
    LETTER_ABORT,
    LETTER_ROSTER,
    LETTER_REVOKE
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    bool is_offer;
};

struct mail {
    _Atomic(struct letter *) posted; /* the newest first */
    atomic_uint offers;              /* posted and not yet taken */
    struct watch wake;
};

/* mail_init: `call` runs in the loop's thread when letters have come.  mail_close: after the last letter was posted; take what is left before. */
void mail_init(struct mail *, struct loop *, void (*call)(void *owner), void *owner);
void mail_close(struct mail *);

/* mail_post: any thread, from mail_init to mail_close.  mail_offer: the same; false when too many wait, and the letter is still the caller's. */
void mail_post(struct mail *, struct letter *);
bool mail_offer(struct mail *, struct letter *);

/* mail_take: all letters that have come, the oldest first, linked by `next`; NULL: none. */
struct letter *mail_take(struct mail *);

#endif
