#!/usr/bin/python3
"""Datagrams that come in bursts: what goes the same way leaves together, and arrives byte for byte, in order, each in a datagram of its own."""
import contextlib
import random

from support.client import Peer
from support.route import Route
from support.server import Server
from support.tap import check_equal, main, smoke, test

PATIENT = True
ALL_WAYS = True
BURSTS = [[1200] * 8, [172] * 30, [1200] * 7 + [300], [300] + [1200] * 7, [100, 100, 0, 100, 0], list(range(1, 30)), list(range(30, 0, -1)), [1] * 64]


def texts(random_bytes, sizes):
    return [random_bytes.randbytes(size) for size in sizes]


@contextlib.contextmanager
def crowd(host, transport, count):
    """Clients with a channel to a peer of their own each, and one to a peer of all: (server, [(client, relayed, own peer)], peer of all)."""
    with Server(host=host) as server, contextlib.ExitStack() as stack:
        shared = stack.enter_context(Peer(host))
        clients = []
        for _ in range(count):
            client, own = stack.enter_context(server.client(transport)), stack.enter_context(Peer(host))
            relayed = client.relayed()
            check_equal((client.bind(0x4000, own.address).code, client.bind(0x4001, shared.address).code), (0, 0), "the answers to ChannelBind")
            clients.append((client, relayed, own))
        yield clients, shared


def received(peer, count):
    return [peer.receive() for _ in range(count)]


def up_and_down(host, transport):
    source = random.Random(7)
    with crowd(host, transport, 3) as (clients, shared):
        for sizes in BURSTS:
            own, common, back = ([texts(source, sizes) for _ in clients] for _ in range(3))
            for i in range(len(sizes)):  # all clients at once, each to both of its peers
                for (client, *_), to_own, to_all in zip(clients, own, common):
                    client.send_channel(0x4000, to_own[i])
                    client.send_channel(0x4001, to_all[i])
            for (_, relayed, peer), sent in zip(clients, own):
                check_equal(received(peer, len(sizes)), [(text, relayed) for text in sent], f"what came to a peer of {sizes}")
            came = received(shared, 3 * len(sizes))
            for (_, relayed, _), sent in zip(clients, common):
                check_equal([text for text, relay in came if relay == relayed], sent, f"what came to the peer of all of {sizes}")
            for i in range(len(sizes)):
                for (_, relayed, peer), sent in zip(clients, back):
                    peer.send(sent[i], relayed)
            for (client, _, peer), sent in zip(clients, back):
                check_equal([client.receive_data() for _ in sizes], [(0x4000, text) for text in sent], f"what came to a client of {sizes}")


@smoke
def bursts_over_ipv4():
    up_and_down("127.0.0.1", "udp")


@test
def bursts_over_ipv6():
    up_and_down("::1", "udp")


@test
def bursts_of_a_stream():
    up_and_down("127.0.0.1", "tcp")


@test
def bursts_of_indications():
    source = random.Random(8)
    with Server() as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
        for sizes in BURSTS:
            there, back = texts(source, sizes), texts(source, sizes)
            for text in there:
                client.send_to(peer.address, text)
            check_equal(received(peer, len(sizes)), [(text, relayed) for text in there], f"what came to the peer of {sizes}")
            for text in back:
                peer.send(text, relayed)
            check_equal([client.receive_data() for _ in sizes], [(peer.address, text) for text in back], f"what came to the client of {sizes}")


@test
def bursts_of_datagrams_that_are_longer_than_the_link():
    """They go in fragments, as each does alone."""
    for version in (4, 6):
        with Route(far=1500) as route, contextlib.ExitStack() as stack:
            with route.inside(route.peer):
                peer = stack.enter_context(Peer(route.PEER[version]))
            with route.inside(route.relay):
                server = stack.enter_context(Server(peers=["allowed-peer-ip=10.99.0.0/16", "allowed-peer-ip=fd99::/16"], host=route.RELAY[version]))
                client = stack.enter_context(server.client())
            relayed = client.relayed()
            check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
            for size in (1400, 1480, 3000):
                sent = texts(random.Random(size), [size] * 8)
                for text in sent:
                    client.send_channel(0x4000, text)
                check_equal(received(peer, 8), [(text, relayed) for text in sent], f"what came of {size} bytes each")


if __name__ == "__main__":
    main()
