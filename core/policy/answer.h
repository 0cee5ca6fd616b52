/* answer.h: the table of hooks: what each is called with, what it may return, how the answers of several policies become one verdict.
 *
 * The same table is in policies/README.md. A kind or code that a hook may not return fails closed.
 */
#ifndef RELAY_POLICY_ANSWER_H
#define RELAY_POLICY_ANSWER_H

#include "policy/decision.h"

enum composition {
    COMPOSE_FIRST,     /* the first that has an opinion */
    COMPOSE_STRICTEST, /* the first refusal, else the merged limits */
    COMPOSE_ASK_ALL, /* as strictest, but a failure of one does not keep the others from being asked, and counts less than their refusals */
    COMPOSE_TELL     /* everyone is told; answers are ignored */
};

struct hook_rule {
    const char *name;
    const char *arguments; /* one letter each: (r)equest (a)llocation (u)sage (e)vent (p)eer (n)umber of a channel, (k)ind of permission,
                              (c)ontext */
    enum composition composition;
    uint32_t kinds;    /* 1u << enum verdict_kind */
    uint16_t codes[6]; /* of relay.deny; 0 ends them */
    uint8_t limits;    /* of enum limit: those that relay.allow may give */
    const char *about; /* Markdown, or "" */
};

extern const struct hook_rule hook_rules[HOOK_COUNT];

/* answer_has_code: some hook may answer it by relay.deny. */
bool answer_has_code(int code);

/* answer_judge: NULL if `hook` may return this; else why not, into `error`. */
const char *answer_judge(enum hook, const struct decision *, char *error, size_t error_cap);

/* answer_verdict: fills *verdict from a decision; VERDICT_FAIL if a key cannot be computed. */
void answer_verdict(struct policy *, const struct question *, const struct decision *, struct verdict *);

/* answer_merge: add what one more relay.allow says: the strictest of each number, both sets of peers, the union of tags, the one meter and
 * the one group, the one pool. NULL; or why they do not fit together. */
const char *answer_merge(struct policy *, struct verdict *into, const struct verdict *more);

#endif
