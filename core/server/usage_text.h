/* usage_text.h: usage as it is asked for and told: at the admin door and by relay usage.
 *
 * JSON is one object; NDJSON one object a line, CSV (RFC 4180) a line a row behind one of names. Numbers are whole and exact: in JSON those beyond 2^53 - 1, which most
 * languages would round, are text. In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
 */
#ifndef RELAY_SERVER_USAGE_TEXT_H
#define RELAY_SERVER_USAGE_TEXT_H

#include "store/summary.h"

#include <stdio.h>

enum usage_format { USAGE_JSON, USAGE_CSV, USAGE_NDJSON };
#define USAGE_FORMATS "json|csv|ndjson"
#define USAGE_KEYS "tenant|month|day|hour|minute|room|tag|user|transport|reason"
#define USAGE_NUMBERS "bytes_in|bytes_out|packets_in|packets_out|lived_ms|opened|closed|active_minutes|refused|peak_held|peak_active"

/* usage_format_find: by its name; false: there is none.  usage_media: its media type. */
bool usage_format_find(const char *name, enum usage_format *out);
const char *usage_media(enum usage_format);

/* usage_month: when the month of UTC begins that has `ms`. */
int64_t usage_month(int64_t ms);

/* usage_key, usage_number: the place of a name, or SUMMARY_KEYS, SUMMARY_NUMBERS.  usage_add_key: one more to group by: what is wrong with it, or NULL. */
enum summary_key usage_key(const char *name);
enum summary_number usage_number(const char *name);
const char *usage_add_key(struct summary_question *, const char *name);

/* usage_key_text: a key of a row as a text that is UTF-8. Returns `out`. */
#define USAGE_NAME_CAP 2048
const char *usage_key_text(const struct summary_question *, const struct summary_row *, size_t i, char out[USAGE_NAME_CAP]);

/* usage_head, usage_row, usage_foot: the text, in order. `index` is the number of the row, from 0. */
void usage_head(FILE *, enum usage_format, const struct summary_question *);
void usage_row(FILE *, enum usage_format, const struct summary_question *, const struct summary_row *, size_t index);
void usage_foot(FILE *, enum usage_format, const struct summary *);

#endif
