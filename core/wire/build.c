/* build.c: write a STUN message. */
#include "wire/build.h"

#include "base/err.h"
#include "wire/integrity.h"

#include <string.h>

#define LENGTH_MAX 0xFFFCu /* the header's length field is a multiple of 4 */

void build_begin(struct build *build, struct slab out, uint16_t method, enum stun_class class, const uint8_t tid[STUN_TID_LEN])
{
    *build = (struct build){.out = out};
    slab_put_u16(&build->out, stun_type(method, class));
    slab_put_u16(&build->out, 0);
    slab_put_u32(&build->out, STUN_MAGIC);
    slab_put(&build->out, view_of(tid, STUN_TID_LEN));
}

void build_begin_classic(struct build *build, struct slab out, uint16_t method, enum stun_class class, const uint8_t id[4 + STUN_TID_LEN])
{
    build_begin(build, out, method, class, id + 4);
    if (!build->out.overflow)
        memcpy(build->out.at + 4, id, 4);
}

/* attr_room: an attribute's header, and room for `len` bytes of value with its padding, all zero; NULL once it does not fit. */
static uint8_t *attr_room(struct build *build, uint16_t type, size_t len)
{
    struct slab *out = &build->out;
    if (len > LENGTH_MAX - STUN_ATTR_HEADER_LEN)
        out->overflow = true;
    if (out->overflow)
        return NULL;
    const size_t need = STUN_ATTR_HEADER_LEN + ((len + 3) & ~(size_t)3);
    if (need > LENGTH_MAX - (out->len - STUN_HEADER_LEN))
        out->overflow = true;
    uint8_t *at = slab_room(out, need);
    if (!at)
        return NULL;
    put_u16(at, type);
    put_u16(at + 2, (uint16_t)len);
    put_u16(out->at + 2, (uint16_t)(out->len - STUN_HEADER_LEN));
    return at + STUN_ATTR_HEADER_LEN;
}

void build_attr(struct build *build, uint16_t type, struct view value)
{
    uint8_t *at = attr_room(build, type, value.len);
    if (at && value.len)
        memcpy(at, value.at, value.len);
}

void build_attr_text(struct build *build, uint16_t type, const char *text)
{
    build_attr(build, type, view_text(text));
}

void build_attr_u32(struct build *build, uint16_t type, uint32_t value)
{
    uint8_t *at = attr_room(build, type, 4);
    if (at)
        put_u32(at, value);
}

void build_attr_u64(struct build *build, uint16_t type, uint64_t value)
{
    uint8_t *at = attr_room(build, type, 8);
    if (at)
        put_u64(at, value);
}

static size_t addr_value_len(const struct addr *addr)
{
    return addr->family == ADDR_IPV4 ? 8 : 20;
}

/* put_addr: family, port, address; RFC 8489 section 14.1. */
static void put_addr(uint8_t *at, const struct addr *addr)
{
    const size_t len = addr_value_len(addr) - 4;
    put_u16(at, len == 4 ? 1 : 2);
    put_u16(at + 2, addr->port);
    memcpy(at + 4, addr->ip + 16 - len, len);
}

/* put_xor_addr: the same, XORed with the 16 bytes of cookie and transaction id; section 14.2. */
static void put_xor_addr(uint8_t *at, const struct addr *addr, const uint8_t mask[16])
{
    put_addr(at, addr);
    put_u16(at + 2, addr->port ^ (uint16_t)(STUN_MAGIC >> 16));
    for (size_t i = 0; i < addr_value_len(addr) - 4; i++)
        at[4 + i] ^= mask[i];
}

void build_addr(struct build *build, uint16_t type, const struct addr *addr)
{
    uint8_t *at = attr_room(build, type, addr_value_len(addr));
    if (at)
        put_addr(at, addr);
}

void build_xor_addr(struct build *build, uint16_t type, const struct addr *addr)
{
    uint8_t *at = attr_room(build, type, addr_value_len(addr));
    if (at)
        put_xor_addr(at, addr, build->out.at + 4);
}

/* put_error: RFC 8489 section 14.8; RFC 8656 section 18.12 puts a family first. */
static uint8_t *put_error(struct build *build, uint16_t type, int code, const char *reason)
{
    const struct view text = view_text(reason);
    uint8_t *at = attr_room(build, type, 4 + text.len);
    if (!at)
        return NULL;
    at[2] = (uint8_t)(code / 100);
    at[3] = (uint8_t)(code % 100);
    memcpy(at + 4, text.at, text.len);
    return at;
}

