/* Connections with peers of TCP allocations: accepted, connected, bound to a client's connection */
#include "peer_rig.h"

TEST(what_a_peer_sends_before_the_bind_comes_right_behind_the_answer)
{
    struct desk *desk = desk_new();
    desk->peer = far_end(&desk->relayed);
    say(desk->peer, "early", 5);
    await_count(desk, &desk->accepted, 1);
    desk->client = far_end(&desk->clients_at);
    say(desk->client, request, sizeof request);
    await_answer(desk);
    await_text(desk, desk->client, "early");
    CHECK_INT(desk->moved_out, 5);
    desk_free(desk);
}

TEST(what_follows_the_request_at_once_is_for_the_peer)
{
    struct desk *desk = desk_new();
    uint8_t both[REQUEST_LEN + 4];
    memcpy(both, request, REQUEST_LEN);
    memcpy(both + REQUEST_LEN, "\x16\x03\x01!", 4); /* whatever it looks like */
    desk->peer = far_end(&desk->relayed);
    await_count(desk, &desk->accepted, 1);
    desk->client = far_end(&desk->clients_at);
    say(desk->client, both, sizeof both);
    await_answer(desk);
    await_text(desk, desk->peer, "\x16\x03\x01!");
    CHECK_INT(desk->frames, 1);
    CHECK_INT(desk->moved_in, 4);
    desk_free(desk);
}

TEST(a_peer_that_has_left_before_the_bind_is_still_heard)
{
    struct desk *desk = desk_new();
    desk->peer = far_end(&desk->relayed);
    say(desk->peer, "gone", 4);
    close(desk->peer);
    desk->peer = -1;
    await_count(desk, &desk->accepted, 1);
    desk->client = far_end(&desk->clients_at);
    say(desk->client, request, sizeof request);
    await_answer(desk);
    await_text(desk, desk->client, "gone");
    await_end(desk, desk->client);
    close(desk->client);
    desk->client = -1;
    await_nothing(desk);
    CHECK_INT(desk->ended, 1);
    desk_free(desk);
}

TEST(a_refused_peer_is_closed_and_holds_nothing)
{
    struct desk *desk = desk_new();
    desk->refuses = true;
    desk->peer = far_end(&desk->relayed);
    await_end(desk, desk->peer);
    CHECK_INT(peer_streams_open(desk->peers), 0);
    CHECK_INT(desk->ended, 0);
    desk_free(desk);
}

TEST(a_connection_goes_out_from_the_relayed_address)
{
    struct desk *desk = desk_new();
    const struct addr any = loopback(1, 0);
    const int listener = socket_bound(SOCK_STREAM, &any, SOCKET_EXCLUSIVE), other = socket_bound(SOCK_STREAM, &any, SOCKET_EXCLUSIVE);
    CHECK(listen(listener, 5) == 0 && listen(other, 5) == 0);
    const struct addr to = socket_local(listener), also = socket_local(other);
    CHECK_INT(peer_stream_connect(desk->peers, desk->sock, &to, PEER, &desk->conn), 0);
    CHECK_INT(peer_stream_connect(desk->peers, desk->sock, &also, PEER, &desk->conn), 0); /* several from one address */
    await_count(desk, &desk->connected, 2);
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    desk->peer = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);
    const struct addr source = addr_from_sockaddr(&from);
    CHECK(desk->peer >= 0 && addr_equal(&source, &desk->relayed));
    close(listener);
    close(other);
    desk_free(desk);
}

TEST(a_connection_that_fails_is_told_once_and_holds_nothing)
{
    struct desk *desk = desk_new();
    const struct addr any = loopback(1, 0);
    const int silent = socket_bound(SOCK_STREAM, &any, SOCKET_EXCLUSIVE);
    const struct addr to = socket_local(silent);
    CHECK_INT(peer_stream_connect(desk->peers, desk->sock, &to, PEER, &desk->conn), 0);
    await_count(desk, &desk->failed, 1);
    CHECK_INT(peer_streams_open(desk->peers), 0);
    CHECK_INT(desk->ended + desk->connected, 0);
    close(silent);
    desk_free(desk);
}

TEST(a_port_of_another_program_is_busy)
{
    struct desk *desk = desk_new();
    int sock;
    CHECK_INT(peer_stream_listen(desk->peers, &desk->relayed, ALLOCATION, &sock), ERR_BUSY);
    peer_stream_unlisten(desk->peers, desk->sock);
    CHECK_INT(peer_stream_listen(desk->peers, &desk->relayed, ALLOCATION, &sock), 0);
    desk_free(desk);
}

TEST(a_connection_is_bound_once_and_only_while_it_is_there)
{
    struct desk *desk = desk_spliced();
    const uint64_t link = ((struct splice *)pool_index(&desk->peers->splices, (uint32_t)desk->conn))->client->flow.link;
    CHECK(!peer_stream_bind(desk->peers, desk->conn, link, PEER));
    CHECK(!peer_stream_bind(desk->peers, desk->conn + 1, link, PEER));
    CHECK(!peer_stream_bind(desk->peers, desk->conn, link + 1, PEER));
    desk_free(desk);
}

TEST_LIST(RUN(what_a_peer_sends_before_the_bind_comes_right_behind_the_answer) RUN(what_follows_the_request_at_once_is_for_the_peer)
              RUN(a_peer_that_has_left_before_the_bind_is_still_heard) RUN(a_refused_peer_is_closed_and_holds_nothing)
                  RUN(a_connection_goes_out_from_the_relayed_address) RUN(a_connection_that_fails_is_told_once_and_holds_nothing)
                      RUN(a_port_of_another_program_is_busy) RUN(a_connection_is_bound_once_and_only_while_it_is_there))
