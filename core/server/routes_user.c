/* routes_user.c: /v1/tenants/{tenant}/users: long-term users. Passwords come in, or are made and told once; keys never go out. */
#include "server/routes.h"

#include "base/err.h"
#include "server/enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE_LEN 18
#define MADE_TEXT_MAX 32
#define KEY_TEXT (2 + 2 * STORE_KEY_LEN)
#define PLACE_MAX (STORE_NAME_MAX + STORE_REALM_MAX + 8)

#define PASSWORD_FIELD                                                                                                                     \
    {.name = "password", .kind = FIELD_TEXT, .min = 1, .max = ENROL_PASSWORD_MAX - 1, .help = "Never told again"},                         \
        {.name = "key", .kind = FIELD_TEXT, .min = KEY_TEXT, .max = KEY_TEXT, .help = "In place of it: 0x and the MD5 of name:realm:password"}

const struct field routes_users_query[] = {
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = PLACE_MAX, .help = "Go on behind this one: what `next` of the last answer said"},
    {0},
};
const struct field routes_user_new[] = {
    {.name = "name", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = STORE_NAME_MAX, .help = "Of the user"},
    PASSWORD_FIELD,
    {.name = "replace", .kind = FIELD_FLAG, .help = "Change the password, if he is there"},
    {0},
};
const struct field routes_user_body[] = {PASSWORD_FIELD, {0}};
const struct door_said routes_user_add_said[] = {{HTTP_CREATED, "He counts for the next authentication"},
                                                 {HTTP_NOT_FOUND, "There is no such tenant"},
                                                 {HTTP_CONFLICT, "There is a user of this name"},
                                                 {0}};
const struct door_said routes_user_said[] = {{HTTP_OK, "It is as was asked"}, {HTTP_NOT_FOUND, "There is no such tenant, or no such user of it"}, {0}};

/* struct user_job: one user, or a page of them. */
struct user_job {
    struct routes_job job;
    enum desk_put how;
    const char *name;
    struct desk_page page;
    char after_realm[STORE_REALM_MAX + 1];
    size_t count;
    json_t *found;
};

static const char *tenant_of(const struct routes_job *job)
{
    const char *tenant = door_part(job->request, 0);
    return strcmp(tenant, "*") == 0 ? NULL : tenant;
}

/* ---- reading ---- */

/* json_of: created: null: a user of coturn's. */
static json_t *json_of(const char *realm, const char *name, int64_t created_ms)
{
    return json_pack("{s:o, s:o, s:o}", "realm", routes_text(realm), "name", routes_text(name), "created",
                     created_ms ? json_integer(created_ms / 1000) : json_null());
}

static void on_user(void *ctx, const char *realm, const char *name, int64_t created_ms)
{
    struct user_job *job = ctx;
    if (++job->count < job->page.limit)
        json_array_append_new(job->found, json_of(realm, name, created_ms));
}

/* place_of: where the list goes on: "length of the realm:realm and name". */
static json_t *place_of(const json_t *last)
{
    const char *realm = json_string_value(json_object_get(last, "realm")), *name = json_string_value(json_object_get(last, "name"));
    return realm && name ? json_sprintf("%zu:%s%s", strlen(realm), realm, name) : json_null();
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct user_job *job = (struct user_job *)of;
    char realm[STORE_REALM_MAX + 1];
    int err = routes_realm(desk, &job->job, realm);
    if (err)
        return err;
    job->found = json_array();
    err = desk_users(desk, *realm ? realm : NULL, &job->page, on_user, job);
    const json_t *last = json_array_get(job->found, json_array_size(job->found) - 1);
    job->job.body = json_pack("{s:o, s:o}", "users", job->found, "next", job->count == job->page.limit ? place_of(last) : json_null());
    return err;
}

static bool read_place(const char *text, struct user_job *job)
{
    char *colon;
    const size_t len = strtoul(text, &colon, 10);
    if (*text < '0' || *text > '9' || *colon != ':' || len > STORE_REALM_MAX || strlen(colon + 1) <= len)
        return false;
    view_copy(view_of(colon + 1, len), job->after_realm, sizeof job->after_realm);
    job->page.after_realm = job->after_realm;
    job->page.after = colon + 1 + len;
    return true;
}

void routes_users(void *ctx, struct door_request *request)
{
    struct user_job *job = routes_owner(request) ? routes_job(request, sizeof *job, list) : NULL;
    const char *after = door_query(request, "after");
    if (!job)
        return;
    job->page.limit = routes_limit(request) + 1;
    if (after && !read_place(after, job)) {
        free(job);
        door_refuse_field(request, "after", "what `next` said expected");
        return;
    }
    routes_job_ask(ctx, job);
}

static void on_one(void *ctx, const char *realm, const char *name, int64_t created_ms)
{
    struct routes_job *job = ctx;
    json_decref(job->body);
    job->body = json_of(realm, name, created_ms);
}

