/* library.h: the table `relay` that scripts see; the functions live with their subject, and so do the rows (reference.h) that make them
 * known.
 *
 * Functions raise what is wrong with their arguments; what lives as long as the process is made only while a policy loads.
 */
#ifndef RELAY_POLICY_LIBRARY_H
#define RELAY_POLICY_LIBRARY_H

#include "policy/source.h"

#include <lua.h>

#define ALL_MAX 16 /* functions of one relay.all */

/* of relay_shown, whose rows are in library.c */
int relay_shared(lua_State *L); /* share.c */
int relay_ratelimit(lua_State *L);
int relay_data(lua_State *L);   /* data.c */
int relay_secret(lua_State *L); /* secret.c */
int relay_hash(lua_State *L);   /* digest.c */
int relay_hmac(lua_State *L);
int relay_hex(lua_State *L);
int relay_random(lua_State *L);
int relay_meter(lua_State *L);  /* meter.c */
int relay_gate(lua_State *L);   /* gate.c */
int relay_mmdb(lua_State *L);   /* mmdb.c */
int relay_params(lua_State *L); /* params.c */
int relay_audit(lua_State *L);  /* record.c */
int relay_sleep(lua_State *L);  /* await.c */
int relay_all(lua_State *L);

/* library_file: the file of the policy directory that the string at 1 names, as that kind; raises, naming `label`. */
struct source *library_file(lua_State *L, const char *label, const struct source_kind *kind);

/* library_push_datum: a value of the database, as Lua's; no budget is charged. */
struct datum;
void library_push_datum(lua_State *L, const struct datum *);

/* each defines the metatables of its objects */
void share_open(lua_State *L);
void data_open(lua_State *L);
void secret_open(lua_State *L);
void jwt_open(lua_State *L);
void mmdb_open(lua_State *L);
void gate_open(lua_State *L);

#endif
