/* opaque.c: the OpaqueString profile: RFC 8265's examples, RFC 8264's classes, and what SASLprep would have made. */
#include "base/opaque.h"
#include "base/err.h"
#include "test.h"

static const char *enforced(const char *text, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len;
    if (opaque_enforce(view_text(text), out, &len, why) != 0)
        test_failed(__FILE__, __LINE__, "\"%s\" %s", text, why);
    CHECK_INT(len, strlen(out));
    return out;
}

static const char *refused(const char *text, char why[OPAQUE_WHY_MAX])
{
    char out[OPAQUE_MAX_LEN + 1];
    size_t len;
    if (opaque_enforce(view_text(text), out, &len, why) == 0)
        test_failed(__FILE__, __LINE__, "\"%s\" is let through", text);
    CHECK(opaque_is_plain(view_text(text)) || opaque_prepared(view_text(text), out).len == 0);
    return why;
}

TEST(the_examples_of_rfc_8265_section_4_3)
{
    static const struct {
        const char *given, *prepared;
    } legal[] = {
        {"correct horse battery staple", "correct horse battery staple"},
        {"Correct Horse Battery Staple", "Correct Horse Battery Staple"},
        {"\u03C0\u00DF\u00E5", "\u03C0\u00DF\u00E5"},
        {"Jack of \u2666s", "Jack of \u2666s"},
        {"foo\u1680bar", "foo bar"},
    };
    char out[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    for (size_t i = 0; i < sizeof legal / sizeof *legal; i++)
        CHECK_TEXT(enforced(legal[i].given, out), legal[i].prepared);
    CHECK_TEXT(refused("", why), "is empty");
    CHECK_TEXT(refused("my cat is a \tby", why), "has U+0009, which RFC 8265 does not allow");
}

TEST(spaces_become_one_kind_and_letters_are_composed)
{
    char out[OPAQUE_MAX_LEN + 1];
    CHECK_TEXT(enforced("a\u00A0b\u3000c\u2009d", out), "a b c d");
    CHECK_TEXT(enforced("Noe\u0308l", out), "No\u00EBl");
    CHECK_TEXT(enforced("\u1112\u1161\u11AB", out), "\uD55C"); /* Hangul of its parts: what remains is judged */
    CHECK_TEXT(enforced("\u212B", out), "\u00C5");             /* ANGSTROM SIGN is the letter, canonically */
    CHECK_TEXT(enforced("\uFF34\uFF45\u2168", out), "\uFF34\uFF45\u2168");
}

/* RFC 8265 section 5 wants the rules applied again until nothing changes: once is enough */
TEST(what_is_prepared_is_prepared_already)
{
    char once[OPAQUE_MAX_LEN + 1], twice[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    size_t len, again, allowed = 0;
    for (uint32_t point = 0xA0; point < 0x10000; point++) {
        const uint8_t bytes[] = {'a', (uint8_t)(0xE0 | point >> 12), (uint8_t)(0x80 | (point >> 6 & 0x3F)), (uint8_t)(0x80 | (point & 0x3F))};
        const uint8_t two[] = {'a', (uint8_t)(0xC0 | point >> 6), (uint8_t)(0x80 | (point & 0x3F))};
        const struct view given = point < 0x800 ? view_of(two, sizeof two) : view_of(bytes, sizeof bytes);
        if (opaque_enforce(given, once, &len, why) != 0)
            continue;
        allowed++;
        CHECK_INT(opaque_enforce(view_of(once, len), twice, &again, why), 0);
        CHECK_TEXT(twice, once);
    }
    CHECK(allowed > 50000);
}

TEST(what_the_class_does_not_allow_is_refused_by_name)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a\x01", "has U+0001, which RFC 8265 does not allow"},
        {"a\x7F", "has U+007F, which RFC 8265 does not allow"},
        {"\xC2\x85", "has U+0085, which RFC 8265 does not allow"},
        {"The\u00ADM", "has U+00AD, which RFC 8265 does not allow"}, /* SOFT HYPHEN is invisible */
        {"a\u200Bb", "has U+200B, which RFC 8265 does not allow"},   /* so is ZERO WIDTH SPACE */
        {"a\u202Eb", "has U+202E, which RFC 8265 does not allow"},   /* and what turns the direction */
        {"a\u2028b", "has U+2028, which RFC 8265 does not allow"},
        {"\uE000", "has U+E000, which RFC 8265 does not allow"}, /* private use */
        {"\uFDD0", "has U+FDD0, which RFC 8265 does not allow"}, /* no character */
        {"\u0378", "has U+0378, which RFC 8265 does not allow"}, /* not assigned */
        {"\u1100", "has U+1100, which RFC 8265 does not allow"}, /* half a syllable */
        {"\u0640", "has U+0640, which RFC 8265 does not allow"}, /* an exception */
        {"\xFF\xFE", "is not UTF-8"},
        {"\xC0\xAF", "is not UTF-8"},
        {"\xED\xA0\x80", "is not UTF-8"},
        {"caf\xC3", "is not UTF-8"},
    };
    char why[OPAQUE_WHY_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_TEXT(refused(cases[i].text, why), cases[i].why);
}

TEST(some_stand_only_where_they_have_a_meaning)
{
    static const char *const fit[] = {
        "col\u00B7lega",
        "\u0375\u03B1",
        "\u05D0\u05F3",
        "\u30A2\u30FB\u30A2",
        "\u0661\u0662",
        "\u06F1\u06F2",
        "\u0915\u094D\u200D\u0937",       /* behind a virama */
        "\u0628\u200C\u0628",             /* between letters that join */
        "\u0628\u0651\u200C\u0651\u0628", /* over marks */
    };
    static const char *const unfit[] = {
        "a\u00B7b", "\u0375a", "a\u05F3", "a\u30FBb", "\u0661\u06F2", "a\u200Db", "a\u200Cb", "\u200C", "\u0628\u200C", "\u0628\u200Ca",
    };
    char out[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++)
        CHECK_TEXT(enforced(fit[i], out), fit[i]);
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        CHECK(strstr(refused(unfit[i], why), "does not allow there"));
}

TEST(plain_ascii_is_neither_copied_nor_allocated_for)
{
    char out[OPAQUE_MAX_LEN + 1] = "untouched";
    const struct view name = view_text("ann ~!");
    test_fail_malloc_after(0);
    const struct view prepared = opaque_prepared(name, out), older = opaque_saslprep(name, out);
    test_fail_malloc_after(-1);
    CHECK(prepared.at == name.at && older.at == name.at);
    CHECK_TEXT(out, "untouched");
    CHECK(!opaque_is_plain(view_text("")) && !opaque_is_plain(view_text("a\n")) && !opaque_is_plain(view_text("\u00E9")));
}

TEST(a_string_is_as_long_as_the_room_and_no_longer)
{
    char text[OPAQUE_MAX_LEN + 2], out[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    memset(text, 'a', sizeof text);
    text[OPAQUE_MAX_LEN] = 0;
    CHECK_INT(strlen(enforced(text, out)), OPAQUE_MAX_LEN);
    text[OPAQUE_MAX_LEN] = 'a';
    text[OPAQUE_MAX_LEN + 1] = 0;
    CHECK_TEXT(refused(text, why), "is too long");
    size_t at = 0;
    for (; at + 3 <= OPAQUE_MAX_LEN; at += 3)
        memcpy(text + at, "\uFB2C", 3); /* is decomposed into three, for good */
    text[at] = 0;
    CHECK_TEXT(refused(text, why), "is too long");
}

TEST(saslprep_is_another_form_of_few)
{
    char out[OPAQUE_MAX_LEN + 1];
    static const struct {
        const char *prepared, *older;
    } cases[] = {
        {"TheM\u00AAtr\u2168", "TheMatrIX"}, /* RFC 5769 section 2.4, but for the SOFT HYPHEN, which OpaqueString refuses */
        {"\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9", "\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9"}, /* its username */
        {"\uFF34\uFF45", "Te"},
        {"\u0628\u200C\u0628", "\u0628\u0628"},
        {"No\u00EBl", "No\u00EBl"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct view older = opaque_saslprep(view_text(cases[i].prepared), out);
        CHECK(view_equal(older, view_text(cases[i].older)));
    }
}

TEST(no_byte_is_read_beyond_the_string)
{
    static const char text[] = "a\u00E9\u30DE\U0001F511e\u0301";
    char out[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    size_t made;
    for (size_t len = 0; len < sizeof text; len++) {
        uint8_t *guarded = test_guarded(text, len);
        const int err = opaque_enforce(view_of(guarded, len), out, &made, why);
        CHECK(err == 0 || err == ERR_BAD);
        opaque_saslprep(view_of(guarded, len), out);
        test_unguard(guarded, len);
    }
}

TEST_LIST(RUN(the_examples_of_rfc_8265_section_4_3) RUN(spaces_become_one_kind_and_letters_are_composed)
              RUN(what_is_prepared_is_prepared_already) RUN(what_the_class_does_not_allow_is_refused_by_name) RUN(some_stand_only_where_they_have_a_meaning)
                  RUN(plain_ascii_is_neither_copied_nor_allocated_for) RUN(a_string_is_as_long_as_the_room_and_no_longer)
                      RUN(saslprep_is_another_form_of_few) RUN(no_byte_is_read_beyond_the_string))
