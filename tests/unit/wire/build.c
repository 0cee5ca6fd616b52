/* build.c: what is built is, byte for byte, what RFC 5769 prints; and it never leaves its room. */
#include "wire/build.h"
#include "base/err.h"
#include "test.h"
#include "wire/attr.h"
#include "wire/integrity.h"

#include <stdlib.h>

#define LONGEST 256
#define PASSWORD "VOkJxbRl1RmTxUk/WvJxBt"

static const uint8_t tid[STUN_TID_LEN] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

static size_t load(const char *path, uint8_t *out)
{
    char *text = test_file(path);
    if (!text)
        test_failed(__FILE__, __LINE__, "%s cannot be read (run from the root of the project)", path);
    const size_t len = test_hex(text, out, LONGEST);
    free(text);
    return len;
}

/* pad_with_spaces: RFC 5769 pads with spaces where we pad with zeros; both sign the padding. So the padding of the attribute put last is
 * overwritten before the message is signed; every other byte is the builder's own. */
static void pad_with_spaces(struct build *build, size_t len)
{
    memset(build->out.at + build->out.len - len, ' ', len);
}

static void check_vector(struct build *build, struct view key, const char *path)
{
    struct crypto *crypto = crypto_new();
    uint8_t want[LONGEST];
    const size_t len = load(path, want);
    CHECK(crypto);
    CHECK_INT(build_integrity(build, crypto, key), 0);
    if (build->out.len < len)
        build_fingerprint(build);
    const struct view got = build_end(build);
    CHECK_INT(got.len, len);
    CHECK_BYTES(got.at, want, len);
    crypto_free(crypto);
}

TEST(the_sample_request_is_rebuilt_byte_for_byte)
{
    struct build build;
    uint8_t room[LONGEST];
    build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_REQUEST, tid);
    build_attr_text(&build, ATTR_SOFTWARE, "STUN test client");
    build_attr_u32(&build, 0x0024, 0x6e0001ff);
    build_attr_u64(&build, 0x8029, UINT64_C(0x932ff9b151263b36));
    build_attr_text(&build, ATTR_USERNAME, "evtj:h6vY");
    pad_with_spaces(&build, 3);
    check_vector(&build, view_text(PASSWORD), "tests/vectors/rfc5769_request.hex");
}

static void rebuild_response(const struct addr *mapped, const char *path)
{
    struct build build;
    uint8_t room[LONGEST];
    build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_SUCCESS, tid);
    build_attr_text(&build, ATTR_SOFTWARE, "test vector");
    pad_with_spaces(&build, 1);
    build_xor_addr(&build, ATTR_XOR_MAPPED_ADDRESS, mapped);
    check_vector(&build, view_text(PASSWORD), path);
}

TEST(the_responses_are_rebuilt_byte_for_byte)
{
    struct addr v4, v6;
    CHECK_INT(addr_parse(view_text("192.0.2.1:32853"), &v4), 0);
    CHECK_INT(addr_parse(view_text("[2001:db8:1234:5678:11:2233:4455:6677]:32853"), &v6), 0);
    rebuild_response(&v4, "tests/vectors/rfc5769_response_ipv4.hex");
    rebuild_response(&v6, "tests/vectors/rfc5769_response_ipv6.hex");
}

TEST(the_long_term_request_is_rebuilt_byte_for_byte_with_zero_padding)
{
    static const uint8_t long_term_tid[] = {0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e};
    const char *user = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9";
    struct build build;
    uint8_t room[LONGEST], key[INTEGRITY_KEY_LEN];
    struct crypto *crypto = crypto_new();
    CHECK(crypto);
    CHECK_INT(integrity_key(crypto, view_text(user), view_text("example.org"), view_text("TheMatrIX"), key), 0);
    crypto_free(crypto);
    memset(room, 0xee, sizeof room);
    build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_REQUEST, long_term_tid);
    build_attr_text(&build, ATTR_USERNAME, user);
    build_attr_text(&build, ATTR_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
    build_attr_text(&build, ATTR_REALM, "example.org");
    check_vector(&build, view_of(key, sizeof key), "tests/vectors/rfc5769_long_term.hex");
}

TEST(every_padding_byte_is_zero)
{
    for (size_t len = 0; len < 9; len++) {
        struct build build;
        uint8_t room[LONGEST];
        memset(room, 0xee, sizeof room);
        build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_SUCCESS, tid);
        build_attr(&build, ATTR_SOFTWARE, view_of("xxxxxxxxx", len));
        const struct view out = build_end(&build);
        CHECK_INT(out.len % 4, 0);
        CHECK_INT(out.len, 24 + (len + 3) / 4 * 4);
        for (size_t at = 24 + len; at < out.len; at++)
            CHECK_INT(room[at], 0);
        CHECK_INT(room[out.len], 0xee);
    }
}

