/* clerk.c: the thread, and those who wait for it. */
#include "server/clerk.h"

#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define NICE 10

struct clerk {
    const char *path;
    struct mail mail; /* jobs that are done, for main */
    pthread_t thread;
    struct desk *desk; /* the thread's; NULL: to be opened */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct clerk_job *first, **last;
    unsigned waiting;
    bool closing;
};

/* ---- in main ---- */

static void fail(struct clerk_job *job, int err, const char *reason)
{
    job->err = err;
    snprintf(job->reason, sizeof job->reason, "%s", reason);
    job->done(job, err);
}

static void on_mail(void *owner)
{
    struct clerk *clerk = owner;
    for (struct letter *letter = mail_take(&clerk->mail), *next; letter; letter = next) {
        struct clerk_job *job = (struct clerk_job *)letter;
        next = letter->next;
        job->done(job, job->err);
    }
}

/* put: false: there is no room, or nobody who would do it. */
static bool put(struct clerk *clerk, struct clerk_job *job)
{
    pthread_mutex_lock(&clerk->lock);
    const bool fits = clerk->waiting < CLERK_JOBS_MAX && !clerk->closing;
    if (fits) {
        job->next = NULL;
        *clerk->last = job;
        clerk->last = &job->next;
        clerk->waiting++;
        pthread_cond_signal(&clerk->wake);
    }
    pthread_mutex_unlock(&clerk->lock);
    return fits;
}

void clerk_ask(struct clerk *clerk, struct clerk_job *job)
{
    if (!clerk)
        fail(job, ERR_SYSTEM, "there is no database: start the relay with userdb=FILE");
    else if (!put(clerk, job))
        fail(job, ERR_BUSY, clerk->closing ? "the relay is stopping" : "too many wait for the database: try again");
}

/* ---- the thread ---- */

/* take: the job that is next; NULL: there is none, nor will be. */
static struct clerk_job *take(struct clerk *clerk)
{
    pthread_mutex_lock(&clerk->lock);
    while (!clerk->first && !clerk->closing)
        pthread_cond_wait(&clerk->wake, &clerk->lock);
    struct clerk_job *job = clerk->closing ? NULL : clerk->first;
    if (job) {
        clerk->first = job->next;
        clerk->waiting--;
        if (!clerk->first)
            clerk->last = &clerk->first;
    }
    pthread_mutex_unlock(&clerk->lock);
    return job;
}

static int open_desk(struct clerk *clerk, char *reason, size_t cap)
{
    return clerk->desk ? 0 : desk_open_beside(clerk->path, CLERK_PATIENCE_MS, &clerk->desk, reason, cap);
}

/* A connection on which something failed is made anew, which looks at the file again. */
static void work(struct clerk *clerk, struct clerk_job *job)
{
    job->err = open_desk(clerk, job->reason, sizeof job->reason);
    if (job->err) {
        job->err = ERR_SYSTEM;
        return;
    }
    job->err = job->work(clerk->desk, job);
    if (job->err)
        snprintf(job->reason, sizeof job->reason, "%s", desk_error(clerk->desk));
    if (job->err != ERR_SYSTEM)
        return;
    desk_close(clerk->desk);
    clerk->desk = NULL;
}

/* Where processors are short, packets come first. Of Linux, niceness is a thread's. */
static void *run(void *arg)
{
    struct clerk *clerk = arg;
    char unsaid[CLERK_REASON_MAX];
    setpriority(PRIO_PROCESS, 0, NICE);
    open_desk(clerk, unsaid, sizeof unsaid); /* if not, the first job says why */
    for (struct clerk_job *job; (job = take(clerk)) != NULL;) {
        work(clerk, job);
        mail_post(&clerk->mail, &job->letter);
    }
    return NULL;
}

/* ---- its life ---- */

/* Signals are main's: the thread is born with all of them blocked. */
static int start(struct clerk *clerk)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&clerk->thread, NULL, run, clerk);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? ERR_SYSTEM : 0;
}

static void let_go(struct clerk *clerk)
{
    mail_close(&clerk->mail);
    desk_close(clerk->desk);
    pthread_cond_destroy(&clerk->wake);
    pthread_mutex_destroy(&clerk->lock);
    free(clerk);
}

int clerk_open(const char *path, struct loop *loop, struct clerk **out)
{
    struct clerk *clerk = calloc(1, sizeof *clerk);
    *out = NULL;
    if (!clerk)
        return ERR_MEMORY;
    clerk->path = path;
    clerk->last = &clerk->first;
    pthread_mutex_init(&clerk->lock, NULL);
    pthread_cond_init(&clerk->wake, NULL);
    mail_init(&clerk->mail, loop, on_mail, clerk);
    const int err = start(clerk);
    if (err)
        let_go(clerk);
    else
        *out = clerk;
    return err;
}

/* Who is told may ask again, and is sent away at once. */
void clerk_close(struct clerk *clerk)
{
    if (!clerk)
        return;
    pthread_mutex_lock(&clerk->lock);
    clerk->closing = true;
    pthread_cond_signal(&clerk->wake);
    pthread_mutex_unlock(&clerk->lock);
    pthread_join(clerk->thread, NULL);
    on_mail(clerk);
    for (struct clerk_job *job = clerk->first, *next; job; job = next) {
        next = job->next;
        fail(job, ERR_BUSY, "the relay is stopping");
    }
    let_go(clerk);
}
