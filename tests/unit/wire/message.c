/* message.c: the RFC 5769 vectors, every prefix and every mutation of them, and malformed forms. */
#include "wire/message.h"
#include "base/err.h"
#include "test.h"
#include "wire/attr.h"
#include "wire/integrity.h"

#include <stdlib.h>

#define HEADER "21 12 a4 42 00 01 02 03 04 05 06 07 08 09 0a 0b "

static const struct vector {
    const char *file;
    size_t len;
    enum stun_class class;
    const char *password; /* NULL: the long-term credential of section 2.4 */
} vectors[] = {
    {"rfc5769_request", 108, STUN_REQUEST, "VOkJxbRl1RmTxUk/WvJxBt"},
    {"rfc5769_response_ipv4", 80, STUN_SUCCESS, "VOkJxbRl1RmTxUk/WvJxBt"},
    {"rfc5769_response_ipv6", 92, STUN_SUCCESS, "VOkJxbRl1RmTxUk/WvJxBt"},
    {"rfc5769_long_term", 116, STUN_REQUEST, NULL},
};
#define VECTORS (sizeof vectors / sizeof *vectors)
#define LONGEST 256

static size_t load(const char *name, uint8_t *out)
{
    char path[128];
    snprintf(path, sizeof path, "tests/vectors/%s.hex", name);
    char *text = test_file(path);
    if (!text)
        test_failed(__FILE__, __LINE__, "%s cannot be read (run from the root of the project)", path);
    const size_t len = test_hex(text, out, LONGEST);
    free(text);
    CHECK(len > 0 && len < LONGEST);
    return len;
}

/* opened: the message in `hex`, kept in `bytes` of LONGEST; the outcome of message_open. */
static int opened(struct message *message, const char *hex, uint8_t *bytes)
{
    const size_t len = test_hex(hex, bytes, LONGEST);
    return message_open(message, view_of(bytes, len));
}

static struct view vector_key(struct crypto *crypto, const struct vector *vector, const struct message *message,
                              uint8_t key[INTEGRITY_KEY_LEN])
{
    if (vector->password)
        return view_text(vector->password);
    CHECK_INT(integrity_key(crypto, message_attr(message, SLOT_USERNAME), message_attr(message, SLOT_REALM), view_text("TheMatrIX"), key),
              0);
    return view_of(key, INTEGRITY_KEY_LEN);
}

TEST(the_vectors_open_and_verify)
{
    struct crypto *crypto = crypto_new();
    CHECK(crypto);
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t bytes[LONGEST], key[INTEGRITY_KEY_LEN];
        struct message m;
        CHECK_INT(load(vectors[i].file, bytes), vectors[i].len);
        CHECK_INT(message_open(&m, view_of(bytes, vectors[i].len)), 0);
        CHECK_INT(m.method, METHOD_BINDING);
        CHECK_INT(m.class, vectors[i].class);
        CHECK(m.tid == bytes + 8);
        CHECK_INT(message_has(&m, SLOT_FINGERPRINT), vectors[i].password != NULL);
        const struct view right = vector_key(crypto, &vectors[i], &m, key);
        CHECK_INT(integrity_check(crypto, &m, right), 0);
        CHECK_INT(integrity_check(crypto, &m, view_from(right, 1)), ERR_DENIED);
        CHECK_INT(integrity_check(crypto, &m, view_of(NULL, 0)), ERR_DENIED);
    }
    crypto_free(crypto);
}

TEST(the_vectors_say_what_the_rfc_says)
{
    uint8_t bytes[LONGEST];
    struct message m;
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    CHECK_INT(message_open(&m, view_of(bytes, load("rfc5769_request", bytes))), 0);
    CHECK(view_equal(message_attr(&m, SLOT_SOFTWARE), view_text("STUN test client")));
    CHECK(view_equal(message_attr(&m, SLOT_USERNAME), view_text("evtj:h6vY")));
    CHECK_INT(m.unknown_count, 1); /* PRIORITY must be understood by an ICE agent; a server does not know it */
    CHECK_INT(m.unknown[0], 0x0024);
    CHECK_INT(message_open(&m, view_of(bytes, load("rfc5769_response_ipv4", bytes))), 0);
    CHECK_INT(attr_xor_addr(&m, SLOT_XOR_MAPPED_ADDRESS, &addr), 0);
    CHECK_TEXT(addr_format(&addr, text), "192.0.2.1:32853");
    CHECK(view_equal(message_attr(&m, SLOT_SOFTWARE), view_text("test vector")));
    CHECK_INT(message_open(&m, view_of(bytes, load("rfc5769_response_ipv6", bytes))), 0);
    CHECK_INT(attr_xor_addr(&m, SLOT_XOR_MAPPED_ADDRESS, &addr), 0);
    CHECK_TEXT(addr_format(&addr, text), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    CHECK_INT(message_open(&m, view_of(bytes, load("rfc5769_long_term", bytes))), 0);
    CHECK(view_equal(message_attr(&m, SLOT_USERNAME), view_text("\u30de\u30c8\u30ea\u30c3\u30af\u30b9")));
    CHECK(view_equal(message_attr(&m, SLOT_NONCE), view_text("f//499k954d6OL34oL9FSTvy64sA")));
    CHECK(view_equal(message_attr(&m, SLOT_REALM), view_text("example.org")));
}

TEST(every_prefix_of_every_vector_is_partial)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t bytes[LONGEST];
        const size_t whole = load(vectors[i].file, bytes);
        for (size_t len = 0; len <= whole; len++) {
            struct message m;
            uint8_t *copy = test_guarded(bytes, len);
            CHECK_INT(message_open(&m, view_of(copy, len)), len < whole ? ERR_PARTIAL : 0);
            test_unguard(copy, len);
        }
    }
}

