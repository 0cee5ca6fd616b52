/* webhooks.c: the way of an event into the outbox, and out of it. */
#include "server/webhooks.h"

#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"
#include "server/clerk.h"
#include "server/hook_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLYING_EACH 2   /* to one webhook: a slow one leaves room for others */
#define FLYING_TENANT 4 /* of one tenant */
#define DUE_MAX 128
#define AGAIN_MS 1000 /* where the database does not answer */
#define SOON_MS 20
#define TICK_S 0.05
#define IDLE_MS 60000
#define LATE_MAX 1024

/* After so many seconds it is tried again; the whole of it is about three days. */
static const int delays_s[] = {1, 2, 10, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600};

/* struct entry: an event on its way into the outbox. */
struct entry {
    struct clerk_job job;
    struct webhooks *webhooks;
    struct events *events;
    struct news_kept kept;
    char *body;
    int64_t put, lost;
    struct entry *next; /* among those that are late */
};

/* struct search: what is due. */
struct search {
    struct clerk_job job;
    struct webhooks *webhooks;
    struct hook_post *found[DUE_MAX];
    size_t count;
    int64_t next_ms, waiting;
};

struct webhooks {
    struct service *service;
    struct loop *loop;
    struct http *http;
    struct crypto *crypto;
    struct watch timer, tick;
    struct search search;
    unsigned entering; /* the clerk has them */
    bool is_looking, looks_again;
    struct hook_post *flying;
    unsigned flying_count;
    struct entry *late; /* the database did not take them yet */
    unsigned late_count;
    struct webhooks_counts counts;
};

static void on_timer(void *owner);

/* ---- into the outbox ---- */

static void entry_free(struct entry *entry)
{
    free(entry->body);
    free(entry);
}

static int put_entry(struct desk *desk, struct clerk_job *job)
{
    struct entry *entry = (struct entry *)job;
    const struct news_item *item = &entry->kept.item;
    return webhook_tell(
        desk,
        &(struct webhook_event){
            .id = item->id, .type = news_row(item->kind)->name, .tenant = item->tenant, .body = entry->body, .now_ms = item->unix_ms},
        &entry->put, &entry->lost);
}

static void say_lost(struct webhooks *webhooks, const char *reason, int64_t count)
{
    if (count <= 0)
        return;
    webhooks->counts.lost += (uint64_t)count;
    log_say(webhooks->service->log, LOG_ERROR, "webhook_lost", "reason=\"%s\" events=%lld", reason, (long long)count);
}

static void keep_late(struct entry *entry)
{
    struct webhooks *webhooks = entry->webhooks;
    if (webhooks->late_count == LATE_MAX) {
        say_lost(webhooks, "the database does not take them", 1);
        entry_free(entry);
        return;
    }
    entry->next = webhooks->late;
    webhooks->late = entry;
    webhooks->late_count++;
    watch_after(&webhooks->timer, webhooks->loop, AGAIN_MS, on_timer, webhooks);
}

static void on_put(struct clerk_job *job, int err)
{
    struct entry *entry = (struct entry *)job;
    struct webhooks *webhooks = entry->webhooks;
    webhooks->entering--;
    if (err) {
        keep_late(entry);
        return;
    }
    say_lost(webhooks, "the outbox is full", entry->lost);
    events_publish(entry->events, &entry->kept.item);
    if (entry->put)
        webhooks_look(webhooks);
    entry_free(entry);
}

static void enter(struct entry *entry)
{
    entry->webhooks->entering++;
    clerk_ask(entry->webhooks->service->clerk, &entry->job);
}

static struct entry *entry_new(struct webhooks *webhooks, struct events *events, const struct news_item *item)
{
    struct entry *entry = calloc(1, sizeof *entry);
    json_t *json = entry ? news_json(item) : NULL;
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body) {
        free(entry);
        return NULL;
    }
    entry->job.work = put_entry;
    entry->job.done = on_put;
    entry->webhooks = webhooks;
    entry->events = events;
    entry->body = body;
    news_keep(&entry->kept, item);
    return entry;
}

void webhooks_take(struct webhooks *webhooks, struct events *events, const struct news_item *item)
{
    struct entry *entry = webhooks && news_row(item->kind)->to_hooks ? entry_new(webhooks, events, item) : NULL;
    if (entry)
        enter(entry);
    else
        events_publish(events, item);
}

/* ---- out of it ---- */

