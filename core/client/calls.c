/* calls.c: a perf event of the tracepoint raw_syscalls:sys_enter for each thread. */
#include "client/calls.h"

#include <errno.h>
#include <glob.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 1024
#define TRACEPOINT "/events/raw_syscalls/sys_enter/id"

struct calls {
    size_t count;
    int fds[THREADS_MAX];
};

/* tracepoint: its number, or negative with why. */
static long tracepoint(char why[CALLS_WHY_MAX])
{
    static const char *const places[] = {"/sys/kernel/tracing" TRACEPOINT, "/sys/kernel/debug/tracing" TRACEPOINT};
    char line[32];
    bool is_denied = false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        FILE *file = fopen(places[i], "re");
        is_denied |= !file && errno == EACCES;
        const bool got = file && fgets(line, sizeof line, file);
        if (file)
            fclose(file);
        if (got)
            return strtol(line, NULL, 10);
    }
    snprintf(why, CALLS_WHY_MAX, "%s", is_denied ? "only root may read the kernel's tracepoints"
                                                       : "the kernel's tracepoints are not there: mount -t tracefs none /sys/kernel/tracing");
    return -1;
}

/* watch: a thread that has ended meanwhile is no matter. */
static bool watch(struct calls *calls, long number, pid_t thread)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .config = (uint64_t)number, .inherit = 1};
    const int fd = (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0)
        calls->fds[calls->count++] = fd;
    return fd >= 0 || errno == ESRCH;
}

static bool watch_process(struct calls *calls, long number, pid_t pid)
{
    char pattern[64];
    glob_t threads = {0};
    bool fine = true;
    snprintf(pattern, sizeof pattern, "/proc/%d/task/*", (int)pid);
    if (glob(pattern, GLOB_NOSORT, NULL, &threads) == 0)
        for (size_t i = 0; i < threads.gl_pathc && fine; i++)
            fine = calls->count < THREADS_MAX && watch(calls, number, (pid_t)strtol(strrchr(threads.gl_pathv[i], '/') + 1, NULL, 10));
    globfree(&threads);
    return fine;
}

struct calls *calls_open(const pid_t *pids, size_t count, char why[CALLS_WHY_MAX])
{
    const long number = tracepoint(why);
    if (number < 0)
        return NULL;
    struct calls *calls = calloc(1, sizeof *calls);
    errno = ENOMEM;
    bool fine = calls != NULL;
    for (size_t i = 0; i < count && fine; i++)
        fine = watch_process(calls, number, pids[i]);
    if (fine)
        return calls;
    const int err = errno;
    snprintf(why, CALLS_WHY_MAX, err == EACCES || err == EPERM ? "%s: CAP_PERFMON is needed, or kernel.perf_event_paranoid of -1" : "%s", strerrordesc_np(err));
    calls_close(calls);
    return NULL;
}

uint64_t calls_count(const struct calls *calls)
{
    uint64_t sum = 0, one;
    for (size_t i = 0; i < calls->count; i++)
        if (read(calls->fds[i], &one, sizeof one) == sizeof one)
            sum += one;
    return sum;
}

void calls_close(struct calls *calls)
{
    for (size_t i = 0; calls && i < calls->count; i++)
        close(calls->fds[i]);
    free(calls);
}