/* A prefix whose length field says so is a message of its own, cut inside an attribute: refused, or honest about what is left. */
TEST(every_prefix_that_claims_to_be_whole_is_read_within_its_bounds)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t bytes[LONGEST];
        const size_t whole = load(vectors[i].file, bytes);
        for (size_t len = STUN_HEADER_LEN; len < whole; len++) {
            struct message m;
            uint8_t *copy = test_guarded(bytes, len);
            put_u16(copy + 2, (uint16_t)(len - STUN_HEADER_LEN));
            const int err = message_open(&m, view_of(copy, len));
            CHECK(err == 0 || err == ERR_BAD);
            CHECK(len % 4 == 0 || err == ERR_BAD);
            test_unguard(copy, len);
        }
    }
}

/* touch_all: use every getter on a message that opened; nothing may read outside of it. */
static void touch_all(const struct message *m)
{
    size_t sum = 0;
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        const struct view value = message_attr(m, (enum attr_slot)slot);
        uint32_t u32;
        uint64_t u64;
        uint8_t byte;
        struct addr addr;
        for (size_t k = 0; k < value.len; k++)
            sum += value.at[k];
        (void)attr_u32(m, (enum attr_slot)slot, &u32);
        (void)attr_u64(m, (enum attr_slot)slot, &u64);
        (void)attr_first_byte(m, (enum attr_slot)slot, &byte);
        (void)attr_xor_addr(m, (enum attr_slot)slot, &addr);
    }
    struct view value;
    int code;
    uint16_t number;
    (void)attr_error(m, &code, &value);
    (void)attr_channel(m, &number);
    for (size_t cursor = 0; message_next(m, ATTR_XOR_PEER_ADDRESS, &cursor, &value);)
        for (size_t k = 0; k < value.len; k++)
            sum += value.at[k];
    CHECK(sum < SIZE_MAX);
}

/* Behind MESSAGE-INTEGRITY only the FINGERPRINT is left: with another type it is one more attribute that nobody signed and nobody sees. */
TEST(every_single_byte_mutation_is_survived_and_none_of_what_is_signed_verifies)
{
    struct crypto *crypto = crypto_new();
    CHECK(crypto);
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t bytes[LONGEST], key[INTEGRITY_KEY_LEN];
        struct message m;
        const size_t len = load(vectors[i].file, bytes);
        CHECK_INT(message_open(&m, view_of(bytes, len)), 0);
        const struct view right = vector_key(crypto, &vectors[i], &m, key);
        const size_t covered = m.signed_len + STUN_ATTR_HEADER_LEN + INTEGRITY_SHA1_LEN;
        uint8_t *copy = test_guarded(bytes, len);
        for (size_t at = 0; at < len; at++)
            for (unsigned flip = 1; flip < 256; flip++) {
                copy[at] = (uint8_t)(bytes[at] ^ flip);
                if (message_open(&m, view_of(copy, len)) == 0) {
                    touch_all(&m);
                    CHECK(at >= covered || integrity_check(crypto, &m, right) != 0);
                }
                copy[at] = bytes[at];
            }
        test_unguard(copy, len);
    }
    crypto_free(crypto);
}

TEST(malformed_forms_are_bad)
{
    static const char *const names[] = {
        "cookie",           "length_not_multiple", "trailing_bytes",    "first_bits",        "attr_beyond_end",
        "attr_length_fffc", "attr_length_ffff",    "fingerprint_wrong", "fingerprint_short", "fingerprint_not_last",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        uint8_t bytes[LONGEST];
        struct message m;
        snprintf(name, sizeof name, "malformed_%s", names[i]);
        const size_t len = load(name, bytes);
        uint8_t *copy = test_guarded(bytes, len);
        if (message_open(&m, view_of(copy, len)) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "%s is not bad", name);
        test_unguard(copy, len);
    }
}

