/* routes_webhook.c: /v1/webhooks: whom events are told by HTTP. A secret is told once, when it is made. */
#include "server/routes.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/webhooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES 8

#define WEBHOOK_FIELDS                                                                                                                     \
    {                                                                                                                                      \
        .name = "types", .kind = FIELD_TEXTS, .min = 0, .max = 16, .words = NEWS_HOOK_TYPES,                                               \
        .help = "Of which events; without it, or empty: all of these"                                                                      \
    }

const struct field routes_webhooks_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this tenant; *: the operator's own"}, {0}};
const struct field routes_webhook_new[] = {{.name = "url",
                                            .kind = FIELD_TEXT,
                                            .traits = FIELD_REQUIRED,
                                            .min = 1,
                                            .max = WEBHOOK_URL_MAX,
                                            .help = "Where to: https, and a public address"},
                                           {.name = "tenant",
                                            .kind = FIELD_TEXT,
                                            .min = 1,
                                            .max = NAME_MAX_LEN,
                                            .help = "Whose events; without it of who asks; *: of all, for the operator"},
                                           WEBHOOK_FIELDS,
                                           {0}};
const struct field routes_webhook_body[] = {
    {.name = "url", .kind = FIELD_TEXT, .min = 1, .max = WEBHOOK_URL_MAX, .help = "Where to"},
    WEBHOOK_FIELDS,
    {.name = "enabled", .kind = FIELD_FLAG, .help = "Whether it is told anything; true also forgets why it was disabled"},
    {0}};
const struct door_said routes_webhook_add_said[] = {{HTTP_CREATED, "It is told from now on; its secret is in this answer alone"},
                                                    {HTTP_NOT_FOUND, "There is no such tenant"},
                                                    {HTTP_CONFLICT, "The tenant has as many as it may have"},
                                                    {0}};
const struct door_said routes_webhook_said[] = {{HTTP_OK, "It is as was asked"}, {HTTP_NOT_FOUND, "There is no such webhook"}, {0}};
const struct door_said routes_webhook_test_said[] = {{HTTP_ACCEPTED, "It will be told"}, {HTTP_NOT_FOUND, "There is no such webhook"}, {0}};

/* struct hook_job: `tenant`: whose webhooks are meant; NULL: of all. */
struct hook_job {
    struct routes_job job;
    const char *tenant;
    struct webhook hook;
    char event[NEWS_ID_MAX];
    char *body;
};

/* ---- answers ---- */

static json_t *types_of(const char *types)
{
    json_t *list = json_array();
    for (const char *at = types; *at; at += strcspn(at, ","), at += *at == ',')
        json_array_append_new(list, json_stringn(at, strcspn(at, ",")));
    return list;
}

static json_t *json_of(const struct webhook *hook)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:I, s:o}", "id", hook->id, "tenant", routes_text(hook->tenant), "url",
                     routes_text(hook->url), "types", types_of(hook->types), "enabled", hook->enabled, "reason", routes_text(hook->reason),
                     "created", (json_int_t)(hook->created_ms / 1000), "waiting", (json_int_t)hook->waiting, "dead", (json_int_t)hook->dead,
                     "error", routes_text(hook->error));
}

static void on_hook(void *ctx, const struct webhook *hook)
{
    json_array_append_new(ctx, json_of(hook));
}

/* on_changed: what waits may be due now. */
static void on_changed(struct clerk_job *of, int err)
{
    struct hook_job *job = (struct hook_job *)of;
    struct webhooks *webhooks = job->job.routes->service->webhooks;
    crypto_wipe(job->hook.secret, sizeof job->hook.secret);
    free(job->body);
    routes_job_done(of, err);
    webhooks_look(webhooks);
}

static struct hook_job *job_new(struct door_request *request, int (*work)(struct desk *, struct clerk_job *))
{
    struct hook_job *job = routes_job(request, sizeof *job, work);
    if (!job)
        return NULL;
    job->job.job.done = on_changed;
    job->tenant = door_is_operator(request) ? NULL : door_caller(request)->tenant;
    return job;
}

/* ---- what is asked for ---- */

static int list(struct desk *desk, struct clerk_job *of)
{
    struct hook_job *job = (struct hook_job *)of;
    json_t *found = json_array();
    const int err = webhook_list(desk, job->tenant, on_hook, found);
    job->job.body = json_pack("{s:o}", "webhooks", found);
    return err;
}

void routes_webhooks(void *ctx, struct door_request *request)
{
    const char *tenant;
    struct hook_job *job = routes_tenant(request, &tenant) ? job_new(request, list) : NULL;
    if (!job)
        return;
    job->tenant = tenant;
    routes_job_ask(ctx, job);
}

/* take_url, take_types: of the body; false: it was refused. */
static bool take_url(const struct routes *routes, struct door_request *request, struct webhook *hook)
{
    const char *url = door_text(request, "url");
    const char *wrong = url && routes->service->webhooks ? webhooks_check(routes->service->webhooks, url) : NULL;
    if (wrong)
        door_refuse_field(request, "url", wrong);
    else if (url)
        view_copy(view_text(url), hook->url, sizeof hook->url);
    return !wrong;
}

static void take_types(const struct door_request *request, struct webhook *hook)
{
    const struct field_value *types = door_value(request, "types");
    struct slab out = slab_over(hook->types, sizeof hook->types - 1);
    size_t i;
    json_t *type;
    if (!types)
        return;
    json_array_foreach(types->list, i, type)
    {
        slab_put_text(&out, i ? "," : "");
        slab_put_text(&out, json_string_value(type));
    }
    hook->types[out.len] = 0;
}

