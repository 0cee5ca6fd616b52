/* record_datagram.c: OpenSSL as the other end of DTLS: every suite and length, datagrams in any order and twice, a client that repeats
 * itself */
#include "dtls_rig.h"

static struct client *client_with(struct rig *rig, const char *suite, uint16_t port)
{
    struct client *client = client_new(rig, port);
    CHECK(SSL_set_cipher_list(client->ssl, suite) == 1);
    return client;
}

static const char *const suites[] = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};

#define SUITES (sizeof suites / sizeof *suites)

TEST(every_suite_carries_datagrams_of_every_length_both_ways)
{
    for (size_t suite = 0; suite < SUITES; suite++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_with(rig, suites[suite], 1000);
        char text[1201] = "";
        CHECK(shake(client));
        CHECK_TEXT(SSL_get_cipher_name(client->ssl), suites[suite]);
        for (size_t len = 1; len <= 1120; len += len < 40 ? 1 : 97) {
            memset(text, 'a' + (int)(len % 26), len);
            round_trip(client, text);
        }
        rig_free(rig);
    }
}

TEST(a_record_counts_once_in_whatever_order_it_comes)
{
    enum { COUNT = 200 };
    static struct datagram said[COUNT];
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    CHECK(shake(client));
    rig->echo = false;
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(SSL_write(client->ssl, "x", 1) == 1);
        said[i] = next_of(client);
        CHECK(dequeue(&client->outbox).len == 0);
    }
    static const struct {
        uint8_t at;
        bool counts;
    } order[] = {{70, true},   {70, false}, {69, true},   {7, true},   {6, false},  {7, false},   {71, true},   {8, true},
                 {7, false},   {8, false},  {9, true},    {134, true}, {70, false}, {71, false},  {72, true},   {133, true},
                 {133, false}, {199, true}, {135, false}, {136, true}, {198, true}, {199, false}, {134, false}, {137, true}};
    unsigned counted = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const struct datagram *datagram = &said[order[i].at];
        dtls_receive(rig->dtls, &client->flow, view_of(datagram->bytes, datagram->len), clock_ms);
        counted += order[i].counts;
        CHECK_INT(rig->datagrams, counted);
    }
    rig_free(rig);
}

TEST(records_of_one_datagram_are_datagrams_of_their_own)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    uint8_t both[200];
    CHECK(shake(client));
    CHECK(SSL_write(client->ssl, "one", 3) == 3 && SSL_write(client->ssl, "second", 6) == 6);
    const struct datagram first = next_of(client), second = next_of(client);
    memcpy(both, first.bytes, first.len);
    memcpy(both + first.len, second.bytes, second.len);
    both[first.len + second.len] = 23; /* and what is none */
    dtls_receive(rig->dtls, &client->flow, view_of(both, first.len + second.len + 1), clock_ms);
    CHECK_INT(rig->datagrams, 2);
    CHECK_BYTES(rig->log, "second", 6);
    rig_pump(rig);
    CHECK_BYTES(client->back, "second", 6);
    rig_free(rig);
}

/* That it is answered before there are data is shown by a_handshake_survives_the_loss_of_any_one_packet. */
TEST(the_last_flight_of_a_handshake_is_nothing_once_there_are_data)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    struct queue flight = {0};
    client_run(client, view_of(NULL, 0));
    while (!client->established) {
        flight.count = 0;
        struct view in;
        while ((in = dequeue(&client->outbox)).len) {
            struct datagram *item = &flight.items[flight.count++];
            *item = (struct datagram){.len = in.len};
            memcpy(item->bytes, in.at, in.len);
            dtls_receive(rig->dtls, &client->flow, in, clock_ms);
        }
        while ((in = dequeue(&client->inbox)).len)
            client_run(client, in);
    }
    round_trip(client, "data");
    const unsigned before = rig->transmitted;
    for (unsigned i = 0; i < flight.count; i++)
        dtls_receive(rig->dtls, &client->flow, view_of(flight.items[i].bytes, flight.items[i].len), clock_ms);
    CHECK(flight.count > 0);
    CHECK_INT(rig->transmitted, before);
    round_trip(client, "more data");
    CHECK_INT(rig->closed, 0);
    rig_free(rig);
}

TEST(a_client_that_wants_short_records_is_sent_no_others)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    uint8_t bytes[600] = {0};
    CHECK(SSL_set_tlsext_max_fragment_length(client->ssl, TLSEXT_max_fragment_length_512) == 1);
    CHECK(shake(client));
    round_trip(client, "x");
    CHECK(dtls_send(rig->dtls, &client->flow, view_of(bytes, 512)));
    CHECK(!dtls_send(rig->dtls, &client->flow, view_of(bytes, 513)));
    rig_pump(rig);
    CHECK_INT(client->got, 512);
    rig_free(rig);
}

TEST_LIST(RUN(every_suite_carries_datagrams_of_every_length_both_ways) RUN(a_record_counts_once_in_whatever_order_it_comes)
              RUN(records_of_one_datagram_are_datagrams_of_their_own) RUN(the_last_flight_of_a_handshake_is_nothing_once_there_are_data)
                  RUN(a_client_that_wants_short_records_is_sent_no_others))
