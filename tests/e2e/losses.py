"""What is lost on the way is counted by what lost it: rows of relay_drops_total and others that ordinary traffic does not move."""
import contextlib
import os
import signal
import socket
import struct

from support import stun
from support.client import Peer, transport
from support.openssl import DtlsClient
from support.prometheus import scrape
from support.server import Server
from support.tap import check, check_equal, main, test, wait_for

DOOR = "admin-socket=door"


def dropped(server, reason):
    return scrape(server)("relay_drops_total", reason=reason)


@test
def a_datagram_that_is_longer_than_the_relay_reads():
    with Server(DOOR) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        client.send_channel(0x4000, bytes(9300))
        peer.send(bytes(9300), relayed)
        wait_for(lambda: dropped(server, "too_long") == 2, what="the metric")
        client.send_channel(0x4000, bytes(9000))
        check_equal(len(peer.receive()[0]), 9000, "the longest that is meant")


@test
def a_packet_from_a_stream_that_is_longer_than_its_receivers_transport():
    with Server(DOOR, tls=True) as server, server.client("tcp") as client, server.client() as plain, DtlsClient(server) as dtls:
        at = client.relayed()
        for number, other in enumerate((dtls, plain), 0x4000):
            check_equal(client.bind(number, other.relayed()).code, 0, "the answer to ChannelBind")
            check_equal(other.permit(at).code, 0, "the answer to CreatePermission")
            client.send_channel(number, bytes(65500))
        wait_for(lambda: (dropped(server, "too_long"), dropped(server, "unsent")) == (1, 1), what="the metric")
        client.send_channel(0x4001, bytes(60000))
        check_equal(len(plain.receive_data()[1]), 60000, "between two clients of the server it may be longer than what comes from elsewhere")


@test
def a_datagram_that_the_system_refuses_to_send():
    with Server(DOOR, "allowed-peer-ip=255.255.255.255") as server, server.client() as client:
        client.relayed()
        check_equal(client.bind(0x4000, ("255.255.255.255", 9)).code, 0, "the answer to ChannelBind")
        client.send_channel(0x4000, b"to everybody")
        wait_for(lambda: dropped(server, "unsent") == 1, what="the metric")


@test
def frames_for_a_client_that_does_not_read():
    with Server(DOOR) as server, server.client("tcp") as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)

        def flood():
            for _ in range(200):
                peer.send(bytes(9000), relayed)
            return dropped(server, "slow_reader") > 0
        wait_for(flood, 10, "the metric")
        client.socket.settimeout(5)
        number, length = struct.unpack("!HH", client.socket.recv(4, socket.MSG_WAITALL))
        check_equal((number, length), (0x4000, 9000), "the first frame: what is lost are whole ones")


def flood(server, to, bytes_each, count):
    """So many datagrams to an address of the server while it stands still."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with Peer() as stranger:
            for _ in range(count):
                stranger.send(bytes(bytes_each), to)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@test
def datagrams_that_find_the_buffer_of_a_listener_full():
    with Server(DOOR) as server:
        name = f"{server.host}:{server.port}"
        check_equal(scrape(server)("relay_listener_drops_total", listener=name), 0, "what was lost before")
        check(scrape(server)("relay_listener_buffer_bytes", listener=name, direction="in") >= 100000, "the buffer is told")
        flood(server, (server.host, server.port), 9000, 1500)  # more than twice of what is asked for
        lost = wait_for(lambda: scrape(server)("relay_listener_drops_total", listener=name), what="the metric")
        check(lost < 1500, f"{lost} of 1500 were lost")
        check_equal(dropped(server, "socket_full"), lost, "what was lost in all")
        check("socket_buffers receive=" in server.log(), "the log tells the buffers")


@test
def datagrams_that_find_the_buffer_of_a_relayed_address_full():
    for way in ("off", "auto"):
        with Server(DOOR, f"relay-steering={way}") as server, server.client() as client, Peer() as peer:
            relayed = client.relayed()
            check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
            flood(server, relayed, 9000, 1500)
            wait_for(lambda: dropped(server, "socket_full"), what="the metric while the allocation lives")


@test
def an_error_of_a_network_in_place_of_a_datagram():
    with Server(DOOR, "relay-steering=off") as server, server.client() as client:
        client.relayed()
        with Peer() as peer:
            client.permit(peer.address)
        client.send_to(peer.address, b"anybody?")
        check(client.receive_error(), "the client is told")
        wait_for(lambda: scrape(server)("relay_udp_receive_errors_total"), what="the metric")


def worker_of(server, client):
    """The number of the worker that has the client's 5-tuple."""
    made = len(server.workers())
    check_equal((client.allocate().code, client.refresh(0).code), (0, 0), "an allocation and its end")
    return wait_for(lambda: server.workers()[made:], what="its line in the log")[0]


