/* the ClientHello before any state: how it is read, and whom a cookie convinces */
#include "dtls_rig.h"

#include "base/err.h"

#include <malloc.h>

/* first_hello: what a client says first; it also knows how to answer a HelloVerifyRequest. */
static struct datagram first_hello(struct client *client)
{
    client_run(client, view_of(NULL, 0));
    return next_of(client);
}

static void receive(struct client *client, const struct datagram *datagram)
{
    dtls_receive(client->rig->dtls, &client->flow, view_of(datagram->bytes, datagram->len), clock_ms);
}

/* second_hello: with the cookie that the server asked for. */
static struct datagram second_hello(struct client *client)
{
    const struct datagram first = first_hello(client);
    receive(client, &first);
    client_run(client, dequeue(&client->inbox));
    return next_of(client);
}

TEST(a_hello_is_read_up_to_its_cookie_and_every_shorter_one_is_refused)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    const struct datagram full = second_hello(client);
    struct hello hello;
    CHECK_INT(hello_open(&hello, view_of(full.bytes, full.len)), 0);
    CHECK_INT(hello.cookie.len, HELLO_COOKIE_LEN);
    CHECK(hello.random == full.bytes + 27);
    CHECK(hello.sequence == full.bytes + 5);
    for (size_t len = 0; len < full.len; len++) {
        uint8_t *cut = test_guarded(full.bytes, len);
        CHECK_INT(hello_open(&hello, view_of(cut, len)), ERR_BAD); /* the record says more than there is */
        test_unguard(cut, len);
    }
    rig_free(rig);
}

TEST(every_length_that_lies_is_refused_without_reading_beyond)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    const struct datagram full = second_hello(client);
    struct hello hello;
    uint8_t *bytes = test_guarded(full.bytes, full.len);
    const size_t lengths[] = {11, 12, 14, 15, 16, 19, 20, 21, 22, 23, 24, 59, 60}; /* record, message, offset, fragment, session id, cookie */
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (unsigned value = 0; value < 256; value++) {
            bytes[lengths[i]] = (uint8_t)value;
            if (hello_open(&hello, view_of(bytes, full.len)) == 0)
                CHECK(hello.cookie.at + hello.cookie.len <= bytes + full.len);
            bytes[lengths[i]] = full.bytes[lengths[i]];
        }
    test_unguard(bytes, full.len);
    rig_free(rig);
}

TEST(only_a_client_hello_of_epoch_0_is_one)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    const struct datagram full = second_hello(client);
    const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{0, 23}, {1, 3}, {4, 1}, {13, 2}, {21, 1}};
    struct hello hello;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct datagram other = full;
        other.bytes[rows[i].at] = rows[i].value;
        CHECK_INT(hello_open(&hello, view_of(other.bytes, other.len)), ERR_BAD);
    }
    rig_free(rig);
}

TEST(the_answer_is_one_small_packet_with_the_sequence_of_the_hello)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    struct datagram hello = first_hello(client);
    hello.bytes[10] = 9;
    receive(client, &hello);
    const struct view answer = dequeue(&client->inbox);
    CHECK_INT(rig->transmitted, 1);
    CHECK_INT(answer.len, 44);
    CHECK(answer.len < hello.len);
    const uint8_t want[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0, 31, 3, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 19, 0xfe, 0xff, 16};
    CHECK_BYTES(answer.at, want, sizeof want);
    rig_free(rig);
}

/* asked_again: `hello` from `flow` is answered by another request for a cookie, and leaves nothing. */
static void asked_again(struct client *client, const struct datagram *hello)
{
    const unsigned before = client->rig->transmitted, bytes = client->rig->transmitted_bytes;
    receive(client, hello);
    CHECK_INT(client->rig->transmitted, before + 1);
    CHECK_INT(client->rig->transmitted_bytes, bytes + HELLO_VERIFY_LEN);
    CHECK_INT(dtls_sessions(client->rig->dtls), 0);
}

