/* routes_key.c: /v1/keys: keys of the admin door. A tenant's key with `admin` makes and revokes those of its tenant. */
#include "server/api_key.h"
#include "server/keyring.h"
#include "server/news.h"
#include "server/revoker.h"
#include "server/routes.h"
#include "server/service.h"

#include "base/clock.h"
#include "base/err.h"

#include <string.h>

const struct field routes_keys_query[] = {
    {.name = "tenant",
     .kind = FIELD_TEXT,
     .min = 1,
     .max = NAME_MAX_LEN,
     .help = "Of this tenant, * of the operator; a tenant's key sees no other"},
    ROUTES_LIMIT_FIELD,
    {.name = "after",
     .kind = FIELD_TEXT,
     .min = 1,
     .max = STORE_API_KEY_ID_MAX,
     .help = "Go on behind this id: what `next` of the last answer said"},
    {0},
};

const struct field routes_key_body[] = {
    {.name = "tenant",
     .kind = FIELD_TEXT,
     .min = 1,
     .max = DOOR_TENANT_MAX,
     .help = "Whose it is, * of the operator; without it the caller's"},
    {.name = "scopes",
     .kind = FIELD_TEXTS,
     .traits = FIELD_REQUIRED,
     .min = 1,
     .max = 3,
     .words = API_KEY_SCOPES,
     .help = "What it is for"},
    {.name = "name", .kind = FIELD_TEXT, .max = 128, .help = "To know it by"},
    {.name = "expires",
     .kind = FIELD_NUMBER,
     .traits = FIELD_NULLABLE,
     .min = 1,
     .max = INT64_C(253402300799),
     .help = "When its time is over, in Unix seconds; without it never"},
    {0},
};

const struct door_said routes_key_made[] = {
    {HTTP_CREATED, "It is made; `token` is shown once and never again"}, {HTTP_NOT_FOUND, "There is no such tenant"}, {0}};
const struct door_said routes_key_removed[] = {
    {HTTP_OK, "It is revoked, and opens nothing from now on"}, {HTTP_NOT_FOUND, "There is no such key"}, {0}};

struct key_job {
    struct routes_job job;
    const char *tenant; /* of the key; NULL: of any */
    char owner[STORE_TENANT_MAX + 1];
    struct desk_page page;
    size_t count;
    json_t *found;
};

static json_t *seconds_of(int64_t ms)
{
    return ms ? json_integer(ms / 1000) : json_null();
}

static json_t *json_of(const struct desk_key *key)
{
    return json_pack("{s:s, s:s, s:o, s:s, s:I, s:o, s:o}", "id", key->id, "tenant", key->tenant, "scopes", api_key_scope_list(key->scopes),
                     "name", key->name, "created", (json_int_t)(key->created_ms / 1000), "expires", seconds_of(key->expires_ms), "revoked",
                     seconds_of(key->revoked_ms));
}

/* ---- GET ---- */

/* on_key: one more than is told says that there are more. */
static void on_key(void *ctx, const struct desk_key *key)
{
    struct key_job *job = ctx;
    if (++job->count < job->page.limit)
        json_array_append_new(job->found, json_of(key));
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct key_job *job = (struct key_job *)of;
    job->found = json_array();
    const int err = desk_keys(desk, &job->page, on_key, job);
    job->job.body = json_pack("{s:o, s:o}", "keys", job->found, "next", routes_next(job->found, job->count == job->page.limit, "id"));
    return err;
}

void routes_keys(void *ctx, struct door_request *request)
{
    const char *tenant;
    struct key_job *job = routes_tenant(request, &tenant) ? routes_job(request, sizeof *job, list) : NULL;
    if (!job)
        return;
    job->page = (struct desk_page){.name = tenant, .after = door_query(request, "after"), .limit = routes_limit(request) + 1};
    routes_job_ask(ctx, job);
}

/* ---- POST ---- */

static int make(struct desk *desk, struct clerk_job *of)
{
    struct key_job *job = (struct key_job *)of;
    const struct door_request *request = job->job.request;
    char scopes[STORE_API_KEY_SCOPES_MAX + 1];
    const char *name = door_text(request, "name");
    struct crypto *crypto = crypto_new();
    struct api_key made = {0};
    const int failed = crypto ? api_key_make(crypto, &made) : -1;
    crypto_free(crypto);
    if (failed)
        return ERR_MEMORY;
    const struct desk_key key = {.id = made.id,
                                 .tenant = job->tenant,
                                 .scopes = api_key_scope_text(door_value(request, "scopes")->list, scopes),
                                 .name = name ? name : "",
                                 .hash = made.hash,
                                 .created_ms = clock_unix_ms(),
                                 .expires_ms = door_number(request, "expires", 0) * 1000};
    const int err = desk_key_add(desk, &key, job->job.who);
    if (!err) {
        job->job.body = json_of(&key);
        json_object_set_new(job->job.body, "token", json_string(made.token));
    }
    crypto_wipe(&made, sizeof made);
    job->job.status = HTTP_CREATED;
    return err;
}

void routes_key_make(void *ctx, struct door_request *request)
{
    const char *tenant = door_text(request, "tenant");
    if (!tenant)
        tenant = door_caller(request)->tenant;
    if (!door_may_see(request, tenant)) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
        return;
    }
    struct key_job *job = routes_job(request, sizeof *job, make);
    if (!job)
        return;
    job->tenant = tenant;
    routes_job_ask(ctx, job);
}

/* ---- DELETE ---- */

static int revoke(struct desk *desk, struct clerk_job *of)
{
    struct key_job *job = (struct key_job *)of;
    const char *id = door_part(job->job.request, 0);
    const int err = desk_key_remove(desk, id, job->tenant, job->job.who, job->owner);
    if (!err)
        job->job.body = json_pack("{s:s, s:b}", "id", id, "revoked", 1);
    return err;
}

/* revoked: it opens nothing from now on, whatever was read of it before. */
static void revoked(struct clerk_job *of, int err)
{
    const struct key_job *job = (const struct key_job *)of;
    const struct routes *routes = job->job.routes;
    const char *id = door_part(job->job.request, 0);
    if (!err) {
        keyring_forget(routes->admission.keys, id);
        revoker_second(routes->service->revoker); /* what was minted under it ends, too */
        news_tell(routes->service->news, NEWS_KEY_REVOKED, job->owner, NEWS(NEWS_TEXT(id), NEWS_TEXT(job->job.who)));
    }
    routes_job_done(of, err);
}

void routes_key_remove(void *ctx, struct door_request *request)
{
    struct key_job *job = routes_job(request, sizeof *job, revoke);
    if (!job)
        return;
    job->job.job.done = revoked;
    job->tenant = door_is_operator(request) ? NULL : door_caller(request)->tenant;
    routes_job_ask(ctx, job);
}
