/* rehearsal.h: a chain of policies without a server: for relay check, eval, bench-policy and replay.
 *
 * It loads as in a server, init included, as the first of one worker. Time is a number that only moves while a hook waits. Nobody has an
 * allocation, there is no users database, and nothing goes out: relay.http answers "connect", relay.db and relay.dns "failed".
 */
#ifndef RELAY_SERVER_REHEARSAL_H
#define RELAY_SERVER_REHEARSAL_H

#include "policy/policy.h"
#include "policy/scene.h"
#include "server/command_line.h"

#define REHEARSAL_ERRANDS 64 /* under way at a time */

struct rehearsal;
struct rehearsal_errand;
typedef void rehearsal_fail_fn(const struct rehearsal *, const struct rehearsal_errand *);

/* struct rehearsal_errand: what a policy waits for, and how it is told that it failed. */
struct rehearsal_errand {
    struct policy *policy;
    struct handle handle;
    rehearsal_fail_fn *fail;
};

/* struct rehearsal_plan: files: in order.  log: where what policies say goes; NULL: nowhere.  unix_ms: when it begins; 0: now. */
struct rehearsal_plan {
    const char *const *files;
    size_t file_count;
    struct log *log;
    int64_t unix_ms;
};

struct rehearsal {
    struct policy_config config, bare;
    struct policy_param params[COMMAND_VALUES_MAX];
    struct policy_secret secrets[COMMAND_VALUES_MAX];
    char *texts[2 * COMMAND_VALUES_MAX]; /* names of the above */
    size_t text_count;
    char lua_dir[4096];

    struct policy_shared *shared;
    struct policy_world world;
    struct policy *policy; /* NULL: refused, and `error` says why */
    char error[512];

    msec_t now;
    int64_t unix_ms;
    struct rehearsal_errand errands[REHEARSAL_ERRANDS];
    size_t errand_count;
    struct verdict *answer; /* to the question that waits */
    const char *missed;     /* what hooks asked for since this was NULL, and there is not: in words */
};

/* rehearsal_open: with what --set, --secret and --lua-dir of the line say: 0, or the exit code, told; a policy that is refused is no
 * failure. rehearsal_close whatever the result. */
int rehearsal_open(struct rehearsal *, const struct command_line *, const struct rehearsal_plan *);
void rehearsal_close(struct rehearsal *);

/* rehearsal_bare: a policy of no files in this world, for policy_free; NULL without memory. */
struct policy *rehearsal_bare(struct rehearsal *);

/* rehearsal_hook: the hook of that name: 0, or the exit code, told, with the nearest name. */
int rehearsal_hook(const struct command_line *, const char *name, enum hook *);

/* rehearsal_ask: asks what the scene is of, at its time, and waits: the verdict; of log, which decides nothing, VERDICT_SILENT, or
 * VERDICT_FAIL if it failed. */
void rehearsal_ask(struct rehearsal *, const struct scene *, struct verdict *);

/* rehearsal_pass: time passes until `now`, timers run that are due meanwhile, and garbage is collected. */
void rehearsal_pass(struct rehearsal *, msec_t now);

#endif
