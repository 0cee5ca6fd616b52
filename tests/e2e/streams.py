"""TCP and TLS: frames cut in any way, plain and TLS on every port, connections that never say anything sensible."""
import contextlib
import resource
import socket
import ssl
import struct
import subprocess
import time

from support import stun
from support.client import NoAnswer, Peer
from support.server import BINARY, START_S, Server
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True


@smoke
def a_request_cut_into_single_bytes_is_answered():
    with Server(tls=True) as server:
        for kind in ("tcp", "tls"):
            with server.client(kind) as client:
                if kind == "tcp":
                    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = stun.build(stun.BINDING)
                for byte in request:
                    client.send(bytes([byte]))
                message = client.answer(request[8:20])
                check(message and message.kind == stun.SUCCESS, f"no answer over {kind}")


@smoke
def many_frames_in_one_segment_are_all_served():
    with Server() as server, server.client("tcp") as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        frames = b"".join(stun.pad(struct.pack("!HH", 0x4000, size) + bytes([size]) * size) for size in range(1, 60))
        bindings = [stun.build(stun.BINDING) for _ in range(5)]
        client.send(frames + b"".join(bindings))
        for size in range(1, 60):
            check_equal(peer.receive(), (bytes([size]) * size, relayed), f"frame {size}")
        for request in bindings:
            check(client.answer(request[8:20]), "a Binding behind the frames was not answered")


@test
def channel_data_to_a_stream_is_padded_with_zeros():
    """The client library refuses padding that is not zero; here it is asked for every remainder."""
    with Server(tls=True) as server:
        for kind in ("tcp", "tls"):
            with server.client(kind) as client, Peer() as peer:
                relayed = client.relayed()
                client.bind(0x4000, peer.address)
                for size in (1, 2, 3, 4, 5, 1001, 1002, 1003):
                    peer.send(b"\xee" * size, relayed)
                    check_equal(client.receive_data(), (0x4000, b"\xee" * size), f"{size} bytes over {kind}")
                peer.send(b"\xee", relayed)
                peer.send(b"\xdd" * 3, relayed)
                check_equal([client.receive_data(), client.receive_data()], [(0x4000, b"\xee"), (0x4000, b"\xdd" * 3)], "two in a row")


@smoke
def plain_and_tls_are_served_on_both_ports():
    with Server(tls=True) as server:
        for kind in ("tcp", "tls", "udp"):
            for port in (server.port, server.tls_port):
                with server.client(kind, port=port) as client:
                    check(client.binding().kind == stun.SUCCESS, f"no Binding over {kind} on port {port}")


@test
def tls_is_1_2_or_1_3_and_nothing_older():
    with Server(tls=True) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            check_equal(handshake(server, version), version.name.replace("TLSv1_", "TLSv1."), "the version")
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            check_equal(handshake(server, version), None, f"the version when {version.name} is offered")


def handshake(server, version):
    context = ssl.create_default_context(cafile=server.certificate)
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((server.host, server.tls_port), 3) as plain:
        try:
            with context.wrap_socket(plain) as wrapped:
                return wrapped.version()
        except (ssl.SSLError, ConnectionError):
            return None


@test
def a_stream_that_is_not_stun_is_closed_and_the_next_is_served():
    with Server(tls=True) as server:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"220 mail.example.org ESMTP\r\n", b"\xff" * 64, b"\x00\x01\x00\x03" + b"\0" * 16 + b"abc",
                     b"\x16\x03\x01\x00\x05hello" + b"\0" * 40):
            with server.client("tcp") as client:
                client.send(junk)
                check(client.is_closed(), f"{junk[:8]!r}... was not closed")
        with server.client("tcp") as client:
            check(client.binding().kind == stun.SUCCESS, "no answer afterwards")


