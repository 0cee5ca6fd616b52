/* routes.c: the rows, and their answers. */
#include "server/routes.h"

#include "admin/describe.h"
#include "admin/page.h"
#include "base/err.h"
#include "server/events.h"
#include "server/expiry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_S 1

struct reload_wait {
    struct reload_asker asker;
    const struct routes *routes;
    struct door_request *request;
};

/* revision_of: null while there is no policy. */
static json_t *revision_of(const struct policy_letter *state)
{
    return *state->revision ? json_string(state->revision) : json_null();
}

static void on_reloaded(struct reload_asker *asker, const char *failure)
{
    struct reload_wait *wait = (struct reload_wait *)asker;
    const struct reload *policies = wait->routes->policies;
    if (failure)
        door_answer(wait->request, HTTP_CONFLICT, json_pack("{s:s, s:o}", "error", failure, "revision", revision_of(&policies->letters[0])));
    else
        door_answer(wait->request, HTTP_OK,
                    json_pack("{s:o, s:i}", "revision", revision_of(&policies->letters[0]), "workers", (int)wait->routes->config->workers));
    free(wait);
}

static void post_reload(void *ctx, struct door_request *request)
{
    struct routes *routes = ctx;
    struct reload_wait *wait = malloc(sizeof *wait);
    if (!wait) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    *wait = (struct reload_wait){.asker.told = on_reloaded, .routes = routes, .request = request};
    reload_ask(routes->policies, &wait->asker);
}

static json_t *files_of(const struct config *config)
{
    json_t *list = json_array();
    for (size_t i = 0; i < config->policy_count; i++)
        json_array_append_new(list, json_string(config->policies[i]));
    return list;
}

static json_t *hooks_of(uint32_t hooks)
{
    static const char *const names[] = {
#define X(name) #name,
        HOOKS(X)
#undef X
    };
    json_t *list = json_array();
    for (size_t i = 0; i < HOOK_COUNT; i++)
        if (hooks & HOOK_BIT(i))
            json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *workers_of(const struct routes *routes)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < routes->config->workers; i++)
        json_array_append_new(list, json_pack("{s:i, s:o}", "worker", (int)i + 1, "revision", revision_of(&routes->policies->letters[i])));
    return list;
}

static json_t *refusal_of(const struct reload *policies)
{
    if (!policies->failed)
        return json_null();
    return json_pack("{s:I, s:s}", "at", (json_int_t)(policies->failed_unix_ms / 1000), "reason", policies->last_failure);
}

static void get_policy(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    const struct reload *policies = routes->policies;
    door_answer(request, HTTP_OK,
                json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "revision", revision_of(&policies->letters[0]), "files",
                          files_of(routes->config), "hooks", hooks_of(policies->letters[0].hooks), "loaded_at",
                          (json_int_t)(policies->loaded_unix_ms / 1000), "reloads", (json_int_t)policies->done, "refused",
                          (json_int_t)policies->failed, "last_refusal", refusal_of(policies), "workers", workers_of(routes)));
}

static void get_livez(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer(request, HTTP_OK, json_pack("{s:b}", "live", 1));
}

bool routes_tenant(struct door_request *request, const char **tenant)
{
    const char *wanted = door_query(request, "tenant");
    *tenant = wanted || door_is_operator(request) ? wanted : door_caller(request)->tenant;
    if (!*tenant || door_may_see(request, *tenant))
        return true;
    door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
    return false;
}

const struct door_said routes_tenant_said[] = {{HTTP_OK, "It is as was asked"}, {HTTP_NOT_FOUND, "There is no such tenant"}, {0}};

static void routes_events(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    events_stream(routes->service->events, request);
}

static const struct door_said reload_said[] = {{HTTP_OK, "All workers have the policies as they are now"},
                                               {HTTP_CONFLICT, "They are wrong, and why; all workers keep what they had"},
                                               {0}};

