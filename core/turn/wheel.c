/* wheel.c: a timing wheel of slots of a quarter of a second. */
#include "turn/wheel.h"

static struct chain_of wheel_chain(const struct pool *pool)
{
    return (struct chain_of){pool, offsetof(struct allocation, due)};
}

static struct chain *wheel_slot(struct wheel *wheel, int64_t number)
{
    return &wheel->slots[number & (WHEEL_SLOTS - 1)];
}

void wheel_init(struct wheel *wheel)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        chain_init(&wheel->slots[i]);
    wheel->turned = 0;
}

static int64_t wheel_number(const struct wheel *wheel, msec_t due)
{
    const int64_t number = (due + WHEEL_SLOT_MS - 1) / WHEEL_SLOT_MS;
    return number > wheel->turned ? number : wheel->turned + 1;
}

void wheel_put(struct wheel *wheel, const struct pool *pool, struct allocation *allocation, msec_t due)
{
    allocation->due_slot = (uint32_t)wheel_number(wheel, due); /* 32 bits are 34 years of the machine */
    chain_append(wheel_chain(pool), wheel_slot(wheel, allocation->due_slot), allocation->self.index);
}

void wheel_bring_forward(struct wheel *wheel, const struct pool *pool, struct allocation *allocation, msec_t due)
{
    if (wheel_number(wheel, due) >= allocation->due_slot)
        return;
    wheel_remove(wheel, pool, allocation);
    wheel_put(wheel, pool, allocation, due);
}

void wheel_remove(struct wheel *wheel, const struct pool *pool, struct allocation *allocation)
{
    chain_remove(wheel_chain(pool), wheel_slot(wheel, allocation->due_slot), allocation->self.index);
}

/* wheel_due_in: the first of a slot that is due by `number`; those of later rounds stay. */
static struct allocation *wheel_due_in(const struct chain *slot, const struct pool *pool, int64_t number)
{
    for (uint32_t at = slot->first; at != POOL_NONE; at = chain_next(wheel_chain(pool), at)) {
        struct allocation *allocation = pool_index(pool, at);
        if (allocation->due_slot <= number)
            return allocation;
    }
    return NULL;
}

struct allocation *wheel_turn(struct wheel *wheel, const struct pool *pool, msec_t now)
{
    const int64_t number = now / WHEEL_SLOT_MS;
    if (number - wheel->turned > WHEEL_SLOTS)
        wheel->turned = number - WHEEL_SLOTS; /* after a long pause one round sees every slot */
    while (wheel->turned < number) {
        struct allocation *due = wheel_due_in(wheel_slot(wheel, wheel->turned + 1), pool, number);
        if (due) {
            wheel_remove(wheel, pool, due);
            return due;
        }
        wheel->turned++;
    }
    return NULL;
}
