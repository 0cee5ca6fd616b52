/* batch.c: see batch.h. */
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000
#define NO_TEXT UINT32_MAX

void batch_init(struct batch *batch, const struct hash_key *hash_key)
{
    *batch = (struct batch){.hash_key = *hash_key};
    table_init(&batch->by_id);
    table_init(&batch->by_usage);
    table_init(&batch->by_meter);
}

void batch_close(struct batch *batch)
{
    const struct hash_key hash_key = batch->hash_key;
    table_close(&batch->by_id);
    table_close(&batch->by_usage);
    table_close(&batch->by_meter);
    free(batch->sessions);
    free(batch->usages);
    free(batch->meters);
    free(batch->audits);
    free(batch->text);
    batch_init(batch, &hash_key);
}

bool batch_is_empty(const struct batch *batch)
{
    return batch->rows == 0;
}

bool batch_is_half_full(const struct batch *batch)
{
    return batch->session_count > BATCH_ENTRIES_MAX / 2 || batch->usage_count > BATCH_ENTRIES_MAX / 2 ||
           batch->meter_count > BATCH_ENTRIES_MAX / 2 || batch->audit_count > BATCH_ENTRIES_MAX / 2 || batch->text_len > BATCH_TEXT_MAX / 2;
}

const char *batch_text(const struct batch *batch, uint32_t at)
{
    return at ? batch->text + at : "";
}

/* grow: `items` with room for one more, or NULL. */
static void *grow(void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count >= BATCH_ENTRIES_MAX)
        return NULL;
    if (count < *cap)
        return items;
    const uint32_t wanted = *cap ? 2 * *cap : 64;
    void *grown = realloc(items, wanted * size);
    if (grown)
        *cap = wanted;
    return grown;
}

/* make_room: for `len` bytes of text behind text_len. */
static bool make_room(struct batch *batch, size_t len)
{
    if (len > BATCH_TEXT_MAX - batch->text_len)
        return false;
    if (len <= batch->text_cap - batch->text_len)
        return true;
    size_t cap = batch->text_cap ? batch->text_cap : 4096;
    while (cap - batch->text_len < len)
        cap *= 2;
    char *text = realloc(batch->text, cap);
    if (!text)
        return false;
    batch->text = text;
    batch->text_cap = (uint32_t)cap;
    return true;
}

/* Offset 0 is kept for the empty string. */
static uint32_t keep_text(struct batch *batch, const char *text)
{
    const size_t len = strlen(text) + 1;
    if (len == 1)
        return 0;
    const size_t before = batch->text_len ? 0 : 1;
    if (!make_room(batch, before + len))
        return NO_TEXT;
    const uint32_t at = batch->text_len + (uint32_t)before;
    memcpy(batch->text + at, text, len);
    batch->text_len = at + (uint32_t)len;
    return at;
}

/* keep_texts: all or none. */
static bool keep_texts(struct batch *batch, const char *const *texts, uint32_t *const *out, size_t count)
{
    const uint32_t before = batch->text_len;
    uint32_t kept[8];
    for (size_t i = 0; i < count; i++) {
        kept[i] = keep_text(batch, texts[i]);
        if (kept[i] == NO_TEXT) {
            batch->text_len = before;
            return false;
        }
    }
    for (size_t i = 0; i < count; i++)
        *out[i] = kept[i];
    return true;
}

static uint64_t hash_id(const struct batch *batch, int64_t id)
{
    return table_hash(&batch->hash_key, view_of(&id, sizeof id));
}

static struct batch_session *find_session(const struct batch *batch, int64_t id)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&batch->by_id, hash_id(batch, id), &cursor); at != TABLE_NONE; at = table_next(&batch->by_id, &cursor))
        if (batch->sessions[at].id == id)
            return &batch->sessions[at];
    return NULL;
}

/* session_of: the entry of `id`, made if need be: an entry that nothing is put into is not written. */
static struct batch_session *session_of(struct batch *batch, int64_t id)
{
    struct batch_session *found = find_session(batch, id);
    if (found)
        return found;
    void *grown = grow(batch->sessions, batch->session_count, &batch->session_cap, sizeof *batch->sessions);
    if (!grown)
        return NULL;
    batch->sessions = grown;
    if (table_put(&batch->by_id, hash_id(batch, id), batch->session_count))
        return NULL;
    struct batch_session *session = &batch->sessions[batch->session_count++];
    *session = (struct batch_session){.id = id};
    return session;
}

/* Each part's hash is part of the key of the next: the parts need not be copied together. */
static uint64_t hash_parts(const struct batch *batch, int64_t number, const char *const *parts, size_t count)
{
    struct hash_key key = {.k0 = batch->hash_key.k0 ^ (uint64_t)number, .k1 = batch->hash_key.k1};
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        hash = table_hash(&key, view_text(parts[i]));
        key.k0 ^= hash;
    }
    return hash;
}

static bool is_same_usage(const struct batch *batch, const struct batch_usage *usage, const struct store_usage *row)
{
    return usage->minute == row->at_ms / MINUTE_MS && strcmp(batch_text(batch, usage->tenant), row->tenant) == 0 &&
           strcmp(batch_text(batch, usage->user), row->user) == 0 && strcmp(batch_text(batch, usage->transport), row->transport) == 0;
}

