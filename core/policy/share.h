/* share.h: what the userdata of shared objects have in common: each is a pointer to its object. */
#ifndef RELAY_POLICY_SHARE_H
#define RELAY_POLICY_SHARE_H

#include "policy/shared.h"
#include "policy/state.h"

/* share_push: the userdata of the shared object `name`, made if need be; raises.  share_self: the object of the userdata at 1; raises. */
int share_push(lua_State *L, enum object, enum shared_kind, const char *name, const struct shared_options *, shared_make_fn *make, void *ctx);
struct shared_object *share_self(lua_State *L, enum object, const char *label);

/* share_key: the key at `at`; raises.  share_status: true; or nil and what an error of a dictionary means. */
struct view share_key(lua_State *L, int at);
int share_status(lua_State *L, int status);

#endif
