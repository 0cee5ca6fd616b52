/* store.c: the queue between the workers and the writer, and the thread that empties it.
 *
 * Two batches: workers put rows into `filling` under the lock; the thread takes it whole, gives back an empty one, and writes without the
 * lock. A batch that could not be committed is kept as it is and tried again before the next: it is never split, merged or written twice.
 * All waiting for SQLite is the thread's.
 */
#include "store/store.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "store/crowd.h"
#include "store/rollup.h"
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define GATHER_MS 100 /* from the first row to the commit: workers tell their usage once a second, all at about the same time */
#define RETRY_MS 1000
#define ROLLUP_PAUSE_MS 50    /* between two transactions of a rollup: what is put meanwhile goes first */
#define ROLLUP_EVERY_MS 60000 /* when there was nothing to do */

struct store {
    struct log *log;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows, up to the thread's own */
    pthread_cond_t wake;  /* of the thread */
    pthread_cond_t done;  /* a round has ended */
    struct batch filling;
    struct crowd crowd;
    uint64_t rows_taken; /* of `writing` */
    struct store_counts counts;
    uint64_t flush_wanted, flush_done; /* rounds asked for; the last one that was served */
    int flush_err;
    bool closing;
    struct store_keep keep;
    msec_t rollup_at; /* when it is time to look for what is old */

    /* the thread's own, once it runs */
    struct writer writer;
    struct batch writing;
    uint64_t told_dropped;
    bool dropping;
    char path[];
};

static void tell_failure(struct store *store, int err)
{
    pthread_mutex_lock(&store->lock);
    const bool was_failing = store->counts.failing;
    store->counts.failing = err != 0;
    store->counts.failures += err != 0;
    pthread_mutex_unlock(&store->lock);
    if (err && !was_failing)
        log_say(store->log, LOG_ERROR, "store_failing", "reason=%s: rows are kept in memory and tried again every second",
                store->writer.reason);
    if (!err && was_failing)
        log_say(store->log, LOG_WARNING, "store_healed", "path=%s", store->path);
}

/* An episode of lost rows begins with the first and ends with the first round without one. */
static void tell_dropped(struct store *store, uint64_t dropped)
{
    if (dropped > store->told_dropped && !store->dropping)
        log_say(store->log, LOG_ERROR, "store_dropping", "path=%s: the memory for rows is full, more are lost", store->path);
    if (dropped == store->told_dropped && store->dropping)
        log_say(store->log, LOG_WARNING, "store_dropped", "path=%s rows=%llu in all", store->path, (unsigned long long)dropped);
    store->dropping = dropped > store->told_dropped;
    store->told_dropped = dropped;
}

static int commit(struct store *store)
{
    if (batch_is_empty(&store->writing))
        return 0;
    const int err = writer_commit(&store->writer, &store->writing);
    tell_failure(store, err);
    if (err)
        return err;
    pthread_mutex_lock(&store->lock);
    store->counts.batches++;
    store->counts.rows += store->writing.rows;
    store->rows_taken = 0;
    pthread_mutex_unlock(&store->lock);
    batch_close(&store->writing);
    return 0;
}

/* round: what could not be written before, then what has been put since. */
static int commit_round(struct store *store)
{
    const int err = commit(store);
    if (err)
        return err;
    pthread_mutex_lock(&store->lock);
    const struct batch empty = store->writing;
    store->writing = store->filling;
    store->filling = empty;
    store->counts.folded += store->writing.folded;
    store->rows_taken = store->writing.rows;
    pthread_mutex_unlock(&store->lock);
    return commit(store);
}

static bool is_wanted(const struct store *store)
{
    return store->closing || store->flush_wanted > store->flush_done || (batch_is_half_full(&store->filling) && !store->counts.failing);
}

