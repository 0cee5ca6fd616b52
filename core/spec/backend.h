/* backend.h: the back-end of relay.testing over the real core, as lua/relay/testing.lua describes it.
 */
#ifndef RELAY_SPEC_BACKEND_H
#define RELAY_SPEC_BACKEND_H

#include <lua.h>

/* backend_open: pushes {open = function(spec) -> core}; `lua_dir` outlives the state. */
void backend_open(lua_State *, const char *lua_dir);

#endif
