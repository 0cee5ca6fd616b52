/* command_span.c: how long something lasts, as people write it. */
#include "server/command_line.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 9

int64_t command_seconds(const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0, 1}};
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || (text[digits] && text[digits + 1]))
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].unit == text[digits])
            return strtoll(text, NULL, 10) * units[i].seconds;
    return -1;
}
