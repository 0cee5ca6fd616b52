"""Rooms (policies/room.lua): players reach their own match through the server, from any worker, and nobody and nothing else; no hole for peers is open."""
import contextlib
import os
import time

from support import stun
from support.client import Peer
from support.door import ask_json
from support.server import POLICIES, Server
from support.tap import check, check_equal, main, smoke, test
from support.uclient import LOAD, LENGTH, MESSAGES, over, side_by_side, uclient

PATIENT = True

SECRET = "the secret of the lobby"
ROUNDS = 25
QUIET_S = 0.3       # how long nothing has to come, where nothing may


def rooms(*lines, **how):
    """A server for players alone; no peers are opened."""
    return Server(*lines, auth=["lt-cred-mech", "use-auth-secret", f"static-auth-secret={SECRET}"], peers=[], threads=4,
                  policies=[os.path.join(POLICIES, "room.lua")], **how)


def credential(name):
    username, password = stun.rest_credential(SECRET, int(time.time()) + 600, name)
    return {"username": username, "password": password}


class Match:
    """Players of one room, each on a relayed address and with a channel to each of the others."""

    def __init__(self, server, stack, room, names="ab"):
        self.players = {name: stack.enter_context(server.client(**credential(f"{room}:{name}"))) for name in names}
        self.at = {name: client.relayed() for name, client in self.players.items()}
        self.numbers = {name: 0x4000 + number for number, name in enumerate(names)}
        for name, client in self.players.items():
            for other in self.others(name):
                check_equal(client.bind(self.numbers[other], self.at[other]).code, 0, f"ChannelBind of {name} to {other}")

    def others(self, name):
        return [other for other in self.players if other != name]

    def talk(self, number):
        for name, client in self.players.items():
            for other in self.others(name):
                client.send_channel(self.numbers[other], f"{number} of {name} for {other}".encode())

    def expect(self, rounds):
        """Each has got exactly what the others sent it, in order, and nothing besides."""
        for name, client in self.players.items():
            wanted = {other: [f"{number} of {other} for {name}".encode() for number in range(rounds)] for other in self.others(name)}
            heard = {other: [] for other in wanted}
            for _ in range(rounds * len(wanted)):
                got = client.receive_data()
                check(got, f"{name} got only {sum(map(len, heard.values()))} of {rounds * len(wanted)}")
                heard[next(other for other in wanted if self.numbers[other] == got[0])].append(got[1])
            check_equal(heard, wanted, f"what {name} got")
            expect_quiet(client, name)


def expect_quiet(client, name):
    check_equal(client.receive_data(QUIET_S), None, f"what {name} got besides")


@smoke
def two_matches_on_several_workers_each_get_their_own_and_nothing_else():
    with rooms("admin-socket=door") as server, contextlib.ExitStack() as stack:
        red, blue = Match(server, stack, "red", "abcd"), Match(server, stack, "blue", "abcd")
        there = ask_json(server, "/v1/allocations")[1]["allocations"]
        check_equal(sorted((row["group"], row["user"]) for row in there), [(room, f"{room}:{name}") for room in ("blue", "red") for name in "abcd"], "who is there")
        check(len({row["worker"] for row in there}) > 1, "all players are on one worker")
        for number in range(ROUNDS):
            red.talk(number)
            blue.talk(number)
        red.expect(ROUNDS)
        blue.expect(ROUNDS)


@smoke
def the_other_match_is_403_and_hears_nothing():
    with rooms() as server, contextlib.ExitStack() as stack:
        red, blue = Match(server, stack, "red"), Match(server, stack, "blue")
        spy, victim = red.players["a"], blue.players["a"]
        check_equal(spy.bind(0x4100, blue.at["a"]).code, 403, "ChannelBind to another match")
        check_equal(victim.permit(red.at["a"]).code, 0, "CreatePermission for the address that all share")
        spy.send_channel(0x4100, b"psst")
        spy.send_to(blue.at["a"], b"psst")
        expect_quiet(victim, "the other match")
        red.talk(0)
        red.expect(1)
        check('reason="not_in_group"' in server.log(), "the log does not say why")


@smoke
def who_is_outside_is_403_and_not_heard():
    with rooms() as server, Peer() as outside, contextlib.ExitStack() as stack:
        red = Match(server, stack, "red")
        player = red.players["a"]
        for peer in (outside.address, ("8.8.8.8", 53), ("127.0.0.1", server.port), ("10.0.0.1", 80)):
            wanted = 0 if peer[0] == server.host else 403   # a permission is for the address of the relay, which all players share
            check_equal(player.permit(peer).code, wanted, f"CreatePermission for {peer}")
            check_equal(player.bind(0x4100, peer).code, 403, f"ChannelBind to {peer}")
            player.send_to(peer, b"out")
        check_equal(outside.receive(QUIET_S), None, "what left the match")
        outside.send(b"in", red.at["a"])
        expect_quiet(player, "a player")


