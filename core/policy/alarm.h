/* alarm.h: when something is to be woken: a heap of times, the soonest first. Who is no longer there is told by its handle. */
#ifndef RELAY_POLICY_ALARM_H
#define RELAY_POLICY_ALARM_H

#include "base/clock.h"
#include "base/pool.h"

struct alarm {
    msec_t due;
    struct handle whom;
};

struct alarms {
    struct alarm *heap;
    uint32_t count, room;
};

int alarms_put(struct alarms *, msec_t due, struct handle whom); /* 0 or ERR_MEMORY */
const struct alarm *alarms_first(const struct alarms *);         /* NULL: there is none */
void alarms_drop_first(struct alarms *);
void alarms_close(struct alarms *);

#endif
