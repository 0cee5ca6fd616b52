/* policy.h: the Lua policies of one worker: loaded once, asked by hook, contained by budgets; they fail closed.
 *
 * One `struct policy` per worker (one lua_State), used by that worker's thread only, until a new one takes its place; what policies share (dictionaries, rate limits, data
 * files, sets, secrets) lives in C in a `struct policy_shared` that all workers' policies refer to by name and that outlives them. The
 * hooks, their arguments, decisions and defaults are in policies/README.md, the functions that a script may call in lua/README.md.
 *
 * A hook has 100,000 VM instructions and 5 ms of wall time (init: 50 million and 5 s of processor time); a state has 64 MiB. A killed hook's coroutine is
 * never resumed. Every error, kill, wrong type or unknown field answers VERDICT_FAIL with a reason that names file and line.
 */
#ifndef RELAY_POLICY_POLICY_H
#define RELAY_POLICY_POLICY_H

#include "base/crypto.h"
#include "base/dns.h"
#include "base/http.h"
#include "base/log.h"
#include "base/query.h"
#include "base/table.h"
#include "turn/verdict.h"

#define POLICY_WAIT_MS 3000 /* how long a hook may wait in all; init and timers ten times as long */
#define POLICY_NEVER INT64_MAX

struct policy;
struct policy_shared;
struct policy_edition;

#define POLICY_REVISION_LEN 12

/* struct policy_param: --set quota.user=4, with where it was said, for messages. */
struct policy_param {
    const char *name, *value, *where; /* "quota.user", "4", "relay.conf:12" or "command line" */
};

/* struct policy_secret: --secret rest=/run/secrets/turn: a file with one secret a line, newest first. */
struct policy_secret {
    const char *name, *path;
};

/* struct policy_meters: where the sums of meters were kept, if anywhere: `read` calls `each` for those of a meter whose period ends after `unix_ms`. 0 or an
 * error. */
typedef void policy_meter_restore_fn(void *ctx, const char *key, int64_t ends_ms, int64_t sum);
struct policy_meters {
    int (*read)(void *ctx, const char *meter, int64_t unix_ms, policy_meter_restore_fn *each, void *each_ctx);
    void *ctx;
};

/* struct policy_config: constant, outlives the policies. */
struct policy_config {
    const char *const *files; /* --policy, in order: one chain */
    size_t file_count;
    const struct policy_param *params;
    size_t param_count;
    size_t params_optional; /* so many, the first ones, nobody need have */
    const struct policy_secret *secrets;
    size_t secret_count;
    const char *lua_dir; /* where require "relay.x" looks first, or NULL; then the directory of the policy */
    unsigned workers;
    struct hash_key hash_key;
    struct policy_meters meters;
    bool measures; /* policy_cost is wanted */
};

/* struct policy_world: what scripts reach through C, and the answers they may ask for; called in the worker's thread, must not block. */
struct policy_world {
    void *ctx;
    struct log *log;
    struct crypto *crypto;
    /* count: live allocations of the user, the tenant or all ("user", "realm", "total"), for req:count. */
    uint32_t (*count)(void *ctx, const char *kind, const char *tenant, const char *user);
    /* audit: one row for the audit table; `detail_json` is an object as text. */
    void (*audit)(void *ctx, const char *type, const char *detail_json);

    /* What hooks that wait need; NULL where nothing waits: VERDICT_LATER answers a question whose hook would. answer: to a question whose verdict was VERDICT_LATER; both die with the call.
     * wake: call policy_turn at `due` (CLOCK_MONOTONIC), or earlier.  turn: while the policy loads: come back at `due`, or when something
     * was fetched; now. */
    void (*answer)(void *ctx, const struct question *, struct verdict *);
    void (*wake)(void *ctx, msec_t due);
    msec_t (*turn)(void *ctx, msec_t due);

    /* Each begins an errand and gives its name; what comes of it is told to this policy with this handle, later. fetch: ERR_DENIED: the
     * configuration does not allow that URL; ERR_BAD: it is none.  query: ERR_NOT_FOUND: there is no database, as where it is NULL; of a
     * user, the empty realm is the default one.  resolve: ERR_BAD: it is no name.  All: ERR_BUSY: too many; ERR_MEMORY.  recall: the answer
     * that is known already, until the next call, or NULL; may be NULL.  cancel: nothing more is told of the errand. */
    int (*fetch)(void *ctx, struct policy *, struct handle, const struct http_request *, void **errand);
    int (*query)(void *ctx, struct policy *, struct handle, const struct query *, void **errand);
    int (*resolve)(void *ctx, struct policy *, struct handle, const struct dns_question *, void **errand);
    const struct dns_answer *(*recall)(void *ctx, const struct dns_question *);
    void (*cancel)(void *ctx, void *errand);
};

