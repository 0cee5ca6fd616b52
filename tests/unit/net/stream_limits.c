/* what a connection may cost: deadlines, caps, slow readers, descriptors, memory */
#include "certificate.h"
#include "stream_rig.h"

#include <malloc.h>
#include <sys/resource.h>

static void hello(struct rig *rig, int fd)
{
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = rig->frames + 1);
}

static void sweep(struct rig *rig, msec_t now)
{
    streams_sweep(rig->streams, now);
    streams_flush(rig->streams);
}

TEST(a_slow_client_is_cut_at_an_absolute_deadline_whatever_it_says)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    const int fd = rig_connect(rig);
    AWAIT(rig, has_accepted, .number = 1);
    const msec_t accepted = rig_only(rig)->deadline.due_ms - 10000;
    for (unsigned i = 0; i < 19; i++) { /* a byte every half second, and before the end a whole frame */
        put(fd, bytes + i, 1);
        AWAIT(rig, has_part, .number = i + 1);
        sweep(rig, accepted + 500 * (msec_t)i);
    }
    put(fd, bytes + 19, 1);
    AWAIT(rig, has_frames, .number = 1);
    sweep(rig, accepted + 9999);
    CHECK_INT(streams_counts(rig->streams)->open, 1);
    sweep(rig, accepted + 10000);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    CHECK_INT(rig->closed, 1);
    AWAIT(rig, has_ended, .fd = fd);
    close(fd);
    rig_free(rig);
}

TEST(a_client_with_an_allocation_has_no_deadline_until_it_ends)
{
    struct rig *rig = rig_plain();
    rig->keep = true;
    const int fd = rig_connect(rig);
    hello(rig, fd);
    sweep(rig, loop_now(rig->loop) + 86400000);
    CHECK_INT(streams_counts(rig->streams)->open, 1);
    const msec_t ended = loop_now(rig->loop);
    stream_keep(rig->streams, rig->last.link, false);
    sweep(rig, ended + 9999);
    CHECK_INT(streams_counts(rig->streams)->open, 1);
    sweep(rig, ended + 10000);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    CHECK_INT(rig->closed, 1);
    close(fd);
    rig_free(rig);
}

TEST(a_client_that_does_not_take_its_goodbye_is_cut)
{
    struct rig *rig = rig_plain();
    rig->keep = true;
    const int fd = rig_connect(rig);
    hello(rig, fd);
    stream_close(rig->streams, rig->last.link);
    sweep(rig, loop_now(rig->loop) + 9000);
    CHECK_INT(streams_counts(rig->streams)->open, 1);
    sweep(rig, loop_now(rig->loop) + 10000);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    close(fd);
    rig_free(rig);
}

TEST(the_sweep_timer_cuts_by_itself)
{
    struct rig *rig = rig_new((struct streams_config){.plain = true, .handshake_s = 1});
    const int fd = rig_connect(rig);
    AWAIT(rig, has_closed, .number = 1);
    close(fd);
    rig_free(rig);
}

/* media, reply: ChannelData and a Binding success response, each with its number. */
#define MEDIA_LEN 1004
static struct view media(uint8_t out[MEDIA_LEN], uint32_t number)
{
    memset(out, 0, MEDIA_LEN);
    memcpy(out, "\x40\x01\x03\xe8", 4);
    put_u32(out + 4, number);
    return view_of(out, MEDIA_LEN);
}

static struct view reply(uint8_t out[BINDING_LEN], uint32_t number)
{
    binding(out, 0);
    out[0] = 1;
    put_u32(out + 16, number);
    return view_of(out, BINDING_LEN);
}

/* check_stream: what arrived is whole frames with rising numbers and ends with `last`. */
static void check_stream(const uint8_t *bytes, size_t len, uint32_t last)
{
    uint32_t before = 0;
    for (size_t at = 0, used; at < len; at += used) {
        struct view frame;
        CHECK_INT(frame_cut(view_of(bytes + at, len - at), &frame, &used), 0);
        const uint32_t number = get_u32(frame.at + (frame.len == MEDIA_LEN ? 4 : 16));
        CHECK(number > before);
        before = number;
    }
    CHECK_INT(before, last);
}

