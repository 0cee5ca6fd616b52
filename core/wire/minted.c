/* minted.c: see minted.h. */
#include "wire/minted.h"

#include "base/err.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

#define EXPIRY_DIGITS 12
#define NUMBER_DIGITS 18
#define TENANT_MARK 't'

/* ---- reading ---- */

static int hex_of(uint8_t digit)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t lower = digit >= 'A' && digit <= 'F' ? (uint8_t)(digit + 32) : digit;
    const char *at = lower ? strchr(digits, lower) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool is_plain(uint8_t byte)
{
    return byte >= ' ' && byte != 0x7f && byte != ',';
}

/* split: what is in front of the first `mark`, which goes from *rest, too; all of it if there is none. */
static struct view split(struct view *rest, char mark)
{
    const uint8_t *at = rest->len ? memchr(rest->at, mark, rest->len) : NULL;
    const struct view part = at ? view_cut(*rest, (size_t)(at - rest->at)) : *rest;
    *rest = view_from(*rest, part.len + 1);
    return part;
}

/* decode: a part as a C string of at most `most` bytes. */
static int decode(struct view part, char *out, size_t most)
{
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        uint8_t byte = part.at[i];
        if (byte == '%') {
            const int high = part.len - i > 2 ? hex_of(part.at[i + 1]) : -1, low = high < 0 ? -1 : hex_of(part.at[i + 2]);
            if (low < 0)
                return ERR_BAD;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (!is_plain(byte) || len == most)
            return ERR_BAD;
        out[len++] = (char)byte;
    }
    out[len] = 0;
    return utf8_is_text(view_of(out, len)) ? 0 : ERR_BAD;
}

/* number: digits and nothing else. */
static int number(struct view text, size_t digits, uint64_t *out)
{
    *out = 0;
    if (text.len == 0 || text.len > digits)
        return ERR_BAD;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return ERR_BAD;
        *out = *out * 10 + (uint64_t)(text.at[i] - '0');
    }
    return 0;
}

static int read_room(struct view value, struct minted *out)
{
    if (*out->room || value.len == 0)
        return ERR_BAD;
    return decode(value, out->room, MINTED_NAME_MAX);
}

static int read_bps(struct view value, struct minted *out)
{
    if (out->max_bps || number(value, NUMBER_DIGITS, &out->max_bps) != 0)
        return ERR_BAD;
    return out->max_bps && out->max_bps <= MINTED_BPS_MAX ? 0 : ERR_BAD;
}

static int read_allocations(struct view value, struct minted *out)
{
    uint64_t count;
    if (out->max_allocations || number(value, NUMBER_DIGITS, &count) != 0 || count == 0 || count > UINT32_MAX)
        return ERR_BAD;
    out->max_allocations = (uint32_t)count;
    return 0;
}

static int read_field(struct view field, struct minted *out)
{
    static const struct {
        const char *name;
        int (*read)(struct view, struct minted *);
    } fields[] = {{"room", read_room}, {"bps", read_bps}, {"n", read_allocations}};
    struct view value = field;
    const struct view name = split(&value, '=');
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (name.len < field.len && view_equal(name, view_text(fields[i].name)))
            return fields[i].read(value, out);
    return ERR_BAD;
}

/* has_form: `expiry:t….…:tag:cid…`; *expiry and *issuer are its first two parts, *rest what follows. */
static bool has_form(struct view username, uint64_t *expiry, struct view *issuer, struct view *rest)
{
    *rest = username;
    if (number(split(rest, ':'), EXPIRY_DIGITS, expiry) != 0)
        return false;
    *issuer = split(rest, ':');
    if (issuer->len == 0 || *issuer->at != TENANT_MARK || !memchr(issuer->at, '.', issuer->len))
        return false;
    return rest->len && memchr(rest->at, ':', rest->len);
}

int minted_parse(struct view username, struct minted *out)
{
    struct view issuer, rest;
    uint64_t expiry;
    if (!has_form(username, &expiry, &issuer, &rest))
        return ERR_NOT_FOUND;
    memset(out, 0, sizeof *out);
    out->expires_unix_s = (int64_t)expiry;
    issuer = view_from(issuer, 1);
    const struct view tenant = split(&issuer, '.'), tag = split(&rest, ':'), cid = split(&rest, ':');
    const bool ends_bare = username.at[username.len - 1] == ':';
    if (username.len > MINTED_MAX_LEN || memchr(username.at, 0, username.len) || ends_bare)
        return ERR_BAD;
    if (!tenant.len || !issuer.len || !cid.len || (issuer.len && memchr(issuer.at, '.', issuer.len)))
        return ERR_BAD;
    if (decode(tenant, out->tenant, MINTED_NAME_MAX) || decode(issuer, out->kid, MINTED_KID_MAX) ||
        decode(tag, out->tag, MINTED_NAME_MAX) || decode(cid, out->cid, MINTED_CID_MAX))
        return ERR_BAD;
    while (rest.len)
        if (read_field(split(&rest, ':'), out) != 0)
            return ERR_BAD;
    return 0;
}

/* ---- writing ---- */

bool minted_is_text(const char *text, size_t most)
{
    const size_t len = strlen(text);
    size_t plain = 0;
    while (plain < len && is_plain((uint8_t)text[plain]))
        plain++;
    return plain == len && len <= most && utf8_is_text(view_of(text, len));
}

