"""Limits of one allocation and of a user: what is over them is dropped or refused, and counted, and relay explain says why; over UDP and over a stream."""
import concurrent.futures
import contextlib
import json
import os
import socket
import time

from support import stun
from support.client import Peer, transport
from support.prometheus import scrape
from support.server import POLICIES, Server
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
def bound(server, kind, **how):
    """A client with a channel to a peer, the relayed address, and the peer."""
    with server.client(kind, **how) as client, Peer() as peer:
        relayed = client.relayed()
        check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
        yield client, peer, relayed


@smoke
def packets_over_the_rate_are_dropped_each_way_and_explained():
    for kind in TRANSPORTS:
        with Server(DOOR, "max-pps=40") as server, bound(server, kind) as (client, peer, relayed):
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
            anns = [stack.enter_context(bound(server, kind)) for kind in ("udp", "tcp", "udp", "udp")]
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
    for kind in TRANSPORTS:
        with Server(DOOR, "max-new-peers=3", "allowed-peer-ip=198.18.0.0/16") as server, server.client(kind) as client:
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
        held = [stack.enter_context(bound(strict, kind, username=short[0], password=short[1])) for kind in TRANSPORTS]
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


@test
def a_tenant_may_have_what_is_made_with_a_credential_end_with_it():
    with Server(DOOR, "userdb=relay.db", auth=["use-auth-secret", "static-auth-secret=s"], threads=2) as server, contextlib.ExitStack() as stack:
        server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "expiry=strict")
        expires = int(time.time()) + 2
        name, password = stun.rest_credential("s", expires, "ann")
        clients = [stack.enter_context(server.client(kind, username=name, password=password)) for kind in TRANSPORTS]
        lifetimes = [client.allocate().number(stun.LIFETIME) for client in clients]
        check(all(lifetime <= 2 for lifetime in lifetimes), f"lifetimes of {lifetimes} s")
        check_equal(clients[0].refresh(600).number(stun.LIFETIME) <= 2, True, "no more by Refresh")
        wait_for(lambda: len(server.query("SELECT 1 FROM sessions WHERE reason = 'credential_expired'")) == 2, 4, "the end of both")
        check_equal([client.refresh(600).code for client in clients], [401, 401], "Refresh")


# ---- source addresses

