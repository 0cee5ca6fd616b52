/* peers.c: which peers are refused, and hairpin. RFC 8656 section 21, RFC 6156 section 9.1; every spelling of an address that a relay must
 * not reach. */
#include "turn/state.h"
#include "world.h"

static const char *const internal_v4[] = {
    "0.0.0.0",         "0.1.2.3",         "10.0.0.1",     "10.255.255.255",  "100.64.0.1",      "100.127.255.255",
    "127.0.0.1",       "127.255.255.254", "169.254.0.1",  "169.254.169.254", "172.16.0.1",      "172.31.255.255",
    "192.0.0.1",       "192.0.2.1",       "192.88.99.1",  "192.168.0.1",     "192.168.255.255", "198.18.0.1",
    "198.19.255.255",  "198.51.100.1",    "203.0.113.1",  "224.0.0.1",       "239.255.255.255", "240.0.0.1",
    "255.255.255.254", "255.255.255.255", "192.31.196.1", "192.52.193.1",    "192.175.48.1",
};

static const char *const internal_v6[] = {
    "::",
    "::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::9.9.9.1", /* unspecified, loopback, compatible */
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:9.9.9.1", /* mapped */
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b::9.9.9.1", /* NAT64 */
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::",
    "2002:909:901::1", /* 6to4 */
    "2001::1",
    "2001:0:909:901::f5ff:fffe",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", /* Teredo */
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1", /* benchmarking, ORCHID, documentation */
    "100::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1", /* discard, SRv6, unique local, link-local, site-local */
    "ff02::1",
    "ff0e::1",
    "ff01::1",
    "1::1",
    "4000::1",
    "2620:4f:8000::1", /* multicast, not global unicast, AS112 */
};

static const char *const global_v4[] = {"1.1.1.1",         "9.9.9.9",        "100.63.255.255", "100.128.0.1",     "172.15.255.255",
                                        "172.32.0.1",      "198.17.255.255", "198.20.0.0",     "223.255.255.255", "11.0.0.1",
                                        "126.255.255.255", "128.0.0.1",      "169.253.0.1",    "192.167.1.1"};
static const char *const global_v6[] = {"2a00:1::1", "2606:4700::1", "2001:4860::1", "2003::1", "2400::1", "3ffe::1", "2001:200::1"};

static struct client held(struct world *w, const char *server)
{
    struct client c = client_over(w, TRANSPORT_UDP, strchr(server, '[') ? "[2a00:9::9]:1" : "198.18.0.1:5000", server, "ann");
    CHECK_INT(client_allocate(&c), 0);
    return c;
}

static const char *with_port(const char *ip, int port)
{
    static char text[ADDR_TEXT_MAX + 8];
    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip, port);
    return text;
}

static void check_refused(struct client *c, const char *ip, int index)
{
    const char *peer = with_port(ip, 80);
    if (client_permit(c, peer) != STUN_FORBIDDEN)
        test_failed(__FILE__, __LINE__, "%s is not refused by CreatePermission", ip);
    peer = with_port(ip, 80);
    if (client_bind(c, (uint16_t)(0x4000 + index), peer) != STUN_FORBIDDEN)
        test_failed(__FILE__, __LINE__, "%s is not refused by ChannelBind", ip);
    CHECK_INT(client_says_to(c, with_port(ip, 80), 10).to, SEND_NOTHING);
    CHECK_INT(client_says_on(c, (uint16_t)(0x4000 + index), 10).to, SEND_NOTHING);
    CHECK_INT(peer_says(c, with_port(ip, 80), 10).to, SEND_NOTHING);
}

TEST(no_internal_ipv4_address_is_a_peer)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, SERVER_V4);
    for (size_t i = 0; i < sizeof internal_v4 / sizeof *internal_v4; i++)
        check_refused(&c, internal_v4[i], (int)i);
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 0);
    CHECK_INT(w.asked[HOOK_permission], 0);
    world_end(&w);
}

TEST(no_internal_ipv6_address_is_a_peer_in_any_spelling)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, SERVER_V6);
    for (size_t i = 0; i < sizeof internal_v6 / sizeof *internal_v6; i++)
        check_refused(&c, internal_v6[i], (int)i);
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 0);
    world_end(&w);
}

