/* allowance.h: what relay.allow grants: limits, labels, a meter. */
#ifndef RELAY_POLICY_ALLOWANCE_H
#define RELAY_POLICY_ALLOWANCE_H

#include "turn/verdict.h"

#include <lua.h>

/* enum limit: which limits relay.allow was given: refresh and usage take only one of them */
enum limit { LIMIT_MAX_LIFETIME = 1 << 0, LIMIT_MAX_BPS = 1 << 1, LIMIT_OTHER = 1 << 2 };

/* struct allowance: of relay.allow. */
struct allowance {
    struct limits limits;
    struct labels labels;
    struct metering metering;
};

/* allowance_read: from the table at `at`, into what is zero; raises. Which of enum limit it gives. */
uint8_t allowance_read(lua_State *L, int at, struct allowance *);

#endif
