/* record.c: OpenSSL as the other end: every suite, lengths, keys that change, padding, records that are touched, too many of those that say
 * nothing */
#include "tls_rig.h"

#define FRAME_BYTES 60004

struct echo {
    struct client *client;
    const uint8_t *frame;
    size_t len, got;
};

static const struct {
    int version;
    const char *suite;
} suites[] = {{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"}, {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
              {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"}, {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
              {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"}};

#define SUITES (sizeof suites / sizeof *suites)

static struct client *client_with(struct rig *rig, size_t suite)
{
    struct client *client = client_new(rig);
    SSL_set_min_proto_version(client->ssl, suites[suite].version);
    SSL_set_max_proto_version(client->ssl, suites[suite].version);
    CHECK(SSL_set_cipher_list(client->ssl, suites[suite].suite) || SSL_set_ciphersuites(client->ssl, suites[suite].suite));
    return client;
}

/* has_echo: sends what is left of the frame, and compares what came back of it. */
static bool has_echo(void *ctx)
{
    static uint8_t back[FRAME_BYTES];
    struct echo *echo = ctx;
    int got;
    ERR_clear_error();
    while (echo->got < echo->len && (got = SSL_read(echo->client->ssl, back, (int)(echo->len - echo->got))) > 0) {
        CHECK_BYTES(back, echo->frame + echo->got, (size_t)got);
        echo->got += (size_t)got;
    }
    return echo->got == echo->len;
}

static void echoes(struct client *client, uint16_t len)
{
    static uint8_t frame[FRAME_BYTES];
    put_u16(frame, 0x4001);
    put_u16(frame + 2, len);
    for (size_t i = 0; i < len; i++)
        frame[4 + i] = (uint8_t)(i * 7 + len);
    CHECK(SSL_write(client->ssl, frame, len + 4) == len + 4);
    CHECK(loop_until(client->rig->loop, has_echo, &(struct echo){client, frame, (size_t)len + 4, 0}));
}

static struct rig *rig_that_echoes(void)
{
    struct rig *rig = rig_tls();
    rig->echo = rig->keep = true;
    return rig;
}

TEST(every_suite_carries_frames_of_every_length_both_ways)
{
    static const uint16_t lengths[] = {0,    4,    172,  1200, 2040,  2044,  2048,  4000,  4036, 4040,
                                       4044, 4048, 4072, 8192, 16376, 16380, 16384, 16388, 60000};
    struct rig *rig = rig_that_echoes();
    for (size_t suite = 0; suite < SUITES; suite++) {
        struct client *client = client_with(rig, suite);
        rig->log_len = 0;
        CHECK(shake(client));
        CHECK_TEXT(SSL_get_cipher_name(client->ssl), suites[suite].suite);
        round_trip(client);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            echoes(client, lengths[i]);
        client_free(client);
    }
    rig_tls_free(rig);
}

TEST(keys_change_whenever_the_client_wants)
{
    struct rig *rig = rig_that_echoes();
    for (size_t suite = 3; suite < SUITES; suite++) {
        struct client *client = client_with(rig, suite);
        CHECK(shake(client));
        round_trip(client);
        for (int i = 0; i < 100; i++) {
            CHECK(SSL_key_update(client->ssl, i % 3 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
            echoes(client, 172);
        }
        client_free(client);
    }
    rig_tls_free(rig);
}

TEST(padding_is_no_data)
{
    struct rig *rig = rig_that_echoes();
    struct client *client = client_new(rig);
    CHECK(shake(client));
    round_trip(client);
    CHECK(SSL_set_block_padding(client->ssl, 512) == 1);
    for (uint16_t len = 0; len < 1200; len = (uint16_t)(len + 100))
        echoes(client, len);
    client_free(client);
    rig_tls_free(rig);
}

struct seen {
    unsigned records, longest;
};

static void see(int is_write, int version, int type, const void *at, size_t len, SSL *ssl, void *arg)
{
    struct seen *seen = arg;
    (void)version, (void)len, (void)ssl;
    if (is_write || type != SSL3_RT_HEADER)
        return;
    const unsigned body = get_u16((const uint8_t *)at + 3);
    seen->records++;
    seen->longest = body > seen->longest ? body : seen->longest;
}

static void watch_records(struct client *client, struct seen *seen)
{
    *seen = (struct seen){0};
    SSL_set_msg_callback(client->ssl, see);
    SSL_set_msg_callback_arg(client->ssl, seen);
}

TEST(a_client_that_wants_short_records_gets_no_others)
{
    struct rig *rig = rig_that_echoes();
    for (size_t suite = 0; suite < SUITES; suite++) {
        struct seen seen;
        struct client *client = client_with(rig, suite);
        CHECK(SSL_set_tlsext_max_fragment_length(client->ssl, TLSEXT_max_fragment_length_512) == 1);
        CHECK(shake(client));
        round_trip(client);
        watch_records(client, &seen);
        echoes(client, 3000);
        CHECK_INT(seen.records, 6);
        CHECK(seen.longest >= 512 && seen.longest <= 512 + 24);
        client_free(client);
    }
    rig_tls_free(rig);
}

TEST(each_frame_has_a_record_of_its_own)
{
    struct rig *rig = rig_that_echoes();
    struct client *client = client_new(rig);
    struct seen seen;
    uint8_t frames[10 * BINDING_LEN];
    for (uint8_t i = 0; i < 10; i++)
        binding(frames + i * BINDING_LEN, i);
    CHECK(shake(client));
    round_trip(client);
    watch_records(client, &seen);
    CHECK(SSL_write(client->ssl, frames, sizeof frames) == sizeof frames);
    client->wanted = sizeof frames;
    client->got = 0;
    CHECK(loop_until(rig->loop, has_read, client));
    CHECK_BYTES(client->back, frames, sizeof frames);
    CHECK_INT(seen.records, 10);
    client_free(client);
    rig_tls_free(rig);
}

/* touched: one bit of a record that is otherwise good; the client is told, and what the record carried is not heard. */
static void touched(struct rig *rig, size_t suite, size_t at, int reason)
{
    struct client *client = client_with(rig, suite);
    uint8_t bytes[BINDING_LEN], wire[512];
    binding(bytes, 1);
    CHECK(shake(client));
    round_trip(client); /* session tickets are read */
    SSL_set0_wbio(client->ssl, BIO_new(BIO_s_mem()));
    CHECK(SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes);
    const size_t len = (size_t)BIO_read(SSL_get_wbio(client->ssl), wire, sizeof wire);
    CHECK(at < len);
    wire[at] ^= 1;
    rig->frames = 0;
    put(client->fd, wire, len);
    client->wanted = client->got + 1;
    ERR_clear_error();
    CHECK(loop_until(rig->loop, has_read, client) && client->failed);
    CHECK_INT(rig->frames, 0);
    CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + reason);
    client_free(client);
}

TEST(a_record_that_was_touched_ends_its_connection_and_says_why)
{
    struct rig *rig = rig_that_echoes();
    for (size_t suite = 0; suite < SUITES; suite++) {
        const bool is_1_3 = suites[suite].version == TLS1_3_VERSION;
        touched(rig, suite, 0, is_1_3 ? SSL3_AD_UNEXPECTED_MESSAGE : SSL3_AD_BAD_RECORD_MAC);
        touched(rig, suite, 1, TLS1_AD_DECODE_ERROR);
        touched(rig, suite, 2, SSL3_AD_BAD_RECORD_MAC);
        for (size_t at = 5; at < 41; at += 4)
            touched(rig, suite, at, SSL3_AD_BAD_RECORD_MAC);
    }
    rig_tls_free(rig);
}

TEST(a_length_that_no_record_has_ends_the_connection)
{
    struct rig *rig = rig_that_echoes();
    for (size_t suite = 0; suite < SUITES; suite++) {
        static const uint8_t headers[][5] = {{23, 3, 3, 0, 0}, {23, 3, 3, 0, 15}, {23, 3, 3, 0x41, 1}, {23, 3, 3, 0xff, 0xff}};
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
            struct client *client = client_with(rig, suite);
            CHECK(shake(client));
            round_trip(client);
            put(client->fd, headers[i], sizeof headers[i]);
            client->wanted = client->got + 1;
            CHECK(loop_until(rig->loop, has_read, client) && client->failed);
            client_free(client);
        }
    }
    rig_tls_free(rig);
}

TEST(who_says_nothing_in_too_many_records_is_not_heard_any_more)
{
    struct rig *rig = rig_that_echoes();
    struct client *client = client_new(rig);
    CHECK(shake(client));
    round_trip(client);
    for (int i = 0; i < 32; i++) {
        CHECK(SSL_key_update(client->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        CHECK(SSL_do_handshake(client->ssl) == 1);
    }
    echoes(client, 172); /* and with data between them there may be more */
    for (int i = 0; i < 33; i++) {
        CHECK(SSL_key_update(client->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        CHECK(SSL_do_handshake(client->ssl) == 1);
    }
    client->wanted = client->got + 1;
    CHECK(loop_until(rig->loop, has_read, client) && client->failed);
    client_free(client);
    rig_tls_free(rig);
}

/* A record that is only half here when the connection leaves, and the goodbye behind it, are the other worker's. */
TEST(half_a_record_and_a_goodbye_go_along_to_another_worker)
{
    for (size_t suite = 0; suite < SUITES; suite++) {
        struct rig *first = rig_that_echoes(), *second = rig_new((struct streams_config){.plain = true, .tls = first->streams->config.tls});
        struct client *client = client_with(first, suite);
        uint8_t bytes[BINDING_LEN], wire[1024];
        binding(bytes, 9);
        CHECK(shake(client));
        round_trip(client);
        first->hand_after = 2;
        second->echo = true;
        SSL_set0_wbio(client->ssl, BIO_new(BIO_s_mem()));
        CHECK(SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes && SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes);
        SSL_shutdown(client->ssl);
        const size_t len = (size_t)BIO_read(SSL_get_wbio(client->ssl), wire, sizeof wire), most = suite % 2 ? len : len - 40;
        put(client->fd, wire, most);
        stream_take_over(second->streams, parcel_of(first));
        put(client->fd, wire + most, len - most);
        client->rig = second;
        client->wanted = 2 * sizeof bytes + 1;
        client->got = 0;
        CHECK(loop_until(second->loop, has_read, client) && client->failed);
        CHECK_INT(client->got, 2 * sizeof bytes);
        CHECK(SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN);
        client_free(client);
        AWAIT(second, has_closed, .number = 1);
        rig_free(second);
        rig_tls_free(first);
    }
}

TEST(without_memory_a_connection_ends_and_the_next_is_served)
{
    struct rig *rig = rig_that_echoes();
    unsigned lost = 0;
    for (int n = 0;; n++) {
        struct client *client = client_new(rig);
        client->wanted = BINDING_LEN;
        uint8_t bytes[BINDING_LEN];
        binding(bytes, 3);
        test_fail_malloc_after(n);
        const bool served = loop_until(rig->loop, is_shaken, client) && client->established &&
                            SSL_write(client->ssl, bytes, sizeof bytes) > 0 && loop_until(rig->loop, has_read, client) && !client->failed;
        test_fail_malloc_after(-1);
        client_free(client);
        if (served)
            break;
        lost++;
    }
    CHECK(lost > 0);
    rig_tls_free(rig);
}

TEST_LIST(RUN(every_suite_carries_frames_of_every_length_both_ways) RUN(keys_change_whenever_the_client_wants) RUN(padding_is_no_data)
              RUN(a_client_that_wants_short_records_gets_no_others) RUN(each_frame_has_a_record_of_its_own)
                  RUN(a_record_that_was_touched_ends_its_connection_and_says_why) RUN(a_length_that_no_record_has_ends_the_connection)
                      RUN(who_says_nothing_in_too_many_records_is_not_heard_any_more)
                          RUN(half_a_record_and_a_goodbye_go_along_to_another_worker)
                              RUN(without_memory_a_connection_ends_and_the_next_is_served))
