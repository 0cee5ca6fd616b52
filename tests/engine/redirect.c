/* redirect.c: 300 (Try Alternate) by the configuration. RFC 8489 sections 10, 14.15, 14.16. */
#include "world.h"

#define V4 "198.18.0.1:5000"
#define V6 "[2a00:9::9]:5000"

static struct alternate servers[3];

static void list(struct engine_config *config, size_t count)
{
    for (enum transport i = 0; i < TRANSPORT_COUNT; i++)
        config->alternates[i] = (struct alternates){.items = servers, .count = count};
}

static void to_three(struct engine_config *config, struct world *w)
{
    (void)w;
    servers[0] = (struct alternate){.servers = {addr_of("20.0.0.6:3478")}, .domain = "six.example.org"};
    servers[1] = (struct alternate){.servers = {addr_of("[2a00:7::7]:3478")}};
    servers[2] = (struct alternate){.servers = {addr_of("20.0.0.8:443")}};
    list(config, 3);
}

static void to_ipv4(struct engine_config *config, struct world *w)
{
    to_three(config, w);
    list(config, 1);
}

static void to_itself(struct engine_config *config, struct world *w)
{
    to_three(config, w);
    servers[2].servers[0] = addr_of(SERVER_V4);
}

static void without_users(struct engine_config *config, struct world *w)
{
    to_three(config, w);
    config->relaying = false;
}

/* where: the address and port of the answer's ALTERNATE-SERVER as text. */
static const char *where(const struct client *c, char text[ADDR_TEXT_MAX])
{
    const struct view value = message_attr(&c->reply, SLOT_ALTERNATE_SERVER);
    CHECK(value.len == 8 || value.len == 20);
    const uint16_t port = get_u16(value.at + 2);
    const struct addr addr = value.len == 8 ? addr_v4(value.at + 4, port) : addr_v6(value.at + 4, port);
    return addr_format(&addr, text);
}

/* ask: an Allocate without credentials. */
static int ask(struct client *c)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    c->nonce[0] = 0;
    return client_send(c);
}

TEST(an_allocate_is_redirected_before_it_is_challenged)
{
    struct world w;
    char text[ADDR_TEXT_MAX];
    world_start(&w, to_three);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(ask(&c), STUN_TRY_ALTERNATE);
    CHECK_TEXT(where(&c, text), "20.0.0.6:3478");
    CHECK(!c.was_signed && !message_has(&c.reply, SLOT_NONCE));
    CHECK(!message_has(&c.reply, SLOT_ALTERNATE_DOMAIN)); /* there is no certificate over UDP */
    CHECK_INT(w.told[EVENT_DENIED].count, 0);             /* anybody could fill the log */
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    client_begin(&c, METHOD_REFRESH);
    CHECK_INT(client_send(&c), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(the_servers_of_the_clients_family_take_turns)
{
    struct world w;
    char text[ADDR_TEXT_MAX];
    world_start(&w, to_three);
    struct client v4 = client_at(&w, V4, "ann"), v6 = client_over(&w, TRANSPORT_UDP, V6, SERVER_V6, "ann");
    static const char *const turns[] = {"20.0.0.6:3478", "20.0.0.8:443", "20.0.0.6:3478"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(ask(&v4), STUN_TRY_ALTERNATE);
        CHECK_TEXT(where(&v4, text), turns[i]);
    }
    CHECK_INT(ask(&v6), STUN_TRY_ALTERNATE);
    CHECK_TEXT(where(&v6, text), "[2a00:7::7]:3478");
    world_end(&w);
}

TEST(a_client_without_a_server_of_its_family_stays)
{
    struct world w;
    world_start(&w, to_ipv4);
    struct client c = client_over(&w, TRANSPORT_UDP, V6, SERVER_V6, "ann");
    CHECK_INT(client_allocate(&c), 0);
    world_end(&w);
}

TEST(a_list_that_names_this_server_redirects_nobody)
{
    struct world w;
    world_start(&w, to_itself);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), 0);
    world_end(&w);
}

TEST(over_tls_and_dtls_the_answer_names_the_certificate)
{
    static const enum transport secure[] = {TRANSPORT_TLS, TRANSPORT_DTLS};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_start(&w, to_three);
        struct client c = client_over(&w, secure[i], V4, SERVER_V4, "ann");
        CHECK_INT(ask(&c), STUN_TRY_ALTERNATE);
        CHECK(view_equal(message_attr(&c.reply, SLOT_ALTERNATE_DOMAIN), view_text("six.example.org")));
        world_end(&w);
    }
}

TEST(with_credentials_the_answer_is_signed_and_bad_ones_are_401)
{
    struct world w;
    world_start(&w, to_three);
    struct client c = client_at(&w, V4, "ann");
    client_begin(&c, METHOD_REFRESH);
    CHECK_INT(client_send(&c), STUN_UNAUTHENTICATED); /* learn a nonce */
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    CHECK_INT(client_send(&c), STUN_TRY_ALTERNATE);
    CHECK(c.was_signed);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "redirect");
    snprintf(c.password, sizeof c.password, "wrong");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    CHECK_INT(client_send(&c), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(a_server_that_only_redirects_needs_no_users)
{
    struct world w;
    world_start(&w, without_users);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(ask(&c), STUN_TRY_ALTERNATE);
    world_end(&w);
}

TEST(a_policy_cannot_send_a_client_to_the_other_family_alone)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_REDIRECT, .alternate.servers = {addr_of("[2a00:7::7]:443")}};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), STUN_SERVER_ERROR);
    CHECK_INT(w.told[EVENT_POLICY_ERROR].count, 1);
    world_end(&w);
}

TEST_LIST(RUN(an_allocate_is_redirected_before_it_is_challenged) RUN(the_servers_of_the_clients_family_take_turns)
              RUN(a_client_without_a_server_of_its_family_stays) RUN(a_list_that_names_this_server_redirects_nobody)
                  RUN(over_tls_and_dtls_the_answer_names_the_certificate) RUN(with_credentials_the_answer_is_signed_and_bad_ones_are_401)
                      RUN(a_server_that_only_redirects_needs_no_users) RUN(a_policy_cannot_send_a_client_to_the_other_family_alone))
