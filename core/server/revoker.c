/* revoker.c: the list, the sets that are made of it, and the rounds in which workers get them; see revoker.h. */
#include "server/revoker.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/news.h"
#include "server/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- orders ---- */

static struct desk_revocation as_row(const struct revoke_order *order)
{
    return (struct desk_revocation){.kind = revocation_name(order->kind),
                                    .tenant = order->tenant,
                                    .name = order->name,
                                    .at_ms = order->at_ms,
                                    .until_ms = order->until_ms == REVOCATION_FOREVER ? 0 : order->until_ms};
}

static uint64_t digest_of(const struct revoker *revoker, const struct revoke_order *order)
{
    return revocation_digest(&revoker->service->engine.hash_key, order->kind, order->tenant, view_text(order->name));
}

/* room_for: NULL, or why there is none. */
static const char *room_for(const struct revoke_list *list, const struct revoke_order *order)
{
    size_t of_tenant = 0;
    for (size_t i = 0; i < list->count; i++)
        of_tenant += strcmp(list->rows[i].tenant, order->tenant) == 0;
    if (list->count >= REVOCATIONS_MAX)
        return "too many revocations stand: they go as credentials expire; relay revocation list shows them";
    return of_tenant >= REVOCATIONS_TENANT ? "too many revocations of this tenant stand: revoke the key or the tenant instead" : NULL;
}

/* keep: NULL, or why not. A row that stands already is made anew. */
static const char *keep(struct revoke_list *list, const struct revoke_order *order, uint64_t digest, unsigned place)
{
    const struct desk_revocation from = as_row(order);
    const bool stands = revoke_list_find(list, digest);
    const char *refused = stands ? NULL : room_for(list, order);
    struct revoke_row *row = refused ? NULL : revoke_list_add(list, &from, order->who);
    if (!row)
        return refused ? refused : "out of memory";
    row->order = place;
    if (stands) /* the one in front is the old one */
        revoke_list_drop(list, revoke_list_find(list, digest));
    return NULL;
}

static void tell(struct revoke_order *order)
{
    if (order->has_ended && order->has_saved)
        order->told(order, NULL);
}

static int save(struct desk *desk, struct clerk_job *job)
{
    struct revoke_order *order = (struct revoke_order *)job;
    const struct desk_revocation row = as_row(order);
    return order->only_ends ? 0 : desk_revoke(desk, &row, order->who, &order->id);
}

/* A row that could not be written is tried again; one that was revoked anew meanwhile has an order of its own. */
static void on_saved(struct clerk_job *job, int err)
{
    struct revoke_order *order = (struct revoke_order *)job;
    struct revoke_row *row = order->only_ends ? NULL : revoke_list_find(&order->revoker->list, digest_of(order->revoker, order));
    order->has_saved = true;
    order->is_stored = err == 0;
    if (row && row->at_ms == order->at_ms) {
        row->has_failed = err != 0;
        row->who = err ? row->who : NULL;
        row->id = err ? 0 : order->id;
    }
    tell(order);
}

/* ---- rounds ---- */

static struct revocation_mark mark_of(const struct revoke_row *row)
{
    return (struct revocation_mark){row->digest, row->at_ms, row->until_ms, row->kind, row->order, "revoked"};
}

static struct revocation_mark mark_of_order(const struct revoker *revoker, const struct revoke_order *order, unsigned place)
{
    return (struct revocation_mark){digest_of(revoker, order), order->at_ms, INT64_MAX, order->kind, place,
                                    order->reason ? order->reason : "revoked"};
}

/* make_sets: of all rows, and of those whom this round is about. */
static int make_sets(struct revoker *revoker, struct revocations **set, struct revocations **walk)
{
    struct revocation_mark *marks = malloc((revoker->list.count + REVOKE_ROUND) * sizeof *marks);
    size_t count = 0;
    *set = *walk = NULL;
    if (!marks)
        return ERR_MEMORY;
    for (size_t i = 0; i < revoker->list.count; i++)
        marks[count++] = mark_of(&revoker->list.rows[i]);
    *set = revocations_new(&revoker->service->engine.hash_key, marks, count);
    if (!revoker->has_changed)
        count = 0;
    for (unsigned i = 0; i < revoker->in_round; i++)
        if (revoker->round[i]->only_ends || !revoker->has_changed)
            marks[count++] = mark_of_order(revoker, revoker->round[i], i);
    *walk = revocations_new(&revoker->service->engine.hash_key, marks, count);
    free(marks);
    if (*set && *walk)
        return 0;
    revocations_free(*set);
    revocations_free(*walk);
    return ERR_MEMORY;
}

static void refuse_order(struct revoke_order *order, const char *failure)
{
    order->told(order, failure);
}

/* take_orders: those that wait, as many as fit. */
static void take_orders(struct revoker *revoker)
{
    while (revoker->waiting && revoker->in_round < REVOKE_ROUND) {
        struct revoke_order *order = revoker->waiting;
        revoker->waiting = order->next;
        const char *failure = order->only_ends ? NULL : keep(&revoker->list, order, digest_of(revoker, order), revoker->in_round);
        if (failure) {
            refuse_order(order, failure);
            continue;
        }
        revoker->round[revoker->in_round++] = order;
        clerk_ask(revoker->service->clerk, &order->job);
    }
}