/* policy_shared_new: NULL without memory. Freed after the last policy. */
struct policy_shared *policy_shared_new(const struct policy_config *);
void policy_shared_free(struct policy_shared *);

/* policy_shared_look: read again the files that have changed (source.h). Once a second, in a thread that may wait for the disk. */
void policy_shared_look(struct policy_shared *, struct log *);

/* policy_shared_begin: policies are to be made in place of others, in one thread or several.  policy_shared_end: they were, and are kept; or they are
 * gone again, and what only they shared goes too.  policy_shared_sweep: the policies that others have replaced are gone: so are the tables and rate
 * limits that only they asked for. */
void policy_shared_begin(struct policy_shared *);
void policy_shared_end(struct policy_shared *, bool kept);
void policy_shared_sweep(struct policy_shared *);

/* policy_meters_changed: calls `each` for the sums of meters that are to be kept and have changed since the last call. Any thread, one at a time. `each` must not
 * come back here. */
typedef void policy_meter_fn(void *ctx, const char *meter, const char *key, int64_t ends_ms, int64_t sum);
void policy_meters_changed(struct policy_shared *, msec_t now, int64_t unix_ms, policy_meter_fn *each, void *ctx);

/* policy_meter_add: count bytes; true if the cap is reached, or was. NULL, or without a meter: false. Any thread. */
bool policy_meter_add(const struct metering *, uint64_t bytes, msec_t now, int64_t unix_ms);

/* policy_meter_admit: what its cap makes of a VERDICT_ALLOW for `authorize`: 486 "meter_cap", or THROTTLE_BPS. */
void policy_meter_admit(struct verdict *, msec_t now, int64_t unix_ms);

/* policy_metrics: every counter that scripts made with relay.metric.counter, as `name{label="value"}`. Any thread. */
typedef void policy_metric_fn(void *ctx, const char *name, uint64_t value);
void policy_metrics(struct policy_shared *, policy_metric_fn *each, void *ctx);

/* policy_shared_list: what policies share by name: "relay.shared", "relay.meter", "relay.ratelimit" or "relay.gate", and how many entries
 * it has (of the last two 0).  policy_shared_peek: the value of a key, as JSON, "null" if there is none: 0, or ERR_NOT_FOUND: no table and
 * no meter has that name. Nothing changes. Any thread. */
#define POLICY_PEEK_MAX 32768
typedef void policy_shared_fn(void *ctx, const char *name, const char *kind, uint64_t entries);
void policy_shared_list(struct policy_shared *, policy_shared_fn *each, void *ctx);
int policy_shared_peek(struct policy_shared *, const char *name, struct view key, msec_t now, struct slab *json);

/* policy_edition_new: the files of the chain, read now, for all workers; NULL with `file:1: reason` in `error`. Freed when all have loaded.
 * policy_edition_stale: 0 while the files that were read are as they were; else a number that changes with them. */
struct policy_edition *policy_edition_new(const struct policy_config *, char *error, size_t error_cap);
void policy_edition_free(struct policy_edition *);
uint64_t policy_edition_stale(struct policy_edition *);

/* struct policy_tally: what one hook of one script has done, and how long it took: `busy` while it held the worker's thread, `all` with
 * what it waited for. Written in the worker's thread. */
#define POLICY_TIMES 24 /* up to 1 us, 2 us, 4 us, ...; the last: longer */
struct policy_times {
    uint64_t counts[POLICY_TIMES], ns;
};
struct policy_tally {
    bool is_there; /* the script has that hook */
    uint64_t answers[VERDICT_KINDS];
    struct policy_times busy, all;
};

/* struct policy_birth: of what a policy is made, for which worker; in whose place, at a reload: `save` of the old one is run, and what that
 * returns is ctx.saved of the new one's `init`. */
struct policy_birth {
    const struct policy_config *config;
    struct policy_shared *shared;
    struct policy_edition *edition;
    const struct policy_world *world;
    struct policy *old; /* NULL: at the start */
    struct policy_tally (*tallies)[HOOK_COUNT]; /* one for each file, filled from now on; outlives the policy. NULL: nobody measures */
    unsigned worker;
    msec_t now;
    int64_t unix_ms;
};

/* policy_make: run the files, check params (an unknown name in --set is an error with the nearest name), run init. NULL on failure, with
 * `file:line: reason` in `error`. */