TEST(a_cookie_convinces_only_from_its_own_address_to_ours_and_with_its_random)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    const struct datagram good = second_hello(client);
    const struct flow flow = client->flow;
    client->flow.client.port++;
    asked_again(client, &good);
    client->flow = flow;
    client->flow.client = loopback(3, 1000);
    asked_again(client, &good);
    client->flow = flow;
    client->flow.server.port++;
    asked_again(client, &good);
    client->flow = flow;
    struct datagram other = good;
    other.bytes[30] ^= 1; /* of the random */
    asked_again(client, &other);
    for (size_t i = 0; i < HELLO_COOKIE_LEN; i++) {
        other = good;
        other.bytes[61 + i] ^= 0x80;
        asked_again(client, &other);
    }
    receive(client, &good);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    rig_free(rig);
}

TEST(a_cookie_lives_a_minute_and_at_most_two)
{
    for (int late = 0; late < 2; late++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_new(rig, 1000);
        const struct datagram good = second_hello(client);
        clock_ms += late ? 120000 : 60000;
        if (late) {
            asked_again(client, &good);
        } else {
            receive(client, &good);
            CHECK_INT(dtls_sessions(rig->dtls), 1);
        }
        rig_free(rig);
    }
}

TEST(thirty_thousand_hellos_without_a_cookie_cost_no_memory)
{
    struct rig *rig = rig_new(100000, 100000);
    struct client *client = client_new(rig, 1000);
    struct datagram hello = first_hello(client);
    asked_again(client, &hello);
    client_free(client);
    struct flow flow = {.server = loopback(1, 3478), .link = 77};
    const size_t before = mallinfo2().uordblks;
    test_fail_malloc_after(0);
    for (unsigned i = 0; i < 30000; i++) {
        flow.client = loopback((uint8_t)(2 + i / 10000), (uint16_t)(i % 10000 + 1));
        put_u32(hello.bytes + 30, i);
        dtls_receive(rig->dtls, &flow, view_of(hello.bytes, hello.len), clock_ms);
    }
    const long mallocs = test_mallocs();
    test_fail_malloc_after(-1);
    CHECK_INT(rig->transmitted, 30001);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    CHECK_INT(mallocs, 0);
    CHECK(mallinfo2().uordblks <= before + 1024);
    rig_free(rig);
}

/* fragment: `hello` as its first fragment of `len` bytes, and the rest as the second. */
static void fragment(const struct datagram *hello, size_t len, struct datagram out[2])
{
    const size_t header = 25, body = hello->len - header;
    for (int i = 0; i < 2; i++) {
        const size_t from = i ? len : 0, part = i ? body - len : len;
        out[i].len = header + part;
        memcpy(out[i].bytes, hello->bytes, header);
        memcpy(out[i].bytes + header, hello->bytes + header + from, part);
        out[i].bytes[10] = (uint8_t)(hello->bytes[10] + i);
        put_u16(out[i].bytes + 11, (uint16_t)(12 + part));
        put_u16(out[i].bytes + 20, (uint16_t)from);
        put_u16(out[i].bytes + 23, (uint16_t)part);
    }
}

TEST(a_hello_in_two_fragments_is_taken_when_the_first_has_the_cookie)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    const struct datagram hello = second_hello(client);
    struct datagram parts[2];
    fragment(&hello, 100, parts);
    receive(client, &parts[0]);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    const unsigned before = rig->transmitted;
    receive(client, &parts[1]);
    CHECK(rig->transmitted > before); /* the server's flight */
    CHECK(shake(client)); /* the client does not know that it used one more record number: it has to send again */
    round_trip(client, "x");
    rig_free(rig);
}

TEST_LIST(
    RUN(a_hello_is_read_up_to_its_cookie_and_every_shorter_one_is_refused)
    RUN(every_length_that_lies_is_refused_without_reading_beyond)
    RUN(only_a_client_hello_of_epoch_0_is_one)
    RUN(the_answer_is_one_small_packet_with_the_sequence_of_the_hello)
    RUN(a_cookie_convinces_only_from_its_own_address_to_ours_and_with_its_random)
    RUN(a_cookie_lives_a_minute_and_at_most_two)
    RUN(thirty_thousand_hellos_without_a_cookie_cost_no_memory)
    RUN(a_hello_in_two_fragments_is_taken_when_the_first_has_the_cookie))
