/* TLS connections: on the same port as plain ones, frames across records, and what a handshake may be */
#include "tls_rig.h"

TEST(tls_and_plain_share_a_port_and_the_flow_tells_sni_and_alpn)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    rig->echo = true;
    SSL_set_tlsext_host_name(client->ssl, "turn.example.org");
    SSL_set_alpn_protos(client->ssl, (const unsigned char *)"\x06webrtc\x09stun.turn", 17);
    CHECK(shake(client));
    round_trip(client);
    CHECK_INT(rig->last.transport, TRANSPORT_TLS);
    CHECK_TEXT(rig->sni, "turn.example.org");
    CHECK_TEXT(rig->alpn, "stun.turn");
    CHECK_INT(SSL_version(client->ssl), TLS1_3_VERSION);
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 4);
    const int plain = rig_connect(rig);
    put(plain, bytes, sizeof bytes);
    AWAIT(rig, has_bytes, .fd = plain, .number = sizeof bytes, .into = bytes);
    CHECK_INT(rig->last.transport, TRANSPORT_TCP);
    CHECK_TEXT(rig->sni, "");
    close(plain);
    client_free(client);
    rig_tls_free(rig);
}

TEST(an_unknown_alpn_is_ignored_and_the_other_known_one_answered)
{
    struct rig *rig = rig_tls();
    rig->echo = true;
    struct client *client = client_new(rig);
    SSL_set_alpn_protos(client->ssl, (const unsigned char *)"\x06webrtc\x08" "c-webrtc", 16);
    CHECK(shake(client));
    round_trip(client);
    CHECK_TEXT(rig->alpn, "");
    client_free(client);
    client = client_new(rig);
    SSL_set_alpn_protos(client->ssl, (const unsigned char *)"\x12stun.nat-discovery", 19);
    CHECK(shake(client));
    round_trip(client);
    CHECK_TEXT(rig->alpn, "stun.nat-discovery");
    client_free(client);
    rig_tls_free(rig);
}

TEST(frames_split_over_records_at_every_byte_arrive_once)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    CHECK(shake(client));
    uint8_t bytes[52];
    binding(bytes, 1);
    memcpy(bytes + 20, "\x40\x01\x00\x05hello\x00\x00\x00", 12);
    binding(bytes + 32, 2);
    for (int split = 1; split < 52; split++) {
        rig->frames = 0;
        rig->log_len = 0;
        CHECK(SSL_write(client->ssl, bytes, split) == split);
        CHECK(SSL_write(client->ssl, bytes + split, 52 - split) == 52 - split);
        AWAIT(rig, has_frames, .number = 3);
        CHECK_INT(rig->log_len, 49);
        CHECK_BYTES(rig->log, bytes, 29);
        CHECK_BYTES(rig->log + 29, bytes + 32, 20);
    }
    client_free(client);
    rig_tls_free(rig);
}

TEST(records_split_at_every_byte_of_the_wire_arrive)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    uint8_t bytes[BINDING_LEN], wire[512];
    binding(bytes, 1);
    CHECK(shake(client));
    rig->echo = true;
    round_trip(client); /* session tickets are read */
    rig->echo = false;
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set0_wbio(client->ssl, out);
    rig->frames = 0;
    for (size_t split = 1; split < 41; split++) {
        CHECK(SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes);
        const size_t len = (size_t)BIO_read(out, wire, sizeof wire);
        CHECK(len > split);
        put(client->fd, wire, split);
        put(client->fd, wire + split, len - split);
        AWAIT(rig, has_frames, .number = split);
    }
    client_free(client);
    rig_tls_free(rig);
}

TEST(a_frame_of_several_records_passes)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    rig->keep = true;
    CHECK(shake(client));
    uint8_t *bytes = calloc(1, 40020);
    binding(bytes, 1);
    CHECK(SSL_write(client->ssl, bytes, 20) == 20);
    AWAIT(rig, has_frames, .number = 1);
    memcpy(bytes, "\x40\x01\x9c\x40", 4); /* 40,000 bytes */
    CHECK(SSL_write(client->ssl, bytes, 40004) == 40004);
    AWAIT(rig, has_frames, .number = 2);
    CHECK_INT(rig->log_len, 40024);
    free(bytes);
    client_free(client);
    rig_tls_free(rig);
}