struct policy *policy_make(const struct policy_birth *, char *error, size_t error_cap);

/* policy_begun: a policy that was made in the place of an old one may not answer before this is 0: ERR_BUSY: init waits, see policy_turn; else it
 * has failed, with the reason in `error`. */
int policy_begun(struct policy *, char *error, size_t error_cap);
/* policy_try: as policy_make, without init; the policy is gone again: 0, or an error with the reason. */
int policy_try(const struct policy_birth *, char *error, size_t error_cap);

/* policy_new: an edition of its own, and a policy made of it. */
struct policy *policy_new(const struct policy_config *, struct policy_shared *, const struct policy_world *, unsigned worker, msec_t now,
                          int64_t unix_ms, char *error, size_t error_cap);

/* policy_free: runs no hook (policy_shutdown does). */
void policy_free(struct policy *);
void policy_shutdown(struct policy *, msec_t now, int64_t unix_ms);

/* policy_hooks: HOOK_BIT of each hook that any policy of the chain has: a missing hook costs nothing. */
uint32_t policy_hooks(const struct policy *);
const char *policy_revision(const struct policy *); /* twelve digits that change with the files */

/* policy_params: what relay.params declared, in order: "quota.user", and what it takes: "integer, at least 1; 8 if not set". */
typedef void policy_param_fn(void *ctx, const char *name, const char *about);
void policy_params(const struct policy *, policy_param_fn *each, void *ctx);

/* policy_ask: the chain's answer to a question: VERDICT_SILENT if nobody has an opinion. VERDICT_LATER: a hook waits, and world.answer
 * follows; of a question that needs a ticket and has none: nothing waits, there is no room. route is memoised by (listener, sni, alpn, origin). Passwords and ha1 of relay.key become long-term keys here. */
void policy_ask(struct policy *, const struct question *, struct verdict *);

/* policy_answer_name: "deny", as in relay.deny; "nothing" for no opinion. */
const char *policy_answer_name(enum verdict_kind);
const char *policy_hook_name(enum hook);

/* policy_answer_same: two verdicts say the same; who does, and how a failure is worded, does not count. */
bool policy_answer_same(const struct verdict *, const struct verdict *);

/* policy_forget: nobody waits for the answer under this ticket any more: its hook never goes on, and what it fetches is given up. */
void policy_forget(struct policy *, struct ticket);

/* policy_turn: goes on with the hooks that have waited long enough.  policy_due: when the next will have, or POLICY_NEVER.  policy_waits:
 * how many wait. */
void policy_turn(struct policy *, msec_t now, int64_t unix_ms);
msec_t policy_due(struct policy *);
uint32_t policy_waits(const struct policy *);

/* policy_fetched, policy_queried, policy_resolved: what world.fetch, query or resolve was asked for; nothing happens if nobody wants it any
 * more. */
void policy_fetched(struct policy *, struct handle, const struct http_response *, msec_t now, int64_t unix_ms);
void policy_queried(struct policy *, struct handle, const struct rows *, msec_t now, int64_t unix_ms);
void policy_resolved(struct policy *, struct handle, const struct dns_answer *, msec_t now, int64_t unix_ms);

/* policy_tell: the log hook, at once; errors are counted and logged, never returned. */
void policy_tell(struct policy *, const struct event *);

/* policy_idle: between events and about once a second: collects garbage in small steps and runs the timers that are due. */
void policy_idle(struct policy *, msec_t now, int64_t unix_ms);

/* struct policy_counts: errors by kind, for metrics and tests. */
struct policy_counts {
    uint64_t calls, errors, killed_instructions, killed_wall, memory, wrong_type, late; /* late: waited too long */
    uint64_t gc_ns;                                                                     /* spent on collecting garbage between hooks */
};
const struct policy_counts *policy_counts(const struct policy *);
size_t policy_heap_bytes(const struct policy *);

/* struct policy_cost: of an answer; all of its runs, if it waited.  remembered: of a route that was asked before: nothing ran. */
struct policy_cost {
    int64_t ns;
    uint64_t instructions; /* Lua's in thousands, unless each is counted; the library's work exactly */
    bool waited, remembered;
};

/* policy_cost: of the answer that was given last; zeroed where nothing measures. */
const struct policy_cost *policy_cost(const struct policy *);

/* policy_count_instructions: each one, which is slow, or (the default) a thousand at a time.  policy_instructions: what hooks have spent since the
 * policy was made, the library's work included. */
void policy_count_instructions(struct policy *, bool each);
uint64_t policy_instructions(const struct policy *);

#endif
