/* specs.h: runs specs of policies, for relay test: lua/relay/spec in a Lua of its own.
 *
 * A spec is an operator's program, not a policy: its state has all of Lua's libraries and no bounds. The policies that it loads run in the
 * fake core (lua/relay/fake), or, if it is to be live, in a world (world.h); either bounds them. Results go to standard output.
 */
#ifndef RELAY_SPEC_SPECS_H
#define RELAY_SPEC_SPECS_H

#include <stdbool.h>
#include <stddef.h>

struct specs {
    const char *const *paths; /* files and directories; none: those beside the policies of the working directory */
    size_t path_count;
    const char *filter; /* a Lua pattern, or NULL: every test */
    const char *format; /* a form of lua/relay/spec/report.lua */
    const char *junit;  /* the file to write, or NULL */
    bool coverage;
    double coverage_min; /* percent */
    bool live;
    const char *lua_dir; /* where relay.spec is */
};

/* specs_run: 0 if all is well; 1 if a test failed, or what its report says; negative, with the reason, if they could not be run. */
int specs_run(const struct specs *, char *reason, size_t reason_cap);

#endif