TEST(global_addresses_are_peers_up_to_the_edge_of_the_special_ones)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, SERVER_V4), d = held(&w, SERVER_V6);
    for (size_t i = 0; i < sizeof global_v4 / sizeof *global_v4; i++)
        CHECK_INT(client_permit(&c, with_port(global_v4[i], 80)), 0);
    for (size_t i = 0; i < sizeof global_v6 / sizeof *global_v6; i++)
        CHECK_INT(client_permit(&d, with_port(global_v6[i], 80)), 0);
    world_end(&w);
}

TEST(a_refused_peer_is_told)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&c, "192.168.1.1:80"), STUN_FORBIDDEN);
    const struct addr peer = addr_of("192.168.1.1:80");
    CHECK_INT(w.told[EVENT_PERMISSION].code, STUN_FORBIDDEN);
    CHECK(addr_equal_ip(&w.told[EVENT_PERMISSION].peer, &peer));
    CHECK_TEXT(w.told[EVENT_PERMISSION].reason, "peer_not_allowed");
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "peer_not_allowed");
    world_end(&w);
}

static void add(struct cidr_set *set, const char *text)
{
    struct cidr_range range;
    CHECK_INT(cidr_parse(view_text(text), &range), 0);
    CHECK_INT(cidr_add(set, &range), 0);
}

static void with_lists(struct engine_config *config, struct world *w)
{
    (void)config;
    add(&w->allowed, "192.168.0.0/16");
    add(&w->allowed, "fd00::/8");
    add(&w->denied, "192.168.5.0-192.168.5.9");
    add(&w->denied, "9.9.9.0/24");
    add(&w->denied, "2a00:1::5-2a00:1::1:3");
}

