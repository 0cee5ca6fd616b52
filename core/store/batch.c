/* batch.c: see batch.h. */
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000

static const struct batch_list kinds[BATCH_KINDS] = {
    [BATCH_USAGE] = {.size = sizeof(struct batch_usage), .texts = 5},
    [BATCH_PEAK] = {.size = sizeof(struct batch_peak), .texts = 1},
    [BATCH_REFUSAL] = {.size = sizeof(struct batch_refusal), .texts = 2},
    [BATCH_METER] = {.size = sizeof(struct batch_meter), .texts = 2},
};

void batch_init(struct batch *batch, const struct hash_key *hash_key)
{
    *batch = (struct batch){.hash_key = *hash_key};
    table_init(&batch->by_id);
    for (int i = 0; i < BATCH_KINDS; i++) {
        batch->lists[i] = kinds[i];
        table_init(&batch->lists[i].by_key);
    }
}

void batch_close(struct batch *batch)
{
    const struct hash_key hash_key = batch->hash_key;
    table_close(&batch->by_id);
    for (int i = 0; i < BATCH_KINDS; i++) {
        table_close(&batch->lists[i].by_key);
        free(batch->lists[i].entries);
    }
    free(batch->sessions);
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
    uint32_t most = batch->session_count > batch->audit_count ? batch->session_count : batch->audit_count;
    for (int i = 0; i < BATCH_KINDS; i++)
        most = batch->lists[i].count > most ? batch->lists[i].count : most;
    return most > BATCH_ENTRIES_MAX / 2 || batch->text_len > BATCH_TEXT_MAX / 2;
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
    void *grown = batch_grow(batch->sessions, batch->session_count, &batch->session_cap, sizeof *batch->sessions, BATCH_ENTRIES_MAX);
    if (!grown)
        return NULL;
    batch->sessions = grown;
    if (table_put(&batch->by_id, hash_id(batch, id), batch->session_count))
        return NULL;
    struct batch_session *session = &batch->sessions[batch->session_count++];
    *session = (struct batch_session){.id = id};
    return session;
}

/* usage_of: where there are too many names, their usage counts for the tenant and transport all the same. */
static struct batch_usage *usage_of(struct batch *batch, const struct store_who *who, int64_t minute)
{
    const char *const own[] = {who->tenant, who->room, who->tag, who->user, who->transport};
    const char *const folded[] = {who->tenant, BATCH_FOLDED, BATCH_FOLDED, BATCH_FOLDED, who->transport};
    struct batch_usage *usage = batch_entry(batch, BATCH_USAGE, minute, own, BATCH_ENTRIES_MAX);
    if (usage || batch->lists[BATCH_USAGE].count < BATCH_ENTRIES_MAX)
        return usage;
    usage = batch_entry(batch, BATCH_USAGE, minute, folded, BATCH_ENTRIES_MAX + BATCH_FOLDED_MAX);
    if (!usage)
        return NULL;
    usage->is_folded = true;
    batch->folded++;
    return usage;
}

/* struct parts: the entries of the minutes that a row's time is of, the last of them first; of those before, indices: a list may move. */
struct parts {
    uint32_t at[BATCH_SPAN_MINUTES];
    int count;
};

static struct batch_usage *part(const struct batch *batch, const struct parts *parts, int i)
{
    return (struct batch_usage *)batch->lists[BATCH_USAGE].entries + parts->at[i];
}

/* find_parts: all, or false. An entry that was made meanwhile and gets nothing is written as one of nothing. */
static bool find_parts(struct batch *batch, const struct store_usage *row, struct parts *parts)
{
    const int64_t last = row->at_ms / MINUTE_MS;
    const int64_t first = (row->at_ms - row->lived_ms) / MINUTE_MS;
    parts->count = 0;
    do {
        const struct batch_usage *usage = usage_of(batch, &row->who, last - parts->count);
        if (!usage)
            return false;
        parts->at[parts->count++] = (uint32_t)(usage - (struct batch_usage *)batch->lists[BATCH_USAGE].entries);
    } while (last - parts->count >= first && parts->count < BATCH_SPAN_MINUTES);
    return true;
}

/* spread: each minute gets the time that was in it, the first of them what is left. */
static void spread(const struct batch *batch, const struct parts *parts, const struct store_usage *row)
{
    int64_t left = row->lived_ms, most = row->at_ms % MINUTE_MS;
    for (int i = 0; i < parts->count; i++, most = MINUTE_MS) {
        const int64_t share = i == parts->count - 1 || left < most ? left : most;
        part(batch, parts, i)->amount.lived_ms += share;
        left -= share;
    }
}

