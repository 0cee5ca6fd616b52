/* tree.h: JSON as values of Lua. */
#ifndef RELAY_POLICY_TREE_H
#define RELAY_POLICY_TREE_H

#include <jansson.h>
#include <lua.h>
#include <stdbool.h>

/* tree_push_plain: pushes a string, a number or a boolean; nil for anything else, and for NULL. */
void tree_push_plain(lua_State *L, const json_t *value);

/* tree_push_copy: pushes a value with all that is in it, in tables of Lua. False, and something on the stack: there are more than `depth`
 * levels. May raise. */
bool tree_push_copy(lua_State *L, const json_t *value, int depth);

#endif