static int find(struct desk *desk, struct routes_job *job, const char *realm, const char *name)
{
    const int err = desk_users(desk, realm, &(struct desk_page){.name = name}, on_one, job);
    return err == 0 && !job->body ? routes_job_refuse(job, ERR_NOT_FOUND, NULL, "no such user") : err;
}

static int one(struct desk *desk, struct clerk_job *of)
{
    struct user_job *job = (struct user_job *)of;
    char realm[STORE_REALM_MAX + 1];
    const int err = routes_realm(desk, &job->job, realm);
    return err ? err : find(desk, &job->job, realm, job->name);
}

/* ---- changing ---- */

/* prepare: the name as clients must send it; 0, or refused. */
static int prepare(struct routes_job *job, const char *name, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    if (opaque_enforce(view_text(name), out, &len, why) != 0)
        return routes_job_refuse(job, ERR_RANGE, "name", why);
    return len > STORE_NAME_MAX ? routes_job_refuse(job, ERR_RANGE, "name", "has more than 508 bytes") : 0;
}

static int make(struct routes_job *job, struct desk_user *user, const struct enrolment *from)
{
    char why[OPAQUE_WHY_MAX];
    const int err = enrol(user, from, why);
    if (err == ERR_BAD)
        return routes_job_refuse(job, ERR_RANGE, from->key ? "key" : "password", why);
    return err ? routes_job_refuse(job, ERR_SYSTEM, NULL, "libcrypto can make no key") : 0;
}

/* made: a new password, as text. */
static const char *made(char out[MADE_TEXT_MAX])
{
    uint8_t bytes[MADE_LEN];
    crypto_random(bytes, sizeof bytes);
    crypto_base64url(view_of(bytes, sizeof bytes), out);
    crypto_wipe(bytes, sizeof bytes);
    return out;
}

/* write: and says what he is, with the password if it was made. */
static int write(struct desk *desk, struct user_job *job, struct desk_user *user)
{
    struct routes_job *question = &job->job;
    char text[MADE_TEXT_MAX] = "";
    struct enrolment from = {.password = door_text(question->request, "password"), .key = door_text(question->request, "key")};
    if (!from.password && !from.key)
        from.password = made(text);
    int err = make(question, user, &from);
    if (err == 0)
        err = desk_user_put(desk, user, job->how, question->who);
    if (err == 0)
        err = find(desk, question, user->realm, user->name);
    if (err == 0 && *text)
        json_object_set_new(question->body, "password", json_string(text));
    crypto_wipe(&user->keys, sizeof user->keys);
    crypto_wipe(text, sizeof text);
    return err;
}

static int put(struct desk *desk, struct clerk_job *of)
{
    struct user_job *job = (struct user_job *)of;
    char realm[STORE_REALM_MAX + 1], name[OPAQUE_MAX_LEN + 1];
    struct desk_user user = {.tenant = tenant_of(&job->job), .realm = realm, .name = job->how == DESK_CHANGE ? job->name : name};
    int err = routes_realm(desk, &job->job, realm);
    if (err == 0 && job->how != DESK_CHANGE)
        err = prepare(&job->job, job->name, name);
    job->job.status = job->how == DESK_ADD ? HTTP_CREATED : HTTP_OK;
    return err ? err : write(desk, job, &user);
}

/* ask: about one user, of one tenant. */
static void ask(const struct routes *routes, struct door_request *request, const char *name, enum desk_put how,
                int (*work)(struct desk *, struct clerk_job *))
{
    const char *tenant = routes_owner(request);
    if (!tenant)
        return;
    if (strcmp(tenant, "*") == 0) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant: a user is of one");
        return;
    }
    if (work == put && door_text(request, "password") && door_text(request, "key")) {
        door_refuse_field(request, "key", "a password or a key, not both");
        return;
    }
    struct user_job *job = routes_job(request, sizeof *job, work);
    if (!job)
        return;
    job->name = name;
    job->how = how;
    routes_job_ask(routes, job);
}

void routes_user_add(void *ctx, struct door_request *request)
{
    const struct field_value *replace = door_value(request, "replace");
    ask(ctx, request, door_text(request, "name"), replace && replace->number ? DESK_PUT : DESK_ADD, put);
}

void routes_user_show(void *ctx, struct door_request *request)
{
    ask(ctx, request, door_part(request, 1), DESK_PUT, one);
}

void routes_user_change(void *ctx, struct door_request *request)
{
    ask(ctx, request, door_part(request, 1), DESK_CHANGE, put);
}

static int remove_one(struct desk *desk, struct clerk_job *of)
{
    struct user_job *job = (struct user_job *)of;
    char realm[STORE_REALM_MAX + 1];
    int err = routes_realm(desk, &job->job, realm);
    if (err == 0)
        err = find(desk, &job->job, realm, job->name);
    return err ? err : desk_user_remove(desk, &(struct desk_user){.tenant = tenant_of(&job->job), .realm = realm, .name = job->name}, job->job.who);
}

void routes_user_remove(void *ctx, struct door_request *request)
{
    ask(ctx, request, door_part(request, 1), DESK_CHANGE, remove_one);
}