TEST(allowed_peers_open_holes_and_denied_peers_win)
{
    struct world w;
    world_start(&w, with_lists);
    struct client c = held(&w, SERVER_V4), d = held(&w, SERVER_V6);
    CHECK_INT(client_permit(&c, "192.168.1.1:80"), 0);
    CHECK_INT(client_says_to(&c, "192.168.1.1:80", 1).to, SEND_TO_PEER);
    CHECK_INT(client_permit(&c, "192.168.5.0:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "192.168.5.9:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "192.168.5.10:80"), 0);
    CHECK_INT(client_permit(&c, "10.1.1.1:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "9.9.9.9:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "9.9.8.9:80"), 0);
    CHECK_INT(client_permit(&d, "[fd00::1]:80"), 0);
    CHECK_INT(client_permit(&d, "[2a00:1::4]:80"), 0);
    CHECK_INT(client_permit(&d, "[2a00:1::5]:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&d, "[2a00:1::ffff]:80"), STUN_FORBIDDEN); /* inside a span that is no prefix */
    CHECK_INT(client_permit(&d, "[2a00:1::1:3]:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&d, "[2a00:1::1:4]:80"), 0);
    CHECK_INT(client_permit(&d, "[::ffff:192.168.5.1]:80"), STUN_FORBIDDEN); /* the same address, mapped */
    world_end(&w);
}

static void with_nat64(struct engine_config *config, struct world *w)
{
    (void)config;
    add(&w->allowed, "64:ff9b::/96");
    add(&w->denied, "64:ff9b::9.9.8.0/120");
    add(&w->denied, "9.9.7.0/24");
}

TEST(a_hole_for_a_tunnel_does_not_open_what_is_behind_it)
{
    struct world w;
    world_start(&w, with_nat64);
    struct client c = held(&w, SERVER_V6);
    CHECK_INT(client_permit(&c, "[64:ff9b::9.9.9.1]:80"), 0);
    CHECK_INT(client_permit(&c, "[64:ff9b::9.9.8.1]:80"), STUN_FORBIDDEN); /* denied as it is written */
    CHECK_INT(client_permit(&c, "[64:ff9b::9.9.7.1]:80"), STUN_FORBIDDEN); /* and by what it embeds */
    CHECK_INT(client_permit(&c, "[64:ff9b::10.0.0.1]:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "[64:ff9b::127.0.0.1]:80"), STUN_FORBIDDEN);
    CHECK_INT(client_permit(&c, "[64:ff9b::169.254.169.254]:80"), STUN_FORBIDDEN);
    world_end(&w);
}

static void with_loopback(struct engine_config *config, struct world *w)
{
    (void)w;
    config->allow_loopback_peers = true;
}

TEST(allow_loopback_peers_opens_loopback_and_nothing_else)
{
    struct world w;
    world_start(&w, with_loopback);
    struct client c = held(&w, SERVER_V4), d = held(&w, SERVER_V6);
    CHECK_INT(client_permit(&c, "127.0.0.1:80"), 0);
    CHECK_INT(client_permit(&c, "127.9.9.9:80"), 0);
    CHECK_INT(client_says_to(&c, "127.0.0.1:80", 1).to, SEND_TO_PEER);
    CHECK_INT(client_permit(&d, "[::1]:80"), 0);
    CHECK_INT(client_permit(&d, "[::ffff:127.0.0.1]:80"), 0);
    for (size_t i = 0; i < sizeof internal_v4 / sizeof *internal_v4; i++)
        if (strncmp(internal_v4[i], "127.", 4) != 0)
            CHECK_INT(client_permit(&c, with_port(internal_v4[i], 80)), STUN_FORBIDDEN);
    for (size_t i = 0; i < sizeof internal_v6 / sizeof *internal_v6; i++)
        if (strcmp(internal_v6[i], "::1") != 0 && strcmp(internal_v6[i], "::ffff:127.0.0.1") != 0)
            CHECK_INT(client_permit(&d, with_port(internal_v6[i], 80)), STUN_FORBIDDEN);
    world_end(&w);
}

TEST(nothing_is_sent_to_an_own_listener)
{
    struct world w;
    world_start(&w, with_loopback); /* listeners on any address */
    struct client c = held(&w, SERVER_V4), d = held(&w, SERVER_V6);
    CHECK_INT(client_permit(&c, "127.0.0.1:1"), 0);
    CHECK_INT(client_permit(&c, SHOWN_V4 ":1"), 0);
    CHECK_INT(client_permit(&d, "[" RELAY_V6 "]:1"), 0);
    CHECK_INT(client_permit(&d, "[::1]:1"), 0);
    CHECK_INT(client_permit(&d, "[::ffff:127.0.0.1]:1"), 0);
    static const char *const own_v4[] = {"127.0.0.1:3478", "127.0.0.2:3478", SHOWN_V4 ":3478", RELAY_V4 ":3478"};
    for (size_t i = 0; i < sizeof own_v4 / sizeof *own_v4; i++)
        CHECK_INT(client_says_to(&c, own_v4[i], 1).to, SEND_NOTHING);
    static const char *const own_v6[] = {"[::1]:3478", "[" RELAY_V6 "]:3478", "[::ffff:127.0.0.1]:3478"};
    for (size_t i = 0; i < sizeof own_v6 / sizeof *own_v6; i++)
        CHECK_INT(client_says_to(&d, own_v6[i], 1).to, SEND_NOTHING);
    CHECK_INT(client_bind(&c, 0x4000, "127.0.0.1:3478"), STUN_FORBIDDEN);
    CHECK_INT(client_bind(&c, 0x4000, SHOWN_V4 ":3478"), STUN_FORBIDDEN);
    CHECK_INT(client_bind(&c, 0x4000, "127.0.0.1:3479"), 0);
    CHECK_INT(client_bind(&c, 0x4001, "9.9.9.1:3478"), 0); /* somebody else's */
    world_end(&w);
}

static void named_listener(struct engine_config *config, struct world *w)
{
    w->listeners[0] = addr_of("11.0.0.7:443");
    w->listeners[1] = addr_of("[2002:909:901::1]:443"); /* a 6to4 host */
    config->listener_count = 2;
    add(&w->allowed, "2002::/16");
}

TEST(a_listener_on_one_address_is_found_at_that_address)
{
    struct world w;
    world_start(&w, named_listener);
    struct client c = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&c, "11.0.0.7:1"), 0);
    CHECK_INT(client_permit(&c, "11.0.0.8:1"), 0);
    CHECK_INT(client_says_to(&c, "11.0.0.7:443", 1).to, SEND_NOTHING);
    CHECK_INT(client_says_to(&c, "11.0.0.7:444", 1).to, SEND_TO_PEER);
    CHECK_INT(client_says_to(&c, "11.0.0.8:443", 1).to, SEND_TO_PEER);
    struct client d = held(&w, SERVER_V6);
    CHECK_INT(client_permit(&d, "[2002:909:901::1]:1"), 0);
    CHECK_INT(client_says_to(&d, "[2002:909:901::1]:443", 1).to, SEND_NOTHING);
    CHECK_INT(client_says_to(&d, "[2002:909:901::1]:444", 1).to, SEND_TO_PEER);
    CHECK_INT(client_permit(&d, "[2002:b00:7::1]:1"), 0);
    CHECK_INT(client_says_to(&d, "[2002:b00:7::1]:443", 1).to, SEND_NOTHING); /* a tunnel to 11.0.0.7 */
    world_end(&w);
}

TEST(port_zero_is_nowhere)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&c, PEER_IP ":0"), 0); /* the port of a permission does not matter */
    CHECK_INT(client_says_to(&c, PEER_IP ":0", 1).to, SEND_NOTHING);
    CHECK_INT(client_bind(&c, 0x4000, PEER_IP ":0"), STUN_FORBIDDEN);
    world_end(&w);
}

static char *shown(const struct client *c)
{
    static char text[2][ADDR_TEXT_MAX];
    static int turn;
    return addr_format(&c->relayed, text[turn++ % 2]);
}

/* A client sends to another's relayed address: by sockets on the local form, known by the shown form. */
static void check_hairpin(struct client *a, struct client *b)
{
    const struct send got = client_reaches(a, b, (struct said){.peer = shown(b), .len = 20});
    CHECK_INT(got.to, SEND_TO_CLIENT);
    CHECK(memcmp(got.flow, &b->flow, FLOW_KEY_LEN) == 0);
    struct message message;
    struct addr peer;
    CHECK_INT(message_open(&message, got.bytes), 0);
    CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &peer), 0);
    CHECK(addr_equal(&peer, &a->relayed));
}

