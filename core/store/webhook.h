/* webhook.h: webhooks, and the events that are still to be told to them: what the clerk does for them at the database.
 *
 * An event becomes a row for each webhook that wants it, in one transaction, and the row goes when the webhook has taken it: whatever happens in between, it is told at least
 * once, under the same id. The outbox is bounded: WEBHOOK_OUTBOX_MAX rows, of a tenant WEBHOOK_OUTBOX_EACH; dead ones, which nobody took in the end, are the first to go, and what then has no
 * room is lost and counted. Errors as desk.h has them.
 */
#ifndef RELAY_STORE_WEBHOOK_H
#define RELAY_STORE_WEBHOOK_H

#include "store/desk.h"

#define WEBHOOK_ID_MAX 23
#define WEBHOOK_SECRET_LEN 32
#define WEBHOOK_URL_MAX 1023
#define WEBHOOK_TYPES_MAX 511
#define WEBHOOK_TENANT_MAX 128
#define WEBHOOK_ERROR_MAX 127
#define WEBHOOKS_EACH 16 /* of a tenant */
#define WEBHOOK_OUTBOX_MAX 20000
#define WEBHOOK_OUTBOX_EACH 2000
#define WEBHOOK_OUTBOX_DUE_EACH 4
#define WEBHOOK_OUTBOX_DUE_TENANT 8
#define WEBHOOK_OUTBOX_EVENT_MAX 63

/* struct webhook: of a tenant, or "*": of the operator, who is told of everybody. `types`: names of events with commas between them; "": all. */
struct webhook {
    char id[WEBHOOK_ID_MAX + 1], tenant[WEBHOOK_TENANT_MAX + 1], url[WEBHOOK_URL_MAX + 1], types[WEBHOOK_TYPES_MAX + 1];
    uint8_t secret[WEBHOOK_SECRET_LEN];
    bool enabled;
    char reason[WEBHOOK_ERROR_MAX + 1]; /* why it is not; "": somebody said so */
    int64_t created_ms;
    int64_t waiting, dead;              /* rows of the outbox */
    char error[WEBHOOK_ERROR_MAX + 1];  /* why the last of them was not taken; "": nothing is known */
};

/* webhook_put: ERR_EXISTS: the tenant has WEBHOOKS_EACH.  webhook_list: of a tenant, NULL: of all; `secret` is not filled.  webhook_find: with its secret; of another tenant
 * than `tenant`, unless that is NULL: ERR_NOT_FOUND.  webhook_change: url, types and enabled.  webhook_remove: with what is still to be told to it. */
int webhook_put(struct desk *, const struct webhook *, const char *who);
typedef void webhook_fn(void *ctx, const struct webhook *);
int webhook_list(struct desk *, const char *tenant, webhook_fn *each, void *ctx);
int webhook_find(struct desk *, const char *id, const char *tenant, struct webhook *out);
int webhook_change(struct desk *, const struct webhook *, const char *who);
int webhook_remove(struct desk *, const char *id, const char *tenant, const char *who);

/* struct webhook_event: of a tenant; "*": of all; "": the operator's. `webhook`: for this one alone; NULL: for all that want its type. */
struct webhook_event {
    const char *id, *type, *tenant, *webhook, *body;
    int64_t now_ms;
};

/* webhook_tell: twice is once. *put: how many webhooks are to be told; *lost: how many had no room. */
int webhook_tell(struct desk *, const struct webhook_event *, int64_t *put, int64_t *lost);

/* struct webhook_row: one that is due: of `attempts` that have failed. */
struct webhook_row {
    const char *event, *webhook, *tenant, *body, *url;
    const uint8_t *secret;
    int64_t attempts;
};
typedef void webhook_row_fn(void *ctx, const struct webhook_row *);

/* webhook_due: at most `limit` of those that are due, some of each webhook and of each tenant, who take turns, the oldest first.  webhook_ahead: when the next one is, INT64_MAX: there is none; and how many wait. */
int webhook_due(struct desk *, int64_t now_ms, int64_t limit, webhook_row_fn *each, void *ctx);
int webhook_ahead(struct desk *, int64_t *next_ms, int64_t *waiting);

/* struct webhook_result: what became of a row: it was taken; or the next attempt is at `next_ms`, 0: there is none, the row is dead; or `gone`: the webhook wants no more, and is
 * not enabled any longer. */
struct webhook_result {
    const char *event, *webhook, *error;
    bool taken, gone;
    int64_t next_ms;
};
int webhook_settle(struct desk *, const struct webhook_result *);

#endif
