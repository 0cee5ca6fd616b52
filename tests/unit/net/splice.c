/* Bytes between a peer and a client's data connection: both ways, held back where somebody reads slowly, and how it ends */
#include "peer_rig.h"

/* ---- bytes ---- */

struct load {
    struct desk *desk;
    size_t size, sent[2], got[2], most_waiting;
    unsigned turn;
    bool slow; /* who reads takes little, now and then */
};

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

static void pour(int fd, size_t size, size_t *sent)
{
    uint8_t bytes[16384];
    const size_t len = size - *sent < sizeof bytes ? size - *sent : sizeof bytes;
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(*sent + i);
    const ssize_t done = len ? send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    CHECK(done >= 0 || errno == EAGAIN);
    *sent += done > 0 ? (size_t)done : 0;
}

static void drink(int fd, size_t *got, size_t most)
{
    uint8_t bytes[65536];
    const ssize_t done = recv(fd, bytes, most, MSG_DONTWAIT);
    CHECK(done > 0 || (done < 0 && errno == EAGAIN));
    for (ssize_t i = 0; i < done; i++)
        if (bytes[i] != byte_at(*got + (size_t)i))
            CHECK_INT(bytes[i], byte_at(*got + (size_t)i));
    *got += done > 0 ? (size_t)done : 0;
}

static bool is_carried(void *ctx)
{
    struct load *load = ctx;
    struct desk *desk = load->desk;
    const struct splice *s = pool_index(&desk->peers->splices, (uint32_t)desk->conn);
    pour(desk->client, load->size, &load->sent[0]);
    pour(desk->peer, load->size, &load->sent[1]);
    if (!load->slow || ++load->turn % 12 == 0) {
        drink(desk->peer, &load->got[0], load->slow ? 30000 : 65536);
        drink(desk->client, &load->got[1], load->slow ? 30000 : 65536);
    }
    const size_t waiting = s->out.len > connection_waiting(s->client) ? s->out.len : connection_waiting(s->client);
    load->most_waiting = waiting > load->most_waiting ? waiting : load->most_waiting;
    return load->got[0] == load->size && load->got[1] == load->size;
}

