/* address.h: relay.cidr: a set of address ranges, compiled once, kept for as long as the process. */
#ifndef RELAY_POLICY_ADDRESS_H
#define RELAY_POLICY_ADDRESS_H

#include <lua.h>

int relay_cidr(lua_State *L);

#endif
