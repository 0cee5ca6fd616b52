/* load_cost.c: /proc of the server's processes. */
#include "client/load_state.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAP 64

/* number_of: the one behind `name` in a file of /proc; "": the first in it; 0: it is not there. */
static uint64_t number_of(const char *path, const char *name)
{
    char line[256];
    uint64_t found = 0;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) {
            found = strtoull(line + strlen(name), NULL, 10);
            break;
        }
    if (file)
        fclose(file);
    return found;
}

/* cpu_of: all threads that it has now. */
static uint64_t cpu_of(pid_t pid)
{
    char pattern[PATH_CAP];
    glob_t threads = {0};
    uint64_t sum = 0;
    snprintf(pattern, sizeof pattern, "/proc/%d/task/*/schedstat", (int)pid);
    if (glob(pattern, GLOB_NOSORT, NULL, &threads) == 0)
        for (size_t i = 0; i < threads.gl_pathc; i++)
            sum += number_of(threads.gl_pathv[i], "");
    globfree(&threads);
    return sum;
}

uint64_t cost_cpu_ns(const struct load_config *config)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < config->pid_count; i++)
        sum += cpu_of(config->pids[i]);
    return sum;
}

uint64_t cost_resident(const struct load_config *config)
{
    char path[PATH_CAP];
    uint64_t sum = 0;
    for (size_t i = 0; i < config->pid_count; i++) {
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)config->pids[i]); /* exact, if we may; what status says is off by some pages of each processor */
        uint64_t kb = number_of(path, "Rss:");
        snprintf(path, sizeof path, "/proc/%d/status", (int)config->pids[i]);
        sum += (kb ? kb : number_of(path, "VmRSS:")) * 1024;
    }
    return sum;
}

uint64_t cost_kernel(void)
{
    return number_of("/proc/meminfo", "Slab:") * 1024;
}
