/* params.h: the parameters that policies declared against those that were given. */
#ifndef RELAY_POLICY_PARAMS_H
#define RELAY_POLICY_PARAMS_H

#include "policy/state.h"

/* params_check: after load: 0, or what was given and nobody declared, with the nearest name, in `error`. */
int params_check(const struct policy *, char *error, size_t error_cap);
void params_close(struct policy *);

#endif
