/* minted.c: usernames of minted credentials: what is printed is read again; every other form is told from this one, and what is wrong in it is refused. */
#include "wire/minted.h"

#include "base/err.h"
#include "test.h"

#include <stdlib.h>

#define WHOLE "1790000000:tacme.k7f3:ann:c5e1:room=match-1:bps=2000000:n=2"

static int parse(const char *text, struct minted *out)
{
    uint8_t *guarded = test_guarded(text, strlen(text));
    const int err = minted_parse(view_of(guarded, strlen(text)), out);
    test_unguard(guarded, strlen(text));
    return err;
}

TEST(all_parts_are_read)
{
    struct minted minted;
    CHECK_INT(parse(WHOLE, &minted), 0);
    CHECK_INT(minted.expires_unix_s, 1790000000);
    CHECK_TEXT(minted.tenant, "acme");
    CHECK_TEXT(minted.kid, "k7f3");
    CHECK_TEXT(minted.tag, "ann");
    CHECK_TEXT(minted.cid, "c5e1");
    CHECK_TEXT(minted.room, "match-1");
    CHECK_INT(minted.max_bps, 2000000);
    CHECK_INT(minted.max_allocations, 2);
    CHECK_TEXT(minted_user(&minted), "ann");
}

TEST(what_is_printed_is_read_again)
{
    static const struct minted samples[] = {
        {.expires_unix_s = 1, .tenant = "t", .kid = "k", .cid = "c"},
        {.expires_unix_s = MINTED_EXPIRY_MAX, .tenant = "studio.example:8%", .kid = "a.b:c", .tag = "t.a:g=%41 \xc3\xbc", .cid = "x:=", .room = "r=1:n=2"},
        {.expires_unix_s = 7, .tenant = "t", .kid = "k", .cid = "c", .max_bps = MINTED_BPS_MAX, .max_allocations = UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char text[MINTED_MAX_LEN + 1];
        struct minted again;
        CHECK_INT(minted_print(&samples[i], text), strlen(text));
        CHECK_INT(parse(text, &again), 0);
        CHECK_INT(again.expires_unix_s, samples[i].expires_unix_s);
        CHECK_TEXT(again.tenant, samples[i].tenant);
        CHECK_TEXT(again.kid, samples[i].kid);
        CHECK_TEXT(again.tag, samples[i].tag);
        CHECK_TEXT(again.cid, samples[i].cid);
        CHECK_TEXT(again.room, samples[i].room);
        CHECK_INT(again.max_bps, samples[i].max_bps);
        CHECK_INT(again.max_allocations, samples[i].max_allocations);
    }
}

TEST(the_names_of_coturn_are_of_another_form)
{
    static const char *const others[] = {
        "",       "ann",         "1790000000",         "1790000000:ann",          "1790000000:tom.smith", "1790000000:tom.smith:x", "1790000000:acme.k:ann:c",
        ":tacme.k:ann:c", "17x:tacme.k:ann:c", "1790000000:tacme:ann:c", "1790000000::ann:c", "1234567890123:tacme.k:ann:c", "1790000000:t.:",
    };
    struct minted minted;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_INT(parse(others[i], &minted), ERR_NOT_FOUND);
}

TEST(what_is_wrong_is_refused)
{
    static const char *const wrong[] = {
        "1:t.k:ann:c",        "1:ta.:ann:c",          "1:ta.k:ann:",          "1:ta.k.l:ann:c",      "1:ta.k:an,n:c",      "1:ta.k:an%2cn:c",
        "1:ta.k:an%0an:c",    "1:ta.k:an%00n:c",      "1:ta.k:an%4:c",        "1:ta.k:an%:c",        "1:ta.k:an%4g:c",     "1:ta.k:\xff:c",
        "1:ta.k:%ff:c",       "1:ta.k:a:c:",          "1:ta.k:a:c:room=",     "1:ta.k:a:c:room",     "1:ta.k:a:c:bps=0",   "1:ta.k:a:c:bps=-1",
        "1:ta.k:a:c:bps=1e3", "1:ta.k:a:c:n=0",       "1:ta.k:a:c:n=4294967296", "1:ta.k:a:c:n=1:n=2", "1:ta.k:a:c:bps=1:bps=1", "1:ta.k:a:c:room=a:room=b",
        "1:ta.k:a:c:x=1",     "1:ta.k:a:c::n=1",      "1:ta.k:a:c:n=1:",      "1:ta.k:a:c:bps=1000000000000001", "1:ta.k:a:c:=1",
    };
    struct minted minted;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse(wrong[i], &minted) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "%s is not refused", wrong[i]);
}

TEST(every_prefix_is_read_or_refused)
{
    struct minted minted;
    char text[sizeof WHOLE];
    for (size_t len = 0; len < sizeof WHOLE; len++) {
        snprintf(text, sizeof text, "%.*s", (int)len, WHOLE);
        const int err = parse(text, &minted);
        CHECK(err == 0 || err == ERR_BAD || err == ERR_NOT_FOUND);
    }
}