def flood(server, message, count, per_s, local="127.0.0.1"):
    """Sends `count` copies with new transaction ids at a rate: how many bytes went out, and came back; how many answers."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.bind((local, 0))
        sender.connect((server.host, server.port))
        sender.setblocking(False)
        sent = got = answers = 0
        begin = time.monotonic()

        def take():
            nonlocal got, answers
            with contextlib.suppress(BlockingIOError):
                while data := sender.recv(2048):
                    got, answers = got + len(data), answers + 1
        for i in range(count):
            if i % 50 == 0:
                time.sleep(max(0.0, begin + i / per_s - time.monotonic()))
                take()
            sent += sender.send(message[:8] + os.urandom(12) + message[20:])
        time.sleep(0.2)
        take()
        return sent, got, answers, time.monotonic() - begin


@smoke
def strangers_of_one_source_get_so_many_answers_and_others_are_served_at_once():
    with Server(DOOR, "unauthorized-ratelimit", "unauthorized-ratelimit-rps=100", threads=2) as server:
        for message, each in ((stun.build(stun.ALLOCATE, [transport(stun.UDP)]), 1), (stun.build(stun.BINDING), 10)):
            local, waits = f"127.0.7.{each}", []
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                flooding = pool.submit(flood, server, message, 5000, 5000, local)
                while not flooding.done():
                    begin = time.monotonic()
                    with server.client(local=("127.0.8.1", 0)) as client:
                        client.relayed()
                        client.refresh(0)
                    waits.append(time.monotonic() - begin)
                    time.sleep(0.02)
                sent, got, answers, took = flooding.result()
            check(got <= sent, f"{got} bytes for {sent}")
            check(100 * each <= answers <= 100 * each * (took + 1.1), f"{answers} answers in {took} s")
            check(sorted(waits)[len(waits) // 2] < 0.1, f"others waited {waits}")
        wait_for(lambda: scrape(server)("relay_unanswered_total", reason="unauthorized_ratelimit") > 5000, what="the metric")


@smoke
def wrong_logins_of_a_source_are_answered_no_more_and_right_ones_get_in():
    for kind in TRANSPORTS:
        with Server(DOOR, "max-failed-logins=20", threads=2) as server, server.client(kind, password="wrong") as guesser, server.client(kind) as right:
            guesser.challenge()
            for _ in range(3000):
                guesser.send(guesser.signed(stun.ALLOCATE, [transport(stun.UDP)]))
            answers = 0
            while guesser.poll(0.5):
                answers += 1
            check_equal([answer.code for answer in guesser.answers], [401] * answers, "the answers")
            check(20 <= answers <= 21, f"{answers} answers to 3,000 guesses")
            right.relayed()
            metric = scrape(server)
            check(metric("relay_unanswered_total", reason="max_failed_logins") >= 100, "the metric")
            row = explain(server, "--client", "%s:%d" % guesser.local)[0]
            check_equal((row["rule"], row["limit"], row["code"]), ("max_failed_logins", 20, 401), f"{row}")
            check("20 wrong logins in a minute" in row["why"], row["why"])
            check(server.log().count("auth_failed") <= 22, "lines of the log")
            with server.client(kind, password="wrong", local=("127.0.9.1", 0)) as elsewhere:
                check_equal(elsewhere.allocate().code, 401, "a wrong login from elsewhere")


@test
def a_source_holds_so_many_allocations_over_all_workers():
    with Server(DOOR, "source-quota=6", threads=3) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(TRANSPORTS[i % 2])) for i in range(10)]
        codes = [client.allocate().code for client in clients]
        check_equal(codes, [0] * 6 + [486] * 4, "the codes")
        check_equal(explain(server)[0]["why"], "its address (of IPv6 a /56) 6/6 held", "why")
        check_equal(stack.enter_context(server.client(local=("127.0.9.1", 0))).allocate().code, 0, "from another address")
        clients[0].refresh(0)
        check_equal([client.allocate().code for client in clients[6:]].count(0), 1, "one for the one that was released")


@test
def a_policys_own_rate_limit_is_explained_with_its_number():
    with Server(DOOR, "set=quota.rate=3", policies=[os.path.join(POLICIES, "quota.lua")]) as server:
        for _ in range(4):
            with server.client() as client:
                code = client.allocate().code
        row = explain(server)[0]
        check_equal((code, row["code"], row["rule"], row["held"], row["limit"]), (486, 486, "authorize", 3, 3), f"{row}")
        check(row["why"].startswith("too many allocation attempts (3 at once"), row["why"])


@test
def no_port_says_how_many_are_held():
    with Server(DOOR, ports=2) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(3)]
        check_equal([client.allocate().code for client in clients], [0, 0, 508], "the codes")
        check_equal(explain(server)[0]["why"], "no port to relay from is free: 2 of 2 are held", "why")


@test
def a_flood_of_permissions_leaves_others_alone():
    with Server("allowed-peer-ip=198.18.0.0/15") as server, server.client() as rude, bound(server, "udp") as (client, peer, _):
        rude.relayed()
        codes, waits = [], []
        for block in range(256):
            peers = [stun.peer(f"198.{18 + block // 128}.{block % 128}.{i}", 1) for i in range(100)]
            rude.send(rude.signed(stun.CREATE_PERMISSION, peers))
            begin = time.monotonic()
            client.send_channel(0x4000, b"x")
            check(peer.receive(), "a packet of another client")
            waits.append(time.monotonic() - begin)
            while rude.poll():
                pass
        while rude.poll(0.3):
            pass
        codes = [answer.code for answer in rude.answers]
        check_equal((len(codes), codes.count(0), set(codes)), (256, 10, {0, 508}), "25,600 permissions")
        check(sorted(waits)[128] < 0.01, f"the median is {sorted(waits)[128]} s")


if __name__ == "__main__":
    main()
