/* meter.h: relay.meter: sums by key over a day or a month, which C counts into where relay.allow says so, and which may outlive the process. */
#ifndef RELAY_POLICY_METER_H
#define RELAY_POLICY_METER_H

#include "policy/state.h"

/* meter_field: the table {meter, key, cap, on_cap} at `at`, of relay.allow; raises. */
struct metering meter_field(lua_State *L, int at);

void meter_open(lua_State *L);

#endif