static void version_and_suite(int version, const char *suites, bool works)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    rig->echo = true;
    SSL_set_min_proto_version(client->ssl, version);
    SSL_set_max_proto_version(client->ssl, version);
    if (suites)
        CHECK(SSL_set_cipher_list(client->ssl, suites));
    CHECK_INT(shake(client), works);
    if (works)
        round_trip(client);
    else
        AWAIT(rig, has_closed, .number = 1);
    CHECK_INT(streams_counts(rig->streams)->handshake_failed, works ? 0 : 1);
    client_free(client);
    rig_tls_free(rig);
}

TEST(tls_is_1_2_or_1_3_with_aead_suites)
{
    version_and_suite(TLS1_3_VERSION, NULL, true);
    version_and_suite(TLS1_2_VERSION, NULL, true);
    version_and_suite(TLS1_1_VERSION, NULL, false);
    version_and_suite(TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true);
    version_and_suite(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", true);
    version_and_suite(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false);
    version_and_suite(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", false);
    version_and_suite(TLS1_2_VERSION, "AECDH-AES128-SHA:ECDHE-ECDSA-NULL-SHA", false);
}

TEST(renegotiation_is_refused)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    SSL_set_max_proto_version(client->ssl, TLS1_2_VERSION);
    SSL_clear_options(client->ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK(shake(client));
    CHECK(SSL_renegotiate(client->ssl) == 1);
    client->established = false;
    CHECK(!shake(client)); /* answered by an alert */
    client_free(client);
    rig_tls_free(rig);
}

TEST(a_resumed_session_keeps_its_name)
{
    struct rig *rig = rig_tls();
    rig->echo = true;
    SSL_SESSION *session = NULL;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (int round = 0; round < 2; round++) {
            struct client *client = client_new(rig);
            SSL_set_max_proto_version(client->ssl, version);
            SSL_set_tlsext_host_name(client->ssl, "again.example.org");
            if (session)
                SSL_set_session(client->ssl, session);
            CHECK(shake(client));
            round_trip(client);
            CHECK_INT(SSL_session_reused(client->ssl), round);
            CHECK_TEXT(rig->sni, "again.example.org");
            SSL_SESSION_free(session);
            session = round ? NULL : SSL_get1_session(client->ssl);
            SSL_shutdown(client->ssl);
            client_free(client);
        }
    }
    rig_tls_free(rig);
}

TEST(a_goodbye_is_answered_and_a_close_says_goodbye)
{
    struct rig *rig = rig_tls();
    struct client *client = client_new(rig);
    rig->echo = true;
    CHECK(shake(client));
    round_trip(client);
    rig->close_after = 2;
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 3);
    CHECK(SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes);
    client->wanted = 100;
    client->got = 0;
    CHECK(loop_until(rig->loop, has_read, client));
    CHECK_INT(client->got, sizeof bytes);
    CHECK_INT(SSL_get_shutdown(client->ssl), SSL_RECEIVED_SHUTDOWN);
    client_free(client);
    AWAIT(rig, has_closed, .number = 1);
    CHECK_INT(rig->closed, 1);
    rig->close_after = 0;
    client = client_new(rig);
    CHECK(shake(client));
    round_trip(client);
    CHECK(SSL_shutdown(client->ssl) == 0);
    client->wanted = 100;
    CHECK(loop_until(rig->loop, has_read, client));
    CHECK(SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN);
    client_free(client);
    AWAIT(rig, has_closed, .number = 2);
    CHECK_INT(rig->closed, 2);
    rig_tls_free(rig);
}

static void ends(struct rig *rig, const char *bytes, size_t len)
{
    const int fd = rig_connect(rig);
    put(fd, bytes, len);
    AWAIT(rig, has_ended, .fd = fd);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    CHECK_INT(rig->frames, 0);
    close(fd);
}

