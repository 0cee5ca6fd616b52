/* batch.h: rows that wait for the database, merged in memory; for core/store only.
 *
 * One entry for a session, one for (tenant, minute, user, transport), one for (meter, key, period), one for each audit row. Bounded in entries and in bytes of text; a
 * row that does not fit changes nothing that is written. Not locked: whoever holds the batch guards it.
 */
#ifndef RELAY_STORE_BATCH_H
#define RELAY_STORE_BATCH_H

#include "base/table.h"
#include "store/store.h"

#define BATCH_ENTRIES_MAX 100000 /* of each kind */
#define BATCH_TEXT_MAX (32u << 20)

struct batch_amount {
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
};

/* Strings are offsets into batch.text; 0 is the empty string. */
struct batch_session {
    int64_t id;
    bool opened, used, closed;
    uint32_t tenant, realm, user, username, transport, client, relayed, tags, reason;
    int64_t opened_ms, seen_ms, closed_ms, seconds;
    struct batch_amount amount;
};

struct batch_usage {
    int64_t minute; /* since 1970 */
    uint32_t tenant, user, transport;
    struct batch_amount amount;
};

struct batch_meter {
    uint32_t name, key;
    int64_t ends_ms, sum;
};

struct batch_audit {
    int64_t at_ms;
    uint32_t who, type, detail;
};

struct batch {
    struct hash_key hash_key;
    struct batch_session *sessions;
    struct batch_usage *usages;
    struct batch_meter *meters;
    struct batch_audit *audits;
    uint32_t session_count, session_cap, usage_count, usage_cap, meter_count, meter_cap, audit_count, audit_cap;
    struct table by_id, by_usage, by_meter;
    char *text;
    uint32_t text_len, text_cap;
    uint64_t rows; /* put since the batch was empty */
};

void batch_init(struct batch *batch, const struct hash_key *hash_key);

/* batch_close: frees everything; the batch is empty and usable again. */
void batch_close(struct batch *batch);

bool batch_is_empty(const struct batch *batch);
bool batch_is_half_full(const struct batch *batch);
const char *batch_text(const struct batch *batch, uint32_t at);

/* False: no room, nothing was taken. */
bool batch_put_opened(struct batch *batch, const struct store_session *row);
bool batch_put_usage(struct batch *batch, const struct store_usage *row);
bool batch_put_closing(struct batch *batch, const struct store_closing *row);
bool batch_put_meter(struct batch *batch, const struct store_meter *row);
bool batch_put_audit(struct batch *batch, const struct batch_audit *row, const char *const text[3]); /* who, type, detail */

#endif