/* small_buffers: so that little is enough to fill them; before the client connects. */
static void small_buffers(const struct rig *rig)
{
    const int bytes = 4096;
    CHECK(setsockopt(rig->streams->listeners[0].fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
}

TEST(a_slow_reader_loses_media_but_no_reply_and_never_a_part_of_a_frame)
{
    struct rig *rig = rig_plain();
    rig->keep = true;
    small_buffers(rig);
    const int fd = rig_connect(rig);
    hello(rig, fd);
    uint8_t bytes[MEDIA_LEN];
    uint32_t number = 0, sent = 0;
    while (stream_send(rig->streams, rig->last.link, media(bytes, ++number)))
        CHECK(++sent < 100000);
    CHECK_INT(streams_counts(rig->streams)->dropped_frames, 1);
    CHECK(rig_only(rig)->out.len < OUT_DROP_AT + MEDIA_LEN);
    binding(bytes, 0);
    bytes[1] = 0x17; /* a Data indication is media as well */
    CHECK(!stream_send(rig->streams, rig->last.link, view_of(bytes, BINDING_LEN)));
    CHECK(stream_send(rig->streams, rig->last.link, reply(bytes, ++number)));
    CHECK_INT(streams_counts(rig->streams)->dropped_frames, 2);
    const size_t len = sent * MEDIA_LEN + BINDING_LEN;
    uint8_t *got = calloc(1, len);
    AWAIT(rig, has_bytes, .fd = fd, .number = len, .into = got);
    check_stream(got, len, number);
    CHECK(stream_send(rig->streams, rig->last.link, media(bytes, ++number))); /* there is room again */
    AWAIT(rig, has_bytes, .fd = fd, .number = MEDIA_LEN, .into = got);
    CHECK(rig_only(rig)->out.first == NULL);
    free(got);
    close(fd);
    rig_free(rig);
}

TEST(a_client_that_falls_behind_with_replies_is_closed_once)
{
    struct rig *rig = rig_plain();
    rig->keep = true;
    small_buffers(rig);
    const int fd = rig_connect(rig);
    hello(rig, fd);
    uint8_t bytes[BINDING_LEN];
    uint32_t number = 0;
    while (stream_send(rig->streams, rig->last.link, reply(bytes, ++number)))
        CHECK(number < 1000000);
    CHECK_INT(rig->closed, 0); /* not from within stream_send */
    CHECK(!stream_send(rig->streams, rig->last.link, reply(bytes, ++number)));
    streams_flush(rig->streams);
    CHECK_INT(rig->closed, 1);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    close(fd);
    rig_free(rig);
}

TEST(little_waits_for_a_stranger_who_does_not_read)
{
    struct rig *rig = rig_plain();
    small_buffers(rig);
    const int fd = rig_connect(rig);
    hello(rig, fd);
    uint8_t bytes[BINDING_LEN];
    uint32_t number = 0;
    while (stream_send(rig->streams, rig->last.link, reply(bytes, ++number)))
        CHECK(rig_only(rig)->out.len <= STRANGER_OUT_MAX + BINDING_LEN);
    streams_flush(rig->streams);
    CHECK_INT(rig->closed, 1);
    close(fd);
    rig_free(rig);
}

TEST(a_burst_to_a_willing_reader_loses_nothing)
{
    struct rig *rig = rig_plain();
    rig->keep = true;
    const int fd = rig_connect(rig);
    hello(rig, fd);
    uint8_t bytes[MEDIA_LEN];
    for (uint32_t i = 1; i <= 200; i++) /* more than OUT_DROP_AT in one turn of the loop */
        CHECK(stream_send(rig->streams, rig->last.link, media(bytes, i)));
    uint8_t *got = calloc(200, MEDIA_LEN);
    AWAIT(rig, has_bytes, .fd = fd, .number = 200 * MEDIA_LEN, .into = got);
    check_stream(got, 200 * MEDIA_LEN, 200);
    free(got);
    close(fd);
    rig_free(rig);
}

TEST(a_source_has_so_many_connections_and_no_more)
{
    struct rig *rig = rig_new((struct streams_config){.plain = true, .max_per_source = 3});
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = rig_connect(rig);
    AWAIT(rig, has_ended, .fd = fds[3]);
    CHECK_INT(streams_counts(rig->streams)->accepted, 3);
    CHECK_INT(streams_counts(rig->streams)->refused, 1);
    close(fds[3]);
    for (int i = 0; i < 3; i++)
        hello(rig, fds[i]);
    close(fds[0]);
    AWAIT(rig, has_closed, .number = 1);
    fds[0] = rig_connect(rig);
    hello(rig, fds[0]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    AWAIT(rig, has_closed, .number = 4);
    CHECK_INT(rig->streams->sources.pool.live, 0);
    rig_free(rig);
}

TEST(all_together_have_so_many_and_no_more)
{
    struct rig *rig = rig_new((struct streams_config){.plain = true, .max_connections = 2});
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = rig_connect(rig);
    AWAIT(rig, has_ended, .fd = fds[2]);
    CHECK_INT(streams_counts(rig->streams)->open, 2);
    CHECK_INT(streams_counts(rig->streams)->refused, 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rig_free(rig);
}

static struct addr v6(uint8_t byte6, uint8_t byte7, uint16_t port)
{
    const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [6] = byte6, [7] = byte7, [15] = (uint8_t)port};
    return addr_v6(ip, port);
}

TEST(a_source_is_an_ipv4_address_or_a_56_of_ipv6)
{
    struct sources sources;
    sources_init(&sources, (struct hash_key){1, 2}, 2);
    const struct addr a = loopback(1, 5), b = loopback(2, 5), c = v6(1, 1, 1), d = v6(1, 255, 2), e = v6(2, 1, 1);
    const uint32_t first = sources_take(&sources, &a);
    CHECK(first != SOURCE_NONE && sources_take(&sources, &a) == first);
    CHECK_INT(sources_take(&sources, &a), SOURCE_NONE);
    CHECK(sources_take(&sources, &b) != SOURCE_NONE);
    const uint32_t six = sources_take(&sources, &c);
    CHECK(six != SOURCE_NONE && sources_take(&sources, &d) == six);
    CHECK_INT(sources_take(&sources, &c), SOURCE_NONE);
    CHECK(sources_take(&sources, &e) != SOURCE_NONE);
    sources_give(&sources, first);
    CHECK_INT(sources_take(&sources, &a), first);
    sources_give(&sources, six);
    sources_give(&sources, six);
    CHECK_INT(sources.pool.live, 3);
    sources_close(&sources);
}

static void set_limit(rlim_t files)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static bool is_paused(void *ctx)
{
    const struct wanted *wanted = ctx;
    return wanted->rig->streams->listeners[0].acceptable.loop == NULL;
}

TEST(without_descriptors_accepting_pauses_and_goes_on_when_there_are_some)
{
    struct rig *rig = rig_plain();
    struct rlimit usual;
    CHECK(getrlimit(RLIMIT_NOFILE, &usual) == 0);
    const int first = rig_connect(rig), second = rig_connect(rig), highest = dup(first);
    close(highest);
    set_limit((rlim_t)highest); /* no descriptor is left */
    AWAIT(rig, is_paused);
    const unsigned accepted = (unsigned)streams_counts(rig->streams)->accepted;
    set_limit(usual.rlim_cur);
    CHECK_INT(accepted, 0);
    AWAIT(rig, has_accepted, .number = 2); /* the sweep tries again */
    hello(rig, first);
    hello(rig, second);
    close(first);
    close(second);
    rig_free(rig);
}

/* room_for: descriptors for both ends of so many connections; skips where the system has fewer. */
static void room_for(rlim_t connections)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_max < 2 * connections + 100)
        test_skip("too few descriptors");
    set_limit(2 * connections + 100 > limit.rlim_cur ? 2 * connections + 100 : limit.rlim_cur);
}

/* cost: of `count` connections that said `bytes` and then nothing; how many bytes of heap each. */
#define IDLE 3000
static void idle_cost(struct rig *rig, const char *name, struct view bytes, size_t most)
{
    static int fds[IDLE];
    room_for(IDLE);
    for (int i = 0; i < 100; i++) { /* what is made once: pools, tables, OpenSSL's own */
        fds[i] = rig_connect(rig);
        if (bytes.len)
            put(fds[i], bytes.at, bytes.len);
        AWAIT(rig, has_accepted, .number = (unsigned)i + 1);
    }
    const size_t before = mallinfo2().uordblks;
    for (int i = 100; i < IDLE; i++) {
        fds[i] = rig_connect(rig);
        if (bytes.len)
            put(fds[i], bytes.at, bytes.len);
        if (i % 50 == 49)
            AWAIT(rig, has_accepted, .number = (unsigned)i + 1);
    }
    const int last = rig_connect(rig);
    hello(rig, last); /* all before have been read */
    const size_t each = (mallinfo2().uordblks - before) / (IDLE - 100);
    if (before)
        printf("# %s: %zu bytes each\n", name, each);
    CHECK(each <= most);
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    close(last);
    AWAIT(rig, has_closed, .number = IDLE + 1);
    CHECK(mallinfo2().uordblks <= before + IDLE * 120); /* libev's table of descriptors does not shrink */
}

TEST(idle_connections_cost_little)
{
    struct rig *rig = rig_plain();
    idle_cost(rig, "an idle TCP connection", view_of(NULL, 0), 1024);
    rig_free(rig);
}

TEST(connections_with_a_frame_behind_them_cost_little)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    idle_cost(rig, "a TCP connection after a request", view_of(bytes, sizeof bytes), 1024);
    rig_free(rig);
}

