/* log.h: the one logger: bounded lines, escaped bytes, repeated lines suppressed; safe from every thread.
 *
 * A line: `2026-11-23T20:15:07.123Z level event key=value ...`, at most LOG_LINE_MAX bytes, one write(2). The formatted message is escaped
 * as a whole: control characters, non-UTF-8 bytes and a backslash (unless it begins a \xHH, as log_quote writes it) appear as \xHH, so no
 * input can forge a line; a line that was cut ends in "...". A line that a pipe, a terminal or a disk has no room for is lost: no caller
 * waits. Secrets are never passed in. `event` is a stable name in snake_case; it is also the key of the rate limit: after LOG_BURST lines
 * of one event in 10 s the rest is counted and told as `... suppressed=N` when the window ends or at close. LOG_DEBUG lines are not
 * limited: who turns them on wants all.
 */
#ifndef RELAY_BASE_LOG_H
#define RELAY_BASE_LOG_H

#include "base/bytes.h"

#define LOG_LINE_MAX 1024
#define LOG_BURST 20

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log;

/* log_new: writes to `path`, appended, mode 0640; NULL, "" or "stdout": standard output; "stderr": standard error. NULL on failure, errno
 * set. */
struct log *log_new(const char *path, enum log_level level);
/* log_catch: a log without lines: what is said goes to `each`, as it was said, at once, in the caller's thread. NULL without memory. */
typedef void log_catch_fn(void *ctx, enum log_level, const char *event, const char *message);
struct log *log_catch(log_catch_fn *each, void *ctx);

void log_free(struct log *log);

/* log_say: `log` NULL says nothing. log_reopen: after rotation (SIGHUP); keeps the old file on failure. */
void log_say(struct log *log, enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 4, 5)));
void log_reopen(struct log *log);
bool log_wants(const struct log *log, enum log_level level);

/* log_quote: `in` for a value: "\"...\"" with \xHH for everything outside printable ASCII, quotes and backslashes; cut to `cap`. Returns
 * out. */
char *log_quote(struct view in, char *out, size_t cap);

#endif
