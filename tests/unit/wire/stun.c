/* stun.c: the rows, the interleaved type, and the CRC of FINGERPRINT. */
#include "wire/stun.h"
#include "base/bytes.h"
#include "test.h"
#include "wire/integrity.h"

TEST(every_type_of_14_bits_goes_both_ways)
{
    for (unsigned method = 0; method < 0x1000; method++)
        for (unsigned class = 0; class < 4; class ++) {
            const uint16_t type = stun_type((uint16_t)method, (enum stun_class) class);
            CHECK(type < 0x4000);
            CHECK_INT(stun_type_method(type), method);
            CHECK_INT(stun_type_class(type), class);
        }
}

TEST(types_are_those_of_the_rfcs)
{
    CHECK_INT(stun_type(METHOD_BINDING, STUN_REQUEST), 0x0001);
    CHECK_INT(stun_type(METHOD_BINDING, STUN_SUCCESS), 0x0101);
    CHECK_INT(stun_type(METHOD_ALLOCATE, STUN_ERROR), 0x0113);
    CHECK_INT(stun_type(METHOD_SEND, STUN_INDICATION), 0x0016);
    CHECK_INT(stun_type(METHOD_DATA, STUN_INDICATION), 0x0017);
    CHECK_INT(stun_type(0xfff, STUN_ERROR), 0x3fff);
    CHECK_INT(stun_type(0x080, STUN_REQUEST), 0x0200);
    CHECK_INT(stun_type(0x010, STUN_REQUEST), 0x0020);
}

TEST(rows_have_names_and_the_rest_is_unknown)
{
    CHECK_TEXT(stun_method_name(METHOD_CREATE_PERMISSION), "CREATE_PERMISSION");
    CHECK_TEXT(stun_method_name(0x002), "unknown");
    CHECK(stun_method_known(METHOD_CHANNEL_BIND));
    CHECK(!stun_method_known(0x000) && !stun_method_known(0x002) && !stun_method_known(0xfff));
    CHECK_TEXT(stun_attr_name(ATTR_XOR_PEER_ADDRESS), "XOR_PEER_ADDRESS");
    CHECK_TEXT(stun_attr_name(0x7fff), "unknown");
    CHECK_TEXT(stun_code_reason(STUN_QUOTA), "Allocation Quota Reached");
    CHECK_TEXT(stun_code_reason(999), "unknown");
}

TEST(every_known_attribute_has_its_slot)
{
    static const uint16_t rows[] = {
#define X(name, number) [SLOT_##name] = number,
        STUN_ATTRS(X)
#undef X
    };
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        CHECK_INT(stun_attr_slot(rows[slot]), slot);
    size_t known = 0;
    for (unsigned type = 0; type < 0x10000; type++)
        known += stun_attr_slot((uint16_t)type) != SLOT_COUNT;
    CHECK_INT(known, SLOT_COUNT);
}

TEST(the_upper_half_need_not_be_understood)
{
    CHECK(stun_attr_must_understand(0) && stun_attr_must_understand(0x7fff));
    CHECK(!stun_attr_must_understand(0x8000) && !stun_attr_must_understand(0xffff));
}

static uint32_t crc_bit_by_bit(struct view in)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < in.len; i++) {
        crc ^= in.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

TEST(the_crc_is_that_of_v42)
{
    uint8_t bytes[300];
    CHECK(integrity_crc32(view_text("123456789")) == 0xCBF43926u);
    CHECK(integrity_crc32(view_of(NULL, 0)) == 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 3));
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint8_t *copy = test_guarded(bytes, len);
        CHECK(integrity_crc32(view_of(copy, len)) == crc_bit_by_bit(view_of(bytes, len)));
        test_unguard(copy, len);
    }
}

TEST_LIST(RUN(every_type_of_14_bits_goes_both_ways) RUN(types_are_those_of_the_rfcs) RUN(rows_have_names_and_the_rest_is_unknown)
              RUN(every_known_attribute_has_its_slot) RUN(the_upper_half_need_not_be_understood) RUN(the_crc_is_that_of_v42))