TEST(connections_with_half_a_frame_cost_little)
{
    struct rig *rig = rig_plain();
    idle_cost(rig, "a TCP connection within a frame", view_of("\x00\x01\x00\x64\x21\x12\xa4\x42", 8), 1100);
    rig_free(rig);
}

TEST(connections_within_a_first_tls_record_cost_little)
{
    struct tls *tls = tls_for_test();
    struct rig *rig = rig_new((struct streams_config){.plain = true, .tls = tls});
    idle_cost(rig, "a TLS connection within its first record", view_of("\x16\x03\x01\x02\x00\x01", 6), 1100);
    rig_free(rig);
    tls_free(tls);
}

TEST(connections_that_stop_after_their_client_hello_cost_what_openssl_needs)
{
    struct tls *tls = tls_for_test();
    struct rig *rig = rig_new((struct streams_config){.plain = true, .tls = tls});
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    uint8_t bytes[1024];
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    CHECK(SSL_do_handshake(ssl) == -1);
    const int len = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes);
    CHECK(len > 0);
    idle_cost(rig, "a TLS connection after its ClientHello", view_of(bytes, (size_t)len), 60000);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    rig_free(rig);
    tls_free(tls);
}

struct shaking {
    struct rig *rig;
    SSL *ssl;
};

/* is_shaken: on both sides. */
static bool is_shaken(void *ctx)
{
    const struct shaking *shaking = ctx;
    const struct pool *connections = &shaking->rig->streams->connections;
    if (SSL_do_handshake(shaking->ssl) != 1)
        return false;
    for (uint32_t at = 0; (at = pool_next(connections, at)) != POOL_NONE; at++)
        if (((const struct connection *)pool_index(connections, at))->state != CONNECTION_OPEN)
            return false;
    return true;
}