static void on_settled(struct clerk_job *job, int err)
{
    struct hook_post *post = (struct hook_post *)job;
    struct webhooks *webhooks = post->owner;
    if (err) {
        post->is_unsettled = true; /* it keeps its place, so that nobody posts it again meanwhile */
        watch_after(&webhooks->timer, webhooks->loop, AGAIN_MS, on_timer, webhooks);
        return;
    }
    hook_post_unlink(&webhooks->flying, post);
    webhooks->flying_count--;
    hook_post_free(post);
    watch_after(&webhooks->timer, webhooks->loop, SOON_MS, on_timer, webhooks); /* once for all that end at about the same time */
}

static int settle(struct desk *desk, struct clerk_job *job)
{
    const struct hook_post *post = (const struct hook_post *)job;
    return webhook_settle(desk, &post->result);
}

static void tell_dead(struct webhooks *webhooks, const struct hook_post *post)
{
    const struct webhook_result *result = &post->result;
    webhooks->counts.dead++;
    log_say(webhooks->service->log, LOG_WARNING, "webhook_dead", "webhook=%s event=%s reason=\"%s\"", result->webhook, result->event,
            result->error);
    news_tell(webhooks->service->news, NEWS_WEBHOOK_DEAD, post->tenant,
              NEWS(NEWS_TEXT(result->webhook), NEWS_TEXT(result->event), NEWS_TEXT(result->error)));
}

/* judge: what the answer makes of the row. */
static void judge(struct webhooks *webhooks, struct hook_post *post)
{
    struct webhook_result *result = &post->result;
    const size_t tries = sizeof delays_s / sizeof *delays_s;
    webhooks->counts.delivered += result->taken;
    webhooks->counts.failed += !result->taken;
    if (result->taken)
        return;
    result->next_ms = (size_t)post->attempts < tries ? clock_unix_ms() + INT64_C(1000) * delays_s[post->attempts] : 0;
    if (result->gone)
        log_say(webhooks->service->log, LOG_WARNING, "webhook_disabled", "webhook=%s reason=\"%s\"", result->webhook, result->error);
    else if (!result->next_ms)
        tell_dead(webhooks, post);
}

static void on_answered(struct hook_post *post)
{
    struct webhooks *webhooks = post->owner;
    judge(webhooks, post);
    clerk_ask(webhooks->service->clerk, &post->job);
}

static void fly(struct webhooks *webhooks, struct hook_post *post)
{
    post->owner = webhooks;
    post->told = on_answered;
    post->job.work = settle;
    post->job.done = on_settled;
    post->next = webhooks->flying;
    webhooks->flying = post;
    webhooks->flying_count++;
    hook_post_start(post, webhooks->http, webhooks->crypto);
}

/* may_fly: it is not under way, and neither its webhook nor its tenant has enough of them. */
static bool may_fly(const struct webhooks *webhooks, const struct hook_post *post)
{
    unsigned each = 0, of_tenant = 0;
    for (const struct hook_post *other = webhooks->flying; other; other = other->next) {
        const bool is_same = strcmp(other->webhook, post->webhook) == 0;
        if (is_same && strcmp(other->event, post->event) == 0)
            return false;
        each += is_same;
        of_tenant += strcmp(other->tenant, post->tenant) == 0;
    }
    return each < FLYING_EACH && of_tenant < FLYING_TENANT && webhooks->flying_count < HOOKS_FLYING;
}

static void on_row(void *ctx, const struct webhook_row *row)
{
    struct search *search = ctx;
    struct hook_post *post = search->count < DUE_MAX ? hook_post_new(row) : NULL;
    if (post)
        search->found[search->count++] = post;
}

static int search_due(struct desk *desk, struct clerk_job *job)
{
    struct search *search = (struct search *)job;
    const int err = webhook_due(desk, clock_unix_ms(), DUE_MAX, on_row, search);
    return err ? err : webhook_ahead(desk, &search->next_ms, &search->waiting);
}

/* is_owed: the database is to be asked again. */
static bool is_owed(const struct webhooks *webhooks)
{
    const struct hook_post *post = webhooks->flying;
    while (post && !post->is_unsettled)
        post = post->next;
    return post || webhooks->late;
}

/* wait_for_next: where something is due and has no place, the end of one that flies is the time to look. */
static void wait_for_next(struct webhooks *webhooks, int64_t next_ms)
{
    const int64_t left = next_ms - clock_unix_ms(), least = webhooks->flying ? AGAIN_MS : SOON_MS;
    const int64_t ms = left > IDLE_MS ? IDLE_MS : left < least ? least : left;
    watch_after(&webhooks->timer, webhooks->loop, is_owed(webhooks) && ms > AGAIN_MS ? AGAIN_MS : ms, on_timer, webhooks);
}