TEST(parts_and_wholes_that_are_too_long_are_refused)
{
    char text[2 * MINTED_MAX_LEN], long_name[MINTED_MAX_LEN + 1], printed[MINTED_MAX_LEN + 1];
    struct minted minted;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    snprintf(text, sizeof text, "1:ta.k:%.*s:c", MINTED_NAME_MAX, long_name);
    CHECK_INT(parse(text, &minted), 0);
    snprintf(text, sizeof text, "1:ta.k:%.*s:c", MINTED_NAME_MAX + 1, long_name);
    CHECK_INT(parse(text, &minted), ERR_BAD);
    snprintf(text, sizeof text, "1:ta.k:%s:c", long_name);
    CHECK_INT(parse(text, &minted), ERR_BAD);
    memset(minted.tag, ':', MINTED_NAME_MAX); /* three bytes each */
    memset(minted.room, ':', MINTED_NAME_MAX);
    minted.tag[MINTED_NAME_MAX] = minted.room[MINTED_NAME_MAX] = 0;
    CHECK_INT(minted_print(&minted, printed), ERR_RANGE);
}

TEST(what_cannot_be_read_is_not_printed)
{
    static const struct minted samples[] = {
        {.tenant = "", .kid = "k", .cid = "c"},      {.tenant = "t", .kid = "", .cid = "c"},
        {.tenant = "t", .kid = "k", .cid = ""},      {.tenant = "t", .kid = "k", .cid = "c", .tag = "a,b"},
        {.tenant = "t", .kid = "k", .cid = "c\n"},   {.tenant = "t", .kid = "k", .cid = "c", .room = "\xff"},
        {.tenant = "t", .kid = "k", .cid = "c", .expires_unix_s = -1}, {.tenant = "t", .kid = "k", .cid = "c", .max_bps = MINTED_BPS_MAX + 1},
    };
    char text[MINTED_MAX_LEN + 1];
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        CHECK_INT(minted_print(&samples[i], text), ERR_RANGE);
}

TEST(the_longest_parts_fit_into_tags)
{
    struct minted minted = {0};
    char tags[MINTED_TAGS_MAX];
    memset(minted.tag, 'a', MINTED_NAME_MAX);
    memset(minted.room, 'b', MINTED_NAME_MAX);
    memset(minted.cid, 'c', MINTED_CID_MAX);
    memset(minted.kid, 'd', MINTED_KID_MAX);
    minted_tags(&minted, tags);
    CHECK_TEXT(tags + strlen(tags) - 3, "ddd");
    CHECK_INT(parse("1:ta.k::c", &minted), 0);
    CHECK_TEXT(minted_tags(&minted, tags), "credential=c,key=k");
    CHECK_TEXT(minted_user(&minted), "c");
    CHECK_INT(parse(WHOLE, &minted), 0);
    CHECK_TEXT(minted_tags(&minted, tags), "tag=ann,room=match-1,credential=c5e1,key=k7f3");
}

TEST(a_cid_tells_when_it_was_minted_unless_somebody_made_it_up)
{
    const int64_t now_ms = INT64_C(1795000000123);
    struct minted minted = {.expires_unix_s = now_ms / 1000 + 3600};
    char other[MINTED_CID_LEN + 1];
    minted_cid(now_ms, minted.cid);
    minted_cid(now_ms, other);
    CHECK_INT(strlen(minted.cid), MINTED_CID_LEN);
    CHECK(strcmp(minted.cid, other) != 0);
    CHECK_INT(minted_issued_ms(&minted), now_ms);
    minted.expires_unix_s = now_ms / 1000 + MINTED_TTL_MAX_S;
    CHECK_INT(minted_issued_ms(&minted), now_ms);
    minted.expires_unix_s += 2;
    CHECK_INT(minted_issued_ms(&minted), -1);
    minted.expires_unix_s = now_ms / 1000 - 1;
    CHECK_INT(minted_issued_ms(&minted), -1);
    snprintf(minted.cid, sizeof minted.cid, "c5e1");
    CHECK_INT(minted_issued_ms(&minted), -1);
    snprintf(minted.cid, sizeof minted.cid, "abcdefabcdefabcdefabcdeg");
    CHECK_INT(minted_issued_ms(&minted), -1);
}

TEST_LIST(RUN(a_cid_tells_when_it_was_minted_unless_somebody_made_it_up) RUN(all_parts_are_read) RUN(what_is_printed_is_read_again) RUN(the_names_of_coturn_are_of_another_form) RUN(what_is_wrong_is_refused)
              RUN(every_prefix_is_read_or_refused) RUN(parts_and_wholes_that_are_too_long_are_refused) RUN(what_cannot_be_read_is_not_printed)
                  RUN(the_longest_parts_fit_into_tags))
