/* routes_secret.c: /v1/tenants/{tenant}/secrets: shared secrets. They come in, or are made and told once; never again. */
#include "server/routes.h"

#include "base/crypto.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 511
#define MADE_LEN 32
#define MADE_TEXT_MAX 48
#define ID_DIGITS_MAX 18

const struct field routes_secrets_query[] = {
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = ID_DIGITS_MAX, .help = "Go on behind this one: what `next` of the last answer said"},
    {0},
};
const struct field routes_secret_new[] = {
    {.name = "secret", .kind = FIELD_TEXT, .min = 1, .max = SECRET_MAX, .help = "The secret; without it one is made, and told in this answer alone"}, {0}};
const struct door_said routes_secret_add_said[] = {{HTTP_CREATED, "It counts for the next authentication"}, {HTTP_NOT_FOUND, "There is no such tenant"}, {0}};
const struct door_said routes_secret_said[] = {{HTTP_OK, "It is as was asked"}, {HTTP_NOT_FOUND, "There is no such tenant, or no such secret of it"}, {0}};

struct secret_job {
    struct routes_job job;
    struct desk_page page;
    size_t count;
    json_t *found;
};

static json_t *id_of(int64_t id)
{
    return json_sprintf("%lld", (long long)id);
}

static void on_secret(void *ctx, const struct desk_secret *secret)
{
    struct secret_job *job = ctx;
    if (++job->count < job->page.limit)
        json_array_append_new(job->found, json_pack("{s:o, s:o, s:I}", "id", id_of(secret->id), "realm", routes_text(secret->realm), "created",
                                                    (json_int_t)(secret->created_ms / 1000)));
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct secret_job *job = (struct secret_job *)of;
    char realm[STORE_REALM_MAX + 1];
    int err = routes_realm(desk, &job->job, realm);
    if (err)
        return err;
    job->found = json_array();
    err = desk_secrets(desk, *realm ? realm : NULL, &job->page, on_secret, job);
    job->job.body = json_pack("{s:o, s:o}", "secrets", job->found, "next", routes_next(job->found, job->count == job->page.limit, "id"));
    return err;
}

void routes_secrets(void *ctx, struct door_request *request)
{
    struct secret_job *job = routes_owner(request) ? routes_job(request, sizeof *job, list) : NULL;
    if (!job)
        return;
    job->page = (struct desk_page){.after = door_query(request, "after"), .limit = routes_limit(request) + 1};
    routes_job_ask(ctx, job);
}

/* made: a new secret, as text. */
static const char *made(char out[MADE_TEXT_MAX])
{
    uint8_t bytes[MADE_LEN];
    crypto_random(bytes, sizeof bytes);
    crypto_base64url(view_of(bytes, sizeof bytes), out);
    crypto_wipe(bytes, sizeof bytes);
    return out;
}

static int add(struct desk *desk, struct clerk_job *of)
{
    struct routes_job *job = (struct routes_job *)of;
    const char *given = door_text(job->request, "secret"), *tenant = door_part(job->request, 0);
    char realm[STORE_REALM_MAX + 1], text[MADE_TEXT_MAX];
    int64_t id = 0;
    int err = routes_realm(desk, job, realm);
    if (err)
        return err;
    const char *secret = given ? given : made(text);
    err = desk_secret_add(desk, &(struct desk_secret){.tenant = strcmp(tenant, "*") ? tenant : NULL, .realm = realm}, secret, job->who, &id);
    job->status = HTTP_CREATED;
    job->body = json_pack("{s:o, s:o}", "id", id_of(id), "realm", routes_text(realm));
    if (!given)
        json_object_set_new(job->body, "secret", json_string(secret));
    crypto_wipe(text, sizeof text);
    return err;
}

void routes_secret_add(void *ctx, struct door_request *request)
{
    struct routes_job *job = routes_owner(request) ? routes_job(request, sizeof *job, add) : NULL;
    if (job)
        routes_job_ask(ctx, job);
}

static int remove_one(struct desk *desk, struct clerk_job *of)
{
    struct routes_job *job = (struct routes_job *)of;
    const char *tenant = door_part(job->request, 0), *id = door_part(job->request, 1);
    char realm[STORE_REALM_MAX + 1];
    int err = routes_realm(desk, job, realm);
    if (err)
        return err;
    if (strspn(id, "0123456789") != strlen(id) || strlen(id) > ID_DIGITS_MAX)
        return routes_job_refuse(job, ERR_NOT_FOUND, NULL, "no such secret");
    const bool all = strcmp(tenant, "*") == 0;
    const struct desk_secret secret = {.tenant = all ? NULL : tenant, .realm = all ? NULL : realm, .id = strtoll(id, NULL, 10)};
    err = desk_secret_remove(desk, &secret, job->who);
    job->body = json_pack("{s:s}", "id", id);
    return err;
}

void routes_secret_remove(void *ctx, struct door_request *request)
{
    struct routes_job *job = routes_owner(request) ? routes_job(request, sizeof *job, remove_one) : NULL;
    if (job)
        routes_job_ask(ctx, job);
}
