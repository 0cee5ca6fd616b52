/* record.c: records are sealed and opened. */
#include "net/record.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_LEN 5
#define VERSION 0x0303 /* on the wire, of 1.3 too */
#define IDLE_MAX 32

enum alert {
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_BAD_RECORD_MAC = 20,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_DECODE_ERROR = 50,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_USER_CANCELED = 90,
    ALERT_NO_RENEGOTIATION = 100
};
#define KEY_UPDATE 24

struct records *records_new(void)
{
    return calloc(1, sizeof(struct records));
}

void records_free(struct records *records)
{
    if (records)
        crypto_wipe(records, sizeof *records);
    free(records);
}

void record_nonce(const struct records *records, const struct record_keys *keys, uint64_t number, const uint8_t *explicit,
                  uint8_t out[CRYPTO_AEAD_NONCE_LEN])
{
    uint8_t *tail = &out[CRYPTO_AEAD_NONCE_LEN - sizeof number];
    memcpy(out, keys->iv, CRYPTO_AEAD_NONCE_LEN);
    if (records->nonce_len)
        memcpy(tail, explicit, records->nonce_len);
    else
        put_u64(tail, get_u64(tail) ^ number);
}

struct view record_bound(uint64_t number, const uint8_t header[3], size_t len, uint8_t out[RECORD_BOUND_LEN])
{
    put_u64(out, number);
    memcpy(out + 8, header, 3);
    put_u16(out + 11, (uint16_t)len);
    return view_of(out, RECORD_BOUND_LEN);
}

/* bound_of: of 1.3 the header is covered as it is. */
static struct view bound_of(const struct records *records, const struct record_keys *keys, const uint8_t *header,
                            uint8_t out[RECORD_BOUND_LEN])
{
    const size_t body = get_u16(header + HEADER_LEN - 2);
    return records->is_1_3 ? view_of(header, HEADER_LEN)
                           : record_bound(keys->sequence, header, body - records->nonce_len - CRYPTO_AEAD_TAG_LEN, out);
}

/* ---- in ---- */

static int open_record(const struct records *records, struct crypto *crypto, struct view record, struct slab *out)
{
    uint8_t nonce[CRYPTO_AEAD_NONCE_LEN], bound[RECORD_BOUND_LEN];
    const uint8_t *explicit = record.at + HEADER_LEN;
    record_nonce(records, &records->in, records->in.sequence, explicit, nonce);
    const struct crypto_sealed sealed = {view_of(nonce, sizeof nonce), view_from(record, HEADER_LEN + (size_t)records->nonce_len),
                                         bound_of(records, &records->in, record.at, bound)};
    return crypto_aead_open(crypto, records->aead, records->in.key, &sealed, out);
}

static enum record_end broken(struct records *records, enum alert why)
{
    records->alert = (uint8_t)why;
    return RECORDS_BROKEN;
}

/* real_type: of 1.3: what is in front of the padding. 0: there is nothing. */
static uint8_t real_type(struct slab *data, size_t before)
{
    while (data->len > before)
        if (data->at[--data->len])
            return data->at[data->len];
    return 0;
}

static enum record_end on_alert(struct records *records, struct view alert)
{
    if (alert.len != 2)
        return RECORDS_BROKEN;
    records->closed = alert.at[1] == ALERT_CLOSE_NOTIFY;
    if (records->closed)
        return RECORDS_CLOSED;
    const bool is_harmless = records->is_1_3 ? alert.at[1] == ALERT_USER_CANCELED : alert.at[0] == ALERT_WARNING;
    return is_harmless ? RECORDS_MORE : RECORDS_BROKEN;
}

/* on_handshake: of 1.3 a KeyUpdate, of 1.2 the wish to begin again. */
static enum record_end on_handshake(struct records *records, struct crypto *crypto, struct view message)
{
    static const uint8_t key_update[] = {KEY_UPDATE, 0, 0, 1};
    if (!records->is_1_3) {
        records->refusal_due = true;
        return RECORDS_MORE;
    }
    if (message.len != sizeof key_update + 1 || memcmp(message.at, key_update, sizeof key_update) != 0 || message.at[sizeof key_update] > 1)
        return broken(records, ALERT_UNEXPECTED_MESSAGE);
    records->update_due |= message.at[sizeof key_update] == 1;
    return record_keys_next(records, crypto, &records->in) ? RECORDS_MORE : broken(records, ALERT_INTERNAL_ERROR);
}

/* on_record: what was opened lies at the end of `data`, and stays there only if it is data. */
static enum record_end on_record(struct records *records, struct crypto *crypto, uint8_t type, struct slab *data, size_t before)
{
    const struct view text = view_from(slab_view(data), before);
    if (text.len > RECORD_PLAIN_MAX)
        return broken(records, ALERT_RECORD_OVERFLOW);
    records->idle = type == CONTENT_DATA && text.len ? 0 : (uint8_t)(records->idle + 1);
    if (records->idle > IDLE_MAX)
        return broken(records, ALERT_UNEXPECTED_MESSAGE);
    if (type == CONTENT_DATA)
        return RECORDS_MORE;
    data->len = before;
    if (type == CONTENT_ALERT)
        return on_alert(records, text);
    return type == CONTENT_HANDSHAKE ? on_handshake(records, crypto, text) : broken(records, ALERT_UNEXPECTED_MESSAGE);
}

