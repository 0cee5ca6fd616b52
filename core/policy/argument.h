/* argument.h: what hooks are shown: req, alloc, u, ev: one read-only userdata of each, reused, dead when the hook returns.
 *
 * Fields are read out of the question or the event when they are asked for; what is unknown is nil; a name that is no field raises, with
 * the nearest.
 */
#ifndef RELAY_POLICY_ARGUMENT_H
#define RELAY_POLICY_ARGUMENT_H

#include "policy/state.h"
#include "policy/fact.h"

/* argument_open: the metatables and the userdata. May raise. */
void argument_open(lua_State *L);

/* argument_push: the userdata of OBJECT_REQUEST ... OBJECT_EVENT; allocates nothing. */
void argument_push(lua_State *L, enum object);

/* struct sight: what hooks are shown of: a question or an event. */
struct sight {
    const struct question *question;
    const struct event *event;
    const char *revision;
};

/* argument_fact: of the n-th member of what `letter` (r, a, u, e of hook_rule.arguments) stands for; the sight has that. A text may lie in `scratch`. */
struct fact argument_fact(char letter, const struct sight *, int n, char scratch[FACT_SCRATCH]);

const char *argument_method(uint16_t method); /* "allocate"; NULL: none that hooks know */

/* address_open, address_push: the address userdata of a role, filled with `addr` for this call; allocates nothing. */
void address_open(lua_State *L);
void address_push(lua_State *L, enum address_role, const struct addr *addr);

/* address_keep: those that this call was shown stay its own while it waits; others get new ones. May raise. */
void address_keep(lua_State *L);

/* address_read: the address userdata at `at`, NULL if it is none; raises if it is dead. */
const struct addr *address_read(lua_State *L, int at);

/* address_at: the address at `at`, or that of a text there, into *parsed; raises. */
const struct addr *address_at(lua_State *L, int at, struct addr *parsed);

#endif
