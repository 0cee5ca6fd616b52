/* record.h: what a world writes down: events, audit rows and log lines as rows of Lua lists.
 */
#ifndef RELAY_SPEC_RECORD_H
#define RELAY_SPEC_RECORD_H

#include "spec/world.h"

void record_event(struct world *, const struct event *);
void record_audit(void *ctx, const char *type, const char *detail_json);

/* record_line: what is said to the log of a world becomes a row of `log` or of `errors`. */
void record_line(void *ctx, enum log_level, const char *event, const char *message);

#endif