void build_error(struct build *build, int code, const char *reason)
{
    put_error(build, ATTR_ERROR_CODE, code, reason);
}

void build_address_error(struct build *build, uint8_t family, int code)
{
    uint8_t *at = put_error(build, ATTR_ADDRESS_ERROR_CODE, code, stun_code_reason(code));
    if (at)
        at[0] = family == ADDR_IPV4 ? 1 : 2;
}

void build_unknown(struct build *build, const uint16_t *types, size_t count)
{
    uint8_t *at = attr_room(build, ATTR_UNKNOWN_ATTRIBUTES, 2 * count);
    for (size_t i = 0; at && i < count; i++)
        put_u16(at + 2 * i, types[i]);
}

void build_padding(struct build *build, size_t len)
{
    attr_room(build, ATTR_PADDING, len);
}

/* 16 bits of zero, 7 of type, 9 of code, 32 of data: so the figure of RFC 8656 section 18.13, and its text names no widths; who reads 8 and 8
 * is wrong by one bit. The type of an error is below 128 in ICMPv6 too (RFC 4443 section 2.1). */
void build_icmp(struct build *build, uint8_t type, uint8_t code, uint32_t data)
{
    uint8_t *at = attr_room(build, ATTR_ICMP, 8);
    if (!at)
        return;
    put_u16(at + 2, (uint16_t)(type << 9 | code));
    put_u32(at + 4, data);
}

static int put_integrity(struct build *build, struct crypto *crypto, enum crypto_hash hash, struct view key)
{
    const size_t signed_len = build->out.len;
    const uint16_t type = hash == CRYPTO_SHA1 ? ATTR_MESSAGE_INTEGRITY : ATTR_MESSAGE_INTEGRITY_SHA256;
    uint8_t *at = attr_room(build, type, crypto_hash_len(hash)); /* first: its length is signed too */
    if (!at)
        return 0;
    const struct view part = view_of(build->out.at, signed_len);
    const int err = crypto_hmac(crypto, hash, key, &part, 1, at);
    if (err)
        build->out.overflow = true; /* nobody shall send it */
    return err;
}

int build_integrity(struct build *build, struct crypto *crypto, struct view key)
{
    return put_integrity(build, crypto, CRYPTO_SHA1, key);
}

int build_integrity_sha256(struct build *build, struct crypto *crypto, struct view key)
{
    return put_integrity(build, crypto, CRYPTO_SHA256, key);
}

void build_fingerprint(struct build *build)
{
    const size_t len = build->out.len;
    uint8_t *at = attr_room(build, ATTR_FINGERPRINT, 4);
    if (at)
        put_u32(at, integrity_crc32(view_of(build->out.at, len)) ^ STUN_FINGERPRINT_XOR);
}

struct view build_end(struct build *build)
{
    return slab_view(&build->out);
}

struct view build_data_around(uint8_t *payload_at, size_t payload, const struct addr *peer, const uint8_t tid[STUN_TID_LEN])
{
    const size_t addr_len = addr_value_len(peer), padding = -payload & 3;
    const size_t before = STUN_HEADER_LEN + STUN_ATTR_HEADER_LEN + addr_len + STUN_ATTR_HEADER_LEN;
    if (payload > LENGTH_MAX - (before - STUN_HEADER_LEN))
        return view_of(NULL, 0);
    uint8_t *at = payload_at - before;
    put_u16(at, stun_type(METHOD_DATA, STUN_INDICATION));
    put_u16(at + 2, (uint16_t)(before - STUN_HEADER_LEN + payload + padding));
    put_u32(at + 4, STUN_MAGIC);
    memcpy(at + 8, tid, STUN_TID_LEN);
    put_u16(at + 20, ATTR_XOR_PEER_ADDRESS);
    put_u16(at + 22, (uint16_t)addr_len);
    put_xor_addr(at + 24, peer, at + 4);
    put_u16(payload_at - 4, ATTR_DATA);
    put_u16(payload_at - 2, (uint16_t)payload);
    memset(payload_at + payload, 0, padding);
    return view_of(at, before + payload + padding);
}
