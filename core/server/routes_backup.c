/* routes_backup.c: /v1/backup: POST begins a copy of the database, GET tells how far it is. It is made by the clerk, a piece after the other, between other jobs. */
#include "server/routes.h"

#include "base/err.h"
#include "store/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LEN_MAX 4095

const struct field routes_backup_body[] = {
    {.name = "path", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 2, .max = PATH_LEN_MAX, .help = "Where it is to be, from the root; what is there is never replaced"},
    {0},
};
const struct door_said routes_backup_said[] = {{HTTP_ACCEPTED, "It has begun; GET tells how far it is"},
                                               {HTTP_CONFLICT, "Something is there, or another one is being made"},
                                               {0}};

/* struct routes_backup: the last one. What is behind `next` is the clerk's while a job of it waits. */
struct routes_backup {
    bool is_running;
    char *path; /* NULL: there was none yet */
    char error[CLERK_REASON_MAX];
    struct backup_sum sum;
    struct clerk *clerk;
    struct clerk_job next;
    struct backup *work;
    struct backup_sum seen;
    char why[CLERK_REASON_MAX];
};

struct backup_job {
    struct routes_job job;
    struct routes_backup *of;
};

static json_t *state_of(const struct routes_backup *backup)
{
    if (!backup || !backup->path)
        return json_pack("{s:s}", "state", "none");
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "state", backup->is_running ? "running" : *backup->error ? "failed" : "done", "path", backup->path,
                     "error", *backup->error ? json_string(backup->error) : json_null(), "pages", (json_int_t)backup->sum.pages, "done",
                     (json_int_t)backup->sum.done, "page_bytes", (json_int_t)backup->sum.page_bytes);
}

/* ---- piece by piece ---- */

static int step(struct desk *desk, struct clerk_job *of)
{
    struct routes_backup *backup = (struct routes_backup *)((char *)of - offsetof(struct routes_backup, next));
    (void)desk;
    backup_sum(backup->work, &backup->seen);
    const int err = backup_step(backup->work, BACKUP_PAGES, backup->why, sizeof backup->why);
    if (err == ERR_PARTIAL)
        backup_sum(backup->work, &backup->seen);
    else
        backup->seen.done = backup->seen.pages;
    return err == ERR_SYSTEM ? ERR_BAD : err; /* the desk's connection is sound */
}

static void stepped(struct clerk_job *of, int err)
{
    struct routes_backup *backup = (struct routes_backup *)((char *)of - offsetof(struct routes_backup, next));
    backup->sum = backup->seen;
    if (err == ERR_PARTIAL) {
        clerk_ask(backup->clerk, of);
        return;
    }
    if (err)
        snprintf(backup->error, sizeof backup->error, "%s", *backup->why ? backup->why : of->reason);
    backup_end(backup->work);
    backup->work = NULL;
    backup->is_running = false;
}

/* ---- the questions ---- */

static int begin(struct desk *desk, struct clerk_job *of)
{
    struct backup_job *job = (struct backup_job *)of;
    struct routes_backup *backup = job->of;
    (void)desk;
    const int err = backup_begin(job->job.routes->config->userdb, door_text(job->job.request, "path"), &backup->work, backup->why, sizeof backup->why);
    if (err)
        return routes_job_refuse(job, err == ERR_SYSTEM ? ERR_BAD : err, NULL, backup->why);
    backup_sum(backup->work, &backup->sum);
    return 0;
}

static void begun(struct clerk_job *of, int err)
{
    struct backup_job *job = (struct backup_job *)of;
    struct routes_backup *backup = job->of;
    if (err) {
        backup->is_running = false;
        snprintf(backup->error, sizeof backup->error, "%s", *job->job.why ? job->job.why : of->reason);
    } else {
        job->job.body = state_of(backup);
        job->job.status = HTTP_ACCEPTED;
    }
    routes_job_done(of, err);
    if (!err)
        clerk_ask(backup->clerk, &backup->next);
}

/* place: where the last one was told, for the next. */
static struct routes_backup *place(struct routes *routes, const char *path)
{
    if (!routes->backup)
        routes->backup = calloc(1, sizeof *routes->backup);
    char *copy = routes->backup ? strdup(path) : NULL;
    if (!copy)
        return NULL;
    free(routes->backup->path);
    *routes->backup = (struct routes_backup){
        .is_running = true, .path = copy, .clerk = routes->service->clerk, .next = {.work = step, .done = stepped}};
    return routes->backup;
}

/* Who brings a key may be anywhere: files of this machine are its operator's. */
static bool may_begin(const struct routes *routes, struct door_request *request)
{
    const char *path = door_text(request, "path");
    if (*door_caller(request)->key)
        door_refuse(request, HTTP_FORBIDDEN, "a backup is begun by the admin socket: it is a file on that machine");
    else if (*path != '/')
        door_refuse_field(request, "path", "a path from the root expected");
    else if (routes->backup && routes->backup->is_running)
        door_refuse(request, HTTP_CONFLICT, "another backup is being made");
    else
        return true;
    return false;
}

void routes_backup_begin(void *ctx, struct door_request *request)
{
    struct routes *routes = ctx;
    struct backup_job *job = may_begin(routes, request) ? routes_job(request, sizeof *job, begin) : NULL;
    if (!job)
        return;
    job->of = place(routes, door_text(request, "path"));
    if (!job->of) {
        free(job);
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    job->job.job.done = begun;
    routes_job_ask(routes, job);
}

void routes_backup_show(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    door_answer(request, HTTP_OK, state_of(routes->backup));
}

void routes_backup_close(struct routes *routes)
{
    if (!routes->backup)
        return;
    backup_end(routes->backup->work);
    free(routes->backup->path);
    free(routes->backup);
}