/* The rows do not change: it is made once. */
static void get_description(void *ctx, struct door_request *request)
{
    struct routes *routes = ctx;
    size_t count;
    const struct door_route *all = routes_rows(&count);
    if (!routes->description) {
        json_t *document = describe(all, count);
        routes->description = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
        json_decref(document);
    }
    door_answer_text(request, HTTP_OK, "application/json", routes->description ? strdup(routes->description) : NULL);
}

static const struct door_route rows[] = {
    {.method = "GET", .path = "/openapi.json", .scope = DOOR_ANYBODY, .serve = get_description, .summary = "What may be asked here: this"},
    PAGE_ROWS
    {.method = "GET", .path = "/livez", .scope = DOOR_ANYBODY, .serve = get_livez, .summary = "Whether the relay runs"},
    {.method = "GET", .path = "/readyz", .scope = DOOR_ANYBODY, .serve = routes_ready, .answers = routes_ready_said,
     .summary = "Whether the relay takes clients"},
    {.method = "GET", .path = "/metrics", .scope = DOOR_OPERATOR | DOOR_USAGE_READ, .serve = routes_metrics,
     .summary = "Metrics in Prometheus' text format", .media = "text/plain"},
    {.method = "POST", .path = "/v1/reload", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = post_reload, .answers = reload_said,
     .summary = "Read the policies anew: on all workers, or on none"},
    {.method = "GET", .path = "/v1/policy", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = get_policy,
     .summary = "Which policies the relay has, and when one was refused last"},
    {.method = "GET", .path = "/v1/shared", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_shared, .query = routes_shared_query,
     .summary = "What policies share by name, or one value of it", .answers = routes_shared_said},
    {.method = "GET", .path = "/v1/allocations", .scope = DOOR_ADMIN, .serve = routes_allocations, .query = routes_allocation_query,
     .summary = "The allocations that live", .answers = routes_tenant_said},
    {.method = "DELETE", .path = "/v1/allocations", .scope = DOOR_ADMIN, .serve = routes_kick, .query = routes_kick_query,
     .answers = routes_kick_said, .summary = "End all allocations of a tenant, user, tag or credential"},
    {.method = "DELETE", .path = "/v1/allocations/{id}", .scope = DOOR_ADMIN, .serve = routes_allocation_end,
     .summary = "End an allocation", .answers = routes_allocation_end_said},
    {.method = "POST", .path = "/v1/tenants/{tenant}/credentials", .scope = DOOR_MINT, .serve = routes_mint, .query = routes_mint_query,
     .body = routes_mint_body, .answers = routes_mint_said, .summary = "Mint a credential for a player"},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}/credentials", .scope = DOOR_ADMIN, .serve = routes_revoke_tenant,
     .answers = routes_revoke_said, .summary = "Revoke every credential of a tenant that was minted so far"},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}/tags/{tag}", .scope = DOOR_ADMIN, .serve = routes_revoke_tag,
     .answers = routes_revoke_said, .summary = "Revoke what was minted for a player so far"},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}/users/{user}/credentials", .scope = DOOR_ADMIN, .serve = routes_revoke_user,
     .answers = routes_revoke_said, .summary = "Shut out a user for as long as credentials live, at most"},
    {.method = "DELETE", .path = "/v1/credentials/{id}", .scope = DOOR_ADMIN, .serve = routes_revoke_credential, .query = routes_revoke_query,
     .answers = routes_revoke_said, .summary = "Revoke a credential, by its id or its whole username"},
    {.method = "DELETE", .path = "/v1/keys/{id}/credentials", .scope = DOOR_ADMIN, .serve = routes_revoke_key, .query = routes_revoke_query,
     .answers = routes_revoke_said, .summary = "Revoke whatever was or will be minted under a key"},
    {.method = "GET", .path = "/v1/revocations", .scope = DOOR_ADMIN, .serve = routes_revocations, .query = routes_revocations_query,
     .answers = routes_tenant_said, .summary = "What was revoked, as long as it stands"},
    {.method = "DELETE", .path = "/v1/revocations/{id}", .scope = DOOR_ADMIN, .serve = routes_revocation_lift,
     .query = routes_revoke_query, .answers = routes_revocation_lift_said, .summary = "Let in again whom a revocation shut out"},
    {.method = "GET", .path = "/v1/drain", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_drain, .summary = "Whether the relay drains, and until when"},
    {.method = "POST", .path = "/v1/drain", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_drain_begin, .query = routes_drain_query,
     .answers = routes_drain_said, .summary = "Take no new clients from now on, and end when those that are there have gone"},
    {.method = "DELETE", .path = "/v1/drain", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_drain_cancel, .answers = routes_drain_said,
     .summary = "Call it off"},
    {.method = "POST", .path = "/v1/tenants/{tenant}/test-links", .scope = DOOR_MINT, .serve = routes_test_links, .body = routes_test_links_body,
     .answers = routes_test_links_said, .summary = "Make a link to the tester that is good once"},
    {.method = "POST", .path = "/v1/test-link", .scope = DOOR_ANYBODY, .serve = routes_test_link, .body = routes_test_link_body,
     .answers = routes_test_link_said, .summary = "Exchange such a link for a credential with limits"},
    {.method = "POST", .path = "/relay.v1.CredentialService/Mint", .scope = DOOR_MINT, .serve = routes_connect_mint, .body_max = 4096,
     .answers = routes_connect_said, .summary = "The same as a unary call of Connect (core/admin/relay.proto)"},
    {.method = "GET", .path = "/v1/tenants", .scope = DOOR_ADMIN, .serve = routes_tenants, .query = routes_tenants_query,
     .summary = "Tenants and their limits; a tenant's key sees its own"},
    {.method = "GET", .path = "/v1/usage", .scope = DOOR_USAGE_READ, .serve = routes_usage, .query = routes_usage_query,
     .summary = "What was used, of all tenants, in exact sums; a tenant's key sees its own"},
    {.method = "GET", .path = "/v1/tenants/{tenant}/usage", .scope = DOOR_USAGE_READ, .serve = routes_tenant_usage, .query = routes_usage_query,
     .summary = "What a tenant used, in exact sums", .answers = routes_tenant_said},
    {.method = "GET", .path = "/v1/keys", .scope = DOOR_ADMIN, .serve = routes_keys, .query = routes_keys_query,
     .summary = "Keys of this door; never what they are", .answers = routes_tenant_said},
    {.method = "POST", .path = "/v1/keys", .scope = DOOR_ADMIN, .serve = routes_key_make, .body = routes_key_body,
     .summary = "Make a key", .answers = routes_key_made},
    {.method = "DELETE", .path = "/v1/keys/{id}", .scope = DOOR_ADMIN, .serve = routes_key_remove, .summary = "Revoke a key",
     .answers = routes_key_removed},
    {.method = "POST", .path = "/v1/tenants", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_tenant_add, .body = routes_tenant_new,
     .summary = "Make a tenant, with a realm of its name unless another is given", .answers = routes_tenant_add_said},
    {.method = "GET", .path = "/v1/tenants/{tenant}", .scope = DOOR_ADMIN, .serve = routes_tenant_show, .summary = "One tenant",
     .answers = routes_tenant_said},
    {.method = "PATCH", .path = "/v1/tenants/{tenant}", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_tenant_change,
     .query = routes_tenant_patch_query, .body = routes_tenant_body, .summary = "Change what is given of a tenant", .answers = routes_tenant_said},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_tenant_remove,
     .query = routes_tenant_remove_query, .summary = "Remove a tenant that has nothing, or by force", .answers = routes_tenant_remove_said},
    {.method = "GET", .path = "/v1/tenants/{tenant}/users", .scope = DOOR_ADMIN, .serve = routes_users, .query = routes_users_query,
     .summary = "The users of a tenant; of *, all", .answers = routes_tenant_said},
    {.method = "POST", .path = "/v1/tenants/{tenant}/users", .scope = DOOR_ADMIN, .serve = routes_user_add, .body = routes_user_new,
     .summary = "Add a user; a password that is not given is made, and told in this answer alone", .answers = routes_user_add_said},
    {.method = "POST", .path = "/v1/tenants/{tenant}/bulk", .scope = DOOR_ADMIN, .serve = routes_users_add, .body = routes_users_body, .body_max = 120000,
     .summary = "Put up to 1,000 users at once, all or none", .answers = routes_users_add_said},
    {.method = "GET", .path = "/v1/tenants/{tenant}/users/{user}", .scope = DOOR_ADMIN, .serve = routes_user_show, .summary = "One user",
     .answers = routes_user_said},
    {.method = "PATCH", .path = "/v1/tenants/{tenant}/users/{user}", .scope = DOOR_ADMIN, .serve = routes_user_change, .body = routes_user_body,
     .summary = "Change a password; one that is not given is made, and told in this answer alone", .answers = routes_user_said},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}/users/{user}", .scope = DOOR_ADMIN, .serve = routes_user_remove, .summary = "Remove a user",
     .answers = routes_user_said},
    {.method = "GET", .path = "/v1/tenants/{tenant}/secrets", .scope = DOOR_ADMIN, .serve = routes_secrets, .query = routes_secrets_query,
     .summary = "The shared secrets of a tenant by their numbers; of *, all", .answers = routes_tenant_said},
    {.method = "POST", .path = "/v1/tenants/{tenant}/secrets", .scope = DOOR_ADMIN, .serve = routes_secret_add, .body = routes_secret_new,
     .summary = "Add a shared secret; of *, for every realm", .answers = routes_secret_add_said},
    {.method = "DELETE", .path = "/v1/tenants/{tenant}/secrets/{id}", .scope = DOOR_ADMIN, .serve = routes_secret_remove,
     .summary = "Remove a shared secret: what was made with it opens nothing from then on", .answers = routes_secret_said},
    {.method = "GET", .path = "/v1/backup", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_backup_show,
     .summary = "How far the last backup is, and what became of it"},
    {.method = "POST", .path = "/v1/backup", .scope = DOOR_OPERATOR | DOOR_ADMIN, .serve = routes_backup_begin, .body = routes_backup_body,
     .summary = "Begin a copy of the database, on the machine of the relay, as it is now", .answers = routes_backup_said},
    {.method = "GET", .path = "/v1/audit", .scope = DOOR_ADMIN, .serve = routes_audit, .query = routes_audit_query,
     .summary = "Who changed what, the newest first", .answers = routes_tenant_said},
    {.method = "GET", .path = "/v1/test-record", .scope = DOOR_ANYBODY, .serve = routes_test_record, .query = routes_test_record_query,
     .summary = "Why a client of the asker's address was refused last; for the tester"},
    {.method = "GET", .path = "/v1/explain", .scope = DOOR_ADMIN, .serve = routes_explain, .query = routes_explain_query,
     .summary = "Why the last requests were refused", .answers = routes_tenant_said},
    {.method = "GET", .path = "/v1/events", .scope = DOOR_ADMIN, .serve = routes_events, .query = events_query,
     .summary = "What happens, as it does: a stream of server-sent events; Last-Event-ID resumes it", .answers = routes_tenant_said,
     .media = "text/event-stream"},
    {.method = "GET", .path = "/v1/webhooks", .scope = DOOR_ADMIN, .serve = routes_webhooks, .query = routes_webhooks_query,
     .summary = "Whom events are told by HTTP, and what is still to be told", .answers = routes_tenant_said},
    {.method = "POST", .path = "/v1/webhooks", .scope = DOOR_ADMIN, .serve = routes_webhook_add, .body = routes_webhook_new,
     .summary = "Let events be told by HTTP, signed as Standard Webhooks has it", .answers = routes_webhook_add_said},
    {.method = "PATCH", .path = "/v1/webhooks/{id}", .scope = DOOR_ADMIN, .serve = routes_webhook_change, .body = routes_webhook_body,
     .summary = "Change a webhook", .answers = routes_webhook_said},
    {.method = "DELETE", .path = "/v1/webhooks/{id}", .scope = DOOR_ADMIN, .serve = routes_webhook_remove,
     .summary = "Remove a webhook, with what is still to be told to it", .answers = routes_webhook_said},
    {.method = "POST", .path = "/v1/webhooks/{id}/test", .scope = DOOR_ADMIN, .serve = routes_webhook_test,
     .summary = "Tell a webhook an event of no meaning", .answers = routes_webhook_test_said},
};