TEST(established_tls_connections_have_let_openssl_go)
{
    enum { COUNT = 200 };
    struct tls *tls = tls_for_test();
    struct rig *rig = rig_new((struct streams_config){.plain = true, .tls = tls});
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    int fds[COUNT];
    size_t before = 0;
    for (int i = 0; i < COUNT; i++) {
        if (i == 20)
            before = mallinfo2().uordblks;
        fds[i] = rig_connect(rig);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fds[i]);
        SSL_set_connect_state(ssl);
        CHECK(loop_until(rig->loop, is_shaken, &(struct shaking){rig, ssl}));
        SSL_free(ssl);
    }
    const size_t each = (mallinfo2().uordblks - before) / (COUNT - 20);
    if (before)
        printf("# an idle TLS connection: %zu bytes each\n", each);
    CHECK(each <= 1500);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    AWAIT(rig, has_closed, .number = COUNT);
    SSL_CTX_free(ctx);
    rig_free(rig);
    tls_free(tls);
}

TEST_LIST(
    RUN(a_slow_client_is_cut_at_an_absolute_deadline_whatever_it_says)
    RUN(a_client_with_an_allocation_has_no_deadline_until_it_ends)
    RUN(a_client_that_does_not_take_its_goodbye_is_cut)
    RUN(the_sweep_timer_cuts_by_itself)
    RUN(a_slow_reader_loses_media_but_no_reply_and_never_a_part_of_a_frame)
    RUN(a_client_that_falls_behind_with_replies_is_closed_once)
    RUN(little_waits_for_a_stranger_who_does_not_read) RUN(a_burst_to_a_willing_reader_loses_nothing)
    RUN(a_source_has_so_many_connections_and_no_more)
    RUN(all_together_have_so_many_and_no_more)
    RUN(a_source_is_an_ipv4_address_or_a_56_of_ipv6)
    RUN(without_descriptors_accepting_pauses_and_goes_on_when_there_are_some)
    RUN(idle_connections_cost_little)
    RUN(connections_with_a_frame_behind_them_cost_little)
    RUN(connections_with_half_a_frame_cost_little)
    RUN(connections_within_a_first_tls_record_cost_little)
    RUN(connections_that_stop_after_their_client_hello_cost_what_openssl_needs)
    RUN(established_tls_connections_have_let_openssl_go))
