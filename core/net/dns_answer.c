/* dns_answer.c: see dns_answer.h. */
#include "net/dns_answer.h"

#include "base/addr.h"
#include "base/err.h"

#include <string.h>

#define HEADER_LEN 12
#define RECORD_LEN 10 /* behind the name */
#define CLASS_IN 1
#define LABEL_MAX 63
#define POINTER 0xc0
#define JUMPS_MAX 32

/* struct cursor: where in the message we are; `at` is never beyond its end. */
struct cursor {
    struct view message;
    size_t at;
};

static size_t left(const struct cursor *cursor)
{
    return cursor->message.len - cursor->at;
}

/* ---- names: RFC 1035 section 4.1.4 ---- */

/* put_label: false if there is no room, or it could not be told from two labels. */
static bool put_label(struct slab *out, struct view label)
{
    if (memchr(label.at, '.', label.len) || memchr(label.at, 0, label.len))
        return false;
    if (out->len)
        slab_put_u8(out, '.');
    slab_put(out, label);
    return !out->overflow && out->len <= DNS_NAME_MAX;
}

/* read_name: the cursor goes behind it; `out` NULL: it is not wanted. Pointers lead anywhere, but not for ever. */
static bool read_name(struct cursor *cursor, struct slab *out)
{
    struct cursor reading = *cursor;
    for (unsigned jumps = 0; left(&reading) > 0;) {
        const uint8_t first = reading.message.at[reading.at];
        const size_t needed = first > LABEL_MAX ? 2 : 1 + (size_t)first;
        if ((first > LABEL_MAX && first < POINTER) || left(&reading) < needed || jumps == JUMPS_MAX)
            return false;
        if (first <= LABEL_MAX && first && out && !put_label(out, view_of(reading.message.at + reading.at + 1, first)))
            return false;
        reading.at += needed;
        if (jumps == 0)
            cursor->at = reading.at;
        if (first == 0)
            return true;
        if (first <= LABEL_MAX)
            continue;
        if (!out)
            return true;
        reading.at = get_u16(reading.message.at + reading.at - 2) & 0x3fff;
        if (reading.at > reading.message.len)
            return false;
        jumps++;
    }
    return false;
}

/* ---- records ---- */

/* keep: the text of a record that is in the room already. */
static void keep(struct dns_reading *out, struct dns_record *record, size_t len)
{
    record->text = view_of(out->text + out->text_len, len);
    out->text_len += len;
    out->count++;
}

static struct slab room(struct dns_reading *out)
{
    return slab_over(out->text + out->text_len, sizeof out->text - out->text_len);
}

static bool take_address(struct view data, struct dns_reading *out)
{
    char text[ADDR_TEXT_MAX];
    struct slab to = room(out);
    const struct addr addr = data.len == 4 ? addr_v4(data.at, 0) : addr_v6(data.at, 0);
    slab_put_text(&to, addr_format_ip(&addr, text));
    if (to.overflow)
        return false;
    out->records[out->count] = (struct dns_record){0};
    keep(out, &out->records[out->count], to.len);
    return true;
}

/* take_text: RFC 1035 section 3.3.14: one or more strings, read as one. */
static bool take_text(struct view data, struct dns_reading *out)
{
    struct slab to = room(out);
    while (data.len) {
        const size_t len = data.at[0];
        if (len > data.len - 1)
            return false;
        slab_put(&to, view_cut(view_from(data, 1), len));
        data = view_from(data, 1 + len);
    }
    if (to.overflow)
        return false;
    out->records[out->count] = (struct dns_record){0};
    keep(out, &out->records[out->count], to.len);
    return true;
}

/* take_service: RFC 2782. Those with a lower priority stand before it; those that came first, too. */
static bool take_service(struct cursor cursor, struct view data, struct dns_reading *out)
{
    struct slab to = room(out);
    if (data.len < 7)
        return false;
    const struct dns_record record = {.priority = get_u16(data.at), .weight = get_u16(data.at + 2), .port = get_u16(data.at + 4)};
    cursor.at += 6;
    if (!read_name(&cursor, &to))
        return false;
    size_t at = out->count;
    for (; at > 0 && out->records[at - 1].priority > record.priority; at--)
        out->records[at] = out->records[at - 1];
    out->records[at] = record;
    keep(out, &out->records[at], to.len);
    return true;
}

static bool take(struct cursor cursor, struct view data, enum dns_type type, struct dns_reading *out)
{
    switch (type) {
        case DNS_A:
            return data.len == 4 && take_address(data, out);
        case DNS_AAAA:
            return data.len == 16 && take_address(data, out);
        case DNS_TXT:
            return take_text(data, out);
        case DNS_SRV:
            return take_service(cursor, data, out);
    }
    return false;
}

/* read_record: one of the answer section: its TTL counts, whatever it is: an alias may change before what it leads to. RFC 2181 section 8: of a TTL the
 * highest bit is none. */
static bool read_record(struct cursor *cursor, enum dns_type type, struct dns_reading *out)
{
    if (!read_name(cursor, NULL) || left(cursor) < RECORD_LEN)
        return false;
    const uint8_t *head = cursor->message.at + cursor->at;
    const uint32_t ttl = get_u32(head + 4);
    const size_t len = get_u16(head + 8);
    cursor->at += RECORD_LEN;
    if (left(cursor) < len)
        return false;
    const struct cursor inside = *cursor;
    const struct view data = view_of(cursor->message.at + cursor->at, len);
    cursor->at += len;
    if (get_u16(head + 2) != CLASS_IN)
        return true;
    const uint32_t holds = ttl >> 31 ? 0 : ttl;
    out->ttl_s = holds < out->ttl_s ? holds : out->ttl_s;
    return get_u16(head) != type || out->count == DNS_RECORDS_MAX || take(inside, data, type, out);
}

int dns_answer_read(struct view message, enum dns_type type, struct dns_reading *out)
{
    struct cursor cursor = {message, HEADER_LEN};
    out->count = out->text_len = 0;
    out->ttl_s = UINT32_MAX;
    if (message.len < HEADER_LEN)
        return ERR_BAD;
    for (uint16_t questions = get_u16(message.at + 4); questions > 0; questions--) {
        if (!read_name(&cursor, NULL) || left(&cursor) < 4)
            return ERR_BAD;
        cursor.at += 4;
    }
    for (uint16_t answers = get_u16(message.at + 6); answers > 0; answers--)
        if (!read_record(&cursor, type, out))
            return ERR_BAD;
    return out->count ? 0 : ERR_NOT_FOUND;
}
