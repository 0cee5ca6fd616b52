/* nearest.c: suggestions for mistyped words. */
#include "base/nearest.h"
#include "test.h"

static const char *const words[] = {"authenticate", "authorize", "permission", "log", "realm"};

static const char *find(const char *word)
{
    return nearest(word, words, sizeof words / sizeof *words);
}

TEST(a_word_that_is_known_is_its_own_nearest)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        CHECK_TEXT(find(words[i]), words[i]);
}

TEST(one_slip_of_each_kind_is_near)
{
    CHECK_TEXT(find("athorize"), "authorize");
    CHECK_TEXT(find("authhorize"), "authorize");
    CHECK_TEXT(find("autharize"), "authorize");
    CHECK_TEXT(find("authroize"), "authorize");
    CHECK_TEXT(find("relam"), "realm");
}

TEST(a_swap_of_neighbours_counts_once)
{
    static const char *const pair[] = {"abxy", "bazw"};
    CHECK_TEXT(nearest("baxy", pair, 2), "abxy"); /* one swap; the other word is two changes away */
}

TEST(what_is_far_from_everything_has_no_nearest)
{
    CHECK(find("certificate") == NULL);
    CHECK(find("completely-different") == NULL);
    CHECK(nearest("log", words, 0) == NULL);
}

TEST(words_that_are_too_long_are_near_to_nothing)
{
    char longest[64], longer[65];
    memset(longest, 'a', sizeof longest);
    memset(longer, 'a', sizeof longer);
    longest[63] = longer[64] = 0;
    const char *const both[] = {longer, longest};
    CHECK(nearest(longer, both, 2) == NULL);
    CHECK_TEXT(nearest(longest, both, 1) ? "near" : "far", "far");
    CHECK_TEXT(nearest(longest, both, 2), longest);
}

TEST(a_short_word_must_keep_a_letter)
{
    static const char *const short_words[] = {"db", "ne"};
    CHECK(nearest("", short_words, 2) == NULL);
    CHECK(nearest("-x", short_words, 2) == NULL);
    CHECK_TEXT(nearest("dp", short_words, 2), "db");
}

TEST_LIST(RUN(a_word_that_is_known_is_its_own_nearest) RUN(one_slip_of_each_kind_is_near) RUN(a_swap_of_neighbours_counts_once)
              RUN(what_is_far_from_everything_has_no_nearest) RUN(words_that_are_too_long_are_near_to_nothing)
                  RUN(a_short_word_must_keep_a_letter))
