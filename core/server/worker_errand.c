/* worker_errand.c: what policies have done outside of them, and wait for: exchanges over HTTP, queries, lookups.
 *
 * HTTP and DNS are on the tenure's loop; queries are for the threads of store/inquiry, whose answers come by the tenure's mailbox.
 */
#include "server/worker_state.h"

#include "base/err.h"
#include "store/inquiry.h"

#include <stdlib.h>

/* struct errand: whose it is, and what carries it out. */
struct errand {
    struct letter letter; /* of a query: that it has ended */
    void (*cancel)(struct errand *);
    struct tenure *tenure;
    struct policy *policy; /* of the tenure, which does not know it yet while it is made; NULL: nobody wants it any more */
    struct handle handle;
    struct http_exchange *exchange;
    struct inquiry *inquiry;
    struct dns_lookup *lookup;
};

/* errand_new: NULL without memory. */
static struct errand *errand_new(void *ctx, struct policy *policy, struct handle handle, void (*cancel)(struct errand *))
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand)
        *errand = (struct errand){.cancel = cancel, .tenure = ctx, .policy = policy, .handle = handle};
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

void errand_cancel(void *ctx, void *named)
{
    struct errand *errand = named;
    (void)ctx;
    errand->cancel(errand);
}

static int64_t unix_of(const struct errand *errand, msec_t now)
{
    return now + errand->tenure->worker->unix_offset_ms;
}

/* ---- HTTP ---- */

static void on_fetched(void *owner, const struct http_response *response)
{
    struct errand *errand = owner;
    const msec_t now = loop_now(errand->tenure->loop);
    policy_fetched(errand->policy, errand->handle, response, now, unix_of(errand, now));
    free(errand);
}

static void cancel_fetch(struct errand *errand)
{
    http_cancel(errand->exchange);
    free(errand);
}

int errand_fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **out)
{
    struct errand *errand = errand_new(ctx, policy, handle, cancel_fetch);
    const struct http_ending ending = {on_fetched, errand};
    return errand ? begun(errand, http_start(errand->tenure->http, request, &ending, &errand->exchange), out) : ERR_MEMORY;
}

/* ---- DNS ---- */

static void on_resolved(void *owner, const struct dns_answer *answer)
{
    struct errand *errand = owner;
    const msec_t now = loop_now(errand->tenure->loop);
    policy_resolved(errand->policy, errand->handle, answer, now, unix_of(errand, now));
    free(errand);
}

static void cancel_lookup(struct errand *errand)
{
    dns_cancel(errand->lookup);
    free(errand);
}

int errand_resolve(void *ctx, struct policy *policy, struct handle handle, const struct dns_question *question, void **out)
{
    struct errand *errand = errand_new(ctx, policy, handle, cancel_lookup);
    const struct dns_ending ending = {on_resolved, errand};
    return errand ? begun(errand, dns_start(errand->tenure->dns, question, &ending, &errand->lookup), out) : ERR_MEMORY;
}

const struct dns_answer *errand_recall(void *ctx, const struct dns_question *question)
{
    const struct tenure *tenure = ctx;
    return dns_recall(tenure->dns, question);
}

/* ---- the database ---- */

/* In a thread of store/inquiry. */
static void on_queried(void *owner)
{
    struct errand *errand = owner;
    mail_post(&errand->tenure->mail, &errand->letter);
}

static void drop_query(struct errand *errand)
{
    inquiry_free(errand->inquiry);
    free(errand);
}

/* One that has ended is freed when its letter is read. */
static void cancel_query(struct errand *errand)
{
    if (inquiry_cancel(errand->inquiry))
        free(errand);
    else
        errand->policy = NULL;
}

/* What a script says of no tenant is of the default realm. */
static struct datum realm_of(const struct tenure *tenure, const struct datum *tenant)
{
    const struct view realm = view_text(tenure->worker->service->engine.realm);
    return tenant->text.len ? *tenant : (struct datum){.kind = DATUM_TEXT, .text = realm};
}

int errand_query(void *ctx, struct policy *policy, struct handle handle, const struct query *query, void **out)
{
    const struct tenure *tenure = ctx;
    struct inquiries *inquiries = tenure->worker->service->inquiries;
    struct query asked = *query;
    struct datum user[2];
    if (!inquiries)
        return ERR_NOT_FOUND;
    struct errand *errand = errand_new(ctx, policy, handle, cancel_query);
    if (!errand)
        return ERR_MEMORY;
    if (query->is_user) {
        user[0] = realm_of(tenure, &query->data[0]);
        user[1] = query->data[1];
        asked.data = user;
    }
    const struct inquiry_ending ending = {on_queried, errand};
    return begun(errand, inquiry_start(inquiries, &asked, &ending, &errand->inquiry), out);
}

static void take_letters(struct tenure *tenure, bool wanted)
{
    for (struct letter *letter = mail_take(&tenure->mail), *next; letter; letter = next) {
        struct errand *errand = (struct errand *)letter;
        const msec_t now = loop_now(tenure->loop);
        next = letter->next;
        if (errand->policy && wanted)
            policy_queried(errand->policy, errand->handle, inquiry_rows(errand->inquiry), now, unix_of(errand, now));
        drop_query(errand);
    }
}

static void on_letters(void *owner)
{
    take_letters(owner, true);
}

/* ---- the loop that all this is on ---- */

void errands_close(struct tenure *tenure)
{
    if (!tenure->loop)
        return;
    take_letters(tenure, false);
    mail_close(&tenure->mail);
    http_free(tenure->http);
    dns_free(tenure->dns);
    tenure->http = NULL;
    tenure->dns = NULL;
    tenure->loop = NULL;
}

int errands_open(struct tenure *tenure, struct loop *loop)
{
    const struct config *config = tenure->worker->service->config;
    errands_close(tenure);
    tenure->loop = loop;
    mail_init(&tenure->mail, loop, on_letters, tenure);
    tenure->http = http_new(loop, config->policy_http, config->policy_http_count);
    tenure->dns = dns_new(loop, config->policy_dns, config->policy_dns_count);
    return tenure->http && tenure->dns ? 0 : ERR_MEMORY;
}
