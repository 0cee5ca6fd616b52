"""behaviour: finds out how a NAT maps and filters, written from RFC 5780 sections 4.3 and 4.4, and classic requests of RFC 3489."""
import os
import socket
import struct
import time

from support import stun
from support.nats import ADDRESS, ENDPOINT, PORT

CHANGE_IP, CHANGE_PORT = 4, 2
TRIES, TRY_S = 3, 0.3


def change(flags):
    return stun.CHANGE_REQUEST, struct.pack("!I", flags)


def response_port(port):
    return stun.RESPONSE_PORT, struct.pack("!HH", port, 0)


class Asker:
    """A UDP socket that asks: ask() returns (message, where it came from), or None when three tries brought nothing."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, to, *attributes, tries=TRIES):
        request = stun.build(stun.BINDING, attributes)
        for _ in range(tries):
            self.socket.sendto(request, to)
            if answer := self.wait(request[8:20], TRY_S):
                return answer
        return None

    def wait(self, tid, limit_s):
        """The answer to a transaction, of this socket or of another that had it sent here."""
        deadline = time.monotonic() + limit_s
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, source = self.socket.recvfrom(65536)
            except TimeoutError:
                return None
            if data[8:20] == tid:
                return stun.Message(data), source
        return None

    def ask_classic(self, to, flags=None):
        """What an RFC 3489 request brings: (its attributes by number, where it came from), or None."""
        tid = b"\x01\x02\x03\x04" + os.urandom(12)
        body = b"" if flags is None else stun.attribute(*change(flags))
        self.socket.sendto(struct.pack("!HH", 1, len(body)) + tid + body, to)
        self.socket.settimeout(TRY_S)
        try:
            data, source = self.socket.recvfrom(65536)
        except TimeoutError:
            return None
        kind, length = struct.unpack("!HH", data[:4])
        if data[4:20] != tid or length != len(data) - 20 or kind not in (0x0101, 0x0111):
            raise ValueError(f"no answer of RFC 3489: {data.hex()}")
        found, at = {}, 20
        while at < len(data):
            attribute, size = struct.unpack("!HH", data[at:at + 4])
            found[attribute], at = data[at + 4:at + 4 + size], at + 4 + size
        return found, source


def mapping_of(host, server):
    """Section 4.3: which of a server's four places see the same mapping."""
    with Asker(host) as asker:
        first, _ = asker.ask(server)
        mapped, other = first.address(stun.XOR_MAPPED_ADDRESS), first.plain(stun.OTHER_ADDRESS)
        if mapped == asker.address:
            return ENDPOINT
        second = asker.ask((other[0], server[1]))[0].address(stun.XOR_MAPPED_ADDRESS)
        if second == mapped:
            return ENDPOINT
        return ADDRESS if asker.ask(other)[0].address(stun.XOR_MAPPED_ADDRESS) == second else PORT


def filtering_of(host, server):
    """Section 4.4: from which of a server's places an answer comes through."""
    with Asker(host) as asker:
        asker.ask(server)
        if asker.ask(server, change(CHANGE_IP | CHANGE_PORT)):
            return ENDPOINT
        return ADDRESS if asker.ask(server, change(CHANGE_PORT)) else PORT
