/* context.h: what init is shown. */
#ifndef RELAY_POLICY_CONTEXT_H
#define RELAY_POLICY_CONTEXT_H

#include <lua.h>

/* context_open: makes it; may raise.  context_push: allocates nothing. */
void context_open(lua_State *L);
void context_push(lua_State *L);

#endif
