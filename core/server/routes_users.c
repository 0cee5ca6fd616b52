/* routes_users.c: POST /v1/tenants/{tenant}/bulk: many users at once, all or none. */
#include "server/routes.h"

#include "base/err.h"
#include "server/enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tab is in no name and in no password. */
const struct field routes_users_body[] = {
    {.name = "users", .kind = FIELD_TEXTS, .traits = FIELD_REQUIRED, .min = 1, .max = ROUTES_USERS_MAX, .help = "Each a name, a tab and a password"}, {0}};
const struct door_said routes_users_add_said[] = {{HTTP_OK, "All are there; those that were have their passwords changed"}, {HTTP_NOT_FOUND, "There is no such tenant"}, {0}};

/* struct register_of_users: those that are made. */
struct register_of_users {
    struct desk_user *users;
    char (*names)[STORE_NAME_MAX + 1];
    size_t count;
};

static void close_register(struct register_of_users *all)
{
    if (all->users)
        crypto_wipe(all->users, all->count * sizeof *all->users);
    free(all->users);
    free(all->names);
}

/* refuse_one: who of them, and what is wrong with him. */
static int refuse_one(struct routes_job *job, size_t at, const char *why)
{
    char reason[ROUTES_WHY_MAX];
    snprintf(reason, sizeof reason, "number %zu: %s", at + 1, why);
    return routes_job_refuse(job, ERR_RANGE, "users", reason);
}

/* take: one of them, as POST takes a single one, but nothing is made for him. */
static int take(struct routes_job *job, const char *text, size_t at, struct desk_user *user, char name[STORE_NAME_MAX + 1])
{
    const size_t tab = strcspn(text, "\t");
    const struct enrolment from = {.password = text[tab] ? text + tab + 1 : ""};
    char prepared[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX] = "";
    size_t len = 0;
    if (!text[tab])
        return refuse_one(job, at, "a name, a tab and a password expected");
    if (opaque_enforce(view_of(text, tab), prepared, &len, why) != 0 || len > STORE_NAME_MAX)
        return refuse_one(job, at, "this may be no name");
    snprintf(name, STORE_NAME_MAX + 1, "%.*s", STORE_NAME_MAX, prepared);
    user->name = name;
    const int err = enrol(user, &from, why);
    if (err == ERR_BAD)
        return refuse_one(job, at, "this may be no password");
    return err ? routes_job_refuse(job, ERR_SYSTEM, NULL, "libcrypto can make no key") : 0;
}

static int take_all(struct routes_job *job, const json_t *list, const char *realm, struct register_of_users *all)
{
    const char *tenant = door_part(job->request, 0);
    const size_t count = json_array_size(list);
    int err = 0;
    all->users = calloc(count, sizeof *all->users);
    all->names = calloc(count, sizeof *all->names);
    if (!all->users || !all->names)
        return routes_job_refuse(job, ERR_MEMORY, NULL, "out of memory");
    all->count = count;
    for (size_t i = 0; i < count && !err; i++) {
        all->users[i] = (struct desk_user){.tenant = tenant, .realm = realm};
        err = take(job, json_string_value(json_array_get(list, i)), i, &all->users[i], all->names[i]);
    }
    return err;
}

static int put_all(struct desk *desk, struct clerk_job *of)
{
    struct routes_job *job = (struct routes_job *)of;
    struct register_of_users all = {0};
    char realm[STORE_REALM_MAX + 1];
    const json_t *list = door_value(job->request, "users")->list;
    int err = routes_realm(desk, job, realm);
    if (err == 0)
        err = take_all(job, list, realm, &all);
    if (err == 0)
        err = desk_users_put(desk, all.users, all.count, job->who);
    if (err == 0)
        job->body = json_pack("{s:s, s:I}", "realm", realm, "put", (json_int_t)all.count);
    close_register(&all);
    return err;
}

void routes_users_add(void *ctx, struct door_request *request)
{
    const char *tenant = routes_owner(request);
    if (!tenant)
        return;
    if (strcmp(tenant, "*") == 0) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant: a user is of one");
        return;
    }
    struct routes_job *job = routes_job(request, sizeof *job, put_all);
    if (job)
        routes_job_ask(ctx, job);
}