static void on_found(struct clerk_job *job, int err)
{
    struct search *search = (struct search *)job;
    struct webhooks *webhooks = search->webhooks;
    webhooks->is_looking = false;
    for (size_t i = 0; i < search->count; i++) {
        if (!err && may_fly(webhooks, search->found[i]))
            fly(webhooks, search->found[i]);
        else
            hook_post_free(search->found[i]);
    }
    if (err) {
        watch_after(&webhooks->timer, webhooks->loop, AGAIN_MS, on_timer, webhooks);
        return;
    }
    webhooks->counts.waiting = (uint64_t)search->waiting;
    wait_for_next(webhooks, search->next_ms);
    if (webhooks->looks_again)
        webhooks_look(webhooks);
}

void webhooks_look(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    webhooks->looks_again = webhooks->is_looking;
    if (webhooks->is_looking)
        return;
    webhooks->is_looking = true;
    webhooks->search = (struct search){.job.work = search_due, .job.done = on_found, .webhooks = webhooks};
    clerk_ask(webhooks->service->clerk, &webhooks->search.job);
}

/* on_timer: something is due, or the database is asked again for what it did not take. */
static void on_timer(void *owner)
{
    struct webhooks *webhooks = owner;
    struct entry *late = webhooks->late;
    webhooks->late = NULL;
    webhooks->late_count = 0;
    for (struct entry *next; late; late = next) {
        next = late->next;
        enter(late);
    }
    for (struct hook_post *post = webhooks->flying; post; post = post->next) {
        if (post->is_unsettled) {
            post->is_unsettled = false;
            clerk_ask(webhooks->service->clerk, &post->job);
        }
    }
    webhooks_look(webhooks);
}

/* ---- its life ---- */

const char *webhooks_check(const struct webhooks *webhooks, const char *url)
{
    switch (http_check(webhooks->http, url)) {
        case 0:
            return NULL;
        case ERR_BAD:
            return "a URL expected, https://HOST/PATH, without a name and a password";
        default:
            return "webhooks go over https to public addresses, unless webhook-allow names the host";
    }
}

struct webhooks_counts webhooks_counts(const struct webhooks *webhooks)
{
    return webhooks ? webhooks->counts : (struct webhooks_counts){0};
}

int webhooks_open(struct service *service, struct loop *loop)
{
    const struct config *config = service->config;
    struct webhooks *webhooks = service->webhooks = calloc(1, sizeof *webhooks);
    if (!webhooks)
        return ERR_MEMORY;
    *webhooks = (struct webhooks){.service = service,
                                  .loop = loop,
                                  .http = http_new(loop, config->webhook_allow, config->webhook_allow_count),
                                  .crypto = crypto_new()};
    if (!webhooks->http || !webhooks->crypto || (!config->no_public_webhooks && http_let_public(webhooks->http) != 0))
        return ERR_MEMORY;
    webhooks_look(webhooks);
    return 0;
}

static void on_tick(void *owner)
{
    (void)owner; /* the loop has turned */
}

void webhooks_finish(struct webhooks *webhooks)
{
    const msec_t until = clock_monotonic_ms() + HOOKS_FINISH_MS;
    if (!webhooks)
        return;
    news_flush(webhooks->service->news);
    watch_every(&webhooks->tick, webhooks->loop, TICK_S, on_tick, webhooks);
    while ((webhooks->entering || webhooks->is_looking || webhooks->flying) && clock_monotonic_ms() < until)
        loop_turn(webhooks->loop);
    watch_stop(&webhooks->tick);
}

/* save: what the clerk did not come to. */
static void save(struct webhooks *webhooks)
{
    char why[256];
    struct desk *desk = NULL;
    if (!is_owed(webhooks) || desk_open(webhooks->service->config->userdb, false, &desk, why, sizeof why) != 0)
        return;
    for (struct entry *entry = webhooks->late; entry; entry = entry->next)
        put_entry(desk, &entry->job);
    for (struct hook_post *post = webhooks->flying; post; post = post->next)
        if (post->is_unsettled)
            settle(desk, &post->job);
    desk_close(desk);
}

void webhooks_close(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    watch_stop(&webhooks->timer);
    save(webhooks);
    for (struct entry *entry = webhooks->late, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    for (struct hook_post *post = webhooks->flying, *next; post; post = next) {
        next = post->next;
        hook_post_free(post);
    }
    http_free(webhooks->http);
    crypto_free(webhooks->crypto);
    free(webhooks);
}