static void admit(void *ctx, const struct door_request *request, const char *token, struct door_pass *out)
{
    struct routes *routes = ctx;
    admission_admit(&routes->admission, request, token, out);
}

static void told(void *ctx, const struct door_request *request, unsigned status)
{
    const struct routes *routes = ctx;
    admission_told(&routes->admission, request, status);
}

const struct door_route *routes_rows(size_t *count)
{
    *count = sizeof rows / sizeof *rows;
    return rows;
}

/* refuse_place: why nobody can listen there. */
static int refuse_place(struct refusal *refusal, const struct config *config, const struct config_door *place, int err)
{
    char text[REFUSAL_MAX / 2], where[ADDR_TEXT_MAX];
    const char *what = place->path ? place->path : addr_format(&place->at, where), *why = err_text(err);
    if (err == ERR_DENIED)
        return refuse(refusal, config, "admin-cert", "GnuTLS does not take it, or its key");
    if (err == ERR_EXISTS)
        why = "another program listens there";
    else if (err == ERR_BAD)
        why = "it is too long for a socket, or something else is there";
    else if (err == ERR_SYSTEM)
        why = strerrordesc_np(errno);
    snprintf(text, sizeof text, "%s: %s", what, why);
    return refuse_at(refusal, place->where ? place->where : "default", place->option, text);
}

