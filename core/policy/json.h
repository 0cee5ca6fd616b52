/* json.h: JSON to and from the values of scripts. */
#ifndef RELAY_POLICY_JSON_H
#define RELAY_POLICY_JSON_H

#include "base/json.h"

#include <lua.h>

/* json_push: the value of a text as tables, strings, numbers and booleans (null is nil): 1; or 2: nil and why. */
int json_push(lua_State *L, struct view text);

/* json_put: the value at `at`: tables whose keys are 1 to n are arrays, others objects with their names in order; raises for what has no
 * place in JSON. The slab may overflow. */
void json_put(lua_State *L, int at, struct slab *);

#endif
