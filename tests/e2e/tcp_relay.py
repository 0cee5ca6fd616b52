"""TCP allocations (RFC 6062): connections from and to peers, over TCP and TLS, on several workers."""
import contextlib
import hashlib
import os
import select
import socket
import sqlite3
import ssl
import threading
import time

from support import stun
from support.server import SANITIZED, Server
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True

MEGABYTE = 1 << 20
LIMIT_S = 20.0


class Peer:
    """A peer that listens on a port of its own."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.create_server((host, 0))
        self.listener.settimeout(5)
        self.address = self.listener.getsockname()[:2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        connection, source = self.listener.accept()
        connection.settimeout(LIMIT_S)
        return connection, source


def connect_to(relayed):
    """A peer's own connection to a relayed address."""
    connection = socket.create_connection(relayed, 5)
    connection.settimeout(LIMIT_S)
    return connection


def allocated(server, transport="tcp", **how):
    client = server.client(transport, **how)
    return client, client.relayed(protocol=stun.TCP)


def connected(server, client, peer):
    """A connection that the client asked for: its data connection and the peer's socket."""
    message = client.connect_peer(peer.address)
    check_equal(message.code, 0, "the answer to Connect")
    there, source = peer.accept()
    return client.data_connection(server, message.get(stun.CONNECTION_ID)), there, source


