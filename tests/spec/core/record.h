/* record.h: what a world writes down: events, audit rows and log lines as rows of Lua lists.
 */
#ifndef RELAY_TESTS_SPEC_RECORD_H
#define RELAY_TESTS_SPEC_RECORD_H

#include "world.h"

void record_event(struct world *, const struct event *);
void record_audit(void *ctx, const char *type, const char *detail_json);

/* record_log: the log of a world: its lines become rows of `log` or of `errors`. */
struct log *record_log(struct world *);

#endif
