/* crash.c: a server that is killed leaves a sound database, what the store lost is little, and what it left open is closed. */
#include "scratch.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SESSIONS 20
#define SLOT_MS 10
#define SLOTS 6000
#define LOSS_MS 100  /* what the store gathers; workers tell it their usage once a second */
#define SLACK_MS 400 /* a commit under load, and this machine's scheduling */

/* What the child tells the parent while it lives: how many bytes were put by the end of each slot of time. */
struct shared {
    msec_t began;
    _Atomic uint64_t batches;
    _Atomic uint64_t put[SLOTS];
};

static void run_under_load(struct scratch *scratch, struct shared *shared)
{
    struct store *store = scratch_open(scratch);
    struct store_counts counts;
    const int64_t unix_offset = clock_unix_ms() - clock_monotonic_ms();
    uint64_t put = 0;
    for (int64_t id = 1; id <= SESSIONS; id++)
        scratch_open_session(store, id, "alice", clock_unix_ms());
    for (;;) {
        const msec_t now = clock_monotonic_ms();
        const size_t slot = (size_t)((now - shared->began) / SLOT_MS);
        for (int i = 0; i < 20; i++, put++)
            scratch_use(store, (int64_t)(put % SESSIONS) + 1, "alice", now + unix_offset, 1);
        if (slot < SLOTS)
            atomic_store(&shared->put[slot], put);
        store_counts(store, &counts);
        atomic_store(&shared->batches, counts.batches);
        usleep(200);
    }
}

/* put_before: what had been put by `at`: the last slot that ended by then and was filled. */
static uint64_t put_before(const struct shared *shared, msec_t at)
{
    for (int64_t slot = (at - shared->began) / SLOT_MS - 1; slot >= 0; slot--)
        if (atomic_load(&shared->put[slot]))
            return atomic_load(&shared->put[slot]);
    return 0;
}

/* The child is killed when it has committed `batches`, and `more_ms` later. */
static void kill_under_load(struct scratch *scratch, uint64_t batches, int more_ms)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    shared->began = clock_monotonic_ms();
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        run_under_load(scratch, shared);
        _exit(0);
    }
    while (atomic_load(&shared->batches) < batches && clock_monotonic_ms() - shared->began < 20000)
        usleep(1000);
    usleep((useconds_t)more_ms * 1000);
    const msec_t killed = clock_monotonic_ms();
    kill(pid, SIGKILL);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK(atomic_load(&shared->batches) >= batches);

    char *checked = scratch_text(scratch, "PRAGMA integrity_check");
    CHECK_TEXT(checked, "ok");
    free(checked);
    const int64_t kept = scratch_number(scratch, "SELECT sum(bytes_in) FROM usage");
    CHECK_INT(scratch_number(scratch, "SELECT sum(bytes_in) FROM sessions"), kept);
    CHECK(kept > 0);
    CHECK(kept >= (int64_t)put_before(shared, killed - LOSS_MS - SLACK_MS));
    CHECK(kept <= (int64_t)put_before(shared, killed + SLOT_MS) + 20);
    munmap(shared, sizeof *shared);
}

TEST(kill_9_under_load_loses_a_moment_and_the_next_start_closes_what_was_open)
{
    static const int more_ms[] = {0, 50, 350};
    for (size_t i = 0; i < sizeof more_ms / sizeof *more_ms; i++) {
        struct scratch scratch = scratch_make();
        kill_under_load(&scratch, 2, more_ms[i]);
        CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions WHERE closed_ms IS NULL"), SESSIONS);
        const msec_t before = clock_monotonic_ms();
        struct store *store = scratch_open(&scratch);
        CHECK(clock_monotonic_ms() - before < 1000);
        CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions WHERE reason = 'crash' AND closed_ms = seen_ms"
                                           " AND seconds = lived_ms / 1000 AND closed_ms >= opened_ms"),
                  SESSIONS);
        CHECK_INT(scratch_number(&scratch, "SELECT sum(closed) FROM usage"), SESSIONS);
        CHECK_INT(scratch_number(&scratch, "SELECT sum(opened) FROM usage"), SESSIONS);
        CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE reason = 'crash' AND stopped_ms >= started_ms"), 1);
        CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE stopped_ms IS NULL"), 1);
        store_close(store);
        CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE reason = 'stopped'"), 1);
        scratch_remove(&scratch);
    }
}

/* A second program that opens the same file is no crash of the first. */
TEST(the_sessions_of_a_server_that_still_runs_stay_open)
{
    struct scratch scratch = scratch_make();
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    shared->began = clock_monotonic_ms();
    const pid_t pid = fork();
    if (pid == 0) {
        run_under_load(&scratch, shared);
        _exit(0);
    }
    while (atomic_load(&shared->batches) < 1)
        usleep(1000);
    struct store *store = scratch_open(&scratch);
    const int64_t open_sessions = scratch_number(&scratch, "SELECT count(*) FROM sessions WHERE closed_ms IS NULL");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_INT(open_sessions, SESSIONS);
    store_close(store);
    munmap(shared, sizeof *shared);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(kill_9_under_load_loses_a_moment_and_the_next_start_closes_what_was_open)
              RUN(the_sessions_of_a_server_that_still_runs_stay_open))