def attempted(server, client, relayed):
    """A connection that the peer, who has a permission, made."""
    there = connect_to(relayed)
    source, connection_id = client.attempt()
    check_equal(source, there.getsockname(), "XOR-PEER-ADDRESS")
    return client.data_connection(server, connection_id), there


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read_all(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(65536)
        check(part, f"the connection ended after {len(data)} of {size} bytes")
        data += part
    return bytes(data)


def send_and_read(data, up, size):
    """Both at once in one thread, as a TLS socket must not be used by two."""
    sent, got = 0, bytearray(data.stream)
    data.stream = b""
    data.socket.setblocking(False)
    deadline = time.monotonic() + LIMIT_S
    while sent < len(up) or len(got) < size:
        check(time.monotonic() < deadline, f"sent {sent}, received {len(got)} of {size} bytes")
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent += data.socket.send(up[sent:sent + 65536]) if sent < len(up) else 0
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            part = data.socket.recv(65536)
            check(part, f"the connection ended after {len(got)} of {size} bytes")
            got += part
            continue
        select.select([data.socket], [data.socket] if sent < len(up) else [], [], 0.05)
    data.socket.settimeout(LIMIT_S)
    return bytes(got)


def exchange(data, there, size):
    """`size` bytes each way at once, compared."""
    up, down, read = os.urandom(size), os.urandom(size), {}
    threads = [threading.Thread(target=there.sendall, args=[down]), threading.Thread(target=lambda: read.update(up=read_all(there, size)))]
    for thread in threads:
        thread.start()
    got = send_and_read(data, up, size)
    for thread in threads:
        thread.join(LIMIT_S)
    check_equal((digest(read["up"]), digest(got)), (digest(up), digest(down)), "what arrived")


def is_over(connection):
    """Whether the far end has closed; a reset counts."""
    connection.settimeout(5)
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@smoke
def bytes_go_both_ways_exactly_whoever_connects():
    with Server(tls=True, threads=3) as server, Peer() as peer:
        for transport in ("tcp", "tls"):
            client, relayed = allocated(server, transport)
            with client:
                data, there, source = connected(server, client, peer)
                check_equal(source, relayed, "where the connection came from")
                exchange(data, there, MEGABYTE)
                client.permit(("127.0.0.1", 0))
                other, also = attempted(server, client, relayed)
                exchange(other, also, MEGABYTE)
                exchange(data, there, 1)
                for each in (data, there, other, also):
                    each.close()


@test
def ten_megabytes_each_way_on_every_worker():
    with Server(tls=True, threads=3) as server:
        for transport in ("tcp", "tls"):
            client, _ = allocated(server, transport)
            with client:
                for _ in range(3):
                    with Peer() as peer:
                        data, there, _ = connected(server, client, peer)
                        exchange(data, there, 10 * MEGABYTE)
                        data.close()
                        check(is_over(there), "the peer's connection outlives the client's")
                        there.close()


def fill(writer):
    """Writes until nobody takes any more; returns what was written."""
    block, written = os.urandom(1 << 16), bytearray()
    writer.settimeout(0)
    while select.select([], [writer], [], 0.5)[1]:
        check(len(written) < 64 * MEGABYTE, "a reader who reads nothing is not waited for")
        written += block[:writer.send(block)]
    writer.settimeout(LIMIT_S)
    return bytes(written)


@test
def a_reader_who_stops_stops_the_writer_and_loses_nothing():
    with Server(tls=True) as server, Peer() as peer:
        kilobytes = server.resident_kb()
        for transport, ways in (("tcp", 2), ("tls", 1)):
            client, _ = allocated(server, transport)
            with client:
                data, there, _ = connected(server, client, peer)
                data.socket.settimeout(LIMIT_S)
                for writer, reader in ((there, data.socket), (data.socket, there))[:ways]:
                    written = fill(writer)
                    check(server.resident_kb() < kilobytes + 4000 or SANITIZED, "what waits does not wait in the sockets")
                    check_equal(digest(read_all(reader, len(written))), digest(written), "what arrived")


@test
def peers_without_a_permission_are_refused():
    with Server("permission-lifetime=2") as server:
        client, relayed = allocated(server)
        with client:
            check(is_over(connect_to(relayed)), "not refused")
            client.permit(("127.0.0.2", 0))
            check(is_over(connect_to(relayed)), "not refused, with another's permission")
            client.permit(("127.0.0.1", 0))
            data, there = attempted(server, client, relayed)
            exchange(data, there, 100)

            def refused():
                with connect_to(relayed) as late:
                    late.settimeout(0.2)
                    with contextlib.suppress(TimeoutError):
                        return late.recv(1) == b""

            wait_for(refused, what="the end of the permission")
            exchange(data, there, 100)  # what was let in stays


@test
def forbidden_peers_are_403_and_nobody_home_is_447():
    policy = "return { permission = function(alloc, peer, kind) if kind == 'connect' and peer.port == 7 then return relay.deny(403, 'echo') end end }"
    with Server(policies=["no_echo.lua"], files={"no_echo.lua": policy}) as server, Peer() as peer:
        client, relayed = allocated(server)
        with client:
            for host, port in (("10.0.0.1", 80), ("169.254.169.254", 80), ("127.0.0.1", server.port), ("127.0.0.1", 7), relayed):
                check_equal(client.connect_peer((host, port)).code, 403, f"Connect to {host}:{port}")
            peer.listener.close()
            check_equal(client.connect_peer(peer.address).code, 447, "Connect to a closed port")
            with Peer() as other:
                data, there, _ = connected(server, client, other)
                check_equal(client.connect_peer(other.address).code, 446, "a second Connect")
                there.close()
                check(data.is_closed(), "the peer's end is not passed on")
                data.close()
                wait_for(lambda: client.connect_peer(other.address).code != 446, what="the end of the connection")


@test
def connections_end_with_the_allocation():
    ways = {"Refresh": lambda client: client.refresh(0), "the control connection": lambda client: client.close()}
    with Server(threads=2) as server, Peer() as peer:
        for what, end in ways.items():
            client, relayed = allocated(server)
            data, there, _ = connected(server, client, peer)
            client.permit(("127.0.0.1", 0))
            unbound = connect_to(relayed)
            client.attempt()
            exchange(data, there, 1000)
            end(client)
            for connection in (there, unbound, data.socket):
                check(is_over(connection), f"a connection outlives {what}")
            client.close()

            def nobody_listens(where=relayed):
                try:
                    socket.create_connection(where, 1).close()
                except ConnectionRefusedError:
                    return True

            wait_for(nobody_listens, what="the end of the listener")


@test
def ids_are_the_users_own_and_good_once():
    with Server(auth=["lt-cred-mech", "user=ann:secret", "user=bob:other"]) as server, Peer() as peer:
        client, _ = allocated(server)
        with client, server.client("tcp", username="bob", password="other") as bob, server.client("udp") as datagrams:
            message = client.connect_peer(peer.address)
            connection_id = message.get(stun.CONNECTION_ID)
            there, _ = peer.accept()
            wish = [(stun.CONNECTION_ID, connection_id)]
            check_equal(bob.request(stun.CONNECTION_BIND, wish).code, 400, "bob's ConnectionBind")
            check_equal(client.request(stun.CONNECTION_BIND, wish).code, 400, "one on the control connection")
            check_equal(datagrams.request(stun.CONNECTION_BIND, wish).code, 400, "one in a datagram")
            with client.data_connection(server, connection_id) as data, server.client("tcp") as again:
                exchange(data, there, 1000)
                check_equal(again.request(stun.CONNECTION_BIND, wish).code, 400, "a second one")


@test
def what_is_switched_off_is_refused():
    with Server("no-tcp-relay") as server, server.client("tcp") as client:
        check_equal(client.allocate(protocol=stun.TCP).code, 442, "Allocate for TCP")
        check_equal(client.allocate().code, 0, "Allocate for UDP")
    with Server("no-udp-relay") as server, server.client("tcp") as client, server.client("udp") as datagrams:
        check_equal(client.allocate().code, 403, "Allocate for UDP")
        check_equal(client.allocate(protocol=stun.TCP).code, 0, "Allocate for TCP")
        check_equal(datagrams.allocate(protocol=stun.TCP).code, 400, "Allocate for TCP by datagram")


@measuring
@test
def a_rate_is_kept_without_losing_a_byte():
    with Server("max-bps=200000") as server, Peer() as peer:
        client, _ = allocated(server)
        with client:
            data, there, _ = connected(server, client, peer)
            time_s = elapsed(lambda: exchange(data, there, 500000))
            check(1.4 < time_s < 10, f"500 kB at 200 kB a second took {time_s:.1f} s")


def elapsed(run):
    before = time.monotonic()
    run()
    return time.monotonic() - before


@test
def sessions_and_usage_show_it_to_the_byte():
    with Server("userdb=relay.db") as server, Peer() as peer:
        client, _ = allocated(server)
        with client:
            data, there, _ = connected(server, client, peer)
            exchange(data, there, 12345)
            data.close()
            check(is_over(there))
            client.refresh(0)
        database = sqlite3.connect(server.path("relay.db"))

        def row():
            return database.execute("SELECT transport, bytes_in, bytes_out, reason FROM sessions WHERE closed_ms IS NOT NULL").fetchone()

        check_equal(wait_for(row, what="the session"), ("tcp/tcp", 12345, 12345, "released"), "the session")
        check_equal(database.execute("SELECT transport, bytes_in, bytes_out FROM usage").fetchall(), [("tcp/tcp", 12345, 12345)], "the usage")
        database.close()


@smoke
def descriptors_and_memory_come_back():
    with Server(tls=True, threads=2) as server:
        def round_of(count):
            for transport in ("tcp", "tls"):
                client, relayed = allocated(server, transport)
                with client, contextlib.ExitStack() as held:
                    client.permit(("127.0.0.1", 0))
                    for _ in range(count):
                        data, there, _ = connected(server, client, held.enter_context(Peer()))
                        held.callback(data.close)
                        held.callback(there.close)
                        data, there = attempted(server, client, relayed)
                        held.callback(data.close)
                        held.callback(there.close)

        round_of(5)
        before = open_files(server)
        kilobytes = server.resident_kb()
        for _ in range(6):
            round_of(10)
        wait_for(lambda: open_files(server) <= before, what="as many open files as before")
        grown = server.resident_kb() - kilobytes
        check(grown < 8000 or SANITIZED, f"the server has grown by {grown} kB")


@test
def the_server_ends_cleanly_with_connections_open():
    with Server(threads=2) as server, Peer() as peer:
        client, relayed = allocated(server)
        data, there, _ = connected(server, client, peer)
        client.permit(("127.0.0.1", 0))
        pending = connect_to(relayed)
        client.attempt()
        exchange(data, there, 1000)
        server.stop()
        for connection in (data.socket, there, pending, client.socket):
            check(is_over(connection), "a connection outlives the server")


@test
def bytes_right_behind_the_request_reach_the_peer():
    with Server() as server, Peer() as peer:
        client, _ = allocated(server)
        with client, server.client("tcp") as data:
            message = client.connect_peer(peer.address)
            there, _ = peer.accept()
            data.realm, data.nonce = client.realm, client.nonce
            there.sendall(b"before the bind")
            data.send(data.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, message.get(stun.CONNECTION_ID))]) + b"\x16\x03\x01\x00 not TLS, not STUN")
            check_equal(there.recv(100), b"\x16\x03\x01\x00 not TLS, not STUN", "what the peer reads")
            check_equal(data.poll(3.0), True)
            wait_for(lambda: len(take(data)) >= len(b"before the bind"), what="the peer's bytes")
            check_equal(data.stream, b"before the bind", "what the client reads")
            shut = data.socket
            shut.shutdown(socket.SHUT_WR)
            check_equal(there.recv(1), b"", "the end of the client's bytes")
            there.sendall(b"and back")
            check_equal(shut.recv(100), b"and back", "what comes the other way after that")


def take(data):
    data.socket.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        data.stream += data.socket.recv(100)
    return data.stream


if __name__ == "__main__":
    main()
