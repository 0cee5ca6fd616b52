/* hook_post.h: one event on its way to one webhook; for webhooks.c only. */
#ifndef RELAY_SERVER_HOOK_POST_H
#define RELAY_SERVER_HOOK_POST_H

#include "net/http.h"
#include "server/clerk.h"
#include "store/webhook.h"

#define HOOK_TIMEOUT_MS 10000

/* struct hook_post: `result` is filled before `told` is called, once. */
struct hook_post {
    struct clerk_job job; /* that settles it */
    void *owner;
    void (*told)(struct hook_post *);
    struct http_exchange *exchange; /* NULL: it is not under way */
    char event[WEBHOOK_OUTBOX_EVENT_MAX + 1], webhook[WEBHOOK_ID_MAX + 1], tenant[WEBHOOK_TENANT_MAX + 1], url[WEBHOOK_URL_MAX + 1];
    char error[WEBHOOK_ERROR_MAX + 1];
    char *body;
    uint8_t secret[WEBHOOK_SECRET_LEN];
    int64_t attempts;
    struct webhook_result result;
    bool is_unsettled;
    struct hook_post *next;
};

struct hook_post *hook_post_new(const struct webhook_row *); /* NULL without memory */
void hook_post_free(struct hook_post *);                    /* what is under way is given up */
void hook_post_unlink(struct hook_post **first, const struct hook_post *);

/* hook_post_start: where it cannot even begin, `told` is called from within it. */
void hook_post_start(struct hook_post *, struct http *, struct crypto *);

#endif
