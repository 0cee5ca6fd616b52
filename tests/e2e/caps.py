"""Limits of one allocation and of a user: what is over them is dropped or refused, and counted, and relay explain says why; over UDP and over a stream."""
import contextlib
import json
import time

from support import stun
from support.client import Peer
from support.prometheus import scrape
from support.server import Server
from support.tap import check, check_equal, main, smoke, test, wait_for

DOOR = "admin-socket=door"
TRANSPORTS = ("udp", "tcp")


def explain(server, *arguments):
    return json.loads(server.relay("explain", "-c", "turnserver.conf", "--json", *arguments))


def drops(server, reason):
    return scrape(server)("relay_drops_total", reason=reason)


def burst(client, peer, packets, size, channel=0x4000):
    """How many packets of a burst the peer got."""
    for _ in range(packets):
        client.send_channel(channel, bytes(size))
    got = 0
    while peer.receive(0.3):
        got += 1
    return got


@contextlib.contextmanager
def bound(server, transport, **how):
    """A client with a channel to a peer, the relayed address, and the peer."""
    with server.client(transport, **how) as client, Peer() as peer:
        relayed = client.relayed()
        check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
        yield client, peer, relayed


@smoke
def packets_over_the_rate_are_dropped_each_way_and_explained():
    for transport in TRANSPORTS:
        with Server(DOOR, "max-pps=40") as server, bound(server, transport) as (client, peer, relayed):
            check(40 <= burst(client, peer, 120, 20) <= 46, "packets from the client")
            for _ in range(120):
                peer.send(b"x", relayed)
            got = 0
            while client.receive_data(0.3):
                got += 1
            check(40 <= got <= 46, f"{got} packets to the client")
            wait_for(lambda: drops(server, "packet_rate") >= 140, what="the metric")
            row = wait_for(lambda: explain(server, "--client", "%s:%d" % client.local), what="a remark")[0]
            check_equal((row["rule"], row["limit"], row["code"]), ("max_pps", 40, 0), f"{row}")
            check(row["held"] > 0 and "packets were dropped: more than 40 packets a second" in row["why"] and "max-pps" in row["advice"], f"{row}")


@smoke
def bits_of_a_user_are_shared_by_all_his_allocations_on_all_workers():
    with Server(DOOR, "max-user-bps=20000", "max-bps=15000", auth=("lt-cred-mech", "user=ann:secret", "user=bob:secret"), threads=2) as server:
        with contextlib.ExitStack() as stack:
            anns = [stack.enter_context(bound(server, transport)) for transport in ("udp", "tcp", "udp", "udp")]
            client, peer, _ = stack.enter_context(bound(server, "udp", username="bob"))
            for ann, _, _ in anns:
                for _ in range(40):
                    ann.send_channel(0x4000, bytes(1000))
            got = 0
            for _, other, _ in anns:
                while other.receive(0.2):
                    got += 1
            check(20 <= got <= 60, f"{got} packets of 160 passed in two seconds at most") # 20 at once, 20 in each second
            check_equal(burst(client, peer, 15, 1000), 15, "another user's packets")
            wait_for(lambda: drops(server, "user_rate") > 50, what="the metric")
            rows = wait_for(lambda: [row for row in explain(server, "--user", "ann") if row["rule"] == "max_user_bps"], what="a remark")
            check_equal(rows[0]["limit"], 160000, "the limit in bit/s")
            check_equal(explain(server, "--user", "bob"), [], "of another user")


@test
def new_peers_over_the_rate_are_refused_and_a_list_is_granted_whole_or_not_at_all():
    for transport in TRANSPORTS:
        with Server(DOOR, "max-new-peers=3", "allowed-peer-ip=198.18.0.0/16") as server, server.client(transport) as client:
            client.relayed()
            check_equal(client.permit(("198.18.0.1", 1), ("198.18.0.2", 1), ("198.18.0.3", 1), ("198.18.0.4", 1)).code, 508, "four at once")
            check_equal([client.permit((f"198.18.0.{i}", 1)).code for i in range(1, 4)], [0, 0, 0], "three one by one")
            check_equal(client.bind(0x4000, ("198.18.0.9", 1)).code, 508, "a channel to another")
            check_equal(client.bind(0x4000, ("198.18.0.1", 1)).code, 0, "a channel to a known one")
            row = explain(server, "--client", "%s:%d" % client.local)[0]
            check_equal((row["rule"], row["limit"], row["why"]), ("max_new_peers", 3, "more than 3 new peers in a second"), f"{row}")
            check_equal(scrape(server)("relay_refusals_total", reason="max_new_peers") >= 0, True, "the metric is there")
            wait_for(lambda: scrape(server)("relay_refusals_total", reason="max_new_peers") == 2, what="the metric")
            wait_for(lambda: client.permit(("198.18.0.9", 1)).code == 0, what="a third of a second")