static void name_hook(char out[WEBHOOK_ID_MAX + 1])
{
    uint8_t bytes[ID_BYTES];
    crypto_random(bytes, sizeof bytes);
    const int len = snprintf(out, WEBHOOK_ID_MAX + 1, "wh_");
    crypto_hex(view_of(bytes, sizeof bytes), out + len);
}

static int add(struct desk *desk, struct clerk_job *of)
{
    struct hook_job *job = (struct hook_job *)of;
    char secret[HOOK_SECRET_TEXT_MAX];
    const int err = webhook_put(desk, &job->hook, job->job.who);
    job->job.status = HTTP_CREATED;
    job->job.body = json_of(&job->hook);
    json_object_set_new(job->job.body, "secret", json_string(webhooks_secret(job->hook.secret, secret)));
    crypto_wipe(secret, sizeof secret);
    return err;
}

void routes_webhook_add(void *ctx, struct door_request *request)
{
    const char *tenant = door_text(request, "tenant");
    struct webhook hook = {.enabled = true, .created_ms = clock_unix_ms()};
    if (tenant && !door_may_see(request, tenant)) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
        return;
    }
    struct hook_job *job = take_url(ctx, request, &hook) ? job_new(request, add) : NULL;
    if (!job)
        return;
    take_types(request, &hook);
    view_copy(view_text(tenant ? tenant : door_caller(request)->tenant), hook.tenant, sizeof hook.tenant);
    name_hook(hook.id);
    job->hook = hook;
    crypto_random(job->hook.secret, sizeof job->hook.secret);
    routes_job_ask(ctx, job);
}

/* change: what the body does not say stays. */
static int change(struct desk *desk, struct clerk_job *of)
{
    struct hook_job *job = (struct hook_job *)of;
    const struct door_request *request = job->job.request;
    const struct webhook wanted = job->hook;
    int err = webhook_find(desk, door_part(request, 0), job->tenant, &job->hook);
    if (err)
        return err;
    if (door_text(request, "url"))
        memcpy(job->hook.url, wanted.url, sizeof wanted.url);
    if (door_value(request, "types"))
        memcpy(job->hook.types, wanted.types, sizeof wanted.types);
    job->hook.enabled = door_number(request, "enabled", job->hook.enabled) != 0;
    err = webhook_change(desk, &job->hook, job->job.who);
    if (!err)
        err = webhook_find(desk, job->hook.id, NULL, &job->hook);
    job->job.body = json_of(&job->hook);
    return err;
}

void routes_webhook_change(void *ctx, struct door_request *request)
{
    struct webhook hook = {0};
    struct hook_job *job = take_url(ctx, request, &hook) ? job_new(request, change) : NULL;
    if (!job)
        return;
    take_types(request, &hook);
    job->hook = hook;
    routes_job_ask(ctx, job);
}

static int remove_one(struct desk *desk, struct clerk_job *of)
{
    struct hook_job *job = (struct hook_job *)of;
    const char *id = door_part(job->job.request, 0);
    job->job.body = json_pack("{s:s}", "id", id);
    return webhook_remove(desk, id, job->tenant, job->job.who);
}

void routes_webhook_remove(void *ctx, struct door_request *request)
{
    struct hook_job *job = job_new(request, remove_one);
    if (job)
        routes_job_ask(ctx, job);
}

static int test(struct desk *desk, struct clerk_job *of)
{
    struct hook_job *job = (struct hook_job *)of;
    int64_t put, lost;
    int err = webhook_find(desk, door_part(job->job.request, 0), job->tenant, &job->hook);
    if (!err && !job->hook.enabled)
        err = routes_job_refuse(job, ERR_EXISTS, NULL, "the webhook is not enabled");
    if (!err)
        err = webhook_tell(desk,
                           &(struct webhook_event){.id = job->event,
                                                   .type = news_row(NEWS_WEBHOOK_TEST)->name,
                                                   .tenant = job->hook.tenant,
                                                   .webhook = job->hook.id,
                                                   .body = job->body,
                                                   .now_ms = clock_unix_ms()},
                           &put, &lost);
    job->job.status = HTTP_ACCEPTED;
    job->job.body = json_pack("{s:s}", "event", job->event);
    return err;
}

/* The event is of no start: another id than those of the news. */
static char *test_body(const struct hook_job *job, const char *id)
{
    struct news_item item = {.kind = NEWS_WEBHOOK_TEST,
                             .unix_ms = clock_unix_ms(),
                             .tenant = job->tenant ? job->tenant : NEWS_ALL,
                             .values = {NEWS_TEXT(id), NEWS_TEXT(job->job.who)}};
    view_copy(view_text(job->event), item.id, sizeof item.id);
    json_t *json = news_json(&item);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

void routes_webhook_test(void *ctx, struct door_request *request)
{
    char id[WEBHOOK_ID_MAX + 1];
    struct hook_job *job = job_new(request, test);
    if (!job)
        return;
    name_hook(id);
    snprintf(job->event, sizeof job->event, "evt_test_%s", id + 3);
    job->body = test_body(job, door_part(request, 0));
    if (job->body) {
        routes_job_ask(ctx, job);
        return;
    }
    free(job);
    door_refuse(request, HTTP_INTERNAL, "out of memory");
}
