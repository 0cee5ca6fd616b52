/* said.h: JSON says what a hook is shown.
 *
 * {"user": "ann", "src": "198.51.100.7:5000"} are members of the first thing that the hook is shown, as lua/README.md has them. The others
 * have their own name: {"user": "ann", "peer": "203.0.113.5"}, {"tenant": "acme", "req": {"lifetime": 600}}.
 */
#ifndef RELAY_POLICY_SAID_H
#define RELAY_POLICY_SAID_H

#include "policy/scene.h"

/* said_read: into the scene, which borrows texts, for a hook with these arguments (hook_rule.arguments): 0, or ERR_BAD with a reason. */
int said_read(struct scene *, const char *letters, struct json_t *, char *error, size_t error_cap);

/* said_parse: 0 and a value that is the caller's, or ERR_BAD with a reason. */
int said_parse(const char *text, size_t len, struct json_t **, char *error, size_t error_cap);

#endif
