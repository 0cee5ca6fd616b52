/* clock.c: the clocks. */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* take_zone: "", "Z" or "+09:00", of which the plus may have become a space on the way. */
static bool take_zone(const char *text, int64_t *ms)
{
    const char sign = *text;
    int hours, minutes, len = 0;
    if (!*text || strcmp(text, "Z") == 0)
        return true;
    if (!strchr("+- ", sign) || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &len) != 2 || len != 5 || text[6] || hours > 14 || minutes > 59)
        return false;
    *ms -= (sign == '-' ? -1 : 1) * (INT64_C(3600000) * hours + INT64_C(60000) * minutes);
    return true;
}

/* take_fraction: of a second, upwards: what is asked for from then on does not begin before it. Returns what is behind it. */
static const char *take_fraction(const char *text, int64_t *ms)
{
    const size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;
    if (!digits)
        return text;
    *ms += strspn(text + 1, "0") < digits ? (int64_t)(strtod(text, NULL) * 1000 + 0.999) : 0;
    return text + 1 + digits;
}

bool clock_parse(const char *text, int64_t *ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    const size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 12 && !text[digits]) {
        *ms = strtoll(text, NULL, 10) * 1000;
        return true;
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (!end)
            continue;
        *ms = (int64_t)timegm(&tm) * 1000;
        return take_zone(take_fraction(end, ms), ms);
    }
    return false;
}