/* everything: one of each kind of attribute, signed and with a fingerprint. */
static struct view everything(struct build *build, struct crypto *crypto, struct slab out)
{
    struct addr v4, v6;
    CHECK_INT(addr_parse(view_text("10.0.0.1:1"), &v4), 0);
    CHECK_INT(addr_parse(view_text("[fe80::1]:65535"), &v6), 0);
    build_begin(build, out, METHOD_ALLOCATE, STUN_ERROR, tid);
    build_error(build, STUN_UNKNOWN_ATTRIBUTE, stun_code_reason(STUN_UNKNOWN_ATTRIBUTE));
    build_unknown(build, (const uint16_t[]){0x7fff, 0x1234, 0x0001}, 3);
    build_attr_u64(build, ATTR_RESERVATION_TOKEN, UINT64_C(0x0102030405060708));
    build_xor_addr(build, ATTR_XOR_RELAYED_ADDRESS, &v6);
    build_addr(build, ATTR_MAPPED_ADDRESS, &v4);
    build_addr(build, ATTR_ALTERNATE_SERVER, &v6);
    build_attr_u32(build, ATTR_LIFETIME, 600);
    build_attr(build, ATTR_DATA, view_of(NULL, 0));
    CHECK_INT(build_integrity(build, crypto, view_text("key")), 0);
    build_fingerprint(build);
    return build_end(build);
}

