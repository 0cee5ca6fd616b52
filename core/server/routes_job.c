/* routes_job.c: questions that the clerk answers. */
#include "server/routes.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

/* status_of: what went wrong, to who asked. A database that is locked, full, read-only or broken is not his fault. */
static unsigned status_of(int err)
{
    switch (err) {
        case ERR_BAD:
        case ERR_RANGE:
            return HTTP_BAD_REQUEST;
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

void routes_job_done(struct clerk_job *job, int err)
{
    struct routes_job *question = (struct routes_job *)job;
    if (err) {
        json_decref(question->body);
        door_refuse(question->request, status_of(err), job->reason);
    } else {
        door_answer(question->request, question->status, question->body);
    }
    free(question);
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
    return question;
}

void routes_job_ask(const struct routes *routes, void *job)
{
    struct routes_job *question = job;
    clerk_ask(routes->service->clerk, &question->job);
}

size_t routes_limit(const struct door_request *request)
{
    const struct field_value *limit = door_parameter(request, "limit");
    return limit ? (size_t)limit->number : ROUTES_LIMIT;
}

const char *routes_who(const struct door_request *request, char out[ROUTES_WHO_MAX])
{
    const struct door_caller *caller = door_caller(request);
    snprintf(out, ROUTES_WHO_MAX, "%s%s", *caller->key ? "key:" : "socket", caller->key);
    return out;
}
