/* hook_post.c: the letter, its signature, and what the answer means. */
#include "server/hook_post.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/webhooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_GONE = 410 };

struct hook_post *hook_post_new(const struct webhook_row *row)
{
    struct hook_post *post = calloc(1, sizeof *post);
    if (!post)
        return NULL;
    post->body = strdup(row->body);
    if (!post->body) {
        free(post);
        return NULL;
    }
    view_copy(view_text(row->event), post->event, sizeof post->event);
    view_copy(view_text(row->webhook), post->webhook, sizeof post->webhook);
    view_copy(view_text(row->tenant), post->tenant, sizeof post->tenant);
    view_copy(view_text(row->url), post->url, sizeof post->url);
    memcpy(post->secret, row->secret, sizeof post->secret);
    post->attempts = row->attempts;
    post->result = (struct webhook_result){.event = post->event, .webhook = post->webhook, .error = post->error};
    return post;
}

void hook_post_free(struct hook_post *post)
{
    if (post->exchange)
        http_cancel(post->exchange);
    crypto_wipe(post->secret, sizeof post->secret);
    free(post->body);
    free(post);
}

void hook_post_unlink(struct hook_post **first, const struct hook_post *post)
{
    while (*first && *first != post)
        first = &(*first)->next;
    if (*first)
        *first = post->next;
}

static void on_answer(void *owner, const struct http_response *response)
{
    struct hook_post *post = owner;
    post->exchange = NULL;
    post->result.taken = !response->error && response->status >= 200 && response->status < 300;
    post->result.gone = !response->error && response->status == HTTP_GONE;
    if (response->error)
        snprintf(post->error, sizeof post->error, "%s", response->error);
    else
        snprintf(post->error, sizeof post->error, "answered %d", response->status);
    post->told(post);
}

static void fail(struct hook_post *post, int err)
{
    snprintf(post->error, sizeof post->error, "%s", err == ERR_DENIED ? "not in webhook-allow" : err_text(err));
    post->told(post);
}

void hook_post_start(struct hook_post *post, struct http *http, struct crypto *crypto)
{
    const struct hook_letter letter = {post->event, post->body, clock_unix_ms() / 1000};
    char signature[HOOK_SIGNATURE_MAX], timestamp[24];
    const struct http_header headers[] = {{"content-type", "application/json"},
                                          {"user-agent", "relay/" RELAY_VERSION},
                                          {"webhook-id", post->event},
                                          {"webhook-timestamp", timestamp},
                                          {"webhook-signature", signature}};
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)letter.unix_s);
    int err = webhooks_sign(crypto, view_of(post->secret, sizeof post->secret), &letter, signature);
    if (!err)
        err = http_start(http,
                         &(struct http_request){.method = "POST",
                                                .url = post->url,
                                                .headers = headers,
                                                .header_count = sizeof headers / sizeof *headers,
                                                .body = view_text(post->body),
                                                .timeout_ms = HOOK_TIMEOUT_MS},
                         &(struct http_ending){on_answer, post}, &post->exchange);
    if (err)
        fail(post, err);
}

int webhooks_sign(struct crypto *crypto, struct view secret, const struct hook_letter *letter, char out[HOOK_SIGNATURE_MAX])
{
    uint8_t mac[CRYPTO_HASH_MAX];
    char timestamp[24];
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)letter->unix_s);
    const struct view parts[] = {view_text(letter->id), view_text("."), view_text(timestamp), view_text("."), view_text(letter->body)};
    if (crypto_hmac(crypto, CRYPTO_SHA256, secret, parts, sizeof parts / sizeof *parts, mac) != 0)
        return ERR_SYSTEM;
    const int len = snprintf(out, HOOK_SIGNATURE_MAX, "v1,");
    crypto_base64(view_of(mac, 32), out + len);
    return 0;
}

const char *webhooks_secret(const uint8_t secret[WEBHOOK_SECRET_LEN], char out[HOOK_SECRET_TEXT_MAX])
{
    const int len = snprintf(out, HOOK_SECRET_TEXT_MAX, "whsec_");
    crypto_base64(view_of(secret, WEBHOOK_SECRET_LEN), out + len);
    return out;
}
