/* routes.h: what may be asked at the admin door (admin/door.h), a row each; main answers. */
#ifndef RELAY_SERVER_ROUTES_H
#define RELAY_SERVER_ROUTES_H

#include "admin/door.h"
#include "net/loop.h"
#include "server/clerk.h"
#include "server/admin_certificate.h"
#include "server/admission.h"
#include "server/refusal.h"
#include "server/reload.h"
#include "server/roster.h"

struct routes_backup;

struct routes {
    const struct config *config;
    const struct service *service;
    struct reload *policies;
    struct roster *roster;
    struct door *door; /* NULL: there is none */
    struct export *exports; /* answers of routes_usage.c that are under way */
    struct door_place places[DOOR_PLACES];
    struct admin_certificate certificate;
    struct admission admission;
    char *description; /* /openapi.json; NULL: nobody has asked yet */
    struct routes_backup *backup; /* NULL: none was asked for */
    struct watch readable, second;
};

/* routes_open: makes the socket, with the privileges of the start. 0, or negative with the refusal.  routes_serve: answers from now on, 0 or ERR_MEMORY;
 * what routes speak of is there.  routes_close: after reload_close, roster_close and clerk_close, which tell who still waits; before the loop goes. */
int routes_open(struct routes *, const struct config *, struct refusal *);
int routes_serve(struct routes *, const struct service *, struct loop *, struct reload *, struct roster *);
void routes_close(struct routes *);

/* routes_stop: nothing new is asked from now on: every answer that is given while parts of the relay are closed lets the door run. */
void routes_stop(struct routes *);

/* routes_rows: what may be asked. */
const struct door_route *routes_rows(size_t *count);

/* routes_reload: the certificate of the door is read anew. */
void routes_reload(struct routes *);
void routes_tell_certificates(const struct routes *); /* server/expiry.h; main's, after routes_serve */

/* struct routes_job: a question that the clerk answers: the first member of what it is about. What the request lends (its parts, parameters, body, caller) lives until
 * it is answered, in the clerk's thread too. `work` leaves the answer in `body`; of what fails the request is told the reason. */
#define ROUTES_WHO_MAX 48
#define ROUTES_WHY_MAX 256
struct routes_job {
    struct clerk_job job;
    const struct routes *routes;
    struct door_request *request;
    char who[ROUTES_WHO_MAX]; /* asks, for the audit */
    unsigned status;          /* 200, unless `work` says another */
    json_t *body;
    const char *field; /* with a refusal of routes_job_refuse */
    char why[ROUTES_WHY_MAX];
};

/* routes_who: who asks, for the audit: "key:" and its id, or "socket". Returns `out`. */
const char *routes_who(const struct door_request *, char out[ROUTES_WHO_MAX]);

/* routes_job: one of `size` bytes, zeroed behind its first member, for routes_job_ask; NULL: the request was answered that there is no memory.  routes_job_ask: the
 * job is freed when it is answered.  routes_job_refuse: `work` fails, for a reason that is not the desk's: returns `err`; `field` is a constant, or NULL.
 * routes_job_done: what `done` of a job is: it answers, and frees the job; for one that has more to do first. */
void *routes_job(struct door_request *, size_t size, int (*work)(struct desk *, struct clerk_job *));
void routes_job_ask(const struct routes *, void *job);
int routes_job_refuse(void *job, int err, const char *field, const char *reason);
void routes_job_done(struct clerk_job *, int err);

/* routes_owner: the tenant whose path it is, "*": all; NULL: it is not his who asks, and it is refused.  routes_realm: in `work`: where its users and secrets are, "" of "*": 0; or
 * negative: there is no such tenant, or another one has the realm too, and then it is the operator's.  routes_text: of any bytes.
 * routes_address: null of no family.  routes_next: where a list goes on: that field of its last row; null if there is no more. */
