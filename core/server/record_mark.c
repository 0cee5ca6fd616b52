/* record_mark.c: what was told of an allocation, and to whom, by its place in the engine's pool. */
#include "server/worker_state.h"

#include <stdlib.h>
#include <string.h>

#define MARKS_LEAST 64

/* resize: what is new is zero. False without memory. */
static bool resize(struct marks *marks, size_t count)
{
    char *at = realloc(marks->at, count * marks->size);
    if (!at)
        return false;
    if (count > marks->count)
        memset(at + marks->count * marks->size, 0, (count - marks->count) * marks->size);
    marks->at = at;
    marks->count = count;
    return true;
}

/* mark_of: the mark of the allocation, zeroed but for its id when it is seen for the first time. An eighth more than is needed, so that it is not grown by each. */
static void *mark_of(struct marks *marks, size_t size, const struct allocation *allocation)
{
    const size_t index = allocation->self.index;
    marks->size = size;
    if (index >= marks->count && !resize(marks, index + index / 8 + MARKS_LEAST))
        return NULL;
    char *mark = (char *)marks->at + index * size;
    if (memcmp(mark, &allocation->id, sizeof allocation->id) != 0) {
        memset(mark, 0, size);
        memcpy(mark, &allocation->id, sizeof allocation->id);
    }
    return mark;
}

struct usage_mark *record_mark(struct worker *worker, const struct allocation *allocation)
{
    return mark_of(&worker->marks, sizeof(struct usage_mark), allocation);
}

struct usage_told *record_told(struct worker *worker, const struct allocation *allocation)
{
    return mark_of(&worker->told, sizeof(struct usage_told), allocation);
}

void marks_trim(struct worker *worker)
{
    struct marks *const all[] = {&worker->marks, &worker->told};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->count > 2 * MARKS_LEAST && !engine_allocation_at(worker->engine, (uint32_t)(all[i]->count / 4)))
            (void)resize(all[i], all[i]->count / 2);
}

void marks_close(struct worker *worker)
{
    free(worker->marks.at);
    free(worker->told.at);
}