TEST(hairpin_between_two_relayed_addresses_passes_by_their_shown_form)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V4), b = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_permit(&a, shown(&b)), 0);
    CHECK_INT(client_permit(&b, shown(&a)), 0);
    check_hairpin(&a, &b);
    check_hairpin(&b, &a);
    world_end(&w);
}

TEST(hairpin_by_channel_works_too)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V4), b = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    CHECK_INT(client_bind(&b, 0x4001, shown(&a)), 0);
    const struct send got = client_reaches(&a, &b, (struct said){.channel = 0x4000, .len = 9});
    CHECK_INT(got.bytes.len, 13);
    CHECK_INT(get_u16(got.bytes.at), 0x4001);
    world_end(&w);
}

TEST(a_client_may_name_the_local_form_too)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V4), b = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_permit(&a, RELAY_V4 ":1"), 0);
    CHECK_INT(client_permit(&b, shown(&a)), 0);
    check_hairpin(&a, &b);
    world_end(&w);
}

TEST(hairpin_reaches_only_ports_that_an_allocation_holds)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V4), b = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_permit(&a, shown(&b)), 0);
    CHECK_INT(client_says_to(&a, shown(&b), 1).to, SEND_NOTHING);
    CHECK_INT(client_permit(&b, shown(&a)), 0);
    CHECK_INT(client_says_to(&a, shown(&b), 1).to, SEND_TO_CLIENT);
    static const char *const others[] = {SHOWN_V4 ":22", SHOWN_V4 ":80", SHOWN_V4 ":49999", RELAY_V4 ":22", SHOWN_V4 ":51000"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_INT(client_says_to(&a, others[i], 1).to, SEND_NOTHING);
    char gone[ADDR_TEXT_MAX];
    snprintf(gone, sizeof gone, "%s", shown(&b));
    CHECK_INT(client_refresh(&b, 0), 0);
    CHECK_INT(client_says_to(&a, gone, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&a, RELAY_V4 ":22", 1).to, SEND_NOTHING); /* nor does a service of this host reach a client */
    world_end(&w);
}

