/* summary.h: what was used, in sums by whatever is asked for, read in pieces.
 *
 *     summary_open -> summary_gather, until it is done: rows are read and added up -> summary_next, until there are no more
 *
 * A piece takes some milliseconds, whatever the file holds. All pieces see the file as it was at the first: a connection of its own holds that state, and no
 * writer waits for it. Sums are kept in a temporary table, beyond a few megabytes on disk: memory is bounded whatever was asked. In the thread of who asks.
 */
#ifndef RELAY_STORE_SUMMARY_H
#define RELAY_STORE_SUMMARY_H

#include "store/store.h"

/* What there are sums by. Times are in UTC. The reason is of refusals, which have no room, tag, user or transport. */
#define SUMMARY_KEY_ROWS(X) X(tenant) X(month) X(day) X(hour) X(minute) X(room) X(tag) X(user) X(transport) X(reason)

enum summary_key {
#define X(name) SUMMARY_BY_##name,
    SUMMARY_KEY_ROWS(X)
#undef X
        SUMMARY_KEYS
};

/* What is summed up; of peak_held and peak_active the greatest of a minute. */
#define SUMMARY_NUMBER_ROWS(X)                                                                                                             \
    X(bytes_in)                                                                                                                            \
    X(bytes_out)                                                                                                                           \
    X(packets_in) X(packets_out) X(lived_ms) X(opened) X(closed) X(active_minutes) X(refused) X(peak_held) X(peak_active)

enum summary_number {
#define X(name) SUMMARY_##name,
    SUMMARY_NUMBER_ROWS(X)
#undef X
        SUMMARY_NUMBERS
};

extern const char *const summary_key_names[SUMMARY_KEYS], *const summary_number_names[SUMMARY_NUMBERS];

#define SUMMARY_BIT(number) (1u << (number))

/* struct summary_question: texts outlive the summary. */
struct summary_question {
    const char *tenant, *room, *tag, *user, *transport; /* NULL: of all */
    int64_t from_ms, to_ms;                             /* what began in [from, to) */
    enum summary_key keys[SUMMARY_KEYS];
    size_t key_count;
    bool is_sorted;              /* by `sort`, the greatest first; else by the keys */
    enum summary_number sort;
    int64_t limit; /* 0: none */
};

/* summary_fault: what does not go together in a question, or NULL.  summary_numbers: the set of numbers that its rows have.  summary_is_time: of a key. */
const char *summary_fault(const struct summary_question *);
unsigned summary_numbers(const struct summary_question *);
bool summary_is_time(enum summary_key);

struct summary;

/* summary_open: at the file: 0, or a negative enum err with the reason. */
int summary_open(const char *path, const struct summary_question *, struct summary **out, char *error, size_t error_cap);
void summary_close(struct summary *); /* NULL is fine */
const char *summary_error(const struct summary *);

/* summary_gather: some more rows of the file: 1: there are more, 0: that was all, or negative. */
int summary_gather(struct summary *);

/* struct summary_row: a key is text, or of a time the Unix milliseconds when it begins. Lives until the next one. */
struct summary_row {
    const char *texts[SUMMARY_KEYS]; /* in the order of the question's keys; NULL: it is a time */
    int64_t times[SUMMARY_KEYS];
    int64_t numbers[SUMMARY_NUMBERS];
};

/* summary_next: when all is gathered: 1 and a row, 0: there are no more, or negative.  summary_total: of all rows, those too that a limit leaves out; how many minutes the
 * longest of them are of: 1, 60 or 1440; 0: there were none. */
int summary_next(struct summary *, struct summary_row *out);
const int64_t *summary_total(const struct summary *, int64_t *span);

/* summary_question: of it. */
const struct summary_question *summary_question(const struct summary *);

#endif