static int open_door(struct routes *routes, const struct door_place *places, size_t *failed)
{
    const struct admin_certificate *certificate = &routes->certificate;
    return door_open(&(struct door_config){.places = places,
                                           .place_count = routes->config->door_count,
                                           .certificate = {certificate->chain, certificate->key},
                                           .routes = rows,
                                           .route_count = sizeof rows / sizeof *rows,
                                           .ctx = routes,
                                           .admit = admit,
                                           .told = told},
                     &routes->door, failed);
}

int routes_open(struct routes *routes, const struct config *config, struct refusal *refusal)
{
    size_t failed;
    *routes = (struct routes){.config = config};
    if (!config->door_count)
        return 0;
    if (config->door_count > DOOR_PLACES)
        return refuse(refusal, config, "admin-listen", "at most %d places", DOOR_PLACES);
    for (size_t i = 0; i < config->door_count; i++)
        routes->places[i] = (struct door_place){config->doors[i].path, config->doors[i].at};
    if (admin_certificate_open(&routes->certificate, config, refusal) != 0)
        return ERR_SYSTEM;
    const int err = open_door(routes, routes->places, &failed);
    return err ? refuse_place(refusal, config, &config->doors[failed], err) : 0;
}

void routes_reload(struct routes *routes)
{
    if (!routes->door)
        return;
    admin_certificate_reload(&routes->certificate, routes->door, routes->service->log);
    routes_tell_certificates(routes);
}

void routes_tell_certificates(const struct routes *routes)
{
    expiry_tell(routes->service->news, routes->certificate.judge, &routes->certificate.pair, 1);
}

static void on_door(void *owner)
{
    const struct routes *routes = owner;
    door_run(routes->door);
}

int routes_serve(struct routes *routes, const struct service *service, struct loop *loop, struct reload *policies, struct roster *roster)
{
    routes->service = service;
    routes->policies = policies;
    routes->roster = roster;
    if (!routes->door)
        return 0;
    const int err = admission_open(&routes->admission, service);
    if (err)
        return err;
    admin_certificate_foresee(&routes->certificate, service->log);
    watch_read(&routes->readable, loop, door_descriptor(routes->door), on_door, routes);
    watch_every(&routes->second, loop, SECOND_S, on_door, routes);
    return 0;
}

void routes_stop(struct routes *routes)
{
    door_stop(routes->door);
}

void routes_close(struct routes *routes)
{
    routes_backup_close(routes);
    watch_stop(&routes->readable);
    watch_stop(&routes->second);
    door_close(routes->door);
    admission_close(&routes->admission);
    free(routes->description);
    admin_certificate_close(&routes->certificate);
}