TEST(a_service_on_the_relays_own_address_is_no_peer)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V6); /* shown as it is bound */
    CHECK_INT(client_permit(&a, shown(&a)), 0);
    CHECK_INT(peer_says(&a, "[" RELAY_V6 "]:53", 1).to, SEND_NOTHING);
    CHECK_INT(client_says_to(&a, "[" RELAY_V6 "]:53", 1).to, SEND_NOTHING);
    check_hairpin(&a, &a);
    world_end(&w);
}

TEST(an_allocation_may_send_to_itself)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&a, shown(&a)), 0);
    check_hairpin(&a, &a);
    world_end(&w);
}

static void denied_hairpin(struct engine_config *config, struct world *w)
{
    (void)config;
    add(&w->denied, SHOWN_V4);
}

TEST(denied_peers_close_hairpin)
{
    struct world w;
    world_start(&w, denied_hairpin);
    struct client a = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&a, shown(&a)), STUN_FORBIDDEN);
    world_end(&w);
}

static void relay_on_loopback(struct engine_config *config, struct world *w)
{
    (void)config;
    w->relays[0] = (struct relay_address){addr_of("127.0.0.1"), addr_of("127.0.0.1"), NULL};
}

static void relay_on_open_loopback(struct engine_config *config, struct world *w)
{
    relay_on_loopback(config, w);
    config->allow_loopback_peers = true;
}

TEST(loopback_stays_closed_even_where_the_relay_itself_is)
{
    struct world w;
    world_start(&w, relay_on_loopback);
    struct client a = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&a, shown(&a)), STUN_FORBIDDEN);
    world_end(&w);
    world_start(&w, relay_on_open_loopback);
    a = held(&w, SERVER_V4);
    CHECK_INT(client_permit(&a, shown(&a)), 0);
    check_hairpin(&a, &a);
    world_end(&w);
}

static void tunnels(struct engine_config *config, struct world *w)
{
    (void)config;
    add(&w->allowed, "2001::/32");
    add(&w->allowed, "2002::/16");
}

/* section 21.4: nor do they get a relay of their own, through which a tunnel could be led back into itself */
TEST(clients_in_tunnels_are_refused_unless_a_hole_is_made)
{
    static const char *const tunnelled[] = {"[2001:0:909:901::f5ff:fffe]:1", "[2001::1]:1", "[2002:909:901::1]:1", "[2002::]:1"};
    static const char *const others[] = {"[2001:4860::1]:1", "[2001:1::1]:1", "[2003::1]:1", "20.2.0.1:1"};
    struct world w;
    for (int hole = 0; hole < 2; hole++) {
        world_start(&w, hole ? tunnels : NULL);
        for (size_t i = 0; i < 4; i++) {
            struct client c = client_over(&w, TRANSPORT_UDP, tunnelled[i], SERVER_V6, "ann");
            CHECK_INT(client_allocate(&c), hole ? 0 : STUN_FORBIDDEN);
            struct client d = client_over(&w, TRANSPORT_UDP, others[i], strchr(others[i], '[') ? SERVER_V6 : SERVER_V4, "ann");
            CHECK_INT(client_allocate(&d), 0);
        }
        world_end(&w);
    }
}

TEST_LIST(RUN(no_internal_ipv4_address_is_a_peer) RUN(no_internal_ipv6_address_is_a_peer_in_any_spelling)
          RUN(global_addresses_are_peers_up_to_the_edge_of_the_special_ones) RUN(a_refused_peer_is_told)
          RUN(allowed_peers_open_holes_and_denied_peers_win) RUN(a_hole_for_a_tunnel_does_not_open_what_is_behind_it)
          RUN(allow_loopback_peers_opens_loopback_and_nothing_else) RUN(nothing_is_sent_to_an_own_listener)
          RUN(a_listener_on_one_address_is_found_at_that_address) RUN(port_zero_is_nowhere)
          RUN(hairpin_between_two_relayed_addresses_passes_by_their_shown_form) RUN(hairpin_by_channel_works_too)
          RUN(a_client_may_name_the_local_form_too) RUN(hairpin_reaches_only_ports_that_an_allocation_holds)
          RUN(a_service_on_the_relays_own_address_is_no_peer) RUN(an_allocation_may_send_to_itself) RUN(denied_peers_close_hairpin)
          RUN(loopback_stays_closed_even_where_the_relay_itself_is) RUN(clients_in_tunnels_are_refused_unless_a_hole_is_made))
