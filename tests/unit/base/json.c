/* json.c: strings of JSON, whatever bytes they are made of. */
#include "base/json.h"
#include "base/utf8.h"
#include "test.h"

static const char *put(const char *text, size_t len)
{
    static char out[256];
    struct slab slab = slab_over(out, sizeof out - 1);
    json_put_text(&slab, text, len);
    out[slab_view(&slab).len] = 0;
    return out;
}

TEST(what_json_wants_escaped_is)
{
    CHECK_TEXT(put("ann", 3), "\"ann\"");
    CHECK_TEXT(put("", 0), "\"\"");
    CHECK_TEXT(put("a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"");
    CHECK_TEXT(put("\b\f\n\r\t", 5), "\"\\b\\f\\n\\r\\t\"");
    CHECK_TEXT(put("\0\x1f\x7f", 3), "\"\\u0000\\u001f\x7f\"");
}

TEST(utf8_stays_and_other_bytes_are_latin)
{
    CHECK_TEXT(put("J\xc3\xbcrgen \xf0\x9f\x98\x80", 12), "\"J\xc3\xbcrgen \xf0\x9f\x98\x80\"");
    CHECK_TEXT(put("J\xfcrgen", 6), "\"J\xc3\xbcrgen\"");
    CHECK_TEXT(put("\xc3\xbc\xff\n", 4), "\"\xc3\x83\xc2\xbc\xc3\xbf\\n\""); /* as a whole */
}

TEST(what_does_not_fit_is_an_overflow)
{
    char out[8];
    struct slab slab = slab_over(out, sizeof out);
    json_put_text(&slab, "1234567", 7);
    CHECK(slab.overflow);
}

TEST(characters_are_whole_and_shortest)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {{"a", 1},
                {"\x7f", 1},
                {"\xc2\x80", 2},
                {"\xe0\xa0\x80", 3},
                {"\xed\x9f\xbf", 3},
                {"\xf4\x8f\xbf\xbf", 4},
                {"\x80", 0},
                {"\xc0\xaf", 0},
                {"\xc3", 0},
                {"\xe0\x9f\xbf", 0},
                {"\xed\xa0\x80", 0},
                {"\xf0\x8f\xbf\xbf", 0},
                {"\xf4\x90\x80\x80", 0},
                {"\xe2\x82", 0},
                {"", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_INT(utf8_len(view_text(rows[i].text)), rows[i].len);
    CHECK(utf8_is_text(view_text("J\xc3\xbcrgen")));
    CHECK(!utf8_is_text(view_text("J\xc3")));
    CHECK(utf8_is_text(view_text("")));
}

TEST(text_is_made_of_any_bytes_and_cut_between_characters)
{
    char out[8];
    CHECK_TEXT(utf8_text(view_text("J\xc3\xbcrg"), out, sizeof out), "J\xc3\xbcrg");
    CHECK_TEXT(utf8_text(view_text("J\xfcrg"), out, sizeof out), "J\xc3\xbcrg");
    CHECK_TEXT(utf8_text(view_text("abcdef\xc3\xbc"), out, sizeof out), "abcdef");
    CHECK_TEXT(utf8_text(view_text("abcdef\xfc"), out, sizeof out), "abcdef");
    CHECK_TEXT(utf8_text(view_text("a"), out, 1), "");
}

TEST_LIST(RUN(text_is_made_of_any_bytes_and_cut_between_characters) RUN(what_json_wants_escaped_is)
              RUN(utf8_stays_and_other_bytes_are_latin) RUN(what_does_not_fit_is_an_overflow) RUN(characters_are_whole_and_shortest))
