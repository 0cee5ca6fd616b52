/* vectors.c: tests/vectors/attr_*.hex, a message for each attribute that the wire knows, and value_*.hex, values of the wrong shape. */
#include "base/err.h"
#include "test.h"
#include "wire/attr.h"

#include <ctype.h>
#include <stdlib.h>

#define LONGEST 256

static size_t load(const char *prefix, const char *name, uint8_t out[LONGEST])
{
    char path[128];
    int len = snprintf(path, sizeof path, "tests/vectors/%s_%s.hex", prefix, name);
    for (int i = 0; i < len; i++)
        path[i] = (char)tolower((unsigned char)path[i]);
    char *text = test_file(path);
    if (!text)
        test_failed(__FILE__, __LINE__, "%s cannot be read (run from the root of the project)", path);
    const size_t bytes = test_hex(text, out, LONGEST);
    free(text);
    return bytes;
}

static const struct row {
    const char *name;
    enum attr_slot slot;
    uint16_t type;
} attributes[] = {
#define X(name, number) {#name, SLOT_##name, number},
    STUN_ATTRS(X)
#undef X
};
#define ATTRIBUTES (sizeof attributes / sizeof *attributes)

/* The first attribute of each is the one that it is about. */
TEST(every_attribute_that_is_known_has_a_vector_that_opens)
{
    uint8_t bytes[LONGEST];
    struct message m;
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const size_t len = load("attr", attributes[i].name, bytes);
        if (message_open(&m, view_of(bytes, len)) != 0 || !message_has(&m, attributes[i].slot))
            test_failed(__FILE__, __LINE__, "%s is not in its vector", attributes[i].name);
        CHECK_INT(get_u16(bytes + STUN_HEADER_LEN), attributes[i].type);
        CHECK_INT(message_attr(&m, attributes[i].slot).len, get_u16(bytes + STUN_HEADER_LEN + 2));
        CHECK_INT(m.unknown_count, 0);
    }
}

TEST(no_prefix_of_a_vector_opens)
{
    uint8_t bytes[LONGEST];
    struct message m;
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const size_t whole = load("attr", attributes[i].name, bytes);
        for (size_t len = 0; len < whole; len++) {
            uint8_t *cut = test_guarded(bytes, len);
            CHECK_INT(message_open(&m, view_of(cut, len)), ERR_PARTIAL);
            test_unguard(cut, len);
        }
    }
}

static int read_u32(const struct message *m, enum attr_slot slot)
{
    uint32_t value;
    return attr_u32(m, slot, &value);
}

static int read_u64(const struct message *m, enum attr_slot slot)
{
    uint64_t value;
    return attr_u64(m, slot, &value);
}

static int read_byte(const struct message *m, enum attr_slot slot)
{
    uint8_t value;
    return attr_first_byte(m, slot, &value);
}

static int read_channel(const struct message *m, enum attr_slot slot)
{
    uint16_t number;
    (void)slot;
    return attr_channel(m, &number);
}

static int read_address(const struct message *m, enum attr_slot slot)
{
    struct addr addr;
    return attr_xor_addr(m, slot, &addr);
}

static int read_error(const struct message *m, enum attr_slot slot)
{
    int code;
    struct view reason;
    (void)slot;
    return attr_error(m, &code, &reason);
}

TEST(a_value_of_the_wrong_shape_is_bad_in_a_message_that_opens)
{
    static const struct {
        const char *name;
        int (*read)(const struct message *, enum attr_slot);
        enum attr_slot slot;
    } rows[] = {
        {"channel_number_short", read_channel, SLOT_CHANNEL_NUMBER},
        {"lifetime_long", read_u32, SLOT_LIFETIME},
        {"lifetime_short", read_u32, SLOT_LIFETIME},
        {"xor_peer_address_family_3", read_address, SLOT_XOR_PEER_ADDRESS},
        {"xor_peer_address_ipv4_of_20", read_address, SLOT_XOR_PEER_ADDRESS},
        {"xor_peer_address_ipv6_of_8", read_address, SLOT_XOR_PEER_ADDRESS},
        {"xor_peer_address_short", read_address, SLOT_XOR_PEER_ADDRESS},
        {"xor_peer_address_empty", read_address, SLOT_XOR_PEER_ADDRESS},
        {"requested_address_family_short", read_byte, SLOT_REQUESTED_ADDRESS_FAMILY},
        {"even_port_long", read_byte, SLOT_EVEN_PORT},
        {"requested_transport_short", read_byte, SLOT_REQUESTED_TRANSPORT},
        {"reservation_token_short", read_u64, SLOT_RESERVATION_TOKEN},
        {"additional_address_family_long", read_byte, SLOT_ADDITIONAL_ADDRESS_FAMILY},
        {"error_code_short", read_error, SLOT_ERROR_CODE},
        {"error_code_class_7", read_error, SLOT_ERROR_CODE},
        {"error_code_number_100", read_error, SLOT_ERROR_CODE},
    };
    uint8_t bytes[LONGEST];
    struct message m;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t len = load("value", rows[i].name, bytes);
        uint8_t *guarded = test_guarded(bytes, len);
        if (message_open(&m, view_of(guarded, len)) != 0 || rows[i].read(&m, rows[i].slot) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "%s is not told", rows[i].name);
        test_unguard(guarded, len);
    }
}

TEST_LIST(RUN(every_attribute_that_is_known_has_a_vector_that_opens) RUN(no_prefix_of_a_vector_opens)
              RUN(a_value_of_the_wrong_shape_is_bad_in_a_message_that_opens))
