/* explain.h: a refusal in an operator's words: what happened, with limits and values, and what to do about it. */
#ifndef RELAY_SERVER_EXPLAIN_H
#define RELAY_SERVER_EXPLAIN_H

#include "server/denials.h"

#define EXPLAIN_MAX 512

/* explain_why: "tenant acme 100/100 held".  explain_advice: what to do, a line without its full stop.  explain_rule: what decided: the hook, or the core's name for it. */
const char *explain_why(const struct denial *, char out[EXPLAIN_MAX]);
const char *explain_advice(const struct denial *);
const char *explain_rule(const struct denial *);

#endif