@test
def a_connection_that_gets_nowhere_is_closed_in_time():
    """Silent, trickling, half way through a handshake, or waiting for the rest of a frame: the deadline is absolute."""
    with Server(tls=True) as server, contextlib.ExitStack() as stack:
        starts = {"silent": b"", "half a header": b"\0\1", "half a handshake": b"\x16\x03\x01\x02\x00\x01"}
        clients = {name: stack.enter_context(server.client("tcp")) for name in [*starts, "trickle"]}
        for name, data in starts.items():
            clients[name].send(data)
        slow = stun.build(stun.BINDING, [(stun.SOFTWARE, b"x" * 200)])
        begin = time.monotonic()
        for byte in slow:
            if time.monotonic() - begin > 15 or clients["trickle"].is_closed(0.1):
                break
            with contextlib.suppress(OSError):
                clients["trickle"].send(bytes([byte]))
        for name, client in clients.items():
            check(client.is_closed(15 - min(14, time.monotonic() - begin)), f"the connection ({name}) is still open")


@test
def an_allocation_ends_with_its_connection():
    with Server("total-quota=1") as server:
        client = server.client("tcp")
        client.relayed()
        with server.client() as other:
            check_equal(other.allocate().code, 486, "the answer while the connection is up")
            client.close()
            wait_for(lambda: other.allocate().code == 0, 5, "a free place after the connection closed")


@measuring
@test
def a_slow_reader_loses_data_but_stalls_nobody():
    with Server() as server, server.client("tcp") as slow, server.client() as other, Peer() as peer, Peer() as echo:
        relayed = slow.relayed()
        slow.bind(0x4000, peer.address)
        other_relayed = other.relayed()
        other.bind(0x4000, echo.address)
        for _ in range(20000):
            peer.send(b"z" * 1200, relayed)
        start = time.monotonic()
        other.send_channel(0x4000, b"quick")
        check_equal(echo.receive(), (b"quick", other_relayed), "what the other's peer received")
        check(time.monotonic() - start < 0.5, f"it took {time.monotonic() - start:.3f} s")
        kilobytes = server.resident_kb()
        check(kilobytes < 200000, f"the server holds {kilobytes} kB")


@test
def five_hundred_idle_connections_do_no_harm():
    with Server() as server:
        idle = [socket.create_connection((server.host, server.port)) for _ in range(500)]
        with server.client("tcp") as client:
            check(client.relayed(), "no allocation")
        for connection in idle:
            connection.close()
        with server.client("tcp") as client:
            check(client.relayed(), "no allocation afterwards")


@test
def idle_connections_leave_descriptors_for_relaying():
    server = Server()
    process = subprocess.Popen([BINARY, "-c", server.config], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(server.answers, limit_s=START_S, what="the server")
        with contextlib.ExitStack() as held:
            for _ in range(300):
                held.enter_context(socket.create_connection((server.host, server.port)))
            with server.client() as client:
                check(client.relayed(), "no allocation while strangers hold connections")
    finally:
        process.terminate()
        process.wait()


@test
def a_truncated_tls_handshake_is_survived():
    with Server(tls=True) as server:
        for size in (1, 3, 5, 6, 50, 200):
            with socket.create_connection((server.host, server.tls_port)) as raw:
                raw.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600)[:size])
        with server.client("tls") as client:
            check(client.binding().kind == stun.SUCCESS, "no answer afterwards")


@test
def no_udp_and_no_tcp_close_what_they_name():
    with Server("no-udp") as server:
        with server.client("tcp") as client:
            check(client.binding().kind == stun.SUCCESS, "no answer over TCP")
        try:
            with server.client() as client:
                client.send(stun.build(stun.BINDING))
                check_equal(client.receive(0.3), None, "the answer over UDP")
        except NoAnswer:
            pass
    with Server("no-tcp") as server:
        with server.client() as client:
            check(client.binding().kind == stun.SUCCESS, "no answer over UDP")
        try:
            server.client("tcp").close()
        except ConnectionRefusedError:
            return
        check(False, "TCP is open")


if __name__ == "__main__":
    main()
