"""route: a relay and a peer in namespaces of their own with a router between them, and a capture of what leaves the relay.

Loopback has one link of 65,536 bytes and answers for every port itself: what routers and links do to a datagram, and how it looks on the wire, is
only seen on a path like this one. Needs root; whoever enters a namespace makes sockets and processes in it.
"""
import contextlib
import socket
import struct
import time

from support.namespaces import Namespaces, ip

ETH_P_IP = 0x0800


class Route(Namespaces):
    """`relay` (10.99.1.1, fd99:1::1) - `router` - `peer` (10.99.2.1, fd99:2::1). The first link is `near` bytes long, the second `far`."""

    NAMES = ("relay", "router", "peer")
    RELAY, PEER = {4: "10.99.1.1", 6: "fd99:1::1"}, {4: "10.99.2.1", 6: "fd99:2::1"}

    def __init__(self, near=1500, far=1300):
        super().__init__()
        self.near, self.far = near, far

    def wire(self):
        with self.inside(self.router):
            for switch in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
                with open(f"/proc/sys/{switch}", "w", encoding="ascii") as file:
                    file.write("1")
        self.link(self.relay, 1, self.near)
        self.link(self.peer, 2, self.far)

    def link(self, end, number, mtu):
        device = f"link{number}"
        ip("-n", end, "link", "add", "out", "type", "veth", "peer", "name", device, "netns", self.router)
        for name, where, last in ((end, "out", 1), (self.router, device, 254)):
            ip("-n", name, "link", "set", where, "mtu", str(mtu))
            ip("-n", name, "address", "add", f"10.99.{number}.{last}/24", "dev", where)
            ip("-n", name, "address", "add", f"fd99:{number}::{last:x}/64", "dev", where, "nodad")
            ip("-n", name, "link", "set", where, "up")
        ip("-n", end, "route", "add", "default", "via", f"10.99.{number}.254")
        ip("-n", end, "-6", "route", "add", "default", "via", f"fd99:{number}::fe")

    @contextlib.contextmanager
    def capture(self):
        """What arrives at the router from the relay, IPv4 only."""
        with self.inside(self.router):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        with wire:
            wire.bind(("link1", ETH_P_IP))
            yield Capture(wire)


class Capture:
    def __init__(self, wire):
        self.wire = wire

    def datagrams(self, count, port, limit_s=3.0):
        """The next `count` whole or first IPv4 datagrams of UDP to `port`: (payload, DF, more fragments, time to live)."""
        found, deadline = [], time.monotonic() + limit_s
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            self.wire.settimeout(left)
            with contextlib.suppress(TimeoutError):
                packet, origin = self.wire.recvfrom(65536)
                fragment, life, protocol = struct.unpack("!6xHBB", packet[:10])
                udp = packet[(packet[0] & 15) * 4:]
                if origin[2] == socket.PACKET_HOST and protocol == socket.IPPROTO_UDP and not fragment & 0x1FFF and udp[2:4] == struct.pack("!H", port):
                    found.append((udp[8:], bool(fragment & 0x4000), bool(fragment & 0x2000), life))
        return found