BUSY = {"p.lua": "return {authorize = function(req) while req.user == 'busy' do end end}"}


@contextlib.contextmanager
def busy_worker():
    """A server of two workers: the server; a client on the first and what keeps that one from everything else for a while; a client on the second."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(DOOR, "mobility", "verbose", threads=2, auth=("lt-cred-mech", "user=ann:secret", "user=busy:secret"),
                                            files=BUSY, policies=["p.lua"]))
        by_worker = {}
        while len(by_worker) < 2 or any(len(clients) < 2 for clients in by_worker.values()):
            client = stack.enter_context(server.client())
            by_worker.setdefault(worker_of(server, client), []).append(client)
        (one, hog, *_), (other, *_) = by_worker.values()

        def occupy():
            for _ in range(20):  # each costs the worker the whole time that a hook may take
                hog.send(hog.signed(stun.ALLOCATE, [transport(stun.UDP)], username="busy"))
        yield server, one, occupy, other


@test
def datagrams_of_a_client_that_moved_to_a_worker_that_has_no_time():
    with busy_worker() as (server, old, occupy, new), Peer() as peer:
        ticket = old.allocate((stun.MOBILITY_TICKET, b"")).get(stun.MOBILITY_TICKET)
        check_equal(old.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
        check_equal(new.refresh(600, (stun.MOBILITY_TICKET, ticket)).code, 0, "the move")

        def crowd():
            occupy()
            for _ in range(300):
                new.send_channel(0x4000, bytes(9000))
            return dropped(server, "ring") > 0
        wait_for(crowd, 20, "the metric")

        def gets_through():
            new.send_channel(0x4000, b"and on")
            return (got := peer.receive(0.05)) and got[0] == b"and on"
        wait_for(gets_through, 10, "what comes when the worker has time again")


@test
def packets_to_a_client_whose_worker_has_no_time():
    with busy_worker() as (server, there, occupy, here):
        at = there.relayed()
        check_equal(there.bind(0x4001, here.relayed()).code, 0, "the answer to ChannelBind")
        check_equal(here.bind(0x4000, at).code, 0, "the answer to ChannelBind")
        sent = 0

        def crowd():
            nonlocal sent
            occupy()
            for _ in range(300):
                here.send_channel(0x4000, bytes(9000))
            sent += 300
            while there.poll(0):
                pass
            return dropped(server, "ring") > 0
        wait_for(crowd, 20, "the metric")

        def all_told():
            now = scrape(server)
            counted = now("relay_packets_total", transport="udp", direction="out") + now("relay_drops_total", reason="ring")
            return counted == now("relay_handed_over_packets_total", worker="other") > 0
        wait_for(all_told, 10, "what is lost and what arrives are all that was handed over")
        there.inbox.clear()

        def gets_through():
            here.send_channel(0x4000, b"and on")
            return (0x4001, b"and on") == there.receive_data(0.05)
        wait_for(gets_through, 10, "what comes when the worker has time again")


@test
def a_policy_that_fills_its_memory():
    hoard = """local MIB <const>, held = 2 ^ 20 // 1 | 0, {}
return {
  init = function() for i = 1, 62 do held[i] = ("x"):rep(MIB) end end,
  authorize = function() for i = 63, 65 do held[i] = ("x"):rep(MIB) end end,
}"""
    with Server(DOOR, files={"p.lua": hoard}, policies=["p.lua"]) as server, server.client() as client:
        check_equal(client.allocate().code, 500, "the answer")
        wait_for(lambda: scrape(server)("relay_policy_errors_total", kind="memory") == 1, what="the metric")
        check("not enough memory" in server.log(), "the log says so")


if __name__ == "__main__":
    main()
