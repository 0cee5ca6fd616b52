"""The PROXY protocol: whose a connection is when a proxy brings it, and that nobody else may say so."""
import contextlib
import ipaddress
import socket
import ssl
import struct

from support import stun
from support.client import Client, NoAnswer
from support.server import Server, free_port, run_relay
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

ANN, PROXY, ANN6, PROXY6 = ("192.0.2.1", 56324), ("198.51.100.7", 443), ("2001:db8::1", 56324), ("2001:db8::2", 443)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def line(source, destination):
    """A header of version 1."""
    kind = 6 if ":" in source[0] else 4
    return f"PROXY TCP{kind} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


def binary(source=None, destination=None, more=b"", command=1):
    """A header of version 2; without addresses of no family."""
    if source is None:
        return SIGNATURE + struct.pack("!BBH", 0x20 | command, 0, len(more)) + more
    addresses = [ipaddress.ip_address(host).packed for host, _ in (source, destination)]
    block = b"".join(addresses) + struct.pack("!HH", source[1], destination[1]) + more
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, 0x21 if len(addresses[0]) == 16 else 0x11, len(block)) + block


class Proxied(Client):
    """A client whose bytes a proxy brings to `port`, behind `header`; over TLS end to end where `transport` says so."""

    def __init__(self, server, header, transport="tcp", port=None, **how):
        self.header = header
        super().__init__(server, transport, port=port or server.proxy_port, **how)

    def connect(self, server, local, sni):
        plain = socket.create_connection(self.server, 5)
        plain.sendall(self.header)
        if self.transport == "tcp":
            return plain
        context = ssl.create_default_context(cafile=server.certificate)
        return context.wrap_socket(plain, server_hostname=sni)


class Behind(Server):
    """A server with a port for proxies from `trusted`; with `shared` they come to the ordinary ports."""

    def __init__(self, trusted="127.0.0.1", shared=False, lines=(), **how):
        self.proxy_port = free_port()
        more = [] if shared else [f"tcp-proxy-port={self.proxy_port}"]
        super().__init__(*more, *([f"proxy-protocol-from={trusted}"] if trusted else []), *lines, **how)
        if shared:
            self.proxy_port = self.port


def served(server, transport, port, header=b""):
    """Whether a connection that begins with `header` is; False if it is cut."""
    try:
        with Proxied(server, header, transport, port) as client:
            return client.binding().kind == stun.SUCCESS
    except (NoAnswer, OSError):
        return False


@smoke
def the_mapped_address_is_the_clients_and_not_the_proxys():
    with Behind(tls=True, threads=2) as server:
        for transport in ("tcp", "tls"):
            for header, want in ((line(ANN, PROXY), ANN), (binary(ANN, PROXY), ANN), (line(ANN6, PROXY6), ANN6), (binary(ANN6, PROXY6), ANN6),
                                 (binary(ANN, PROXY, b"\4\0\5abcde\x02\0\4turn"), ANN), (line(("::ffff:192.0.2.1", 5), ("::ffff:192.0.2.9", 6)), ("192.0.2.1", 5))):
                with Proxied(server, header, transport) as client:
                    check_equal(client.binding().address(stun.XOR_MAPPED_ADDRESS), want, f"the mapped address for {header} over {transport}")
        with Proxied(server, binary(ANN, PROXY), "tls") as client:
            message = client.allocate()
            check_equal((message.code, message.address(stun.XOR_MAPPED_ADDRESS)), (0, ANN), "the answer to Allocate")
            check_equal(client.refresh(0).code, 0, "the answer to Refresh")


@smoke
def a_connection_of_the_proxys_own_is_itself():
    with Behind() as server:
        for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3\r\n", binary(command=0), binary(ANN, PROXY, command=0), binary(more=b"\4\0\1x")):
            with Proxied(server, header) as client:
                check_equal(client.binding().address(stun.XOR_MAPPED_ADDRESS), client.local, f"the mapped address for {header}")


