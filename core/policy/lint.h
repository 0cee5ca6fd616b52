/* lint.h: what is wrong with a chain of policies and can be told without asking its hooks: for relay check.
 *
 * Globals and members of `relay` and of Lua's libraries that do not exist, members of what hooks are shown that do not exist, with the
 * nearest name; calls that wait, where a hook that may not wait reaches them. What is computed or kept in tables is not followed.
 */
#ifndef RELAY_POLICY_LINT_H
#define RELAY_POLICY_LINT_H

#include "policy/policy.h"

struct finding {
    bool is_error; /* else a warning */
    const char *path;
    int line;
    const char *text;
};

typedef void finding_fn(void *ctx, const struct finding *);

/* lint: every finding in the files of `config`, and in the modules beside them that they require, file by file. `policy`: the chain, or
 * one without files where it did not load: then nobody knows which functions are hooks. 0 or ERR_MEMORY. */
int lint(const struct policy_config *config, struct policy *policy, finding_fn *found, void *ctx);

#endif
