/* cidr.c: ranges, and sets of them against a plain list. */
#include "base/cidr.h"
#include "base/err.h"
#include "test.h"

#include <stdlib.h>

static struct addr parsed(const char *text)
{
    struct addr addr;
    if (addr_parse(view_text(text), &addr))
        test_failed(__FILE__, __LINE__, "\"%s\" is refused", text);
    return addr;
}

static bool has(const char *range_text, const char *addr_text)
{
    struct cidr_range range;
    const struct addr addr = parsed(addr_text);
    if (cidr_parse(view_text(range_text), &range))
        test_failed(__FILE__, __LINE__, "\"%s\" is refused", range_text);
    return cidr_range_has(&range, &addr);
}

TEST(a_range_holds_its_ends_and_not_its_neighbours)
{
    static const struct {
        const char *range, *before, *first, *last, *behind;
    } cases[] = {
        {"10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"10.1.2.3/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"100.64.0.0/10", "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
        {"192.0.2.1", "192.0.2.0", "192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.1/32", "192.0.2.0", "192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.128/31", "192.0.2.127", "192.0.2.128", "192.0.2.129", "192.0.2.130"},
        {"10.0.0.1-10.0.2.9", "10.0.0.0", "10.0.0.1", "10.0.2.9", "10.0.2.10"},
        {"0.0.0.0/0", "::fffe:ffff:ffff", "0.0.0.0", "255.255.255.255", "::1:0:0:0"},
        {"2001:db8::/32", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
        {"fc00::/7", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"},
        {"::1", "::", "::1", "::1", "::2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(!has(cases[i].range, cases[i].before));
        CHECK(has(cases[i].range, cases[i].first));
        CHECK(has(cases[i].range, cases[i].last));
        CHECK(!has(cases[i].range, cases[i].behind));
    }
}

/* A byte-wise "box" compare lets the inner addresses through: their last bytes lie outside the last bytes of the ends. */
TEST(a_span_that_is_not_aligned_is_ordered_not_a_box)
{
    const char *span = "2001:db8::8000-2001:db8:0:2::10";
    CHECK(has(span, "2001:db8::8000"));
    CHECK(has(span, "2001:db8::ffff"));
    CHECK(has(span, "2001:db8:0:1::"));
    CHECK(has(span, "2001:db8:0:1:ffff:ffff:ffff:ffff"));
    CHECK(has(span, "2001:db8:0:2::10"));
    CHECK(!has(span, "2001:db8::7fff"));
    CHECK(!has(span, "2001:db8:0:2::11"));
    CHECK(has("10.0.0.200-10.0.2.100", "10.0.1.150"));
    CHECK(has("10.0.0.200-10.0.2.100", "10.0.1.250"));
    CHECK(has("10.0.0.200-10.0.2.100", "10.0.1.0"));
}

TEST(a_mapped_address_is_in_the_range_of_its_ipv4_form)
{
    CHECK(has("127.0.0.0/8", "::ffff:127.0.0.1"));
    CHECK(has("::ffff:127.0.0.0/104", "127.0.0.1"));
    CHECK(has("::ffff:127.0.0.0-::ffff:127.0.0.9", "127.0.0.9"));
    CHECK(!has("127.0.0.0/8", "::127.0.0.1"));
}

TEST(a_malformed_range_is_refused)
{
    static const char *const cases[] = {
        "",
        "/",
        "-",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/256",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8x",
        "10.0.0.0/0008",
        "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0",
        "::/129",
        "::/",
        "10.0.0.9-10.0.0.1",
        "10.0.0.1-",
        "-10.0.0.1",
        "10.0.0.1-::1",
        "::1-10.0.0.1",
        "::2-::1",
        "10.0.0.1-10.0.0.2-10.0.0.3",
        "10.0.0.1:80",
        "10.0.0.1:0",
        "[::1]:0",
        "[::1]:0/8",
        "10.0.0.0-10.0.0.0/8",
        "10.0.0.0/8-10.0.0.1",
        "10.0.0",
        "example.org",
        " 10.0.0.0/8",
        "10.0.0.0/8 ",
        "10.0.0.0 /8",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cidr_range range;
        if (cidr_parse(view_text(cases[i]), &range) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "\"%s\" is accepted", cases[i]);
    }
}

TEST(an_empty_set_has_nothing)
{
    struct cidr_set set;
    const struct addr addr = parsed("1.2.3.4");
    cidr_init(&set);
    cidr_seal(&set);
    CHECK(!cidr_has(&set, &addr));
    cidr_close(&set);
}

TEST(ranges_that_overlap_are_merged)
{
    static const char *const ranges[] = {"10.0.0.0/8", "10.1.0.0/16", "10.200.0.0-11.0.0.5", "10.0.0.0/24",
                                         "192.0.2.1",  "192.0.2.1",   "10.0.0.0/8"};
    struct cidr_set set;
    cidr_init(&set);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct cidr_range range;
        CHECK_INT(cidr_parse(view_text(ranges[i]), &range), 0);
        CHECK_INT(cidr_add(&set, &range), 0);
    }
    cidr_seal(&set);
    CHECK_INT(set.count, 2);
    const struct addr inside = parsed("10.255.1.1"), end = parsed("11.0.0.5:80"), behind = parsed("11.0.0.6");
    CHECK(cidr_has(&set, &inside));
    CHECK(cidr_has(&set, &end));
    CHECK(!cidr_has(&set, &behind));
    cidr_close(&set);
}

static uint32_t dice(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

TEST(a_set_answers_like_a_list_of_its_ranges)
{
    uint32_t state = 1;
    for (int round = 0; round < 200; round++) {
        struct cidr_set set;
        struct cidr_range list[24];
        const size_t count = dice(&state) % 24 + 1;
        cidr_init(&set);
        for (size_t i = 0; i < count; i++) {
            uint8_t a[4] = {10, 0, (uint8_t)(dice(&state) % 4), (uint8_t)dice(&state)},
                    b[4] = {10, 0, (uint8_t)(dice(&state) % 4), (uint8_t)dice(&state)};
            const bool swap = memcmp(a, b, 4) > 0;
            memcpy(list[i].first, addr_v4(swap ? b : a, 0).ip, 16);
            memcpy(list[i].last, addr_v4(swap ? a : b, 0).ip, 16);
            if (dice(&state) % 2)
                memcpy(list[i].last, list[i].first, 16);
            CHECK_INT(cidr_add(&set, &list[i]), 0);
        }
        cidr_seal(&set);
        for (uint32_t n = 0; n < 1024; n++) {
            const struct addr addr = addr_v4((const uint8_t[]){10, 0, (uint8_t)(n >> 8), (uint8_t)n}, 1);
            bool want = false;
            for (size_t i = 0; i < count; i++)
                want |= cidr_range_has(&list[i], &addr);
            CHECK_INT(cidr_has(&set, &addr), want);
        }
        cidr_close(&set);
    }
}

TEST(a_set_survives_the_nth_failed_malloc)
{
    struct cidr_range range;
    CHECK_INT(cidr_parse(view_text("10.0.0.0/8"), &range), 0);
    for (long n = 0; n < 3; n++) {
        struct cidr_set set;
        size_t added = 0;
        cidr_init(&set);
        test_fail_malloc_after(n);
        while (added < 1000 && cidr_add(&set, &range) == 0)
            added++;
        CHECK_INT(cidr_add(&set, &range), ERR_MEMORY);
        test_fail_malloc_after(-1);
        CHECK_INT(set.count, added);
        CHECK_INT(added, n == 0 ? 0 : 8 << (n - 1));
        cidr_seal(&set);
        CHECK_INT(set.count, n > 0);
        cidr_close(&set);
    }
}

TEST_LIST(RUN(a_range_holds_its_ends_and_not_its_neighbours) RUN(a_span_that_is_not_aligned_is_ordered_not_a_box)
              RUN(a_mapped_address_is_in_the_range_of_its_ipv4_form) RUN(a_malformed_range_is_refused) RUN(an_empty_set_has_nothing)
                  RUN(ranges_that_overlap_are_merged) RUN(a_set_answers_like_a_list_of_its_ranges)
                      RUN(a_set_survives_the_nth_failed_malloc))
