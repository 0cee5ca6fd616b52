/* inquiry.c: the threads, and those who wait for one. */
#include "store/inquiry.h"

#include "base/err.h"
#include "store/statement.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define NICE 10

enum inquiry_state { INQUIRY_WAITS, INQUIRY_RUNS, INQUIRY_TOLD };

struct inquiry {
    struct inquiries *of;
    struct inquiry_ending ending;
    struct result result;
    atomic_bool unwanted;
    enum inquiry_state state;     /* guarded by of->lock */
    struct inquiry *next, **link; /* while it waits */
};

struct clerk {
    struct inquiries *of;
    struct bench bench;
    pthread_t thread;
    bool started;
};

struct inquiries {
    pthread_mutex_t lock; /* guards what follows, up to the clerks */
    pthread_cond_t wake;
    struct inquiry *first, **last;
    size_t waiting;
    bool closing;
    struct clerk clerks[INQUIRY_THREADS];
};

/* ---- those who wait; the caller holds the lock ---- */

static void put(struct inquiries *inquiries, struct inquiry *inquiry)
{
    inquiry->link = inquiries->last;
    *inquiries->last = inquiry;
    inquiries->last = &inquiry->next;
    inquiries->waiting++;
}

static void take(struct inquiries *inquiries, struct inquiry *inquiry)
{
    *inquiry->link = inquiry->next;
    if (inquiry->next)
        inquiry->next->link = inquiry->link;
    else
        inquiries->last = inquiry->link;
    inquiries->waiting--;
}

/* ---- the threads ---- */

/* end: who asked is told under the lock: once it is known that nobody was, nobody will be. */
static void end(struct inquiry *inquiry)
{
    if (atomic_load(&inquiry->unwanted)) {
        inquiry_free(inquiry);
        return;
    }
    inquiry->state = INQUIRY_TOLD;
    inquiry->ending.done(inquiry->ending.owner);
}

/* Where processors are short, packets come first: a large query takes what they leave. Of Linux, niceness is a thread's. */
static void *clerk_run(void *arg)
{
    struct clerk *clerk = arg;
    struct inquiries *inquiries = clerk->of;
    setpriority(PRIO_PROCESS, 0, NICE);
    pthread_mutex_lock(&inquiries->lock);
    while (!inquiries->closing) {
        struct inquiry *inquiry = inquiries->first;
        if (!inquiry) {
            pthread_cond_wait(&inquiries->wake, &inquiries->lock);
            continue;
        }
        take(inquiries, inquiry);
        inquiry->state = INQUIRY_RUNS;
        pthread_mutex_unlock(&inquiries->lock);
        bench_run(&clerk->bench, &inquiry->result, &inquiry->unwanted);
        pthread_mutex_lock(&inquiries->lock);
        end(inquiry);
    }
    pthread_mutex_unlock(&inquiries->lock);
    return NULL;
}

static int start_clerk(struct clerk *clerk)
{
    clerk->started = pthread_create(&clerk->thread, NULL, clerk_run, clerk) == 0;
    return clerk->started ? 0 : ERR_SYSTEM;
}

/* Signals are main's: the threads are born with all of them blocked. */
static int start_clerks(struct inquiries *inquiries)
{
    sigset_t all, before;
    int err = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < INQUIRY_THREADS && !err; i++)
        err = start_clerk(&inquiries->clerks[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

int inquiries_open(const char *path, struct inquiries **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    struct inquiries *inquiries = calloc(1, sizeof *inquiries);
    int err = 0;
    *out = NULL;
    if (!inquiries)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    inquiries->last = &inquiries->first;
    pthread_mutex_init(&inquiries->lock, NULL);
    pthread_cond_init(&inquiries->wake, NULL);
    for (size_t i = 0; i < INQUIRY_THREADS && !err; i++) {
        inquiries->clerks[i].of = inquiries;
        err = bench_open(&inquiries->clerks[i].bench, path, complaint);
    }
    if (!err && (err = start_clerks(inquiries)) != 0)
        complain(complaint, err, "%s: the threads that read it cannot be started", path);
    if (err)
        inquiries_close(inquiries);
    else
        *out = inquiries;
    return err;
}

void inquiries_close(struct inquiries *inquiries)
{
    if (!inquiries)
        return;
    pthread_mutex_lock(&inquiries->lock);
    inquiries->closing = true;
    pthread_cond_broadcast(&inquiries->wake);
    pthread_mutex_unlock(&inquiries->lock);
    for (size_t i = 0; i < INQUIRY_THREADS; i++) {
        if (inquiries->clerks[i].started)
            pthread_join(inquiries->clerks[i].thread, NULL);
        bench_close(&inquiries->clerks[i].bench);
    }
    pthread_cond_destroy(&inquiries->wake);
    pthread_mutex_destroy(&inquiries->lock);
    free(inquiries);
}

/* ---- one inquiry ---- */

int inquiry_start(struct inquiries *inquiries, const struct query *query, const struct inquiry_ending *ending, struct inquiry **out)
{
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    if (!inquiry || result_init(&inquiry->result, query) != 0) {
        inquiry_free(inquiry);
        return ERR_MEMORY;
    }
    inquiry->of = inquiries;
    inquiry->ending = *ending;
    pthread_mutex_lock(&inquiries->lock);
    const bool fits = inquiries->waiting < INQUIRIES_MAX;
    if (fits) {
        put(inquiries, inquiry);
        pthread_cond_signal(&inquiries->wake);
    }
    pthread_mutex_unlock(&inquiries->lock);
    if (!fits) {
        inquiry_free(inquiry);
        return ERR_BUSY;
    }
    *out = inquiry;
    return 0;
}

/* One that runs is its thread's from now on, which looks at `unwanted` and frees it. */
bool inquiry_cancel(struct inquiry *inquiry)
{
    struct inquiries *inquiries = inquiry->of;
    pthread_mutex_lock(&inquiries->lock);
    const enum inquiry_state state = inquiry->state;
    if (state == INQUIRY_WAITS)
        take(inquiries, inquiry);
    if (state == INQUIRY_RUNS)
        atomic_store(&inquiry->unwanted, true);
    pthread_mutex_unlock(&inquiries->lock);
    if (state == INQUIRY_WAITS)
        inquiry_free(inquiry);
    return state != INQUIRY_TOLD;
}

/* They are told under the lock. */
void inquiries_settle(struct inquiries *inquiries)
{
    if (!inquiries)
        return;
    pthread_mutex_lock(&inquiries->lock);
    pthread_mutex_unlock(&inquiries->lock);
}

const struct rows *inquiry_rows(const struct inquiry *inquiry)
{
    return &inquiry->result.rows;
}

void inquiry_free(struct inquiry *inquiry)
{
    if (!inquiry)
        return;
    result_close(&inquiry->result);
    free(inquiry);
}