/* add: no sum wraps, whatever is added. */
static uint64_t add(uint64_t sum, uint64_t more)
{
    return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

static void add_traffic(struct batch_amount *to, const struct store_usage *row)
{
    to->bytes_in = add(to->bytes_in, row->bytes_in);
    to->bytes_out = add(to->bytes_out, row->bytes_out);
    to->packets_in = add(to->packets_in, row->packets_in);
    to->packets_out = add(to->packets_out, row->packets_out);
}

/* name_session: by what its usage is called, which is there already. */
static void name_session(struct batch_session *session, const struct batch_usage *usage)
{
    session->tenant = usage->key.texts[0];
    session->room = usage->key.texts[1];
    session->tag = usage->key.texts[2];
    session->user = usage->key.texts[3];
    session->transport = usage->key.texts[4];
}

/* name_folded: by its own names, which its usage has lost. */
static bool name_folded(struct batch *batch, struct batch_session *session, const struct store_who *who)
{
    return batch_keep_texts(batch, (const char *const[]){who->room, who->tag, who->user},
                            (uint32_t *const[]){&session->room, &session->tag, &session->user}, 3);
}

bool batch_put_opened(struct batch *batch, const struct store_session *row)
{
    struct batch_session *session = session_of(batch, row->id);
    struct batch_usage *usage = session ? usage_of(batch, &row->who, row->opened_ms / MINUTE_MS) : NULL;
    if (!usage || !batch_keep_texts(batch, (const char *const[]){row->realm, row->username, row->client, row->relayed, row->tags},
                                    (uint32_t *const[]){&session->realm, &session->username, &session->client, &session->relayed,
                                                        &session->tags},
                                    5))
        return false;
    name_session(session, usage);
    if (usage->is_folded && !name_folded(batch, session, &row->who))
        return false;
    session->opened = true;
    session->opened_ms = row->opened_ms;
    if (session->seen_ms < row->opened_ms)
        session->seen_ms = row->opened_ms;
    usage->opened++;
    batch->rows++;
    return true;
}

/* put_usage: the last minute of it, or NULL. */
static struct batch_usage *put_usage(struct batch *batch, struct batch_session *session, const struct store_usage *row)
{
    struct parts parts;
    if (!session || !find_parts(batch, row, &parts))
        return NULL;
    struct batch_usage *usage = part(batch, &parts, 0);
    if (!session->opened && !session->used) { /* opened in an earlier batch, unless its first row was lost */
        name_session(session, usage);
        session->opened_ms = row->at_ms - row->lived_ms;
    }
    session->used = true;
    if (session->seen_ms < row->at_ms)
        session->seen_ms = row->at_ms;
    add_traffic(&session->amount, row);
    session->amount.lived_ms += row->lived_ms;
    spread(batch, &parts, row);
    add_traffic(&usage->amount, row);
    usage->active += row->is_active;
    batch->rows++;
    return usage;
}

bool batch_put_usage(struct batch *batch, const struct store_usage *row)
{
    return put_usage(batch, session_of(batch, row->id), row) != NULL;
}

bool batch_put_closing(struct batch *batch, const struct store_closing *row)
{
    struct batch_session *session = session_of(batch, row->last.id);
    uint32_t reason;
    if (!session || !batch_keep_texts(batch, &row->reason, (uint32_t *const[]){&reason}, 1))
        return false;
    struct batch_usage *usage = put_usage(batch, session, &row->last);
    if (!usage)
        return false;
    session->reason = reason;
    session->closed = true;
    session->closed_ms = row->last.at_ms;
    usage->closed++;
    return true;
}

bool batch_put_peak(struct batch *batch, const char *tenant, int64_t minute, int64_t held, int64_t active)
{
    struct batch_peak *peak = batch_entry(batch, BATCH_PEAK, minute, &tenant, BATCH_ENTRIES_MAX);
    if (!peak)
        return false;
    peak->held = held > peak->held ? held : peak->held;
    peak->active += active;
    return true;
}

bool batch_put_refusal(struct batch *batch, const struct store_refusal *row)
{
    const char *const texts[] = {row->tenant, row->reason};
    struct batch_refusal *refusal = batch_entry(batch, BATCH_REFUSAL, row->at_ms / MINUTE_MS, texts, BATCH_ENTRIES_MAX);
    if (!refusal)
        return false;
    refusal->count++;
    batch->rows++;
    return true;
}

bool batch_put_meter(struct batch *batch, const struct store_meter *row)
{
    struct batch_meter *meter =
        batch_entry(batch, BATCH_METER, row->ends_ms, (const char *const[]){row->name, row->key}, BATCH_ENTRIES_MAX);
    if (!meter)
        return false;
    meter->sum = row->sum;
    batch->rows++;
    return true;
}

bool batch_put_audit(struct batch *batch, const struct batch_audit *row, const char *const text[4])
{
    struct batch_audit audit = *row;
    void *grown = batch_grow(batch->audits, batch->audit_count, &batch->audit_cap, sizeof *batch->audits, BATCH_ENTRIES_MAX);
    if (!grown)
        return false;
    batch->audits = grown;
    if (!batch_keep_texts(batch, text, (uint32_t *const[]){&audit.who, &audit.type, &audit.tenant, &audit.detail}, 4))
        return false;
    batch->audits[batch->audit_count++] = audit;
    batch->rows++;
    return true;
}