static struct batch_usage *find_usage(const struct batch *batch, const struct store_usage *row, uint64_t hash)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&batch->by_usage, hash, &cursor); at != TABLE_NONE; at = table_next(&batch->by_usage, &cursor))
        if (is_same_usage(batch, &batch->usages[at], row))
            return &batch->usages[at];
    return NULL;
}

static struct batch_usage *usage_of(struct batch *batch, const struct store_usage *row)
{
    const uint64_t hash = hash_parts(batch, row->at_ms / MINUTE_MS, (const char *const[]){row->tenant, row->user, row->transport}, 3);
    struct batch_usage *found = find_usage(batch, row, hash), usage = {.minute = row->at_ms / MINUTE_MS};
    if (found)
        return found;
    void *grown = grow(batch->usages, batch->usage_count, &batch->usage_cap, sizeof *batch->usages);
    if (!grown)
        return NULL;
    batch->usages = grown;
    if (!keep_texts(batch, (const char *const[]){row->tenant, row->user, row->transport},
                    (uint32_t *const[]){&usage.tenant, &usage.user, &usage.transport}, 3) ||
        table_put(&batch->by_usage, hash, batch->usage_count))
        return NULL;
    batch->usages[batch->usage_count] = usage;
    return &batch->usages[batch->usage_count++];
}

static void add(struct batch_amount *to, const struct store_usage *row)
{
    to->bytes_in += row->bytes_in;
    to->bytes_out += row->bytes_out;
    to->packets_in += row->packets_in;
    to->packets_out += row->packets_out;
}

bool batch_put_opened(struct batch *batch, const struct store_session *row)
{
    struct batch_session *session = session_of(batch, row->id);
    if (!session || !keep_texts(batch,
                                (const char *const[]){row->tenant, row->realm, row->user, row->username, row->transport, row->client,
                                                      row->relayed, row->tags},
                                (uint32_t *const[]){&session->tenant, &session->realm, &session->user, &session->username,
                                                    &session->transport, &session->client, &session->relayed, &session->tags},
                                8))
        return false;
    session->opened = true;
    session->opened_ms = row->opened_ms;
    if (session->seen_ms < row->opened_ms)
        session->seen_ms = row->opened_ms;
    batch->rows++;
    return true;
}

/* A session that was opened in an earlier batch takes its names from its usage, in case its first row was lost. */
bool batch_put_usage(struct batch *batch, const struct store_usage *row)
{
    struct batch_session *session = session_of(batch, row->id);
    struct batch_usage *usage = session ? usage_of(batch, row) : NULL;
    if (!usage)
        return false;
    if (!session->opened && !session->used) {
        session->tenant = usage->tenant;
        session->user = usage->user;
        session->transport = usage->transport;
        session->opened_ms = row->at_ms;
    }
    session->used = true;
    if (session->seen_ms < row->at_ms)
        session->seen_ms = row->at_ms;
    add(&session->amount, row);
    add(&usage->amount, row);
    batch->rows++;
    return true;
}

bool batch_put_closing(struct batch *batch, const struct store_closing *row)
{
    struct batch_session *session = session_of(batch, row->id);
    if (!session || !keep_texts(batch, &row->reason, (uint32_t *const[]){&session->reason}, 1))
        return false;
    session->closed = true;
    session->closed_ms = row->closed_ms;
    session->seconds = row->seconds;
    batch->rows++;
    return true;
}

static struct batch_meter *find_meter(const struct batch *batch, const struct store_meter *row, uint64_t hash)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&batch->by_meter, hash, &cursor); at != TABLE_NONE; at = table_next(&batch->by_meter, &cursor)) {
        struct batch_meter *meter = &batch->meters[at];
        if (meter->ends_ms == row->ends_ms && strcmp(batch_text(batch, meter->name), row->name) == 0 &&
            strcmp(batch_text(batch, meter->key), row->key) == 0)
            return meter;
    }
    return NULL;
}

bool batch_put_meter(struct batch *batch, const struct store_meter *row)
{
    const uint64_t hash = hash_parts(batch, row->ends_ms, (const char *const[]){row->name, row->key}, 2);
    struct batch_meter *found = find_meter(batch, row, hash), meter = {.ends_ms = row->ends_ms, .sum = row->sum};
    if (!found) {
        void *grown = grow(batch->meters, batch->meter_count, &batch->meter_cap, sizeof *batch->meters);
        if (!grown)
            return false;
        batch->meters = grown;
        if (!keep_texts(batch, (const char *const[]){row->name, row->key}, (uint32_t *const[]){&meter.name, &meter.key}, 2) ||
            table_put(&batch->by_meter, hash, batch->meter_count))
            return false;
        found = &batch->meters[batch->meter_count++];
        *found = meter;
    }
    found->sum = row->sum;
    batch->rows++;
    return true;
}

bool batch_put_audit(struct batch *batch, const struct batch_audit *row, const char *const text[3])
{
    struct batch_audit audit = *row;
    void *grown = grow(batch->audits, batch->audit_count, &batch->audit_cap, sizeof *batch->audits);
    if (!grown)
        return false;
    batch->audits = grown;
    if (!keep_texts(batch, text, (uint32_t *const[]){&audit.who, &audit.type, &audit.detail}, 3))
        return false;
    batch->audits[batch->audit_count++] = audit;
    batch->rows++;
    return true;
}
