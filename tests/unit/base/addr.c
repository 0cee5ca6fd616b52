/* addr.c: addresses as text and sockaddr, and the canonical form of every embedding. */
#include "base/addr.h"
#include "base/err.h"
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct addr parsed(const char *text)
{
    struct addr addr;
    if (addr_parse(view_text(text), &addr))
        test_failed(__FILE__, __LINE__, "\"%s\" is refused", text);
    return addr;
}

TEST(addresses_are_read_and_written_alike)
{
    static const struct {
        const char *in, *out;
        int family;
    } cases[] = {
        {"1.2.3.4", "1.2.3.4:0", ADDR_IPV4},
        {"1.2.3.4:5", "1.2.3.4:5", ADDR_IPV4},
        {"0.0.0.0:0", "0.0.0.0:0", ADDR_IPV4},
        {"255.255.255.255:65535", "255.255.255.255:65535", ADDR_IPV4},
        {"::1", "[::1]:0", ADDR_IPV6},
        {"::", "[::]:0", ADDR_IPV6},
        {"[::1]:5", "[::1]:5", ADDR_IPV6},
        {"2001:DB8::a:0:0:1", "[2001:db8::a:0:0:1]:0", ADDR_IPV6},
        {"[::ffff:1.2.3.4]:65535", "[::ffff:1.2.3.4]:65535", ADDR_IPV6},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", ADDR_IPV6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ADDR_TEXT_MAX];
        const struct addr addr = parsed(cases[i].in);
        CHECK_TEXT(addr_format(&addr, text), cases[i].out);
        CHECK_INT(addr.family, cases[i].family);
        CHECK_INT(addr.zero, 0);
    }
}

TEST(what_is_no_address_is_refused)
{
    static const char *const cases[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:1x",
        "1.2.3.4:000001",
        "[1.2.3.4]:5",
        "localhost",
        "localhost:5",
        ":",
        ":5",
        "[",
        "[]",
        "[]:5",
        "[::1]",
        "[::1]:",
        "[::1]5",
        "[::1",
        "::1]:5",
        "[[::1]]:5",
        ":::",
        "::1::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "::12345",
        "fe80::1%eth0",
        "[fe80::1%1]:5",
        "1.2.3.4/8",
        "::ffff:1.2.3.4.5",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr addr = {.port = 77};
        if (addr_parse(view_text(cases[i]), &addr) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "\"%s\" is accepted", cases[i]);
        CHECK_INT(addr.port, 77);
    }
    struct addr addr;
    CHECK_INT(addr_parse(view_of("1.2.3.4\0", 8), &addr), ERR_BAD);
    CHECK_INT(addr_parse(view_of(NULL, 0), &addr), ERR_BAD);
}

TEST(an_address_alone_has_no_port)
{
    struct addr addr;
    CHECK_INT(addr_parse_ip(view_text("1.2.3.4"), &addr), 0);
    CHECK_INT(addr_parse_ip(view_text("::1"), &addr), 0);
    CHECK_INT(addr_parse_ip(view_text("1.2.3.4:0"), &addr), ERR_BAD);
    CHECK_INT(addr_parse_ip(view_text("[::1]:0"), &addr), ERR_BAD);
}

TEST(text_is_read_within_its_bounds)
{
    const char *text = "[2001:db8::1]:65535";
    for (size_t len = 0; len <= strlen(text); len++) {
        uint8_t *copy = test_guarded(text, len);
        struct addr addr;
        (void)addr_parse(view_of(copy, len), &addr);
        test_unguard(copy, len);
    }
}