static void post_all(struct revoker *revoker)
{
    revoker->out = revoker->service->config->workers;
    for (unsigned i = 0; i < revoker->service->config->workers; i++) {
        struct revoke_letter *letter = &revoker->letters[i];
        *letter = (struct revoke_letter){.letter.kind = LETTER_REVOKE, .back = &revoker->mail, .set = revoker->set, .walk = revoker->walk};
        worker_post(revoker->service->workers[i], &letter->letter);
    }
}

/* begin: without memory for a set all is tried again with the next second. */
static void begin(struct revoker *revoker)
{
    struct revocations *set, *walk;
    if (revoker->out)
        return;
    take_orders(revoker);
    if ((!revoker->in_round && !revoker->has_changed && !revoker->is_stale) || make_sets(revoker, &set, &walk) != 0)
        return;
    revoker->left = revoker->set;
    revoker->set = set;
    revoker->walk = walk;
    revoker->has_changed = revoker->is_stale = false;
    post_all(revoker);
}

void revoker_tell(const struct revoker *revoker, const struct desk_revocation *row, const char *who)
{
    const char *tenant = strcmp(row->tenant, REVOCATION_ANY) == 0 ? NEWS_OPERATOR : row->tenant;
    if (strcmp(row->kind, revocation_name(REVOKE_KEY)) == 0)
        news_tell(revoker->service->news, NEWS_KEY_REVOKED, tenant, NEWS(NEWS_TEXT(row->name), NEWS_TEXT(who)));
    else
        news_tell(revoker->service->news, NEWS_CREDENTIAL_REVOKED, tenant, NEWS(NEWS_TEXT(row->kind), NEWS_TEXT(row->name), NEWS_TEXT(who)));
}

static void end_order(struct revoker *revoker, struct revoke_order *order, unsigned place)
{
    char name[REVOCATION_NAME_MAX + 8], tenant[2 * NAME_MAX_LEN];
    for (unsigned i = 0; i < revoker->service->config->workers; i++)
        order->ended += revoker->letters[i].ended[place];
    log_say(revoker->service->log, LOG_INFO, order->only_ends ? "ended" : "revoked", "kind=%s tenant=%s name=%s ended=%u who=%s",
            revocation_name(order->kind), log_quote(view_text(order->tenant), tenant, sizeof tenant),
            log_quote(view_text(order->name), name, sizeof name), order->ended, order->who);
    const struct desk_revocation row = as_row(order);
    if (!order->only_ends)
        revoker_tell(revoker, &row, order->who);
    order->has_ended = true;
    tell(order);
}

static void end_round(struct revoker *revoker)
{
    revocations_free(revoker->left);
    revocations_free(revoker->walk);
    revoker->left = revoker->walk = NULL;
    for (size_t i = 0; i < revoker->list.count; i++)
        revoker->list.rows[i].order = REVOKE_ROUND;
    const unsigned count = revoker->in_round;
    revoker->in_round = 0;
    for (unsigned i = 0; i < count; i++)
        end_order(revoker, revoker->round[i], i);
}

static void on_mail(void *owner)
{
    struct revoker *revoker = owner;
    for (struct letter *letter = mail_take(&revoker->mail); letter; letter = letter->next)
        if (--revoker->out == 0)
            end_round(revoker);
    begin(revoker);
}

void revoker_rouse(struct revoker *revoker)
{
    loop_wake(&revoker->mail.wake);
}

void revoker_ask(struct revoker *revoker, struct revoke_order *order)
{
    struct revoke_order **at = &revoker->waiting;
    while (*at)
        at = &(*at)->next;
    *at = order;
    order->next = NULL;
    order->revoker = revoker;
    order->job.work = save;
    order->job.done = on_saved;
    order->at_ms = clock_unix_ms();
    order->until_ms = revocation_until(order->kind, order->name, order->at_ms);
    order->ended = 0;
    order->has_ended = order->has_saved = order->is_stored = false;
    revoker_rouse(revoker);
}

/* ---- its life ---- */

int revoker_open(struct revoker *revoker, struct service *service, struct refusal *refusal)
{
    *revoker = (struct revoker){.service = service};
    revoke_list_init(&revoker->list, &service->engine.hash_key);
    const int err = revoker_load(revoker, refusal);
    if (err)
        return err;
    struct revocations *walk;
    if (make_sets(revoker, &revoker->set, &walk) != 0)
        return ERR_MEMORY;
    revocations_free(walk);
    service->revoked = revoker->set;
    return 0;
}

int revoker_serve(struct revoker *revoker, struct loop *loop)
{
    revoker->letters = calloc(revoker->service->config->workers, sizeof *revoker->letters);
    if (!revoker->letters)
        return ERR_MEMORY;
    mail_init(&revoker->mail, loop, on_mail, revoker);
    revoker->service->revoker = revoker;
    return 0;
}

/* The clerk has ended: what he had he has told. */
void revoker_close(struct revoker *revoker)
{
    for (unsigned i = 0; i < revoker->in_round; i++)
        refuse_order(revoker->round[i], "the relay is stopping");
    for (struct revoke_order *each = revoker->waiting, *next; each; each = next) {
        next = each->next;
        refuse_order(each, "the relay is stopping");
    }
    if (revoker->letters)
        mail_close(&revoker->mail);
    revoker_look_free(revoker->look);
    revoke_list_close(&revoker->list);
    revocations_free(revoker->set);
    revocations_free(revoker->walk);
    revocations_free(revoker->left);
    free(revoker->letters);
}
