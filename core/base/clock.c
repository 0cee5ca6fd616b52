/* clock.c: the clocks. */
#include "base/clock.h"

#include <time.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t clock_ms(clockid_t id)
{
    return clock_ns(id) / 1000000;
}

msec_t clock_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

msec_t clock_thread_ms(void)
{
    return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
