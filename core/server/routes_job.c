/* routes_job.c: questions that the clerk answers. */
#include "server/routes.h"

#include "base/err.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* status_of: what went wrong, to who asked. A database that is locked, full, read-only or broken is not his fault. */
static unsigned status_of(int err)
{
    switch (err) {
        case ERR_BAD:
        case ERR_RANGE:
            return HTTP_BAD_REQUEST;
        case ERR_DENIED:
            return HTTP_FORBIDDEN;
        case ERR_NOT_FOUND:
            return HTTP_NOT_FOUND;
        case ERR_EXISTS:
            return HTTP_CONFLICT;
        case ERR_MEMORY:
            return HTTP_INTERNAL;
        default:
            return HTTP_UNAVAILABLE;
    }
}

static void refuse_job(const struct routes_job *question, int err)
{
    const char *reason = *question->why ? question->why : question->job.reason;
    if (question->field)
        door_refuse_field(question->request, question->field, reason);
    else
        door_refuse(question->request, status_of(err), reason);
}

void routes_job_done(struct clerk_job *job, int err)
{
    struct routes_job *question = (struct routes_job *)job;
    if (err) {
        json_decref(question->body);
        refuse_job(question, err);
    } else {
        door_answer(question->request, question->status, question->body);
    }
    free(question);
}

const char *routes_who(const struct door_request *request, char out[ROUTES_WHO_MAX])
{
    const struct door_caller *caller = door_caller(request);
    snprintf(out, ROUTES_WHO_MAX, "%s%s", *caller->key ? "key:" : "socket", caller->key);
    return out;
}

void *routes_job(struct door_request *request, size_t size, int (*work)(struct desk *, struct clerk_job *))
{
    struct routes_job *question = calloc(1, size);
    if (!question) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return NULL;
    }
    question->job.work = work;
    question->job.done = routes_job_done;
    question->request = request;
    question->status = HTTP_OK;
    routes_who(request, question->who);
    return question;
}

void routes_job_ask(const struct routes *routes, void *job)
{
    struct routes_job *question = job;
    question->routes = routes;
    clerk_ask(routes->service->clerk, &question->job);
}

int routes_job_refuse(void *job, int err, const char *field, const char *reason)
{
    struct routes_job *question = job;
    question->field = field;
    snprintf(question->why, sizeof question->why, "%s", reason);
    return err;
}

size_t routes_limit(const struct door_request *request)
{
    const struct field_value *limit = door_parameter(request, "limit");
    return limit ? (size_t)limit->number : ROUTES_LIMIT;
}

const char *routes_owner(struct door_request *request)
{
    const char *tenant = door_part(request, 0);
    if (door_may_see(request, tenant))
        return tenant;
    door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
    return NULL;
}

int routes_realm(struct desk *desk, struct routes_job *job, char out[STORE_REALM_MAX + 1])
{
    const char *tenant = door_part(job->request, 0);
    bool shared = false;
    out[0] = 0;
    if (strcmp(tenant, "*") == 0)
        return 0;
    const int err = desk_realm(desk, tenant, job->routes->config->realm, out, &shared);
    if (err == 0 && shared && !door_is_operator(job->request))
        return routes_job_refuse(job, ERR_DENIED, NULL, "another tenant has the same realm: what is in it is the operator's");
    return err;
}

json_t *routes_text(const char *text)
{
    const struct view in = view_text(text);
    const size_t cap = 2 * in.len + 1;
    char *clean = utf8_is_text(in) ? NULL : malloc(cap);
    json_t *value = json_string(clean ? utf8_text(in, clean, cap) : text);
    free(clean);
    return value;
}

json_t *routes_address(const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    return addr->family == ADDR_NONE ? json_null() : json_string(addr_format(addr, text));
}

json_t *routes_next(const json_t *found, bool more, const char *field)
{
    const json_t *last = more ? json_array_get(found, json_array_size(found) - 1) : NULL;
    return last ? json_copy(json_object_get(last, field)) : json_null();
}