TEST(what_is_built_is_read_back)
{
    struct crypto *crypto = crypto_new();
    struct build build;
    struct message m;
    struct addr addr;
    struct view reason;
    uint8_t room[LONGEST];
    uint64_t token;
    int code;
    char text[ADDR_TEXT_MAX];
    CHECK(crypto);
    const struct view out = everything(&build, crypto, slab_over(room, sizeof room));
    CHECK_INT(message_open(&m, out), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("key")), 0);
    CHECK_INT(m.method, METHOD_ALLOCATE);
    CHECK_INT(m.class, STUN_ERROR);
    CHECK_INT(attr_error(&m, &code, &reason), 0);
    CHECK_INT(code, 420);
    CHECK(view_equal(reason, view_text("Unknown Attribute")));
    CHECK(view_equal(message_attr(&m, SLOT_UNKNOWN_ATTRIBUTES), view_of("\x7f\xff\x12\x34\x00\x01", 6)));
    CHECK_INT(attr_u64(&m, SLOT_RESERVATION_TOKEN, &token), 0);
    CHECK(token == UINT64_C(0x0102030405060708));
    CHECK_INT(attr_xor_addr(&m, SLOT_XOR_RELAYED_ADDRESS, &addr), 0);
    CHECK_TEXT(addr_format(&addr, text), "[fe80::1]:65535");
    CHECK(view_equal(message_attr(&m, SLOT_MAPPED_ADDRESS), view_of("\0\1\0\1\n\0\0\1", 8)));
    CHECK(view_equal(message_attr(&m, SLOT_ALTERNATE_SERVER), view_of("\0\2\xff\xff\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 20)));
    CHECK(message_has(&m, SLOT_DATA) && message_attr(&m, SLOT_DATA).len == 0 && message_attr(&m, SLOT_DATA).at);
    CHECK(message_has(&m, SLOT_FINGERPRINT));
    crypto_free(crypto);
}

TEST(an_overflow_at_any_byte_writes_nothing_beyond_and_is_told_at_the_end)
{
    struct crypto *crypto = crypto_new();
    struct build build;
    uint8_t room[LONGEST], junk[LONGEST];
    CHECK(crypto);
    memset(junk, 0xee, sizeof junk);
    const size_t whole = everything(&build, crypto, slab_over(room, sizeof room)).len;
    for (size_t cap = 0; cap <= whole; cap++) {
        uint8_t *guarded = test_guarded(junk, cap);
        CHECK_INT(everything(&build, crypto, slab_over(guarded, cap)).len, cap == whole ? whole : 0);
        CHECK_INT(build.out.overflow, cap < whole);
        test_unguard(guarded, cap);
    }
    crypto_free(crypto);
}

TEST(a_message_never_outgrows_its_length_field)
{
    enum { CAP = 200000 };
    uint8_t *room = malloc(CAP), *value = calloc(1, CAP);
    struct build build;
    CHECK(room && value);
    for (size_t len = 0xFFF0; len < 0x10010; len++) {
        build_begin(&build, slab_over(room, CAP), METHOD_DATA, STUN_INDICATION, tid);
        build_attr(&build, ATTR_DATA, view_of(value, len));
        CHECK_INT(build_end(&build).len, len <= 0xFFF8 ? 20 + 4 + (len + 3) / 4 * 4 : 0);
    }
    build_begin(&build, slab_over(room, CAP), METHOD_DATA, STUN_INDICATION, tid);
    for (int i = 0; i < 4; i++)
        build_attr(&build, ATTR_DATA, view_of(value, 0x3FFB)); /* four of 0x4000 bytes are four too many */
    CHECK_INT(build_end(&build).len, 0);
    build_begin(&build, slab_over(room, CAP), METHOD_DATA, STUN_INDICATION, tid);
    build_attr(&build, ATTR_DATA, view_of(value, 65537)); /* 1 in 16 bits */
    CHECK_INT(build_end(&build).len, 0);
    free(room);
    free(value);
}

static void around(size_t payload, const struct addr *peer)
{
    const size_t before = peer->family == ADDR_IPV4 ? 36 : 48, padding = (4 - payload % 4) % 4;
    uint8_t *block = malloc(BUILD_DATA_HEADROOM + payload + 4);
    CHECK(block);
    memset(block, 0xee, BUILD_DATA_HEADROOM + payload + 4);
    const struct view out = build_data_around(block + BUILD_DATA_HEADROOM, payload, peer, tid);
    CHECK(out.at == block + BUILD_DATA_HEADROOM - before);
    CHECK_INT(out.len, before + payload + padding);
    CHECK_INT(block[BUILD_DATA_HEADROOM + payload + padding], 0xee);
    if (before < BUILD_DATA_HEADROOM)
        CHECK_INT(block[BUILD_DATA_HEADROOM - before - 1], 0xee);
    for (size_t i = 0; i < padding; i++)
        CHECK_INT(block[BUILD_DATA_HEADROOM + payload + i], 0);

    struct message m;
    struct addr got;
    CHECK_INT(message_open(&m, out), 0);
    CHECK_INT(m.method, METHOD_DATA);
    CHECK_INT(m.class, STUN_INDICATION);
    CHECK_BYTES(m.tid, tid, STUN_TID_LEN);
    CHECK_INT(attr_xor_addr(&m, SLOT_XOR_PEER_ADDRESS, &got), 0);
    CHECK(addr_equal(&got, peer));
    const struct view data = message_attr(&m, SLOT_DATA);
    CHECK(data.at == block + BUILD_DATA_HEADROOM);
    CHECK_INT(data.len, payload);
    for (size_t i = 0; i < payload; i++)
        CHECK_INT(data.at[i], 0xee);
    free(block);
}

TEST(a_data_indication_is_written_around_its_payload)
{
    struct addr v4, v6;
    CHECK_INT(addr_parse(view_text("192.0.2.1:32853"), &v4), 0);
    CHECK_INT(addr_parse(view_text("[2001:db8::1]:9"), &v6), 0);
    for (size_t payload = 0; payload < 9; payload++) {
        around(payload, &v4);
        around(payload, &v6);
    }
    around(1200, &v4);
    around(65507, &v4); /* the longest UDP payload over IPv4 */
    around(65504, &v6);
    uint8_t byte = 0;
    CHECK_INT(build_data_around(&byte, 65505, &v6, tid).len, 0); /* the length field would wrap */
    CHECK_INT(build_data_around(&byte, 65517, &v4, tid).len, 0);
    CHECK_INT(build_data_around(&byte, SIZE_MAX, &v4, tid).len, 0);
    around(65516, &v4);
}

TEST(an_icmp_attribute_has_seven_bits_of_type_and_nine_of_code)
{
    static const uint8_t wanted[] = {0x80, 0x04, 0x00, 0x08, 0x00, 0x00, 0x06, 0x04, 0x00, 0x00, 0x05, 0x14};
    uint8_t bytes[64];
    struct build build;
    build_begin(&build, slab_over(bytes, sizeof bytes), METHOD_DATA, STUN_INDICATION, tid);
    build_icmp(&build, 3, 4, 1300);
    CHECK_INT(build_end(&build).len, STUN_HEADER_LEN + sizeof wanted);
    CHECK_BYTES(bytes + STUN_HEADER_LEN, wanted, sizeof wanted);
}

TEST(an_address_error_names_its_family)
{
    static const uint8_t wanted[] = {0x80, 0x01, 0x00, 0x20, 0x02, 0x00, 0x04, 40, 'A', 'd', 'd', 'r', 'e', 's', 's'};
    uint8_t bytes[128];
    struct build build;
    build_begin(&build, slab_over(bytes, sizeof bytes), METHOD_ALLOCATE, STUN_SUCCESS, tid);
    build_address_error(&build, ADDR_IPV6, STUN_FAMILY_UNSUPPORTED);
    CHECK_INT(build_end(&build).len, STUN_HEADER_LEN + 4 + 32);
    CHECK_BYTES(bytes + STUN_HEADER_LEN, wanted, sizeof wanted);
    build_begin(&build, slab_over(bytes, sizeof bytes), METHOD_ALLOCATE, STUN_SUCCESS, tid);
    build_address_error(&build, ADDR_IPV4, STUN_CAPACITY);
    CHECK_INT(bytes[STUN_HEADER_LEN + 4], 1);
}

TEST_LIST(RUN(the_sample_request_is_rebuilt_byte_for_byte) RUN(the_responses_are_rebuilt_byte_for_byte)
              RUN(the_long_term_request_is_rebuilt_byte_for_byte_with_zero_padding) RUN(every_padding_byte_is_zero)
                  RUN(what_is_built_is_read_back) RUN(an_overflow_at_any_byte_writes_nothing_beyond_and_is_told_at_the_end)
                      RUN(a_message_never_outgrows_its_length_field) RUN(a_data_indication_is_written_around_its_payload)
                          RUN(an_icmp_attribute_has_seven_bits_of_type_and_nine_of_code) RUN(an_address_error_names_its_family))
