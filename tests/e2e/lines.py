#!/usr/bin/python3
"""Lines: the second socket of a relayed address, for the peer that is talked to most, where each allocation has a socket (core/server/worker_relay.c)."""
import contextlib

from support.client import Peer
from support.server import Server
from support.tap import check_equal, main, smoke

PATIENT = True


def sockets_on(port):
    """How many sockets of UDP there are on a port of 127.0.0.1."""
    with open("/proc/net/udp", encoding="ascii") as file:
        return sum(line.split()[1] == f"0100007F:{port:04X}" for line in file)


def talk(client, channel, relayed, peer, count):
    """So many packets each way, one after the other."""
    for number in range(count):
        client.send_channel(channel, b"up %d" % number)
        check_equal(peer.receive(), (b"up %d" % number, relayed), "what came to the peer")
        peer.send(b"down %d" % number, relayed)
        check_equal(client.receive_data(), (channel, b"down %d" % number), "what came to the client")


@smoke
def a_peer_that_is_talked_to_for_long_and_others_at_its_address():
    """He gets a socket of his own on the relayed port; others, who may send too, are heard and reached as before, and may become the one who has it."""
    with Server("relay-steering=off") as server, server.client() as client, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer()) for _ in range(3)]
        relayed = client.relayed()
        for number, peer in enumerate(peers):
            check_equal(client.bind(0x4000 + number, peer.address).code, 0, "the answer to ChannelBind")
        talk(client, 0x4000, relayed, peers[0], 20)
        check_equal(sockets_on(relayed[1]), 1, "the sockets of a peer that is new")
        for _ in range(2):
            for number, peer in enumerate(peers):
                talk(client, 0x4000 + number, relayed, peer, 40)
                for other, peer in enumerate(peers):
                    talk(client, 0x4000 + other, relayed, peer, 1)
                check_equal(sockets_on(relayed[1]), 2, "the sockets of the relayed address")
        for number in range(400):  # many at once, the peers in turns of forty, so that whose it is changes while they are on their way
            client.send_channel(0x4000 + number // 40 % 3, b"%d" % number)
        for which, peer in enumerate(peers):
            mine = [b"%d" % number for number in range(400) if number // 40 % 3 == which]
            check_equal([peer.receive() for _ in mine], [(text, relayed) for text in mine], "what came to each")
        closed = peers.pop()
        closed.socket.close()
        for _ in range(40):
            client.send_channel(0x4002, b"anybody?")
        check_equal(client.receive_error(), (closed.address, 3, 3, 0), "what the client was told of a peer that is gone")
        talk(client, 0x4000, relayed, peers[0], 3)
        check_equal(client.refresh(0).code, 0, "the answer to Refresh")
        check_equal(sockets_on(relayed[1]), 0, "the sockets when the allocation has ended")


if __name__ == "__main__":
    main()