static struct timespec until(msec_t at)
{
    return (struct timespec){.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
}

static bool is_rollup_due(const struct store *store)
{
    return store->rollup_at <= clock_monotonic_ms();
}

/* An idle store sleeps, until it is time to look for what is old. One that is failing, or whose loss of rows has not been told as over, looks again after a while. */
static void wait_for_rows(struct store *store)
{
    while (!is_wanted(store) && batch_is_empty(&store->filling) && !store->counts.failing && !store->dropping && !is_rollup_due(store)) {
        const struct timespec due = until(store->rollup_at);
        pthread_cond_timedwait(&store->wake, &store->lock, &due);
    }
    if (batch_is_empty(&store->filling) && !store->counts.failing && !store->dropping)
        return;
    const struct timespec due = until(clock_monotonic_ms() + (store->counts.failing || store->dropping ? RETRY_MS : GATHER_MS));
    while (!is_wanted(store) && pthread_cond_timedwait(&store->wake, &store->lock, &due) != ETIMEDOUT)
        continue;
}

/* roll_up: one transaction, when it is due; the thread has the lock, and is without it meanwhile. What fails is tried again later: it changes no sum. */
static void roll_up(struct store *store)
{
    const struct store_keep keep = store->keep;
    char reason[160];
    int done = 0;
    if (!is_rollup_due(store))
        return;
    if (store->writer.db && !store->counts.failing) {
        pthread_mutex_unlock(&store->lock);
        done = rollup_step(store->writer.db, &keep, clock_unix_ms(), (struct complaint){reason, sizeof reason});
        if (done < 0)
            log_say(store->log, LOG_WARNING, "rollup_failed", "path=%s reason=%s: tried again in a minute", store->path, reason);
        pthread_mutex_lock(&store->lock);
    }
    store->counts.rolled += done > 0;
    store->rollup_at = clock_monotonic_ms() + (done > 0 ? ROLLUP_PAUSE_MS : ROLLUP_EVERY_MS);
}

static void *store_run(void *arg)
{
    struct store *store = arg;
    pthread_mutex_lock(&store->lock);
    for (bool last = false; !last;) {
        wait_for_rows(store);
        const uint64_t serving = store->flush_wanted, dropped = store->counts.dropped;
        last = store->closing;
        pthread_mutex_unlock(&store->lock);
        tell_dropped(store, dropped);
        if (last)
            writer_be_patient(&store->writer);
        const int err = commit_round(store);
        pthread_mutex_lock(&store->lock);
        store->flush_done = serving;
        store->flush_err = err;
        pthread_cond_broadcast(&store->done);
        roll_up(store);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* A file that relay did not make may be anybody's to read, and its keys are as good as passwords. */
static void tell_exposed(const struct store *store)
{
    struct stat file;
    if (stat(store->path, &file) == 0 && file.st_mode & 077)
        log_say(store->log, LOG_WARNING, "store_exposed", "path=%s mode=%03o: others than its owner may open it: chmod 600", store->path,
                (unsigned)file.st_mode & 0777);
}

/* Signals are main's: the thread is born with all of them blocked. */
static int start_thread(struct store *store)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&store->thread, NULL, store_run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? ERR_SYSTEM : 0;
}

static void init_locks(struct store *store)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->wake, &monotonic);
    pthread_cond_init(&store->done, NULL);
    pthread_condattr_destroy(&monotonic);
}