const char *routes_owner(struct door_request *);
int routes_realm(struct desk *, struct routes_job *, char out[STORE_REALM_MAX + 1]);
json_t *routes_text(const char *);
json_t *routes_address(const struct addr *);
json_t *routes_next(const json_t *found, bool more, const char *field);

/* routes_limit: the parameter ROUTES_LIMIT_FIELD of a list: 1 to ROUTES_LIMIT_MAX, or ROUTES_LIMIT without it. */
#define ROUTES_LIMIT 100
#define ROUTES_LIMIT_MAX 1000
#define ROUTES_LIMIT_FIELD {.name = "limit", .kind = FIELD_NUMBER, .min = 1, .max = ROUTES_LIMIT_MAX, .help = "At most so many; 100 without it"}
size_t routes_limit(const struct door_request *);

/* routes_tenant: for a row with the parameter `tenant`: whose things are asked for; NULL: of all, which only the operator may see. False: of another one, and it is
 * refused. */
bool routes_tenant(struct door_request *, const char **tenant);
extern const struct door_said routes_tenant_said[];

/* The rows' own, by file. */
enum {
    HTTP_OK = 200,
    HTTP_CREATED = 201,
    HTTP_ACCEPTED = 202,
    HTTP_BAD_REQUEST = 400,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
    HTTP_CONFLICT = 409,
    HTTP_MEDIA_TYPE = 415,
    HTTP_UNPROCESSABLE = 422,
    HTTP_RATE = 429,
    HTTP_INTERNAL = 500,
    HTTP_NOT_IMPLEMENTED = 501,
    HTTP_UNAVAILABLE = 503
};

/* routes_mint.c.  routes_mint_order: what the fields of routes_mint_body, which are got from `from`, ask for; NULL, or what is wrong with *field.
 * routes_mint_retry: says when to come again, if the refusal does.  routes_mint_refuse: answers as it says.  routes_connect.c: the same for clients of Connect. */
struct mint_order;
struct mint_refusal;
struct routes_mint_form {
    const void *from;
    const struct field_value *(*value)(const void *from, const char *name);
    const char *tenant;
};
extern const struct field routes_mint_query[], routes_mint_body[];
extern const struct door_said routes_mint_said[];
void routes_mint(void *ctx, struct door_request *);
const char *routes_mint_order(const struct routes *, const struct door_request *, const struct routes_mint_form *, struct mint_order *, const char **field);
void routes_mint_retry(struct door_request *, const struct mint_refusal *);
void routes_mint_refuse(struct door_request *, const struct mint_refusal *);
extern const struct door_said routes_connect_said[];
void routes_connect_mint(void *ctx, struct door_request *);

/* routes_test_link.c */
extern const struct field routes_test_links_body[], routes_test_link_body[];
extern const struct door_said routes_test_links_said[], routes_test_link_said[];
void routes_test_links(void *ctx, struct door_request *);
void routes_test_link(void *ctx, struct door_request *);

/* routes_tenant.c */
extern const struct field routes_tenants_query[], routes_tenant_new[], routes_tenant_body[], routes_tenant_patch_query[], routes_tenant_remove_query[];
extern const struct door_said routes_tenant_add_said[], routes_tenant_remove_said[];
void routes_tenants(void *ctx, struct door_request *);
void routes_tenant_add(void *ctx, struct door_request *);
void routes_tenant_show(void *ctx, struct door_request *);
void routes_tenant_change(void *ctx, struct door_request *);
void routes_tenant_remove(void *ctx, struct door_request *);

/* routes_users.c */
#define ROUTES_USERS_MAX 1000
extern const struct field routes_users_body[];
extern const struct door_said routes_users_add_said[];
void routes_users_add(void *ctx, struct door_request *);

/* routes_user.c */
extern const struct field routes_users_query[], routes_user_new[], routes_user_body[];
extern const struct door_said routes_user_add_said[], routes_user_said[];
void routes_users(void *ctx, struct door_request *);
void routes_user_add(void *ctx, struct door_request *);
void routes_user_show(void *ctx, struct door_request *);
void routes_user_change(void *ctx, struct door_request *);
void routes_user_remove(void *ctx, struct door_request *);