TEST(sockaddrs_go_both_ways)
{
    static const char *const cases[] = {"1.2.3.4:5", "[2001:db8::1]:65535", "[::ffff:1.2.3.4]:80"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage storage;
        memset(&storage, 0xff, sizeof storage);
        const struct addr addr = parsed(cases[i]);
        const socklen_t len = addr_to_sockaddr(&addr, &storage);
        CHECK_INT(len, addr.family == ADDR_IPV4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        const struct addr back = addr_from_sockaddr(&storage);
        CHECK(addr_equal(&addr, &back));
        CHECK_BYTES(&back, &addr, ADDR_KEY_LEN);
    }
    struct sockaddr_storage unix_socket = {.ss_family = AF_UNIX};
    CHECK_INT(addr_from_sockaddr(&unix_socket).family, ADDR_NONE);
    char text[ADDR_TEXT_MAX];
    CHECK_TEXT(addr_format_ip(&(struct addr){0}, text), "none");
}

TEST(equality_is_family_address_and_port)
{
    const struct addr a = parsed("1.2.3.4:5"), port = parsed("1.2.3.4:6"), mapped = parsed("[::ffff:1.2.3.4]:5"), ip = parsed("1.2.3.5:5");
    CHECK(addr_equal(&a, &a));
    CHECK(!addr_equal(&a, &port));
    CHECK(addr_equal_ip(&a, &port));
    CHECK(!addr_equal_ip(&a, &mapped));
    CHECK(!addr_equal_ip(&a, &ip));
}

TEST(any_is_told_from_the_rest)
{
    static const struct {
        const char *text;
        bool any;
    } cases[] = {{"0.0.0.0:5", true}, {"::", true}, {"0.0.0.1", false}, {"::1", false}, {"::ffff:0.0.0.0", false}, {"1::", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct addr addr = parsed(cases[i].text);
        CHECK_INT(addr_is_any(&addr), cases[i].any);
    }
    CHECK(!addr_is_any(&(struct addr){0}));
}

/* The forms that SECURITY calls the bypasses of other servers, and their neighbours that embed nothing. */
TEST(an_embedded_ipv4_address_is_canonical)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"::ffff:127.0.0.1", "127.0.0.1"}, /* mapped */
        {"::ffff:0.0.0.0", "0.0.0.0"},
        {"::ffff:0:1", "0.0.0.1"}, /* the shape of ::1 behind the prefix */
        {"::ffff:ffff:ffff", "255.255.255.255"},
        {"::127.0.0.1", "127.0.0.1"}, /* compatible */
        {"::2", "0.0.0.2"},
        {"::0.0.1.1", "0.0.1.1"},
        {"::1:1", "0.1.0.1"},
        {"::", "::"},
        {"::1", "::1"},
        {"::1:0:0", "::1:0:0"}, /* one bit beside ::/96 */
        {"::fffe:127.0.0.1", "::fffe:7f00:1"},
        {"::1:ffff:127.0.0.1", "::1:ffff:7f00:1"},
        {"64:ff9b::127.0.0.1", "127.0.0.1"}, /* NAT64 */
        {"64:ff9b::", "0.0.0.0"},
        {"64:ff9b::1:127.0.0.1", "64:ff9b::1:7f00:1"}, /* not in the /96 */
        {"64:ff9c::127.0.0.1", "64:ff9c::7f00:1"},
        {"64:ff9b:1::127.0.0.1", "127.0.0.1"}, /* NAT64 for local use, /96 */
        {"64:ff9b:1::", "0.0.0.0"},
        {"64:ff9b:1:7f00:0:100::", "127.0.0.1"}, /* /48: 7f00 | 00 00 | 01.. */
        {"64:ff9b:1:a9fe:a9:fe00::", "169.254.169.254"},
        {"64:ff9b:1:7f00:0:100:808:808", "64:ff9b:1:7f00:0:100:808:808"}, /* both readings: left alone */
        {"64:ff9b:1:7f00:100:100::", "64:ff9b:1:7f00:100:100::"},         /* the u octet is not zero */
        {"64:ff9b:2::127.0.0.1", "64:ff9b:2::7f00:1"},
        {"2002:7f00:1::", "127.0.0.1"}, /* 6to4 */
        {"2002:a9fe:a9fe:1:2:3:4:5", "169.254.169.254"},
        {"2002::", "0.0.0.0"},
        {"2003:7f00:1::", "2003:7f00:1::"},
        {"2001:0:102:304:8000:f227:80ff:fffe", "127.0.0.1"}, /* Teredo: ~80ff:fffe */
        {"2001::ffff:ffff", "0.0.0.0"},
        {"2001::", "255.255.255.255"},
        {"2001:1::1", "2001:1::1"},
        {"2001:db8::1", "2001:db8::1"},
        {"fe80::1", "fe80::1"},
        {"1.2.3.4", "1.2.3.4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr in = parsed(cases[i].in), want = parsed(cases[i].out);
        in.port = want.port = 4711;
        const struct addr got = addr_canonical(&in), again = addr_canonical(&got);
        char text[ADDR_TEXT_MAX];
        if (!addr_equal(&got, &want))
            test_failed(__FILE__, __LINE__, "%s became %s, not %s", cases[i].in, addr_format(&got, text), cases[i].out);
        CHECK(addr_equal(&got, &again));
    }
}

TEST(a_domain_is_made_of_labels)
{
    static const char *const good[] = {"a", "example.org", "turn-2.EXAMPLE.org", "xn--caf-dma.example", "1.2"};
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "a.-b", "a b", "caf\u00E9", "a_b", "a/b"};
    char label[66], name[256];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(addr_is_domain(view_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!addr_is_domain(view_text(bad[i])));
    memset(label, 'a', sizeof label);
    CHECK(addr_is_domain(view_of(label, 63)) && !addr_is_domain(view_of(label, 64)));
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 2 ? '.' : 'a';
    CHECK(addr_is_domain(view_of(name, 253)) && !addr_is_domain(view_of(name, 255)));
}

TEST_LIST(RUN(a_domain_is_made_of_labels) RUN(addresses_are_read_and_written_alike) RUN(what_is_no_address_is_refused)
              RUN(an_address_alone_has_no_port) RUN(text_is_read_within_its_bounds) RUN(sockaddrs_go_both_ways)
                  RUN(equality_is_family_address_and_port) RUN(any_is_told_from_the_rest) RUN(an_embedded_ipv4_address_is_canonical))