@test
def permissions_and_channels_have_the_limits_of_the_configuration():
    with Server(DOOR, "max-permissions=3", "max-channels=2", "allowed-peer-ip=198.18.0.0/16") as server, server.client() as client:
        client.relayed()
        check_equal([client.permit((f"198.18.0.{i}", 1)).code for i in range(5)], [0, 0, 0, 508, 508], "permissions")
        check_equal([client.bind(0x4000 + i, ("198.18.0.1", 1 + i)).code for i in range(4)], [0, 0, 508, 508], "channels")
        check_equal([row["why"] for row in explain(server)][:3:2], ["the allocation 2/2 channels", "the allocation 3/3 permissions"], "why")


@test
def limits_of_a_tenant_in_the_database_and_of_a_policy_count_the_strictest():
    policy = "return {authorize = function() return relay.allow{max_pps = 30, max_new_peers = 50, max_channels = 1, max_user_bps = 10 ^ 6 // 1 | 0} end}"
    with Server(DOOR, "userdb=relay.db", "max-pps=60", "allowed-peer-ip=198.18.0.0/16", files={"p.lua": policy}, policies=["p.lua"]) as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_pps=20", "max_new_peers=2", "max_permissions=4", "max_user_bps=80000")
        with bound(server, "udp") as (client, peer, _):
            check(20 <= burst(client, peer, 80, 10) <= 24, "packets")
            check_equal(client.bind(0x4001, peer.address).code, 400, "a second number")
            check_equal(client.bind(0x4001, (peer.address[0], 9)).code, 508, "a second channel")
            codes = [client.permit((f"198.18.0.{i}", 1)).code for i in range(5)]
            check(set(codes) == {0, 508} and codes.count(0) <= 2, f"new peers: {codes}")
    with Server("userdb=relay.db", "max-user-bps=1000000") as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_user_bps=80000", "max_permissions=1")
        with bound(server, "tcp") as (client, peer, _):
            check(10 <= burst(client, peer, 60, 1000) <= 14, "80,000 bit/s")
            check_equal(client.permit(("127.0.0.2", 1)).code, 508, "a second permission")


@smoke
def a_strict_credential_ends_its_allocations_within_a_second_and_others_go_on():
    auth, secret = ["use-auth-secret", "static-auth-secret=s"], "s"
    with Server(DOOR, "credential-expiry=strict", auth=auth, threads=2) as strict, Server(auth=auth) as keep, contextlib.ExitStack() as stack:
        expires = int(time.time()) + 2
        short, long = stun.rest_credential(secret, expires, "ann"), stun.rest_credential(secret, expires + 100, "ann")
        held = [stack.enter_context(bound(strict, transport, username=short[0], password=short[1])) for transport in TRANSPORTS]
        stays, peer, _ = stack.enter_context(bound(strict, "udp", username=long[0], password=long[1]))
        kept, kept_peer, _ = stack.enter_context(bound(keep, "udp", username=short[0], password=short[1]))
        check_equal([burst(client, other, 1, 9) for client, other, _ in held], [1, 1], "packets before")
        wait_for(lambda: time.time() >= expires, what="the end of the credential")
        wait_for(lambda: scrape(strict)("relay_allocations_closed_total", reason="credential_expired") == 2, 2.5, "the end of both, and the metric")
        ended = [row["time"] for row in explain(strict, "--user", "ann") if row["rule"] == "credential_expired"]
        check(len(ended) == 2 and all(expires <= at <= expires + 1 for at in ended), f"{ended} with a credential until {expires}")
        check_equal([burst(client, other, 1, 9) for client, other, _ in held], [0, 0], "packets behind it")
        check_equal([client.refresh(600).code for client, _, _ in held], [401, 401], "Refresh")
        check_equal((burst(stays, peer, 1, 9), stays.refresh(600).code), (1, 0), "another credential of the same user")
        check_equal((burst(kept, kept_peer, 1, 9), kept.refresh(600).code), (1, 0), "where it is kept")


if __name__ == "__main__":
    main()
