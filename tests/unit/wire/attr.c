/* attr.c: values of the wrong size or shape are bad, absent ones are not found. */
#include "wire/attr.h"
#include "base/err.h"
#include "test.h"

static const uint8_t header[STUN_HEADER_LEN] = {0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

/* with: a message with one attribute, flush against a guard page if its length is a multiple of 4. */
struct sample {
    struct message m;
    uint8_t *bytes;
    size_t len;
};

static struct sample with(uint16_t type, const void *value, size_t len)
{
    uint8_t bytes[64] = {0};
    struct sample sample = {.len = STUN_HEADER_LEN + STUN_ATTR_HEADER_LEN + (len + 3) / 4 * 4};
    memcpy(bytes, header, sizeof header);
    put_u16(bytes + 2, (uint16_t)(sample.len - STUN_HEADER_LEN));
    put_u16(bytes + 20, type);
    put_u16(bytes + 22, (uint16_t)len);
    memcpy(bytes + 24, value, len);
    sample.bytes = test_guarded(bytes, sample.len);
    CHECK_INT(message_open(&sample.m, view_of(sample.bytes, sample.len)), 0);
    return sample;
}

static void done(struct sample *sample)
{
    test_unguard(sample->bytes, sample->len);
}

TEST(a_response_port_is_two_bytes_with_or_without_two_of_padding)
{
    for (size_t len = 0; len <= 8; len++) {
        struct sample port = with(ATTR_RESPONSE_PORT, "\xd0\x09zzzzzz", len);
        uint16_t out = 0;
        CHECK_INT(attr_port(&port.m, SLOT_RESPONSE_PORT, &out), len == 2 || len == 4 ? 0 : ERR_BAD);
        CHECK_INT(out, len == 2 || len == 4 ? 0xd009 : 0);
        CHECK_INT(attr_port(&port.m, SLOT_LIFETIME, &out), ERR_NOT_FOUND);
        done(&port);
    }
}

TEST(a_number_has_exactly_its_size)
{
    for (size_t len = 0; len <= 12; len++) {
        struct sample lifetime = with(ATTR_LIFETIME, "\0\0\2\x58zzzzzzzz", len),
                      token = with(ATTR_RESERVATION_TOKEN, "\1\2\3\4\5\6\7\x08zzzz", len);
        struct sample channel = with(ATTR_CHANNEL_NUMBER, "\x40\1\0\0zzzzzzzz", len),
                      transport = with(ATTR_REQUESTED_TRANSPORT, "\x11zzzzzzzzzzz", len);
        struct sample even = with(ATTR_EVEN_PORT, "\x80zzzzzzzzzzz", len);
        uint32_t u32 = 0;
        uint64_t u64 = 0;
        uint16_t u16 = 0;
        uint8_t u8 = 0;
        CHECK_INT(attr_u32(&lifetime.m, SLOT_LIFETIME, &u32), len == 4 ? 0 : ERR_BAD);
        CHECK_INT(u32, len == 4 ? 600 : 0);
        CHECK_INT(attr_u64(&token.m, SLOT_RESERVATION_TOKEN, &u64), len == 8 ? 0 : ERR_BAD);
        CHECK(u64 == (len == 8 ? UINT64_C(0x0102030405060708) : 0));
        CHECK_INT(attr_channel(&channel.m, &u16), len == 4 ? 0 : ERR_BAD);
        CHECK_INT(u16, len == 4 ? 0x4001 : 0);
        CHECK_INT(attr_first_byte(&transport.m, SLOT_REQUESTED_TRANSPORT, &u8), len == 4 ? 0 : ERR_BAD);
        CHECK_INT(u8, len == 4 ? 17 : 0);
        u8 = 0;
        CHECK_INT(attr_first_byte(&even.m, SLOT_EVEN_PORT, &u8), len == 1 || len == 4 ? 0 : ERR_BAD);
        CHECK_INT(u8, len == 1 || len == 4 ? 0x80 : 0);
        done(&lifetime), done(&token), done(&channel), done(&transport), done(&even);
    }
}

TEST(what_is_absent_is_not_found)
{
    struct sample sample = with(ATTR_SOFTWARE, "", 0);
    struct addr addr;
    struct view reason;
    uint32_t u32;
    uint64_t u64;
    uint16_t u16;
    uint8_t u8;
    int code;
    CHECK_INT(attr_u32(&sample.m, SLOT_LIFETIME, &u32), ERR_NOT_FOUND);
    CHECK_INT(attr_u64(&sample.m, SLOT_RESERVATION_TOKEN, &u64), ERR_NOT_FOUND);
    CHECK_INT(attr_first_byte(&sample.m, SLOT_EVEN_PORT, &u8), ERR_NOT_FOUND);
    CHECK_INT(attr_channel(&sample.m, &u16), ERR_NOT_FOUND);
    CHECK_INT(attr_xor_addr(&sample.m, SLOT_XOR_PEER_ADDRESS, &addr), ERR_NOT_FOUND);
    CHECK_INT(attr_error(&sample.m, &code, &reason), ERR_NOT_FOUND);
    done(&sample);
}

/* RFC 8656 sections 18.1, 18.6, 18.8: what is reserved is not looked at. */
TEST(reserved_bits_are_ignored)
{
    struct sample channel = with(ATTR_CHANNEL_NUMBER, "\x40\1\xff\xff", 4),
                  transport = with(ATTR_REQUESTED_TRANSPORT, "\x11\xff\xff\xff", 4);
    struct sample family = with(ATTR_REQUESTED_ADDRESS_FAMILY, "\2\xff\xff\xff", 4);
    uint16_t number = 0;
    uint8_t protocol = 0, wanted = 0;
    CHECK_INT(attr_channel(&channel.m, &number), 0);
    CHECK_INT(number, 0x4001);
    CHECK_INT(attr_first_byte(&transport.m, SLOT_REQUESTED_TRANSPORT, &protocol), 0);
    CHECK_INT(protocol, 17);
    CHECK_INT(attr_first_byte(&family.m, SLOT_REQUESTED_ADDRESS_FAMILY, &wanted), 0);
    CHECK_INT(wanted, 2);
    done(&channel), done(&transport), done(&family);
}

TEST(an_address_has_the_size_of_its_family)
{
    uint8_t value[24] = {0};
    for (unsigned family = 0; family < 256; family++)
        for (size_t len = 0; len <= 24; len++) {
            value[1] = (uint8_t)family;
            struct sample sample = with(ATTR_XOR_PEER_ADDRESS, value, len);
            struct addr addr;
            const bool ok = (family == 1 && len == 8) || (family == 2 && len == 20);
            CHECK_INT(attr_xor_addr(&sample.m, SLOT_XOR_PEER_ADDRESS, &addr), ok ? 0 : ERR_BAD);
            if (ok)
                CHECK_INT(addr.family, family == 1 ? ADDR_IPV4 : ADDR_IPV6);
            done(&sample);
        }
}

/* RFC 8489 section 14.1: the first byte is ignored by receivers. */
TEST(the_first_byte_of_an_address_is_ignored)
{
    struct sample sample = with(ATTR_XOR_PEER_ADDRESS, "\xff\1\x21\x12\x21\x12\xa4\x42", 8);
    struct addr addr;
    CHECK_INT(attr_xor_addr(&sample.m, SLOT_XOR_PEER_ADDRESS, &addr), 0);
    CHECK(addr_is_any(&addr) && addr.port == 0);
    done(&sample);
}

TEST(an_error_code_is_between_300_and_699)
{
    static const struct {
        uint8_t value[6];
        size_t len;
        int code;
    } cases[] = {{{0, 0, 4, 86, 'n', 'o'}, 6, 486},
                 {{0, 0, 3, 0}, 4, 300},
                 {{0xff, 0xff, 0xfc, 99}, 4, 499},
                 {{0, 0, 6, 99}, 4, 699},
                 {{0, 0, 4, 100}, 4, 0},
                 {{0, 0, 2, 99}, 4, 0},
                 {{0, 0, 7, 0}, 4, 0},
                 {{0, 0, 4}, 3, 0},
                 {{0}, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample sample = with(ATTR_ERROR_CODE, cases[i].value, cases[i].len);
        struct view reason;
        int code = 0;
        CHECK_INT(attr_error(&sample.m, &code, &reason), cases[i].code ? 0 : ERR_BAD);
        CHECK_INT(code, cases[i].code);
        if (code)
            CHECK_INT(reason.len, cases[i].len - 4);
        done(&sample);
    }
}

TEST_LIST(RUN(a_response_port_is_two_bytes_with_or_without_two_of_padding) RUN(a_number_has_exactly_its_size) RUN(what_is_absent_is_not_found) RUN(reserved_bits_are_ignored)
              RUN(an_address_has_the_size_of_its_family) RUN(the_first_byte_of_an_address_is_ignored)
                  RUN(an_error_code_is_between_300_and_699))