TEST(every_attribute_length_is_bounded)
{
    uint8_t bytes[LONGEST];
    struct message m;
    const size_t len = test_hex("00 01 00 10 " HEADER "80 22 00 00 00 00 00 00 80 22 00 04 41 42 43 44", bytes, LONGEST);
    uint8_t *copy = test_guarded(bytes, len);
    for (uint32_t claim = 0; claim <= UINT16_MAX; claim++) {
        put_u16(copy + STUN_HEADER_LEN + 2, (uint16_t)claim);
        const bool ok = claim == 0 || (claim >= 1 && claim <= 4) || (claim >= 9 && claim <= 12);
        const int err = message_open(&m, view_of(copy, len));
        CHECK_INT(err == 0, ok);
        if (ok)
            CHECK_INT(message_attr(&m, SLOT_SOFTWARE).len, claim);
    }
    test_unguard(copy, len);
}

TEST(the_largest_message_opens)
{
    enum { LEN = STUN_HEADER_LEN + 0xFFFC };
    uint8_t *bytes = calloc(1, LEN);
    struct message m;
    CHECK(bytes);
    put_u32(bytes, 0x0001FFFC);
    put_u32(bytes + 4, STUN_MAGIC);
    put_u32(bytes + 20, 0x8022FFF8);
    CHECK_INT(message_open(&m, view_of(bytes, LEN)), 0);
    CHECK_INT(message_attr(&m, SLOT_SOFTWARE).len, 0xFFF8);
    put_u16(bytes + 22, 0xFFF9);
    CHECK_INT(message_open(&m, view_of(bytes, LEN)), ERR_BAD);
    put_u16(bytes + 22, 0xFFFC);
    CHECK_INT(message_open(&m, view_of(bytes, LEN)), ERR_BAD);
    free(bytes);
}

TEST(of_repeated_attributes_the_first_counts)
{
    uint8_t bytes[LONGEST];
    struct message m;
    uint32_t lifetime;
    CHECK_INT(opened(&m, "00 03 00 10 " HEADER "00 0d 00 04 00 00 00 01  00 0d 00 04 00 00 00 02", bytes), 0);
    CHECK_INT(attr_u32(&m, SLOT_LIFETIME, &lifetime), 0);
    CHECK_INT(lifetime, 1);
}