static void carry(bool slow)
{
    struct desk *desk = desk_spliced();
    const struct splice *s = pool_index(&desk->peers->splices, (uint32_t)desk->conn);
    const int small = 64 << 10;
    CHECK(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0); /* so that what waits, waits in the relay */
    CHECK(setsockopt(s->client->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    struct load load = {.desk = desk, .slow = slow, .size = slow ? MUCH / 4 : MUCH};
    CHECK(loop_until(desk->loop, is_carried, &load));
    CHECK_INT(desk->moved_in, load.size);
    CHECK_INT(desk->moved_out, load.size);
    CHECK(load.most_waiting <= SPLICE_HIGH + WIRE_BYTES);
    CHECK(!slow || load.most_waiting >= SPLICE_HIGH); /* the slow one was waited for */
    desk_free(desk);
}

TEST(ten_megabytes_go_both_ways_at_once)
{
    carry(false);
}

TEST(slow_readers_hold_the_writers_back)
{
    carry(true);
}

static bool is_stuck(void *ctx)
{
    struct load *load = ctx;
    const size_t before = load->sent[0];
    pour(load->desk->client, load->size, &load->sent[0]);
    load->turn = load->sent[0] == before ? load->turn + 1 : 0;
    return load->turn == 50;
}

TEST(a_peer_that_reads_nothing_stops_its_client_and_no_other)
{
    struct desk *desk = desk_spliced();
    struct load load = {.desk = desk, .size = MUCH};
    CHECK(loop_until(desk->loop, is_stuck, &load));
    CHECK(load.sent[0] < MUCH);
    say(desk->peer, "still here", 10);
    await_text(desk, desk->client, "still here");
    desk_free(desk);
}

TEST(a_rate_is_waited_for)
{
    struct desk *desk = desk_spliced();
    desk->room_in = 3;
    desk->room_out = 0;
    say(desk->client, "abcdef", 6);
    say(desk->peer, "ghi", 3);
    await_text(desk, desk->peer, "abc");
    CHECK_INT(desk->moved_in, 3);
    CHECK_INT(desk->moved_out, 0);
    desk->room_in = desk->room_out = 100;
    await_text(desk, desk->peer, "def");
    await_text(desk, desk->client, "ghi");
    desk_free(desk);
}

/* ---- ends ---- */

TEST(the_end_of_a_peers_bytes_is_passed_on_and_the_other_way_stays)
{
    struct desk *desk = desk_spliced();
    say(desk->peer, "bye", 3);
    shutdown(desk->peer, SHUT_WR);
    await_text(desk, desk->client, "bye");
    await_end(desk, desk->client);
    say(desk->client, "and thanks", 10);
    await_text(desk, desk->peer, "and thanks");
    CHECK_INT(desk->ended, 0);
    shutdown(desk->client, SHUT_WR);
    await_end(desk, desk->peer);
    await_nothing(desk);
    CHECK_INT(desk->ended, 1);
    desk_free(desk);
}

TEST(the_end_of_a_clients_bytes_is_passed_on_and_the_other_way_stays)
{
    struct desk *desk = desk_spliced();
    say(desk->client, "all", 3);
    shutdown(desk->client, SHUT_WR);
    await_text(desk, desk->peer, "all");
    await_end(desk, desk->peer);
    say(desk->peer, "result", 6);
    await_text(desk, desk->client, "result");
    close(desk->peer);
    desk->peer = -1;
    await_end(desk, desk->client);
    await_nothing(desk);
    CHECK_INT(desk->ended, 1);
    desk_free(desk);
}

TEST(half_a_connection_that_is_still_ends)
{
    struct desk *desk = desk_spliced();
    desk->peers->still.wait_ms = 200;
    shutdown(desk->peer, SHUT_WR);
    await_count(desk, &desk->ended, 1);
    await_end(desk, desk->client);
    await_end(desk, desk->peer);
    desk_free(desk);
}

TEST(a_reset_on_either_side_closes_the_other)
{
    struct desk *desk = desk_spliced();
    reset(&desk->peer);
    await_end(desk, desk->client);
    CHECK_INT(desk->ended, 1);
    desk_free(desk);
    desk = desk_spliced();
    reset(&desk->client);
    await_end(desk, desk->peer);
    CHECK_INT(desk->ended, 1);
    desk_free(desk);
}

TEST(a_dropped_connection_closes_both_sides_and_tells_nothing)
{
    struct desk *desk = desk_spliced();
    peer_stream_drop(desk->peers, desk->conn);
    await_end(desk, desk->client);
    await_end(desk, desk->peer);
    close(desk->client);
    desk->client = -1;
    await_nothing(desk);
    CHECK_INT(desk->ended, 0);
    desk_free(desk);
}

TEST(what_was_read_for_a_client_still_reaches_it)
{
    struct desk *desk = desk_spliced();
    say(desk->peer, "last words", 10);
    struct splice *s = pool_index(&desk->peers->splices, (uint32_t)desk->conn);
    s->readable.call(s); /* read, not yet written */
    peer_stream_drop(desk->peers, desk->conn);
    await_text(desk, desk->client, "last words");
    await_end(desk, desk->client);
    desk_free(desk);
}

TEST_LIST(RUN(ten_megabytes_go_both_ways_at_once) RUN(slow_readers_hold_the_writers_back)
              RUN(a_peer_that_reads_nothing_stops_its_client_and_no_other) RUN(a_rate_is_waited_for)
                  RUN(the_end_of_a_peers_bytes_is_passed_on_and_the_other_way_stays)
                      RUN(the_end_of_a_clients_bytes_is_passed_on_and_the_other_way_stays) RUN(half_a_connection_that_is_still_ends)
                          RUN(a_reset_on_either_side_closes_the_other) RUN(a_dropped_connection_closes_both_sides_and_tells_nothing)
                              RUN(what_was_read_for_a_client_still_reaches_it))
