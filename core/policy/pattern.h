/* pattern.h: Lua's patterns (reference manual, section 6.4.1) in a bounded number of steps.
 *
 * Lua's own matcher backtracks without limit inside one C call, where no hook can stop it: ('a'):rep(513):find('.-.-.-b') takes half a
 * minute. This one counts and raises. Subject and pattern are borrowed and may hold zero bytes.
 */
#ifndef RELAY_POLICY_PATTERN_H
#define RELAY_POLICY_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#define PATTERN_CAPTURES 32
#define PATTERN_DEPTH 200 /* nested calls of the matcher, as in Lua */
#define PATTERN_STEPS 100000

struct capture {
    const char *at;
    ptrdiff_t len; /* or CAPTURE_OPEN, CAPTURE_POSITION */
};

struct match {
    lua_State *L; /* to raise in */
    const char *subject, *subject_end, *pattern_end;
    uint64_t steps, steps_max;
    int depth, captures;
    struct capture capture[PATTERN_CAPTURES];
};

void match_init(struct match *, lua_State *, const char *subject, size_t subject_len, const char *pattern_end);

/* match_at: does the pattern match at `at`? The end of the match, or NULL. Raises when it is malformed or takes too many steps. */
const char *match_at(struct match *, const char *at, const char *pattern);

/* match_push: push capture `index` (from 0); the whole match [from, to) when there is none and index is 0.  match_push_all: all of them, or
 * the whole match if `from` is not NULL; how many. */
void match_push(struct match *, int index, const char *from, const char *to);
int match_push_all(struct match *, const char *from, const char *to);

/* match_charge: tell the budget of the steps since the last time. */
void match_charge(struct match *);

#endif
