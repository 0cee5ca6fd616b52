/* worker_errand.c: what policies have done outside of them, and wait for: exchanges over HTTP, queries, lookups.
 *
 * HTTP is for the thread of net/fetcher, queries for those of store/inquiry: their answers come by the tenure's mailbox, a few in a turn of
 * its loop. DNS is on that loop.
 */
#include "server/worker_state.h"

#include "base/err.h"
#include "net/fetcher.h"
#include "store/inquiry.h"

#include <stdlib.h>

#define LETTERS_TURN 4 /* what is relayed is looked at between a few answers and the next few */

/* struct errand: whose it is, and what carries it out. */
struct errand {
    struct letter letter; /* that it has ended, if another thread carries it out */
    const struct trade *trade;
    struct tenure *tenure;
    struct policy *policy; /* of the tenure, which does not know it yet while it is made; NULL: nobody wants it any more */
    struct handle handle;
    struct fetch *fetch;
    struct inquiry *inquiry;
    struct dns_lookup *lookup;
};

/* struct trade: a kind of errand.  cancel: nobody wants it any more; true: it is gone.  tell: the policy what came of it.  drop: what carried it
 * out, and ended. */
struct trade {
    bool (*cancel)(struct errand *);
    void (*tell)(struct errand *, msec_t now);
    void (*drop)(struct errand *);
};

/* errand_new: NULL without memory. */
static struct errand *errand_new(void *ctx, struct policy *policy, struct handle handle, const struct trade *trade)
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand)
        *errand = (struct errand){.trade = trade, .tenure = ctx, .policy = policy, .handle = handle};
    return errand;
}

/* begun: 0 and its name; what could not begin is gone. */
static int begun(struct errand *errand, int err, void **out)
{
    *out = errand;
    if (err)
        free(errand);
    return err;
}

/* One that has ended in another thread is freed when its letter is read. */
void errand_cancel(void *ctx, void *named)
{
    struct errand *errand = named;
    (void)ctx;
    if (errand->trade->cancel(errand))
        free(errand);
    else
        errand->policy = NULL;
}

/* on_told: in the thread that carried it out. */
static void on_told(void *owner)
{
    struct errand *errand = owner;
    mail_post(&errand->tenure->mail, &errand->letter);
}

static int64_t unix_of(const struct errand *errand, msec_t now)
{
    return now + errand->tenure->worker->unix_offset_ms;
}

/* ---- HTTP ---- */

static bool cancel_fetch(struct errand *errand)
{
    return fetch_cancel(errand->fetch);
}

static void tell_fetched(struct errand *errand, msec_t now)
{
    policy_fetched(errand->policy, errand->handle, fetch_response(errand->fetch), now, unix_of(errand, now));
}

static void drop_fetch(struct errand *errand)
{
    fetch_free(errand->fetch);
}

int errand_fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **out)
{
    static const struct trade trade = {cancel_fetch, tell_fetched, drop_fetch};
    const struct tenure *tenure = ctx;
    struct errand *errand = errand_new(ctx, policy, handle, &trade);
    const struct fetch_ending ending = {on_told, errand};
    return errand ? begun(errand, fetch_start(tenure->worker->service->fetcher, request, &ending, &errand->fetch), out) : ERR_MEMORY;
}

/* ---- DNS ---- */

static void on_resolved(void *owner, const struct dns_answer *answer)
{
    struct errand *errand = owner;
    const msec_t now = loop_now(errand->tenure->loop);
    policy_resolved(errand->policy, errand->handle, answer, now, unix_of(errand, now));
    free(errand);
}

static bool cancel_lookup(struct errand *errand)
{
    dns_cancel(errand->lookup);
    return true;
}

int errand_resolve(void *ctx, struct policy *policy, struct handle handle, const struct dns_question *question, void **out)
{
    static const struct trade trade = {.cancel = cancel_lookup};
    struct errand *errand = errand_new(ctx, policy, handle, &trade);
    const struct dns_ending ending = {on_resolved, errand};
    return errand ? begun(errand, dns_start(errand->tenure->dns, question, &ending, &errand->lookup), out) : ERR_MEMORY;
}

const struct dns_answer *errand_recall(void *ctx, const struct dns_question *question)
{
    const struct tenure *tenure = ctx;
    return dns_recall(tenure->dns, question);
}

/* ---- the database ---- */

static bool cancel_query(struct errand *errand)
{
    return inquiry_cancel(errand->inquiry);
}

static void tell_queried(struct errand *errand, msec_t now)
{
    policy_queried(errand->policy, errand->handle, inquiry_rows(errand->inquiry), now, unix_of(errand, now));
}

static void drop_query(struct errand *errand)
{
    inquiry_free(errand->inquiry);
}

/* What a script says of no tenant is of the default realm. */
static struct datum realm_of(const struct tenure *tenure, const struct datum *tenant)
{
    const struct view realm = view_text(tenure->worker->service->engine.realm);
    return tenant->text.len ? *tenant : (struct datum){.kind = DATUM_TEXT, .text = realm};
}

int errand_query(void *ctx, struct policy *policy, struct handle handle, const struct query *query, void **out)
{
    static const struct trade trade = {cancel_query, tell_queried, drop_query};
    const struct tenure *tenure = ctx;
    struct inquiries *inquiries = tenure->worker->service->inquiries;
    struct query asked = *query;
    struct datum user[2];
    if (!inquiries)
        return ERR_NOT_FOUND;
    struct errand *errand = errand_new(ctx, policy, handle, &trade);
    if (!errand)
        return ERR_MEMORY;
    if (query->is_user) {
        user[0] = realm_of(tenure, &query->data[0]);
        user[1] = query->data[1];
        asked.data = user;
    }
    const struct inquiry_ending ending = {on_told, errand};
    return begun(errand, inquiry_start(inquiries, &asked, &ending, &errand->inquiry), out);
}

/* ---- what other threads carried out ---- */

static struct letter **last_of(struct letter **list)
{
    while (*list)
        list = &(*list)->next;
    return list;
}

/* take_letters: at most that many; true: there are more. */
static bool take_letters(struct tenure *tenure, bool wanted, size_t most)
{
    *last_of(&tenure->letters) = mail_take(&tenure->mail);
    for (; tenure->letters && most; most--) {
        struct errand *errand = (struct errand *)tenure->letters;
        tenure->letters = errand->letter.next;
        if (errand->policy && wanted)
            errand->trade->tell(errand, loop_now(tenure->loop));
        errand->trade->drop(errand);
        free(errand);
    }
    return tenure->letters != NULL;
}

static void on_letters(void *owner)
{
    struct tenure *tenure = owner;
    if (take_letters(tenure, true, LETTERS_TURN))
        loop_wake(&tenure->mail.wake);
}

/* ---- the loop that all this is on ---- */

void errands_close(struct tenure *tenure)
{
    if (!tenure->loop)
        return;
    take_letters(tenure, false, SIZE_MAX);
    inquiries_settle(tenure->worker->service->inquiries); /* a letter is there before its sender has woken who reads it */
    fetcher_settle(tenure->worker->service->fetcher);
    mail_close(&tenure->mail);
    dns_free(tenure->dns);
    tenure->dns = NULL;
    tenure->loop = NULL;
}

int errands_open(struct tenure *tenure, struct loop *loop)
{
    const struct config *config = tenure->worker->service->config;
    errands_close(tenure);
    tenure->loop = loop;
    mail_init(&tenure->mail, loop, on_letters, tenure);
    tenure->dns = dns_new(loop, config->policy_dns, config->policy_dns_count);
    return tenure->dns ? 0 : ERR_MEMORY;
}
