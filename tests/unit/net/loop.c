/* the event loop */
#include "loopback.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct seen {
    struct loop *loop;
    struct watch watch;
    int fds[2];
    int calls, reads;
    int message; /* written by another thread before loop_wake */
    msec_t at;
};

static void count_and_stop(void *owner)
{
    struct seen *seen = owner;
    seen->calls++;
    seen->at = loop_now(seen->loop);
    loop_stop(seen->loop);
}

static void drain_and_stop(void *owner)
{
    struct seen *seen = owner;
    char byte;
    while (read(seen->fds[0], &byte, 1) == 1)
        seen->reads++;
    count_and_stop(seen);
}

static struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    seen->loop = loop_new();
    return seen;
}

static void seen_free(struct seen *seen)
{
    watch_stop(&seen->watch);
    watch_stop(&seen->watch); /* twice is harmless */
    loop_free(seen->loop);
    free(seen);
}

TEST(a_readable_descriptor_wakes_the_loop)
{
    struct seen *seen = seen_new();
    CHECK(pipe2(seen->fds, O_NONBLOCK | O_CLOEXEC) == 0);
    watch_read(&seen->watch, seen->loop, seen->fds[0], drain_and_stop, seen);
    CHECK(write(seen->fds[1], "ab", 2) == 2);
    loop_run(seen->loop);
    CHECK_INT(seen->reads, 2);
    CHECK_INT(seen->calls, 1);
    close(seen->fds[0]);
    close(seen->fds[1]);
    seen_free(seen);
}

TEST(a_writable_descriptor_wakes_the_loop)
{
    struct seen *seen = seen_new();
    CHECK(pipe2(seen->fds, O_NONBLOCK | O_CLOEXEC) == 0);
    watch_write(&seen->watch, seen->loop, seen->fds[1], count_and_stop, seen);
    loop_run(seen->loop);
    CHECK_INT(seen->calls, 1);
    watch_stop(&seen->watch);
    close(seen->fds[0]);
    close(seen->fds[1]);
    seen_free(seen);
}

TEST(the_time_of_a_wake_up_is_monotonic_milliseconds)
{
    struct seen *seen = seen_new();
    const msec_t before = clock_monotonic_ms();
    watch_every(&seen->watch, seen->loop, 0.02, count_and_stop, seen);
    loop_run(seen->loop);
    loop_run(seen->loop);
    CHECK_INT(seen->calls, 2);
    CHECK(seen->at >= before + 35 && seen->at <= clock_monotonic_ms());
    seen_free(seen);
}

static void *wake_from_afar(void *arg)
{
    struct seen *seen = arg;
    seen->message = 42;
    loop_wake(&seen->watch);
    return NULL;
}

TEST(another_thread_wakes_the_loop_and_what_it_wrote_is_seen)
{
    struct seen *seen = seen_new();
    pthread_t thread;
    watch_wake(&seen->watch, seen->loop, count_and_stop, seen);
    CHECK(pthread_create(&thread, NULL, wake_from_afar, seen) == 0);
    loop_run(seen->loop);
    CHECK_INT(seen->message, 42);
    CHECK_INT(seen->calls, 1);
    pthread_join(thread, NULL);
    seen_free(seen);
}

TEST(a_signal_wakes_the_loop)
{
    struct seen *seen = seen_new();
    watch_signal(&seen->watch, seen->loop, SIGUSR1, count_and_stop, seen);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    loop_run(seen->loop);
    CHECK_INT(seen->calls, 1);
    seen_free(seen);
}

TEST(before_sleep_runs_in_each_turn_and_before_the_wait)
{
    struct seen *seen = seen_new();
    watch_before_sleep(&seen->watch, seen->loop, count_and_stop, seen);
    loop_run(seen->loop); /* nothing else would ever end the wait */
    CHECK_INT(seen->calls, 1);
    seen_free(seen);
}

TEST(a_stopped_watch_is_silent)
{
    struct seen *seen = seen_new();
    struct seen *other = calloc(1, sizeof *other);
    other->loop = seen->loop;
    CHECK(pipe2(other->fds, O_NONBLOCK | O_CLOEXEC) == 0);
    watch_read(&other->watch, seen->loop, other->fds[0], drain_and_stop, other);
    CHECK(write(other->fds[1], "x", 1) == 1);
    watch_stop(&other->watch);
    watch_every(&seen->watch, seen->loop, 0.01, count_and_stop, seen);
    loop_run(seen->loop);
    CHECK_INT(other->calls, 0);
    close(other->fds[0]);
    close(other->fds[1]);
    free(other);
    seen_free(seen);
}

TEST(a_loop_without_memory_is_none)
{
    test_fail_malloc_after(0);
    struct loop *loop = loop_new();
    test_fail_malloc_after(-1);
    CHECK(loop == NULL);
}

/* sets_with: how many of the process's epoll sets a descriptor is in. */
static int sets_with(int fd)
{
    char path[64], line[128];
    int count = 0, number;
    for (int set = 0; set < 256; set++) {
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", set);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            count += sscanf(line, "tfd: %d", &number) == 1 && number == fd;
        if (file)
            fclose(file);
    }
    return count;
}

TEST(a_descriptor_that_is_forgotten_is_free_for_another_loop)
{
    int pipes[2];
    struct seen *seen = seen_new(), *other = seen_new();
    CHECK(pipe(pipes) == 0);
    watch_read(&seen->watch, seen->loop, pipes[0], count_and_stop, seen);
    CHECK(write(pipes[1], "x", 1) == 1);
    loop_run(seen->loop);
    CHECK_INT(seen->calls, 1);
    watch_stop(&seen->watch);
    CHECK_INT(sets_with(pipes[0]), 1);
    loop_forget(seen->loop, pipes[0]);
    CHECK_INT(sets_with(pipes[0]), 0);
    watch_read(&other->watch, other->loop, pipes[0], count_and_stop, other);
    loop_run(other->loop);
    CHECK_INT(other->calls, 1);
    watch_stop(&other->watch);
    loop_forget(other->loop, pipes[0]);
    watch_read(&seen->watch, seen->loop, pipes[0], count_and_stop, seen); /* and back */
    loop_run(seen->loop);
    CHECK_INT(seen->calls, 2);
    watch_stop(&seen->watch);
    close(pipes[0]);
    close(pipes[1]);
    seen_free(seen);
    seen_free(other);
}

TEST_LIST(
    RUN(a_descriptor_that_is_forgotten_is_free_for_another_loop)
    RUN(a_readable_descriptor_wakes_the_loop)
    RUN(a_writable_descriptor_wakes_the_loop)
    RUN(the_time_of_a_wake_up_is_monotonic_milliseconds)
    RUN(another_thread_wakes_the_loop_and_what_it_wrote_is_seen)
    RUN(a_signal_wakes_the_loop)
    RUN(before_sleep_runs_in_each_turn_and_before_the_wait)
    RUN(a_stopped_watch_is_silent)
    RUN(a_loop_without_memory_is_none))
