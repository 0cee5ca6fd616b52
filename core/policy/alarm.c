/* alarm.c: a binary heap. */
#include "policy/alarm.h"

#include "base/err.h"

#include <stdlib.h>

int alarms_put(struct alarms *alarms, msec_t due, struct handle whom)
{
    if (alarms->count == alarms->room) {
        const uint32_t room = alarms->room ? 2 * alarms->room : 64;
        struct alarm *heap = realloc(alarms->heap, room * sizeof *heap);
        if (!heap)
            return ERR_MEMORY;
        alarms->heap = heap;
        alarms->room = room;
    }
    uint32_t at = alarms->count++;
    for (; at > 0 && alarms->heap[(at - 1) / 2].due > due; at = (at - 1) / 2)
        alarms->heap[at] = alarms->heap[(at - 1) / 2];
    alarms->heap[at] = (struct alarm){due, whom};
    return 0;
}

const struct alarm *alarms_first(const struct alarms *alarms)
{
    return alarms->count ? alarms->heap : NULL;
}

void alarms_drop_first(struct alarms *alarms)
{
    struct alarm *heap = alarms->heap;
    const struct alarm last = heap[--alarms->count];
    uint32_t at = 0;
    for (uint32_t next; (next = 2 * at + 1) < alarms->count; at = next) {
        if (next + 1 < alarms->count && heap[next + 1].due < heap[next].due)
            next++;
        if (heap[next].due >= last.due)
            break;
        heap[at] = heap[next];
    }
    heap[at] = last;
}

void alarms_close(struct alarms *alarms)
{
    free(alarms->heap);
    *alarms = (struct alarms){0};
}
