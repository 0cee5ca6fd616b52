/* deadline.c: a ring of links, oldest first. */
#include "net/deadline.h"

void deadlines_init(struct deadlines *queue, msec_t wait_ms)
{
    *queue = (struct deadlines){.wait_ms = wait_ms};
    queue->ends.previous = queue->ends.next = &queue->ends;
}

bool deadline_is_set(const struct deadline *deadline)
{
    return deadline->next != NULL;
}

void deadline_clear(struct deadline *deadline)
{
    if (!deadline_is_set(deadline))
        return;
    deadline->previous->next = deadline->next;
    deadline->next->previous = deadline->previous;
    deadline->previous = deadline->next = NULL;
}

void deadline_set(struct deadlines *queue, struct deadline *deadline, void *owner, msec_t now)
{
    deadline_clear(deadline);
    deadline->owner = owner;
    deadline->due_ms = now + queue->wait_ms;
    deadline->next = &queue->ends;
    deadline->previous = queue->ends.previous;
    deadline->previous->next = deadline;
    queue->ends.previous = deadline;
}

struct deadline *deadlines_after(const struct deadlines *queue, const struct deadline *at)
{
    struct deadline *next = at ? at->next : queue->ends.next;
    return next == &queue->ends ? NULL : next;
}

void *deadlines_oldest(const struct deadlines *queue)
{
    const struct deadline *oldest = deadlines_after(queue, NULL);
    return oldest ? oldest->owner : NULL;
}

void *deadlines_due(const struct deadlines *queue, msec_t now)
{
    const struct deadline *oldest = deadlines_after(queue, NULL);
    return oldest && oldest->due_ms <= now ? oldest->owner : NULL;
}
