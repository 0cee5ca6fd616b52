/* wheel.c: a timing wheel of one-second slots. */
#include "turn/wheel.h"

static struct chain_of wheel_chain(const struct pool *pool)
{
    return (struct chain_of){pool, offsetof(struct allocation, due)};
}

static struct chain *wheel_slot(struct wheel *wheel, int64_t second)
{
    return &wheel->slots[second & (WHEEL_SLOTS - 1)];
}

void wheel_init(struct wheel *wheel)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        chain_init(&wheel->slots[i]);
    wheel->turned_s = 0;
}

static int64_t wheel_second(const struct wheel *wheel, msec_t due)
{
    const int64_t second = (due + 999) / 1000;
    return second > wheel->turned_s ? second : wheel->turned_s + 1;
}

void wheel_put(struct wheel *wheel, const struct pool *pool, struct allocation *allocation, msec_t due)
{
    allocation->due_s = wheel_second(wheel, due);
    chain_append(wheel_chain(pool), wheel_slot(wheel, allocation->due_s), allocation->self.index);
}

void wheel_bring_forward(struct wheel *wheel, const struct pool *pool, struct allocation *allocation, msec_t due)
{
    if (wheel_second(wheel, due) >= allocation->due_s)
        return;
    wheel_remove(wheel, pool, allocation);
    wheel_put(wheel, pool, allocation, due);
}

void wheel_remove(struct wheel *wheel, const struct pool *pool, struct allocation *allocation)
{
    chain_remove(wheel_chain(pool), wheel_slot(wheel, allocation->due_s), allocation->self.index);
}

/* wheel_due_in: the first of a slot that is due by `second`; those of later rounds stay. */
static struct allocation *wheel_due_in(const struct chain *slot, const struct pool *pool, int64_t second)
{
    for (uint32_t at = slot->first; at != POOL_NONE; at = chain_next(wheel_chain(pool), at)) {
        struct allocation *allocation = pool_index(pool, at);
        if (allocation->due_s <= second)
            return allocation;
    }
    return NULL;
}

struct allocation *wheel_turn(struct wheel *wheel, const struct pool *pool, msec_t now)
{
    const int64_t second = now / 1000;
    if (second - wheel->turned_s > WHEEL_SLOTS)
        wheel->turned_s = second - WHEEL_SLOTS; /* after a long pause one round sees every slot */
    while (wheel->turned_s < second) {
        struct allocation *due = wheel_due_in(wheel_slot(wheel, wheel->turned_s + 1), pool, second);
        if (due) {
            wheel_remove(wheel, pool, due);
            return due;
        }
        wheel->turned_s++;
    }
    return NULL;
}
