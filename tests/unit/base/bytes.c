/* bytes.c: views, slabs and big-endian numbers. */
#include "base/bytes.h"
#include "base/err.h"
#include "test.h"

TEST(a_view_is_cut_and_never_grows)
{
    const struct view in = view_text("abcdef");
    CHECK_INT(in.len, 6);
    CHECK(view_equal(view_from(in, 2), view_text("cdef")));
    CHECK(view_equal(view_cut(in, 2), view_text("ab")));
    CHECK_INT(view_from(in, 6).len, 0);
    CHECK_INT(view_from(in, 7).len, 0);
    CHECK_INT(view_from(in, SIZE_MAX).len, 0);
    CHECK_INT(view_cut(in, SIZE_MAX).len, 6);
    CHECK_INT(view_from(view_of(NULL, 0), 3).len, 0);
}

TEST(views_are_equal_by_length_and_bytes)
{
    CHECK(view_equal(view_text("ab"), view_of("abc", 2)));
    CHECK(!view_equal(view_text("ab"), view_text("abc")));
    CHECK(!view_equal(view_text("ab"), view_text("ac")));
    CHECK(view_equal(view_of(NULL, 0), view_text("")));
}

TEST(a_view_is_copied_as_a_string_cut_to_its_room)
{
    char out[4];
    CHECK_TEXT(view_copy(view_text("ab"), out, sizeof out), "ab");
    CHECK_TEXT(view_copy(view_text("abc"), out, sizeof out), "abc");
    CHECK_TEXT(view_copy(view_text("abcd"), out, sizeof out), "abc");
    CHECK_TEXT(view_copy(view_text("abcd"), out, 1), "");
    CHECK_TEXT(view_copy(view_of(NULL, 0), out, sizeof out), "");
}

TEST(numbers_are_big_endian_at_any_alignment)
{
    uint8_t at[17] = {0};
    for (size_t shift = 0; shift < 8; shift++) {
        put_u64(at + shift, UINT64_C(0x0102030405060708));
        CHECK_BYTES(at + shift, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        CHECK(get_u64(at + shift) == UINT64_C(0x0102030405060708));
        put_u32(at + shift, 0xfffefdfcu);
        CHECK(get_u32(at + shift) == 0xfffefdfcu);
        put_u16(at + shift, 0xfffe);
        CHECK_INT(get_u16(at + shift), 0xfffe);
    }
}

TEST(a_slab_appends)
{
    uint8_t room[32];
    struct slab slab = slab_over(room, sizeof room);
    slab_put_u8(&slab, 1);
    slab_put_u16(&slab, 0x0203);
    slab_put_u32(&slab, 0x04050607);
    slab_put_u64(&slab, UINT64_C(0x08090a0b0c0d0e0f));
    slab_put_text(&slab, "xy");
    slab_put(&slab, view_of(NULL, 0));
    memset(slab_room(&slab, 2), 'z', 1);
    CHECK(!slab.overflow);
    CHECK_INT(slab_view(&slab).len, 19);
    CHECK_BYTES(room, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17xyz\0", 19);
}

TEST(an_overflow_writes_nothing_and_sticks)
{
    uint8_t *room = test_guarded("....", 4);
    struct slab slab = slab_over(room, 4);
    slab_put_text(&slab, "abc");
    slab_put_u16(&slab, 0x2121);
    CHECK(slab.overflow);
    CHECK_BYTES(room, "abc.", 4);
    slab_put_u8(&slab, '!'); /* would fit */
    CHECK(!slab_room(&slab, 0));
    CHECK_BYTES(room, "abc.", 4);
    CHECK_INT(slab_view(&slab).len, 0);
    test_unguard(room, 4);
}

TEST(a_slab_is_filled_to_its_last_byte)
{
    uint8_t *room = test_guarded("....", 4);
    struct slab slab = slab_over(room, 4);
    slab_put_u32(&slab, 0x61626364);
    CHECK(!slab.overflow);
    CHECK(view_equal(slab_view(&slab), view_text("abcd")));
    slab_put(&slab, view_of(room, SIZE_MAX));
    CHECK(slab.overflow);
    test_unguard(room, 4);
}

TEST(every_error_has_a_phrase)
{
    for (int err = ERR_DENIED; err <= 0; err++)
        CHECK(strcmp(err_text(err), "unknown error") != 0);
    CHECK_TEXT(err_text(1), "unknown error");
    CHECK_TEXT(err_text(ERR_DENIED - 1), "unknown error");
}

TEST_LIST(RUN(a_view_is_cut_and_never_grows) RUN(views_are_equal_by_length_and_bytes) RUN(a_view_is_copied_as_a_string_cut_to_its_room)
              RUN(numbers_are_big_endian_at_any_alignment) RUN(a_slab_appends) RUN(an_overflow_writes_nothing_and_sticks)
                  RUN(a_slab_is_filled_to_its_last_byte) RUN(every_error_has_a_phrase))