static void store_free(struct store *store)
{
    writer_close(&store->writer, clock_unix_ms());
    batch_close(&store->filling);
    batch_close(&store->writing);
    crowd_close(&store->crowd);
    pthread_cond_destroy(&store->done);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

int store_check(const char *path, char *error, size_t error_cap)
{
    return database_check(path, (struct complaint){.at = error, .cap = error_cap});
}

int store_open(const char *path, struct log *log, struct store **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    const size_t len = strlen(path) + 1;
    struct hash_key hash_key;
    struct store *store = calloc(1, sizeof *store + len);
    *out = NULL;
    if (!store)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    memcpy(store->path, path, len);
    store->log = log;
    crypto_random(&hash_key, sizeof hash_key);
    batch_init(&store->filling, &hash_key);
    batch_init(&store->writing, &hash_key);
    crowd_init(&store->crowd, &hash_key);
    store->rollup_at = INT64_MAX / 2; /* nobody has said what is old */
    init_locks(store);
    int err = writer_open(&store->writer, store->path, clock_unix_ms(), complaint);
    if (err == 0 && (err = start_thread(store)) != 0)
        complain(complaint, err, "%s: the thread that writes it cannot be started", path);
    if (err) {
        store_free(store);
        return err;
    }
    tell_exposed(store);
    *out = store;
    return 0;
}

void store_keep(struct store *store, const struct store_keep *keep)
{
    pthread_mutex_lock(&store->lock);
    store->keep = *keep;
    store->rollup_at = clock_monotonic_ms();
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    const uint64_t lost = store->writing.rows + store->filling.rows;
    if (lost)
        log_say(store->log, LOG_ERROR, "store_lost", "path=%s rows=%llu reason=%s", store->path, (unsigned long long)lost,
                store->writer.reason);
    store_free(store);
}

/* Between put_begin and put_end the caller holds the lock. */
static struct batch *put_begin(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    return &store->filling;
}

static bool put_end(struct store *store, bool taken)
{
    store->counts.dropped += !taken;
    if (store->filling.rows == 1 || !taken || (batch_is_half_full(&store->filling) && !store->counts.failing))
        pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    return taken;
}

/* A row that is dropped was somebody all the same: who is there is counted, whatever becomes of the row; that he was active is, if it was taken. A peak that finds no room
 * is a row that was dropped too, and not the caller's affair. */
static bool put_end_counted(struct store *store, bool taken, bool counted)
{
    store->counts.dropped += !counted;
    return put_end(store, taken);
}

bool store_session_opened(struct store *store, const struct store_session *row)
{
    struct batch *batch = put_begin(store);
    const bool taken = batch_put_opened(batch, row);
    return put_end_counted(store, taken, crowd_enter(&store->crowd, batch, row->who.tenant, row->opened_ms));
}

bool store_usage(struct store *store, const struct store_usage *row)
{
    struct batch *batch = put_begin(store);
    const bool taken = batch_put_usage(batch, row);
    return put_end_counted(store, taken, crowd_stay(&store->crowd, batch, row->who.tenant, row->at_ms, taken && row->is_active));
}

bool store_session_closed(struct store *store, const struct store_closing *row)
{
    const struct store_usage *last = &row->last;
    struct batch *batch = put_begin(store);
    const bool taken = batch_put_closing(batch, row),
               counted = crowd_stay(&store->crowd, batch, last->who.tenant, last->at_ms, taken && last->is_active);
    return put_end_counted(store, taken, crowd_leave(&store->crowd, batch, last->who.tenant, last->at_ms) && counted);
}

bool store_refusal(struct store *store, const struct store_refusal *row)
{
    return put_end(store, batch_put_refusal(put_begin(store), row));
}

bool store_meter(struct store *store, const struct store_meter *row)
{
    return put_end(store, batch_put_meter(put_begin(store), row));
}

bool store_audit(struct store *store, int64_t at_ms, const char *who, const char *type, const char *detail_json)
{
    return store_change(store, &(struct store_change){.at_ms = at_ms, .who = who, .type = type, .tenant = "", .detail_json = detail_json});
}

bool store_change(struct store *store, const struct store_change *change)
{
    const struct batch_audit row = {.at_ms = change->at_ms};
    return put_end(store, batch_put_audit(put_begin(store), &row, (const char *const[]){change->who, change->type, change->tenant, change->detail_json}));
}

int store_flush(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    const uint64_t wanted = ++store->flush_wanted;
    pthread_cond_signal(&store->wake);
    while (store->flush_done < wanted)
        pthread_cond_wait(&store->done, &store->lock);
    const int err = store->flush_err;
    pthread_mutex_unlock(&store->lock);
    return err ? ERR_SYSTEM : 0;
}

void store_counts(struct store *store, struct store_counts *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->counts;
    out->waiting = store->filling.rows + store->rows_taken;
    pthread_mutex_unlock(&store->lock);
}