TEST(peers_are_walked_in_order)
{
    uint8_t bytes[LONGEST];
    struct message m;
    struct view value;
    struct addr addr;
    size_t cursor = 0;
    CHECK_INT(opened(&m,
                     "00 08 00 24 " HEADER "00 12 00 08 00 01 21 13 2b 12 a4 43  80 22 00 01 41 00 00 00"
                     "00 12 00 08 00 01 21 10 2b 12 a4 40  00 12 00 00",
                     bytes),
              0);
    CHECK(message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK_INT(attr_xor_addr_value(&m, value, &addr), 0);
    CHECK(addr_equal(&addr, &(struct addr){.ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .port = 1, .family = ADDR_IPV4}));
    CHECK(message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK_INT(attr_xor_addr_value(&m, value, &addr), 0);
    CHECK_INT(addr.port, 2);
    CHECK(message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK_INT(attr_xor_addr_value(&m, value, &addr), ERR_BAD);
    CHECK(!message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK(!message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    cursor = 0;
    CHECK(!message_next(&m, ATTR_DATA, &cursor, &value));
}

TEST(what_is_behind_the_integrity_is_not_there)
{
    uint8_t bytes[LONGEST];
    struct message m;
    struct view value;
    size_t cursor = 0;
    CHECK_INT(opened(&m,
                     "00 08 00 3c " HEADER "00 12 00 08 00 01 21 13 2b 12 a4 43"
                     "00 08 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
                     "00 12 00 08 00 01 21 10 2b 12 a4 40  00 0d 00 04 00 00 00 02  7f ff 00 00",
                     bytes),
              0);
    CHECK(message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK(!message_next(&m, ATTR_XOR_PEER_ADDRESS, &cursor, &value));
    CHECK(!message_has(&m, SLOT_LIFETIME));
    CHECK_INT(m.unknown_count, 0);
    CHECK_INT(m.signed_len, STUN_HEADER_LEN + 12);
}

TEST(a_second_integrity_does_not_move_what_is_signed)
{
    uint8_t bytes[LONGEST];
    struct message m;
    CHECK_INT(opened(&m,
                     "00 08 00 38 " HEADER "00 08 00 14 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 "
                     "00 0d 00 04 00 00 00 02 "
                     "00 08 00 14 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02",
                     bytes),
              0);
    CHECK_INT(m.signed_len, STUN_HEADER_LEN);
    CHECK_INT(message_attr(&m, SLOT_MESSAGE_INTEGRITY).at[0], 1);
    CHECK(!message_has(&m, SLOT_LIFETIME));
}

TEST(an_integrity_of_another_length_never_verifies)
{
    struct crypto *crypto = crypto_new();
    uint8_t bytes[LONGEST];
    struct message m;
    CHECK(crypto);
    CHECK_INT(opened(&m, "00 01 00 04 " HEADER "00 08 00 00", bytes), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("key")), ERR_DENIED);
    CHECK_INT(opened(&m, "00 01 00 08 " HEADER "00 08 00 04 01 02 03 04", bytes), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("key")), ERR_DENIED);
    CHECK_INT(opened(&m, "00 01 00 00 " HEADER, bytes), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("key")), ERR_NOT_FOUND);
    crypto_free(crypto);
}

TEST(unknown_attributes_are_told_once_each_up_to_the_limit)
{
    uint8_t bytes[LONGEST];
    struct message m;
    struct slab slab = slab_over(bytes, sizeof bytes);
    slab_put(&slab, view_of((const uint8_t[]){0, 1, 0, 48, 0x21, 0x12, 0xa4, 0x42}, 8));
    slab_room(&slab, STUN_TID_LEN);
    for (uint16_t i = 0; i < 12; i++) {
        slab_put_u16(&slab, i == 1 ? 0x9000 : (uint16_t)(0x7000 + i / 2 * 2 + (i > 5 ? i % 2 : 0)));
        slab_put_u16(&slab, 0);
    }
    CHECK_INT(message_open(&m, slab_view(&slab)), 0);
    CHECK_INT(m.unknown_count, MESSAGE_UNKNOWN_MAX);
    static const uint16_t want[] = {0x7000, 0x7002, 0x7004, 0x7006, 0x7007, 0x7008, 0x7009, 0x700a};
    CHECK_BYTES(m.unknown, want, sizeof want);
}

TEST(a_fingerprint_is_seen_behind_the_integrity)
{
    uint8_t bytes[LONGEST];
    struct message m;
    CHECK_INT(message_open(&m, view_of(bytes, load("rfc5769_request", bytes))), 0);
    CHECK(message_has(&m, SLOT_FINGERPRINT));
    CHECK(message_attr(&m, SLOT_DATA).at == NULL);
    CHECK_INT(message_attr(&m, SLOT_DATA).len, 0);
}

/* What stun-client 0.97 sends: CHANGE-REQUEST, and a transaction id of 16 bytes. */
TEST(a_message_of_rfc_3489_opens_as_such_and_as_no_other)
{
    static const uint8_t whole[28] = {0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 3, 0, 4, 0, 0, 0, 6};
    struct message m;
    for (size_t len = 0; len <= sizeof whole; len++) {
        uint8_t *at = test_guarded(whole, len);
        CHECK_INT(message_open_classic(&m, view_of(at, len)), len < sizeof whole ? ERR_PARTIAL : 0);
        test_unguard(at, len);
    }
    CHECK_INT(message_open_classic(&m, view_of(whole, sizeof whole)), 0);
    CHECK(m.is_classic && m.tid == whole + 8 && message_has(&m, SLOT_CHANGE_REQUEST));
    CHECK_INT(message_open(&m, view_of(whole, sizeof whole)), ERR_BAD);
    uint8_t modern[28];
    memcpy(modern, whole, sizeof modern);
    put_u32(modern + 4, STUN_MAGIC);
    CHECK_INT(message_open_classic(&m, view_of(modern, sizeof modern)), ERR_BAD);
    CHECK_INT(message_open(&m, view_of(modern, sizeof modern)), 0);
    CHECK(!m.is_classic);
}

TEST_LIST(RUN(a_message_of_rfc_3489_opens_as_such_and_as_no_other) RUN(the_vectors_open_and_verify) RUN(the_vectors_say_what_the_rfc_says) RUN(every_prefix_of_every_vector_is_partial)
              RUN(every_prefix_that_claims_to_be_whole_is_read_within_its_bounds)
                  RUN(every_single_byte_mutation_is_survived_and_none_of_what_is_signed_verifies) RUN(malformed_forms_are_bad)
                      RUN(every_attribute_length_is_bounded) RUN(the_largest_message_opens) RUN(of_repeated_attributes_the_first_counts)
                          RUN(peers_are_walked_in_order) RUN(what_is_behind_the_integrity_is_not_there)
                              RUN(a_second_integrity_does_not_move_what_is_signed) RUN(an_integrity_of_another_length_never_verifies)
                                  RUN(unknown_attributes_are_told_once_each_up_to_the_limit)
                                      RUN(a_fingerprint_is_seen_behind_the_integrity))
