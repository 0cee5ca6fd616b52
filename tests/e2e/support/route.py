"""route: a relay and a peer in namespaces of their own with a router between them, and a capture of what leaves the relay.

Loopback has one link of 65,536 bytes and answers for every port itself: what routers and links do to a datagram, and how it looks on the wire, is
only seen on a path like this one. Needs root; whoever enters a namespace makes sockets and processes in it.
"""
import contextlib
import dataclasses
import socket
import struct
import time

from support.namespaces import Namespaces, ip

ETH_P_ALL = 0x0003


class Route(Namespaces):
    """`relay` (10.99.1.1, fd99:1::1) - `router` - `peer` (10.99.2.1, fd99:2::1). The first link is `near` bytes long, the second `far`."""

    NAMES = ("relay", "router", "peer")
    RELAY, PEER = {4: "10.99.1.1", 6: "fd99:1::1"}, {4: "10.99.2.1", 6: "fd99:2::1"}
    ROUTER = {4: "10.99.1.254", 6: "fd99:1::fe"}  # on the first link

    def __init__(self, near=1500, far=1300):
        super().__init__()
        self.near, self.far = near, far

    def wire(self):
        for name in self.all():
            self.switch(name, "net/ipv6/conf/default/accept_dad", "0")  # nobody waits to see whether an address is his
        self.switch(self.router, "net/ipv4/ip_forward", "1")
        self.switch(self.router, "net/ipv6/conf/all/forwarding", "1")
        self.link(self.relay, 1, self.near)
        self.link(self.peer, 2, self.far)

    def switch(self, where, name, value):
        with self.inside(where), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(value)

    def link(self, end, number, mtu):
        device = f"link{number}"
        ip("-n", end, "link", "add", "out", "type", "veth", "peer", "name", device, "netns", self.router)
        for name, where, last in ((end, "out", 1), (self.router, device, 254)):
            ip("-n", name, "link", "set", where, "mtu", str(mtu), "gso_max_segs", "1")  # trains are parted before the wire, as by most devices
            ip("-n", name, "address", "add", f"10.99.{number}.{last}/24", "dev", where)
            ip("-n", name, "address", "add", f"fd99:{number}::{last:x}/64", "dev", where, "nodad")
            ip("-n", name, "link", "set", where, "up")
        ip("-n", end, "route", "add", "default", "via", f"10.99.{number}.254")
        ip("-n", end, "-6", "route", "add", "default", "via", f"fd99:{number}::fe")

    @contextlib.contextmanager
    def capture(self):
        """What arrives at the router from the relay."""
        with self.inside(self.router):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        with wire:
            wire.bind(("link1", ETH_P_ALL))
            yield Capture(wire)


@dataclasses.dataclass
class Packet:
    """A packet of UDP or TCP, or the first fragment of one; `mark` is DSCP and ECN, `label` the flow label of IPv6."""
    protocol: int
    ports: tuple
    payload: bytes  # of UDP
    life: int
    mark: int
    df: bool = False
    more: bool = False
    label: int = 0


def read_packet(data):
    """A Packet, or None for anything else."""
    if data[0] >> 4 == 4:
        fragment, life, protocol = struct.unpack("!6xHBB", data[:10])
        head = {"life": life, "mark": data[1], "df": bool(fragment & 0x4000), "more": bool(fragment & 0x2000)}
        body, offset = data[(data[0] & 15) * 4:struct.unpack("!H", data[2:4])[0]], fragment & 0x1FFF
    else:
        first, length, protocol, life = struct.unpack("!IHBB", data[:8])
        head, body, offset = {"life": life, "mark": first >> 20 & 0xFF, "label": first & 0xFFFFF}, data[40:40 + length], 0
        if protocol == 44:  # a Fragment header
            protocol, offset, head["more"], body = body[0], body[2] << 8 | body[3] & 0xF8, bool(body[3] & 1), body[8:]
    if offset or protocol not in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
        return None
    return Packet(protocol, struct.unpack("!HH", body[:4]), body[8:] if protocol == socket.IPPROTO_UDP else b"", **head)


class Capture:
    def __init__(self, wire):
        self.wire = wire

    def packets(self, limit_s=3.0, enough=lambda found: False):
        """What came until `enough` of it is there, or for so long."""
        found, deadline = [], time.monotonic() + limit_s
        while not enough(found) and (left := deadline - time.monotonic()) > 0:
            self.wire.settimeout(left)
            with contextlib.suppress(TimeoutError):
                data, origin = self.wire.recvfrom(65536)
                packet = read_packet(data) if origin[2] == socket.PACKET_HOST else None
                found += [packet] if packet else []
        return found

    def waiting(self):
        """All that has arrived already."""
        return self.packets(0.05)

    def datagrams(self, count, port):
        """The next `count` datagrams of UDP to `port`."""
        mine = lambda found: [packet for packet in found if packet.protocol == socket.IPPROTO_UDP and packet.ports[1] == port]
        return mine(self.packets(enough=lambda found: len(mine(found)) == count))
