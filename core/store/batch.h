/* batch.h: rows that wait for the database, merged in memory; for core/store only.
 *
 * One entry for a session, one for each key of struct batch_list, one for each audit row. Bounded in entries and in bytes of text; a
 * row that does not fit changes nothing that is written. Not locked: whoever holds the batch guards it.
 */
#ifndef RELAY_STORE_BATCH_H
#define RELAY_STORE_BATCH_H

#include "base/table.h"
#include "store/store.h"

#define BATCH_ENTRIES_MAX 100000 /* of each kind */
#define BATCH_FOLDED_MAX 10000   /* and of usage for those that found no room: theirs is kept without their names */
#define BATCH_TEXT_MAX (32u << 20)
#define BATCH_KEY_TEXTS 5
#define BATCH_SPAN_MINUTES 5 /* that a row's time may reach back; what is longer is in the first of them */
#define BATCH_FOLDED "*"     /* the room, tag and user of what is kept without its own */

struct batch_amount {
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    int64_t lived_ms;
};

/* Strings are offsets into batch.text; 0 is the empty string. */
struct batch_session {
    int64_t id;
    bool opened, used, closed;
    uint32_t tenant, room, tag, user, transport, realm, username, client, relayed, tags, reason;
    int64_t opened_ms, seen_ms, closed_ms;
    struct batch_amount amount;
};

/* struct batch_key: what entries are merged by: the first member of each. */
struct batch_key {
    int64_t number; /* the minute since 1970; of a meter the end of its period */
    uint32_t texts[BATCH_KEY_TEXTS];
};

struct batch_usage {
    struct batch_key key; /* tenant, room, tag, user, transport */
    struct batch_amount amount;
    int64_t opened, closed, active;
    bool is_folded;
};

struct batch_peak {
    struct batch_key key; /* tenant */
    int64_t held, active;
};

struct batch_refusal {
    struct batch_key key; /* tenant, reason */
    int64_t count;
};

struct batch_meter {
    struct batch_key key; /* name, key */
    int64_t sum;
};

struct batch_audit {
    int64_t at_ms;
    uint32_t who, type, tenant, detail;
};

/* struct batch_list: entries of one kind, `size` bytes each; `texts` is how many their keys have. */
struct batch_list {
    size_t size, texts;
    void *entries;
    uint32_t count, cap;
    struct table by_key;
};

enum batch_kind { BATCH_USAGE, BATCH_PEAK, BATCH_REFUSAL, BATCH_METER, BATCH_KINDS };

struct batch {
    struct hash_key hash_key;
    struct batch_session *sessions;
    struct batch_audit *audits;
    uint32_t session_count, session_cap, audit_count, audit_cap;
    struct table by_id;
    struct batch_list lists[BATCH_KINDS];
    char *text;
    uint32_t text_len, text_cap;
    uint64_t rows;   /* put since the batch was empty */
    uint64_t folded; /* of them, usage that is kept without its names */
};

void batch_init(struct batch *batch, const struct hash_key *hash_key);

/* batch_close: frees everything; the batch is empty and usable again. */
void batch_close(struct batch *batch);

bool batch_is_empty(const struct batch *batch);
bool batch_is_half_full(const struct batch *batch);
const char *batch_text(const struct batch *batch, uint32_t at);

/* batch_at: an entry of a list. */
const void *batch_at(const struct batch *batch, enum batch_kind kind, uint32_t index);

/* False: no room, nothing was taken. */
bool batch_put_opened(struct batch *batch, const struct store_session *row);
bool batch_put_usage(struct batch *batch, const struct store_usage *row);
bool batch_put_closing(struct batch *batch, const struct store_closing *row);
bool batch_put_refusal(struct batch *batch, const struct store_refusal *row);
bool batch_put_meter(struct batch *batch, const struct store_meter *row);
bool batch_put_audit(struct batch *batch, const struct batch_audit *row, const char *const text[4]); /* who, type, tenant, detail */

/* batch_put_peak: that so many were held at a time in this minute, and that so many more carried data in it. */
bool batch_put_peak(struct batch *batch, const char *tenant, int64_t minute, int64_t held, int64_t active);

/* batch_list.c.  batch_grow: `items` with room for one more of `most`, or NULL.  batch_keep_texts: all or none.  batch_entry: the entry of a key, made (zeroed) if need
 * be, if there are fewer than `most`; NULL without room. */
void *batch_grow(void *items, uint32_t count, uint32_t *cap, size_t size, uint32_t most);
bool batch_keep_texts(struct batch *batch, const char *const *texts, uint32_t *const *out, size_t count);
void *batch_entry(struct batch *batch, enum batch_kind kind, int64_t number, const char *const *texts, uint32_t most);

#endif
