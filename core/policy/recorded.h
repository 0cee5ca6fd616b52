/* recorded.h: a line of the decision log, read back: what was asked, as a scene, and what was answered.
 *
 *     {"decision_id":"3721...","policy_rev":"1f0c9a6be2d4","time":1764106073.123,"phase":"authorize","by":"quota.lua:14","input":{...},"result":{...}}
 *
 * `input` is what relay eval takes, `result` what it prints. Of phase "core" is what the core refused without having asked: then the input
 * is the event that the log hook was told.
 */
#ifndef RELAY_POLICY_RECORDED_H
#define RELAY_POLICY_RECORDED_H

#include "policy/scene.h"

struct recorded {
    const char *id, *phase, *by; /* borrowed, as all texts */
    enum hook hook;              /* HOOK_log of phase "core" */
    int64_t unix_ms;
    struct scene scene;
    struct json_t *json, *result;
};

/* recorded_open: the line, without its end: 0, or ERR_BAD with a reason. What was asked is asked at its time by the wall's clock, and at
 * the same by the monotonic one, but not before `earliest`. recorded_close whatever the result. */
int recorded_open(struct recorded *, const char *line, size_t len, msec_t earliest, char *error, size_t error_cap);
void recorded_close(struct recorded *);

/* recorded_is: the verdict is what was answered: who decided and how a failure is worded do not count, nor who a veiled name is. Where no
 * policy had an opinion, it has none, or the core's.  recorded_lacks: what the input keeps from policies, in words, or NULL: a name that is
 * veiled or without its signature, a token. */
bool recorded_is(const struct recorded *, const struct verdict *);
const char *recorded_lacks(const struct recorded *);

/* recorded_put_answer: what was answered, for people: `deny code=403 reason="go away"`.  recorded_put_verdict: a verdict in the same words.
 */
void recorded_put_answer(struct slab *, const struct recorded *);
void recorded_put_verdict(struct slab *, const struct verdict *);

/* recorded_put_json: what was answered, as it was recorded.  recorded_put_verdict_json: a verdict as it would be. */
void recorded_put_json(struct slab *, const struct recorded *);
void recorded_put_verdict_json(struct slab *, const struct verdict *);

#endif
