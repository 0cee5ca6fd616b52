/* reference.c: the rows of several files, together. */
#include "policy/reference.h"

#include <string.h>

static const struct shown *const rows[] = {&context_shown, &request_shown, &allocation_shown, &usage_shown, &event_shown, &address_shown};
#define ROWS (sizeof rows / sizeof *rows)

const struct shown *reference_argument(char letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i]->letter == letter)
            return rows[i];
    return NULL;
}

const struct member *reference_find(const struct shown *shown, const char *name)
{
    for (size_t i = 0; i < shown->count; i++)
        if (strcmp(shown->members[i].name, name) == 0)
            return &shown->members[i];
    return NULL;
}
