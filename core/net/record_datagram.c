/* record_datagram.c: records of DTLS 1.2: each for itself, in any order, none twice. */
#include "net/record.h"

#include <string.h>

#define HEADER_LEN 13
#define NUMBER_AT 3
#define LENGTH_AT 11
#define VERSION 0xfefd
#define EPOCH 1 /* that of all that is encrypted: there is one handshake */
#define WINDOW 64

/* is_new: RFC 6347 section 4.1.2.6. */
static bool is_new(const struct records *records, uint64_t number)
{
    if (number > records->in.sequence)
        return true;
    const uint64_t age = records->in.sequence - number;
    return age < WINDOW && !(records->seen >> age & 1);
}

/* note: only what was good may move the window. */
static void note(struct records *records, uint64_t number)
{
    if (number > records->in.sequence) {
        const uint64_t step = number - records->in.sequence;
        records->seen = step < WINDOW ? records->seen << step : 0;
        records->in.sequence = number;
    }
    records->seen |= UINT64_C(1) << (records->in.sequence - number);
}

static bool open_record(struct records *records, struct crypto *crypto, struct view record, struct slab *data)
{
    uint8_t nonce[CRYPTO_AEAD_NONCE_LEN], bound[RECORD_BOUND_LEN];
    const uint64_t number = get_u64(record.at + NUMBER_AT);
    const size_t around = (size_t)records->nonce_len + CRYPTO_AEAD_TAG_LEN, body = record.len - HEADER_LEN;
    if (get_u16(record.at + 1) != VERSION || number >> 48 != EPOCH || body < around || !is_new(records, number))
        return false;
    record_nonce(records, &records->in, number, record.at + HEADER_LEN, nonce);
    const struct crypto_sealed sealed = {view_of(nonce, sizeof nonce), view_from(record, HEADER_LEN + (size_t)records->nonce_len),
                                         record_bound(number, record.at, body - around, bound)};
    if (crypto_aead_open(crypto, records->aead, records->in.key, &sealed, data) != 0)
        return false;
    note(records, number);
    return true;
}

static enum record_found on_alert(struct slab *data, size_t before)
{
    const struct view alert = view_from(slab_view(data), before);
    data->len = before;
    return alert.len == 2 && (alert.at[0] == ALERT_FATAL || alert.at[1] == ALERT_CLOSE_NOTIFY) ? RECORD_CLOSED : RECORD_NONE;
}

enum record_found records_next(struct records *records, struct crypto *crypto, struct view *in, struct slab *data)
{
    enum record_found found = RECORD_NONE;
    while (found == RECORD_NONE && in->len >= HEADER_LEN && get_u16(in->at + LENGTH_AT) <= in->len - HEADER_LEN) {
        const struct view record = view_cut(*in, HEADER_LEN + (size_t)get_u16(in->at + LENGTH_AT));
        const size_t before = data->len;
        *in = view_from(*in, record.len);
        if ((record.at[0] != CONTENT_DATA && record.at[0] != CONTENT_ALERT) || !open_record(records, crypto, record, data))
            continue;
        if (record.at[0] == CONTENT_ALERT)
            found = on_alert(data, before);
        else if (data->len > before)
            found = RECORD_DATA;
    }
    return found;
}

static size_t seal(struct records *records, struct crypto *crypto, enum record_content type, struct view text, uint8_t *out)
{
    uint8_t nonce[CRYPTO_AEAD_NONCE_LEN], bound[RECORD_BOUND_LEN];
    const uint64_t number = records->out.sequence;
    if (text.len > records->limit || number >> 48 != EPOCH)
        return 0;
    const size_t body = records->nonce_len + text.len + CRYPTO_AEAD_TAG_LEN;
    out[0] = (uint8_t)type;
    put_u16(out + 1, VERSION);
    put_u64(out + NUMBER_AT, number);
    put_u16(out + LENGTH_AT, (uint16_t)body);
    uint8_t *sealed = out + HEADER_LEN + records->nonce_len;
    if (records->nonce_len)
        put_u64(out + HEADER_LEN, number);
    record_nonce(records, &records->out, number, out + HEADER_LEN, nonce);
    const struct crypto_sealed plain = {view_of(nonce, sizeof nonce), text, record_bound(number, out, text.len, bound)};
    if (crypto_aead_seal(crypto, records->aead, records->out.key, &plain, sealed) != 0)
        return 0;
    records->out.sequence++;
    return HEADER_LEN + body;
}

size_t records_datagram(struct records *records, struct crypto *crypto, struct view data, uint8_t out[RECORD_DATAGRAM_MAX])
{
    return seal(records, crypto, CONTENT_DATA, data, out);
}

size_t records_datagram_goodbye(struct records *records, struct crypto *crypto, uint8_t out[RECORD_DATAGRAM_MAX])
{
    static const uint8_t alert[] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};
    return seal(records, crypto, CONTENT_ALERT, view_of(alert, sizeof alert), out);
}