@test
def who_has_no_room_gets_no_allocation():
    with rooms("user=eve:secret") as server:
        for name in ("ann", ":ann", "red:"):
            with server.client(**credential(name)) as client:
                check_equal(client.allocate().code, 403, f"Allocate of {name!r}")
        with server.client(username="eve") as client:
            check_equal(client.allocate().code, 403, "Allocate of a user with no room")


@test
def a_port_that_a_stranger_takes_over_is_shut():
    with rooms(ports=2) as server, contextlib.ExitStack() as stack:
        red = Match(server, stack, "red")
        a, b = red.players.values()
        red.talk(0)
        red.expect(1)
        check_equal(b.refresh(0).code, 0, "the release of b")
        stranger = stack.enter_context(server.client(**credential("blue:c")))
        check_equal(stranger.relayed(), red.at["b"], "where the stranger is")
        check_equal(stranger.permit(red.at["a"]).code, 0, "the stranger's CreatePermission")
        a.send_channel(red.numbers["b"], b"for b")
        stranger.send_to(red.at["a"], b"from b")
        expect_quiet(stranger, "the stranger")
        expect_quiet(a, "a")
        check_equal(a.bind(red.numbers["b"], red.at["b"]).code, 403, "ChannelBind once more")


@test
def a_match_over_ipv6():
    with rooms(host="::1") as server, contextlib.ExitStack() as stack:
        red, blue = Match(server, stack, "red", "abc"), Match(server, stack, "blue")
        red.talk(0)
        red.expect(1)
        check_equal(red.players["a"].bind(0x4100, blue.at["a"]).code, 403, "ChannelBind to another match")


@test
def a_match_behind_a_mapped_address():
    """Players know each other by the public address; on the machine there is none, so the server takes its own for it."""
    with rooms("external-ip=203.0.113.9/127.0.0.1") as server, contextlib.ExitStack() as stack:
        red, blue = Match(server, stack, "red"), Match(server, stack, "blue")
        check_equal({host for host, _ in red.at.values()}, {"203.0.113.9"}, "where players are told to be")
        for number in range(ROUNDS):
            red.talk(number)
        red.expect(ROUNDS)
        check_equal(red.players["a"].bind(0x4100, blue.at["a"]).code, 403, "ChannelBind to another match")


@test
def connections_of_a_match():
    with rooms() as server, contextlib.ExitStack() as stack:
        def player(name):
            client = stack.enter_context(server.client("tcp", **credential(name)))
            return client, client.relayed(protocol=stun.TCP)

        (a, at_a), (b, at_b), (spy, _) = player("red:a"), player("red:b"), player("blue:c")
        check_equal(b.permit(at_a).code, 0, "CreatePermission")
        check_equal(spy.connect_peer(at_b).code, 403, "Connect to another match")
        check_equal(a.connect_peer(("8.8.8.8", 53)).code, 403, "Connect to the world")
        mine = a.connect_peer(at_b)
        check_equal(mine.code, 0, "Connect to the own match")
        source, connection_id = b.attempt()
        check_equal(source, at_a, "who connects")
        there, here = b.data_connection(server, connection_id), a.data_connection(server, mine.get(stun.CONNECTION_ID))
        here.send(b"hello")
        there.socket.settimeout(5)
        check_equal(there.socket.recv(5), b"hello", "what came through")
        here.close()
        there.close()


@test
def coturns_client_plays_in_a_room_and_cannot_leave_it():
    """-y: several allocations of one user send to each other; without it, to a peer outside."""
    def play(server, *how):
        name = credential("red:ann")
        uclient(server, "-y", *LOAD, *how, user=name["username"], password=name["password"]).expect_all(2 * MESSAGES, LENGTH)

    def leave(server):
        name = credential("red:bob")
        uclient(server, "-e", "8.8.8.8", "-c", *LOAD, user=name["username"], password=name["password"]).expect_none(403)

    with rooms(tls=True) as server:
        side_by_side({"channels": lambda: play(server, "-c"), "Send": lambda: play(server, "-c", "-s"),
                      "TCP": lambda: play(server, "-c", *over(server, "tcp")), "TLS": lambda: play(server, "-c", *over(server, "tls")),
                      "away": lambda: leave(server)})


if __name__ == "__main__":
    main()
