/* show.h: values of Lua for people: tables with their names in order, nested as far as one can read, nothing that a terminal would obey. */
#ifndef RELAY_POLICY_SHOW_H
#define RELAY_POLICY_SHOW_H

#include <lua.h>
#include <stdio.h>

#define SHOW_MAX ((size_t)1 << 20) /* bytes of one value; the rest is left out, and said so */

/* show_value: the value at `at`, and the end of the line. Runs nothing of scripts; may raise. */
void show_value(lua_State *L, int at, FILE *out);

#endif