@smoke
def a_proxy_must_say_whom_it_brings_on_its_own_port_or_on_every_port():
    with Behind(tls=True) as server:
        for transport in ("tcp", "tls"):
            check(not served(server, transport, server.proxy_port), f"{transport} without a header is served on the proxies' port")
            for port in (server.port, server.tls_port):
                check(served(server, transport, port), f"{transport} is not served on the other ports")
                check(not served(server, "tcp", port, line(ANN, PROXY)), "a header is taken where none belongs")
                check(not served(server, "tcp", port, binary(ANN, PROXY)), "a header is taken where none belongs")
    with Behind(tls=True, shared=True) as server:
        for port in (server.port, server.tls_port):
            for transport in ("tcp", "tls"):
                check(not served(server, transport, port), f"{transport} without a header is served to a proxy")
            with Proxied(server, line(ANN, PROXY), port=port) as client:
                check_equal(client.binding().address(stun.XOR_MAPPED_ADDRESS), ANN, "the mapped address")
        with server.client() as client:
            check_equal(client.binding().address(stun.XOR_MAPPED_ADDRESS), client.local, "the mapped address over UDP")


@smoke
def from_others_than_the_proxies_a_header_is_refused():
    with Behind("192.0.2.0/24") as server:
        check(not served(server, "tcp", server.proxy_port), "a stranger is served on the proxies' port")
        for header in (line(ANN, PROXY), binary(ANN, PROXY), binary(command=0), b"PROXY UNKNOWN\r\n"):
            check(not served(server, "tcp", server.proxy_port, header), f"{header} of a stranger is taken on the proxies' port")
            check(not served(server, "tcp", server.port, header), f"{header} of a stranger is taken")
        check(served(server, "tcp", server.port), "no service for others")
    with Behind("192.0.2.0/24", shared=True) as server:
        check(not served(server, "tcp", server.port, line(ANN, PROXY)), "a stranger's header is taken")
        check(served(server, "tcp", server.port), "no service for who is no proxy")


@test
def a_broken_header_ends_the_connection_at_once():
    with Behind() as server:
        for header in (b"PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n", b"PROXY UNKNOWN " + b"x" * 200,
                       SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), SIGNATURE + b"\x21\x11\0\x04" + bytes(4), SIGNATURE + b"\x21\x11\xff\xff",
                       binary(ANN, PROXY) + binary(ANN, PROXY), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello"):
            with Proxied(server, header) as client:
                check(client.is_closed(3), f"{header} did not end the connection")
        with Proxied(server, binary(ANN, PROXY)) as client:
            check(client.relayed(), "no allocation afterwards")


@test
def a_nonce_belongs_to_the_client_behind_the_proxy():
    with Behind() as server, Proxied(server, line(ANN, PROXY)) as ann, Proxied(server, line(("192.0.2.2", 7), PROXY)) as bob:
        ann.challenge()
        bob.learn(ann.challenge())
        request = bob.signed(stun.REFRESH, [])
        check_equal(bob.transact(request).code, 438, "the answer to another client's nonce")
        check(ann.relayed() != bob.relayed(), "one allocation for both")
        with Proxied(server, line(ANN, PROXY), password="wrong") as bad:
            check_equal(bad.allocate().code, 401, "a wrong password")
        check("client=192.0.2.1:56324" in server.log(), "the log does not name the client")


@test
def the_port_for_proxies_is_for_streams_and_trusts_this_machine_alone_by_default():
    with Behind(trusted=None) as server:
        check("only proxies on this machine" in server.log(), "no warning")
        with Proxied(server, line(ANN, PROXY)) as client:
            check_equal(client.binding().address(stun.XOR_MAPPED_ADDRESS), ANN, "the mapped address")
        with server.client(port=server.proxy_port) as client, contextlib.suppress(NoAnswer):
            client.send(stun.build(stun.BINDING))
            check_equal(client.receive(0.3), None, "the answer over UDP")
        code, printed, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
        check(code == 0 and f"127.0.0.1:{server.proxy_port} tcp behind proxies" in printed, f"{code}: {printed} {errors}")


if __name__ == "__main__":
    main()
