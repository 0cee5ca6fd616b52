/* shadow.h: a second chain of policies, which is asked what the first one is and decides nothing: where it would differ is counted and
 * told.
 *
 * Each worker has one, in a state of its own; what they share among them they share with nobody else (struct shadow_kit). It is asked when
 * the answer is there, with the budgets of every hook. It waits for nothing: a hook that would is undecided. What it logs and audits goes
 * nowhere. One that had to be stopped rests for a second, undecided: whatever it does, a worker loses no more than one hook's budget in a
 * second.
 */
#ifndef RELAY_SERVER_SHADOW_H
#define RELAY_SERVER_SHADOW_H

#include "policy/policy.h"
#include "server/refusal.h"
#include "turn/bucket.h"

struct service;
struct worker;
struct tenure;

/* struct shadow_kit: what the shadows of all workers are made of; of struct service. */
struct shadow_kit {
    struct policy_config config;
    struct policy_param *params;    /* of the config: those of `set`, which it need not have, and of `shadow-set` */
    struct policy_shared *shared;   /* NULL: no shadow */
    struct policy_edition *edition; /* of the first ones; main takes it over when they are made */
};

/* shadow_kit_open: of the configuration, when the policies' own is there: 0, or negative with the refusal. */
int shadow_kit_open(struct service *, struct refusal *);
void shadow_kit_close(struct shadow_kit *);

enum shadow_result { SHADOW_SAME, SHADOW_DIFFERS, SHADOW_UNDECIDED, SHADOW_RESULTS };

/* struct shadow: a worker's. */
struct shadow {
    struct tenure *tenure, *prepared; /* prepared: to take its place */
    struct log *log;
    uint64_t counts[HOOK_COUNT][SHADOW_RESULTS];
    struct bucket lines;
    msec_t rests_until;
    struct verdict verdict; /* the last */
};

/* shadow_new: NULL with the reason. */
struct shadow *shadow_new(struct worker *, char *reason, size_t reason_cap);
void shadow_free(struct shadow *);

/* At a reload: a new one is made beside the old one: 0 or negative with the reason; then one of them goes. */
int shadow_prepare(struct worker *, struct policy_edition *, char *reason, size_t reason_cap);
void shadow_commit(struct shadow *);
void shadow_abort(struct shadow *);

uint32_t shadow_hooks(const struct shadow *);

/* shadow_ask: what it answers, if that is not what was `said` by the policies, until the next call; VERDICT_LATER: it is undecided. NULL:
 * the same. */
const struct verdict *shadow_ask(struct shadow *, const struct question *, const struct verdict *said);
void shadow_tell(struct shadow *, const struct event *);
void shadow_idle(struct shadow *, msec_t now, int64_t unix_ms);

#endif
