/* url.c: URLs of RFC 7064 and 7065. */
#include "client/probe.h"

#include "base/err.h"
#include "test.h"

TEST(a_url_says_host_port_and_transport)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        enum dial_transport transport;
        bool is_stun;
    } rows[] = {
        {"turn:relay.example.org", "relay.example.org", 3478, DIAL_UDP, false},
        {"turn:relay.example.org:5000", "relay.example.org", 5000, DIAL_UDP, false},
        {"turn:relay.example.org?transport=udp", "relay.example.org", 3478, DIAL_UDP, false},
        {"turn:192.0.2.1:1?transport=tcp", "192.0.2.1", 1, DIAL_TCP, false},
        {"turns:relay.example.org", "relay.example.org", 5349, DIAL_TLS, false},
        {"turns:relay.example.org:443?transport=tcp", "relay.example.org", 443, DIAL_TLS, false},
        {"turns:relay.example.org?transport=udp", "relay.example.org", 5349, DIAL_DTLS, false},
        {"turn:[2001:db8::1]:65535", "2001:db8::1", 65535, DIAL_UDP, false},
        {"turn:[2001:db8::1]", "2001:db8::1", 3478, DIAL_UDP, false},
        {"stun:stun.example.org", "stun.example.org", 3478, DIAL_UDP, true},
        {"stuns:stun.example.org", "stun.example.org", 5349, DIAL_TLS, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe_url url;
        CHECK(probe_is_url(rows[i].text));
        CHECK_INT(probe_parse(rows[i].text, &url), 0);
        CHECK_TEXT(url.host, rows[i].host);
        CHECK_INT(url.port, rows[i].port);
        CHECK_INT(url.transport, rows[i].transport);
        CHECK_INT(url.is_stun, rows[i].is_stun);
    }
}

TEST(what_is_none_is_refused)
{
    static const char *const rows[] = {
        "", "turn", "turn:", "http://x", "turn://x", "turn:x:", "turn:x:0", "turn:x:65536", "turn:x:1x", "turn:x?transport=sctp", "turn:x?", "turn:x?transport=udp&a=b",
        "turn:[::1", "turn:[]", "turn:[x]", "turn:[::1]x", "turn:a b", "turn:user@host", "turn:?transport=udp",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe_url url;
        if (probe_parse(rows[i], &url) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "%s is taken for a URL", rows[i]);
    }
}

TEST_LIST(RUN(a_url_says_host_port_and_transport) RUN(what_is_none_is_refused))