static enum record_end read_record(struct records *records, struct crypto *crypto, struct view record, struct slab *data)
{
    const size_t before = data->len;
    uint8_t type = record.at[0];
    if (records->is_1_3 && type != CONTENT_DATA)
        return broken(records, ALERT_UNEXPECTED_MESSAGE);
    const int err = open_record(records, crypto, record, data);
    if (err)
        return broken(records, err == ERR_DENIED ? ALERT_BAD_RECORD_MAC : ALERT_INTERNAL_ERROR);
    records->in.sequence++;
    if (records->is_1_3)
        type = real_type(data, before);
    return on_record(records, crypto, type, data, before);
}

/* record_at: the length of the record at the front of `in`; 0: it is not whole yet.  false: it never will be one. */
static bool record_at(const struct records *records, struct view in, size_t *len)
{
    *len = 0;
    if (in.len < HEADER_LEN)
        return true;
    const size_t body = get_u16(in.at + HEADER_LEN - 2);
    if (in.at[1] != VERSION >> 8 || body < (size_t)records->nonce_len + CRYPTO_AEAD_TAG_LEN || body > RECORD_WIRE_MAX - HEADER_LEN)
        return false;
    if (in.len - HEADER_LEN >= body)
        *len = HEADER_LEN + body;
    return true;
}

enum record_end records_read(struct records *records, struct crypto *crypto, struct view *in, struct slab *data)
{
    while (!records->closed) {
        size_t len;
        if (!record_at(records, *in, &len))
            return broken(records, ALERT_DECODE_ERROR);
        if (len == 0)
            return RECORDS_MORE;
        const enum record_end end = read_record(records, crypto, view_cut(*in, len), data);
        *in = view_from(*in, len);
        if (end != RECORDS_MORE)
            return end;
    }
    return RECORDS_CLOSED;
}

/* ---- out ---- */

/* overhead: what a record has beside its data. */
static size_t overhead(const struct records *records)
{
    return HEADER_LEN + (size_t)records->nonce_len + records->is_1_3 + CRYPTO_AEAD_TAG_LEN;
}

/* seal: a record at `at`, which has room for it. */
static bool seal(struct records *records, const struct record_way *way, enum record_content type, struct view data, uint8_t *at)
{
    uint8_t nonce[CRYPTO_AEAD_NONCE_LEN], bound[RECORD_BOUND_LEN], *text = at + HEADER_LEN + records->nonce_len;
    memcpy(text, data.at, data.len);
    if (records->is_1_3)
        text[data.len++] = (uint8_t)type;
    at[0] = records->is_1_3 ? CONTENT_DATA : (uint8_t)type;
    put_u16(at + 1, VERSION);
    put_u16(at + HEADER_LEN - 2, (uint16_t)(records->nonce_len + data.len + CRYPTO_AEAD_TAG_LEN));
    if (records->nonce_len)
        put_u64(at + HEADER_LEN, records->out.sequence);
    record_nonce(records, &records->out, records->out.sequence, at + HEADER_LEN, nonce);
    const struct crypto_sealed plain = {view_of(nonce, sizeof nonce), view_of(text, data.len), bound_of(records, &records->out, at, bound)};
    if (crypto_aead_seal(way->crypto, records->aead, records->out.key, &plain, text) != 0)
        return false;
    records->out.sequence++;
    return true;
}

static bool put(struct records *records, const struct record_way *way, enum record_content type, struct view bytes)
{
    const size_t more = overhead(records);
    while (bytes.len) {
        size_t room;
        uint8_t *at = outbox_room(way->out, way->spare, more + (bytes.len < RECORD_WHOLE_MAX ? bytes.len : RECORD_WHOLE_MAX), &room);
        if (!at)
            return false;
        const struct view part = view_cut(bytes, room - more < records->limit ? room - more : records->limit);
        if (!seal(records, way, type, part, at))
            return false;
        outbox_fill(way->out, more + part.len);
        bytes = view_from(bytes, part.len);
    }
    return true;
}

bool records_put(struct records *records, const struct record_way *way, struct view data)
{
    return put(records, way, CONTENT_DATA, data);
}

static bool put_alert(struct records *records, const struct record_way *way, uint8_t level, uint8_t alert)
{
    const uint8_t bytes[] = {level, alert};
    return put(records, way, CONTENT_ALERT, view_of(bytes, sizeof bytes));
}

/* update: what we said before, and that we do, is the last under the old keys. */
static bool update(struct records *records, const struct record_way *way)
{
    static const uint8_t key_update[] = {KEY_UPDATE, 0, 0, 1, 0};
    return put(records, way, CONTENT_HANDSHAKE, view_of(key_update, sizeof key_update)) &&
           record_keys_next(records, way->crypto, &records->out);
}

bool records_answer(struct records *records, const struct record_way *way)
{
    const uint8_t alert = records->alert;
    bool good = true;
    if (records->update_due)
        good = update(records, way);
    if (good && records->refusal_due)
        good = put_alert(records, way, ALERT_WARNING, ALERT_NO_RENEGOTIATION);
    if (good && alert)
        good = put_alert(records, way, ALERT_FATAL, alert);
    records->update_due = records->refusal_due = false;
    records->alert = 0;
    return good;
}

bool records_goodbye(struct records *records, const struct record_way *way)
{
    return put_alert(records, way, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
}
