/* sandbox.h: the environment of scripts: the libraries they have, the globals that are strict and frozen after load, require.
 *
 * No io, load, package, bytecode, finalizers or weak tables. A script has globals of its own, shared with what it requires. All of this
 * runs while the policy loads and may raise.
 */
#ifndef RELAY_POLICY_SANDBOX_H
#define RELAY_POLICY_SANDBOX_H

#include "policy/state.h"

/* sandbox_open: makes the table that every script's globals start from. */
void sandbox_open(lua_State *L);

/* sandbox_globals: pushes a table of what every script's globals are. */
void sandbox_globals(lua_State *L);

/* sandbox_script: runs the text of a script in an environment of its own; pushes what it returned. */
void sandbox_script(lua_State *L, const struct script *, const char *text, size_t len);

/* each pushes a library */
void sandbox_strings(lua_State *L);
void sandbox_tables(lua_State *L);
void sandbox_coroutines(lua_State *L);
void library_open(lua_State *L);

/* sandbox_missing: why a script may not read the global `path` ("relay.http.get") that it has not set, as it would be told; NULL if it may.
 * Pushes. */
const char *sandbox_missing(lua_State *L, const char *path);

/* sandbox_module: `directory` and "a/b.lua" for "a.b"; false if the name is no module's. */
bool sandbox_module(const char *directory, const char *name, char *out, size_t cap);

/* sandbox_read: a whole file, NUL-terminated, to be freed; NULL and errno. */
char *sandbox_read(const char *path, size_t *len);

#endif