TEST(what_only_looks_like_tls_is_closed)
{
    struct rig *rig = rig_tls();
    ends(rig, "\x16\x02\x01\x00\x05hello", 10);
    CHECK_INT(streams_counts(rig->streams)->handshake_failed, 0); /* it never began */
    ends(rig, "\x16\x03\x01\x00\x05hello", 10);
    ends(rig, "\x16\x03\xff\xff\xff\xff\xff\xff\xff", 9);
    ends(rig, "\x15\x03\x01\x00\x02\x01\x00", 7);
    CHECK_INT(streams_counts(rig->streams)->handshake_failed, 1);
    rig_tls_free(rig);
}

TEST(plain_may_be_switched_off)
{
    struct rig *rig = rig_new((struct streams_config){.plain = false, .tls = tls_for_test()});
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    ends(rig, (const char *)bytes, sizeof bytes);
    rig->echo = true;
    struct client *client = client_new(rig);
    CHECK(shake(client));
    round_trip(client);
    client_free(client);
    rig_tls_free(rig);
}

TEST(half_a_handshake_ends_at_its_deadline)
{
    struct rig *rig = rig_tls();
    const int fd = rig_connect(rig);
    put(fd, "\x16", 1);
    AWAIT(rig, has_accepted, .number = 1);
    const msec_t accepted = loop_now(rig->loop);
    streams_sweep(rig->streams, accepted + 9000);
    streams_flush(rig->streams);
    CHECK_INT(streams_counts(rig->streams)->open, 1);
    streams_sweep(rig->streams, accepted + 10001);
    streams_flush(rig->streams);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    AWAIT(rig, has_ended, .fd = fd);
    close(fd);
    rig_tls_free(rig);
}

TEST(a_session_goes_on_with_another_worker_and_loses_nothing)
{
    struct rig *first = rig_tls(), *second = rig_new((struct streams_config){.plain = true, .tls = first->streams->config.tls});
    struct client *client = client_new(first);
    uint8_t bytes[6 * BINDING_LEN];
    for (uint8_t i = 0; i < 6; i++)
        binding(bytes + i * BINDING_LEN, i + 1);
    first->echo = second->echo = true;
    SSL_set_tlsext_host_name(client->ssl, "turn.example.org");
    CHECK(shake(client));
    first->hand_after = 2;
    for (size_t at = 0; at < sizeof bytes; at += 30) /* frames cut by records */
        CHECK(SSL_write(client->ssl, bytes + at, 30) == 30);
    struct connection *parcel = parcel_of(first);
    CHECK_INT(first->frames, 1);
    stream_take_over(second->streams, parcel);
    client->rig = second;
    client->wanted = sizeof bytes;
    client->got = 0;
    CHECK(loop_until(second->loop, has_read, client));
    CHECK_BYTES(client->back, bytes, sizeof bytes);
    CHECK_INT(second->last.transport, TRANSPORT_TLS);
    CHECK_TEXT(second->sni, "turn.example.org");
    round_trip(client);
    client_free(client);
    AWAIT(second, has_closed, .number = 1);
    rig_free(second);
    rig_tls_free(first);
}

TEST_LIST(
    RUN(tls_and_plain_share_a_port_and_the_flow_tells_sni_and_alpn)
    RUN(an_unknown_alpn_is_ignored_and_the_other_known_one_answered)
    RUN(frames_split_over_records_at_every_byte_arrive_once)
    RUN(records_split_at_every_byte_of_the_wire_arrive)
    RUN(a_frame_of_several_records_passes)
    RUN(tls_is_1_2_or_1_3_with_aead_suites)
    RUN(renegotiation_is_refused)
    RUN(a_resumed_session_keeps_its_name)
    RUN(a_goodbye_is_answered_and_a_close_says_goodbye)
    RUN(what_only_looks_like_tls_is_closed)
    RUN(plain_may_be_switched_off)
    RUN(half_a_handshake_ends_at_its_deadline)
    RUN(a_session_goes_on_with_another_worker_and_loses_nothing))
