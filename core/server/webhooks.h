/* webhooks.h: events that others are told by HTTP: from the outbox of the database (store/webhook.h), signed, until they are taken.
 *
 * An event is first a row for each webhook that wants it, and then told to who follows (server/events.h): whoever has seen it can be sure
 * that it will be told, also after kill -9. Main posts what is due, HOOKS_FLYING at a time, four of a tenant, two to one webhook; the clerk
 * reads and writes the rows. 2xx: it was taken. 410: the webhook is gone, and disabled. All else, a redirect too: again after a while, by
 * the table in webhooks.c; after the last time the row is dead, and WEBHOOK_DEAD is told. At least once, under one id; in no certain order.
 *
 * A POST is as Standard Webhooks has it (standardwebhooks.com): webhook-id, webhook-timestamp, webhook-signature: "v1," and Base64 of the
 * HMAC-SHA256 of ID.TIMESTAMP.BODY. It goes over HTTPS to public addresses, or to what webhook-allow names.
 */
#ifndef RELAY_SERVER_WEBHOOKS_H
#define RELAY_SERVER_WEBHOOKS_H

#include "server/events.h"
#include "store/webhook.h"

#define HOOKS_FLYING 64
#define HOOKS_FINISH_MS 1000
#define HOOK_SIGNATURE_MAX 64
#define HOOK_SECRET_TEXT_MAX 64

struct webhooks;

/* webhooks_open: 0, ERR_MEMORY or ERR_SYSTEM; the clerk is there.  webhooks_finish: before
 * anything is closed: the loop turns until what is due now was posted, HOOKS_FINISH_MS at most: a node that ends can say so.
 * webhooks_close: after clerk_close: what is not in the database yet is put there. */
int webhooks_open(struct service *, struct loop *);
void webhooks_finish(struct webhooks *);
void webhooks_close(struct webhooks *);

/* webhooks_take: an event: for the outbox if its kind is, and to be followed. NULL: there is no database, and it is only followed. */
void webhooks_take(struct webhooks *, struct events *, const struct news_item *);

/* webhooks_look: the outbox has changed. NULL is fine.  webhooks_check: NULL, or what is wrong with a URL. */
void webhooks_look(struct webhooks *);
const char *webhooks_check(const struct webhooks *, const char *url);

/* webhooks_sign: the value of webhook-signature: 0 or ERR_SYSTEM.  webhooks_secret: as its receiver is told it: "whsec_" and Base64. */
struct hook_letter {
    const char *id, *body;
    int64_t unix_s;
};
int webhooks_sign(struct crypto *, struct view secret, const struct hook_letter *, char out[HOOK_SIGNATURE_MAX]);
const char *webhooks_secret(const uint8_t secret[WEBHOOK_SECRET_LEN], char out[HOOK_SECRET_TEXT_MAX]);

struct webhooks_counts {
    uint64_t delivered, failed, dead, lost; /* attempts; rows that nobody took, or that had no room */
    uint64_t waiting;
};
struct webhooks_counts webhooks_counts(const struct webhooks *);

#endif
