/* the clerk: jobs in order, in its thread; what fails them; the end while some wait */
#include "server/clerk.h"

#include "../store/scratch.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOBS 3

struct office {
    struct scratch scratch;
    struct loop *loop;
    struct clerk *clerk;
    atomic_bool may_go;
    int begun, ended; /* jobs */
};

struct errand {
    struct clerk_job job;
    struct office *office;
    int worked_as, done_as, err; /* from 1; done_as 0: not yet */
    bool waits, asks_again;
    pthread_t thread;
};

static int work(struct desk *desk, struct clerk_job *job)
{
    struct errand *errand = (struct errand *)job;
    errand->worked_as = ++errand->office->begun;
    errand->thread = pthread_self();
    while (errand->waits && !atomic_load(&errand->office->may_go))
        usleep(1000);
    return desk_tenant_set(desk, "acme", "max_allocations", "7", "somebody");
}

static void done(struct clerk_job *job, int err)
{
    struct errand *errand = (struct errand *)job;
    errand->err = err;
    errand->done_as = ++errand->office->ended;
    if (errand->asks_again) {
        errand->asks_again = false;
        clerk_ask(errand->office->clerk, job);
    }
}

static void office_open(struct office *office)
{
    *office = (struct office){.scratch = scratch_make()};
    desk_close(scratch_desk(&office->scratch));
    office->loop = loop_new();
    CHECK_INT(clerk_open(office->scratch.path, office->loop, &office->clerk), 0);
}

static void office_close(struct office *office)
{
    clerk_close(office->clerk);
    loop_free(office->loop);
    scratch_remove(&office->scratch);
}

static void ask(struct office *office, struct errand *errand)
{
    errand->office = office;
    errand->job.work = work;
    errand->job.done = done;
    clerk_ask(office->clerk, &errand->job);
}

static void run_until(struct office *office, int ended)
{
    while (office->ended < ended)
        loop_turn(office->loop);
}

TEST(jobs_are_done_in_order_in_a_thread_of_its_own)
{
    struct office office;
    struct errand errands[JOBS] = {0};
    office_open(&office);
    for (int i = 0; i < JOBS; i++)
        ask(&office, &errands[i]);
    run_until(&office, JOBS);
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(errands[i].err, 0);
        CHECK_INT(errands[i].worked_as, i + 1);
        CHECK_INT(errands[i].done_as, i + 1);
        CHECK(!pthread_equal(errands[i].thread, pthread_self()));
    }
    CHECK_INT(scratch_number(&office.scratch, "SELECT max_allocations FROM tenants"), 7);
    office_close(&office);
}

TEST(a_piece_asks_for_the_next_one)
{
    struct office office;
    struct errand errand = {.asks_again = true};
    office_open(&office);
    ask(&office, &errand);
    run_until(&office, 2);
    CHECK_INT(errand.worked_as, 2);
    CHECK_INT(errand.err, 0);
    office_close(&office);
}

TEST(without_a_database_a_job_fails_at_once)
{
    struct office office = {0};
    struct errand errand = {0};
    ask(&office, &errand);
    CHECK_INT(errand.err, ERR_SYSTEM);
    CHECK(strstr(errand.job.reason, "userdb"));
}

TEST(more_jobs_than_there_is_room_for_fail_at_once)
{
    struct office office;
    static struct errand errands[CLERK_JOBS_MAX + 2];
    office_open(&office);
    errands[0].waits = true;
    for (int i = 0; i < CLERK_JOBS_MAX + 2; i++)
        ask(&office, &errands[i]);
    CHECK_INT(errands[CLERK_JOBS_MAX + 1].err, ERR_BUSY);
    CHECK(strstr(errands[CLERK_JOBS_MAX + 1].job.reason, "too many"));
    atomic_store(&office.may_go, true);
    run_until(&office, CLERK_JOBS_MAX + 2);
    office_close(&office);
}

TEST(a_locked_database_fails_a_job_with_the_reason_and_not_the_next)
{
    struct office office;
    struct errand first = {0}, second = {0};
    sqlite3 *other;
    office_open(&office);
    CHECK_INT(sqlite3_open(office.scratch.path, &other), SQLITE_OK);
    CHECK_INT(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ask(&office, &first);
    run_until(&office, 1);
    CHECK_INT(first.err, ERR_SYSTEM);
    CHECK(strstr(first.job.reason, "locked"));
    CHECK_INT(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ask(&office, &second);
    run_until(&office, 2);
    CHECK_INT(second.err, 0);
    office_close(&office);
}

TEST(a_database_that_is_gone_fails_a_job_with_the_reason_and_heals)
{
    struct office office;
    struct errand first = {0}, second = {0};
    office_open(&office);
    scratch_tell(&office.scratch, "ALTER TABLE tenants RENAME TO elsewhere");
    ask(&office, &first);
    run_until(&office, 1);
    CHECK_INT(first.err, ERR_SYSTEM);
    CHECK(strstr(first.job.reason, "no such table"));
    scratch_tell(&office.scratch, "ALTER TABLE elsewhere RENAME TO tenants");
    ask(&office, &second);
    run_until(&office, 2);
    CHECK_INT(second.err, 0);
    office_close(&office);
}

/* The one at hand is finished; those behind it are told, also the one that asks again. */
TEST(it_ends_while_jobs_wait)
{
    struct office office;
    struct errand at_hand = {.waits = true}, behind = {.asks_again = true}, last = {0};
    office_open(&office);
    ask(&office, &at_hand);
    ask(&office, &behind);
    ask(&office, &last);
    atomic_store(&office.may_go, true);
    clerk_close(office.clerk);
    CHECK(office.ended >= JOBS);
    CHECK(at_hand.done_as && behind.done_as && last.done_as);
    for (struct errand *each[] = {&at_hand, &behind, &last}, **at = each; at < each + JOBS; at++)
        CHECK((*at)->worked_as || (*at)->err == ERR_BUSY);
    office.clerk = NULL;
    office_close(&office);
}

TEST(without_memory_there_is_none)
{
    struct office office = {.scratch = scratch_make(), .loop = loop_new()};
    test_fail_malloc_after(0);
    const int err = clerk_open(office.scratch.path, office.loop, &office.clerk);
    test_fail_malloc_after(-1);
    CHECK_INT(err, ERR_MEMORY);
    CHECK(!office.clerk);
    office_close(&office);
}

TEST_LIST(RUN(jobs_are_done_in_order_in_a_thread_of_its_own) RUN(a_piece_asks_for_the_next_one) RUN(without_a_database_a_job_fails_at_once)
              RUN(more_jobs_than_there_is_room_for_fail_at_once) RUN(a_locked_database_fails_a_job_with_the_reason_and_not_the_next)
                  RUN(a_database_that_is_gone_fails_a_job_with_the_reason_and_heals) RUN(it_ends_while_jobs_wait) RUN(without_memory_there_is_none))