/* put: `marks`, beside `:` and `%`, part the name where this stands. */
static void put(struct slab *out, const char *text, const char *marks)
{
    char hex[4];
    for (; *text; text++) {
        const uint8_t byte = (uint8_t)*text;
        const bool is_mark = byte == ':' || byte == '%' || byte >= 0x80 || byte == ' ' || strchr(marks, *text);
        snprintf(hex, sizeof hex, "%%%02X", byte);
        if (is_mark)
            slab_put_text(out, hex);
        else
            slab_put_u8(out, byte);
    }
}

static void put_number(struct slab *out, const char *before, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%s%llu", before, (unsigned long long)value);
    slab_put_text(out, text);
}

static bool is_printable(const struct minted *minted)
{
    return *minted->tenant && *minted->kid && *minted->cid && minted->max_bps <= MINTED_BPS_MAX && minted->expires_unix_s >= 0 &&
           minted->expires_unix_s <= MINTED_EXPIRY_MAX &&
           minted_is_text(minted->tenant, MINTED_NAME_MAX) && minted_is_text(minted->kid, MINTED_KID_MAX) &&
           minted_is_text(minted->tag, MINTED_NAME_MAX) && minted_is_text(minted->cid, MINTED_CID_MAX) &&
           minted_is_text(minted->room, MINTED_NAME_MAX);
}

int minted_print(const struct minted *minted, char out[MINTED_MAX_LEN + 1])
{
    struct slab text = slab_over(out, MINTED_MAX_LEN);
    if (!is_printable(minted))
        return ERR_RANGE;
    put_number(&text, "", (uint64_t)minted->expires_unix_s);
    slab_put_text(&text, ":t");
    put(&text, minted->tenant, ".");
    slab_put_u8(&text, '.');
    put(&text, minted->kid, ".");
    slab_put_u8(&text, ':');
    put(&text, minted->tag, "");
    slab_put_u8(&text, ':');
    put(&text, minted->cid, "");
    if (*minted->room) {
        slab_put_text(&text, ":room=");
        put(&text, minted->room, "");
    }
    if (minted->max_bps)
        put_number(&text, ":bps=", minted->max_bps);
    if (minted->max_allocations)
        put_number(&text, ":n=", minted->max_allocations);
    out[text.len] = 0;
    return text.overflow ? ERR_RANGE : (int)text.len;
}

char *minted_tags(const struct minted *minted, char out[MINTED_TAGS_MAX])
{
    const struct {
        const char *name, *value;
    } tags[] = {{"tag=", minted->tag}, {"room=", minted->room}, {"credential=", minted->cid}, {"key=", minted->kid}};
    struct slab text = slab_over(out, MINTED_TAGS_MAX - 1);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!*tags[i].value)
            continue;
        slab_put_text(&text, text.len ? "," : "");
        slab_put_text(&text, tags[i].name);
        slab_put_text(&text, tags[i].value);
    }
    out[text.len] = 0;
    return out;
}

const char *minted_user(const struct minted *minted)
{
    return *minted->tag ? minted->tag : minted->cid;
}

/* ---- when it was minted ---- */

#define TIME_LEN (MINTED_CID_LEN / 4) /* in bytes: half of the digits */

void minted_cid(int64_t unix_ms, char out[MINTED_CID_LEN + 1])
{
    uint8_t bytes[8 + TIME_LEN];
    put_u64(bytes, (uint64_t)unix_ms);
    crypto_random(bytes + 8, TIME_LEN);
    crypto_hex(view_of(bytes + 8 - TIME_LEN, 2 * TIME_LEN), out);
}

int64_t minted_issued_ms(const struct minted *minted)
{
    uint8_t bytes[8 + TIME_LEN] = {0};
    const int64_t expires_ms = minted->expires_unix_s * 1000;
    if (strlen(minted->cid) != MINTED_CID_LEN || crypto_hex_decode(view_text(minted->cid), bytes + 8 - TIME_LEN, 2 * TIME_LEN) != 0)
        return -1;
    const int64_t issued_ms = (int64_t)get_u64(bytes);
    return issued_ms <= expires_ms && issued_ms > expires_ms - (MINTED_TTL_MAX_S + 1) * INT64_C(1000) ? issued_ms : -1;
}

/* ---- signing ---- */

int minted_key(struct crypto *crypto, const char *master, const char *tenant, const char *kid, char out[MINTED_KEY_LEN + 1])
{
    const struct view parts[] = {view_of(tenant, strlen(tenant) + 1), view_text(kid)};
    uint8_t mac[CRYPTO_HASH_MAX];
    const int err = crypto_hmac(crypto, CRYPTO_SHA256, view_text(master), parts, 2, mac);
    if (!err)
        crypto_hex(view_of(mac, crypto_hash_len(CRYPTO_SHA256)), out);
    crypto_wipe(mac, sizeof mac);
    return err;
}

int minted_password(struct crypto *crypto, struct view secret, struct view username, char out[MINTED_PASSWORD_LEN + 1])
{
    uint8_t mac[CRYPTO_HASH_MAX];
    const int err = crypto_hmac(crypto, CRYPTO_SHA1, secret, &username, 1, mac);
    if (!err)
        crypto_base64(view_of(mac, crypto_hash_len(CRYPTO_SHA1)), out);
    return err;
}