/* routes_secret.c */
extern const struct field routes_secrets_query[], routes_secret_new[];
extern const struct door_said routes_secret_add_said[], routes_secret_said[];
void routes_secrets(void *ctx, struct door_request *);
void routes_secret_add(void *ctx, struct door_request *);
void routes_secret_remove(void *ctx, struct door_request *);

/* routes_backup.c.  routes_backup_close: what is not whole is removed; after the clerk has ended. */
extern const struct field routes_backup_body[];
extern const struct door_said routes_backup_said[];
void routes_backup_begin(void *ctx, struct door_request *);
void routes_backup_show(void *ctx, struct door_request *);
void routes_backup_close(struct routes *);

/* routes_audit.c */
extern const struct field routes_audit_query[];
void routes_audit(void *ctx, struct door_request *);

/* routes_usage.c */
extern const struct field routes_usage_query[];
void routes_usage(void *ctx, struct door_request *);
void routes_tenant_usage(void *ctx, struct door_request *);

/* routes_key.c */
extern const struct field routes_keys_query[], routes_key_body[];
extern const struct door_said routes_key_made[], routes_key_removed[];
void routes_keys(void *ctx, struct door_request *);
void routes_key_make(void *ctx, struct door_request *);
void routes_key_remove(void *ctx, struct door_request *);

/* routes_webhook.c */
extern const struct field routes_webhooks_query[], routes_webhook_new[], routes_webhook_body[];
extern const struct door_said routes_webhook_add_said[], routes_webhook_said[], routes_webhook_test_said[];
void routes_webhooks(void *ctx, struct door_request *);
void routes_webhook_add(void *ctx, struct door_request *);
void routes_webhook_change(void *ctx, struct door_request *);
void routes_webhook_remove(void *ctx, struct door_request *);
void routes_webhook_test(void *ctx, struct door_request *);

/* routes_shared.c */
extern const struct field routes_shared_query[];
extern const struct door_said routes_shared_said[];
void routes_shared(void *ctx, struct door_request *);

/* routes_metrics.c */
void routes_metrics(void *ctx, struct door_request *);

/* routes_allocation.c */
extern const struct field routes_allocation_query[];
extern const struct door_said routes_allocation_end_said[];
void routes_allocations(void *ctx, struct door_request *);
void routes_allocation_end(void *ctx, struct door_request *);

/* routes_kick.c.  routes_kick_note: the audit of it; `detail` is taken over. */
extern const struct field routes_kick_query[];
extern const struct door_said routes_kick_said[];
void routes_kick(void *ctx, struct door_request *);
void routes_kick_note(const struct routes *, const char *who, const char *tenant, json_t *detail);

/* routes_revoke.c */
extern const struct field routes_revoke_query[], routes_revocations_query[];
extern const struct door_said routes_revoke_said[], routes_revocation_lift_said[];
void routes_revoke_credential(void *ctx, struct door_request *);
void routes_revoke_key(void *ctx, struct door_request *);
void routes_revoke_tag(void *ctx, struct door_request *);
void routes_revoke_user(void *ctx, struct door_request *);
void routes_revoke_tenant(void *ctx, struct door_request *);
void routes_revocations(void *ctx, struct door_request *);
void routes_revocation_lift(void *ctx, struct door_request *);

/* routes_drain.c */
extern const struct field routes_drain_query[];
extern const struct door_said routes_drain_said[], routes_ready_said[];
void routes_drain(void *ctx, struct door_request *);
void routes_drain_begin(void *ctx, struct door_request *);
void routes_drain_cancel(void *ctx, struct door_request *);
void routes_ready(void *ctx, struct door_request *);

/* routes_explain.c */
extern const struct field routes_explain_query[];
void routes_explain(void *ctx, struct door_request *);
extern const struct field routes_test_record_query[];
void routes_test_record(void *ctx, struct door_request *);

#endif
