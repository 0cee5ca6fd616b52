"""DSCP, ECN and flow labels of what is relayed, RFC 8656 sections 13 to 16: seen on the wire beside the relay; needs root for its network."""
import contextlib

from support import stun
from support.client import Peer, family, set_mark
from support.route import Route
from support.server import Server
from support.tap import check, check_equal, main, test, wait_for

ALL_WAYS = True

EF, AF41, CS6 = 46 << 2, 34 << 2, 48 << 2
ECT0, CE = 2, 3
# what a packet comes with: what it leaves with; a DSCP of the routers' own is not passed on
MARKS = {0: 0, EF: EF, AF41 | ECT0: AF41 | ECT0, CE: CE, CS6: 0, CS6 | CE: CE}


class Place:
    """A relay, a client of it on the first link, a peer behind the router, and what the relay sends. The client has channel 0x4000 to the peer."""

    def __init__(self, stack, *lines, client=4, peer=4, transport="udp", opened=0):
        self.route = stack.enter_context(Route())
        self.wire = stack.enter_context(self.route.capture())
        with self.route.inside(self.route.peer):
            self.peer = stack.enter_context(Peer(self.route.PEER[peer]))
        with self.route.inside(self.route.relay):
            relays = [f"relay-ip={self.route.RELAY[other]}" for other in {peer} - {client}]
            peers = ["allowed-peer-ip=10.99.0.0/16", "allowed-peer-ip=fd99::/16"]
            self.server = stack.enter_context(Server(*relays, *lines, peers=peers, host=self.route.RELAY[client]))
        with self.route.inside(self.route.router):
            self.client = stack.enter_context(self.server.client(transport, local=(self.route.ROUTER[client], 0), mark=opened))
        self.relayed = self.client.relayed(family(stun.IPV4 if peer == 4 else stun.IPV6))
        check_equal(self.client.bind(0x4000, self.peer.address).code, 0, "the answer to ChannelBind")

    def left_with(self, text):
        """The packet that left the relay with `text` at its end."""
        mine = lambda found: [packet for packet in found if packet.payload.endswith(text)]
        found = mine(self.wire.packets(enough=mine))
        check(found, f"{text} was not seen on the wire")
        return found[0]

    def up(self, text):
        self.client.send_channel(0x4000, text)
        check_equal(self.peer.receive(), (text, self.relayed), "what the peer received")
        return self.left_with(text)

    def up_by_send(self, text):
        self.client.send_to(self.peer.address, text)
        check_equal(self.peer.receive(), (text, self.relayed), "what the peer received")
        return self.left_with(text)

    def down(self, text):
        self.peer.send(text, self.relayed)
        check_equal(self.client.receive_data(), (0x4000, text), "what the client received")


def expect_marks(client, peer, marks, *lines):
    with contextlib.ExitStack() as stack:
        place = Place(stack, *lines, client=client, peer=peer)
        for number, (given, kept) in enumerate(marks.items()):
            what = f"the mark of what came with {given:#04x} from IPv{client} for IPv{peer}"
            set_mark(place.client.socket, given)
            set_mark(place.peer.socket, given)
            check_equal(place.up(b"channel %d" % number).mark, kept, what)
            check_equal(place.up_by_send(b"send %d" % number).mark, kept, what)
            place.down(b"down %d" % number)
            check_equal(place.left_with(b"down %d" % number).mark, kept, what + " and back")
            place.client.binding()
        answers = [packet for packet in place.wire.waiting() if packet.payload[:2] == b"\x01\x01"]
        check_equal({packet.mark for packet in answers}, {0}, "the marks of answers")


@test
def what_is_relayed_keeps_its_mark_between_ipv4_and_ipv4():
    expect_marks(4, 4, MARKS)


@test
def what_is_relayed_keeps_its_mark_between_ipv6_and_ipv6():
    expect_marks(6, 6, MARKS)


@test
def what_is_relayed_keeps_its_mark_between_the_families():
    expect_marks(4, 6, {EF | ECT0: EF | ECT0, CS6: 0})
    expect_marks(6, 4, {EF | ECT0: EF | ECT0, CS6: 0})


@test
def with_no_dscp_nothing_is_marked():
    expect_marks(4, 4, dict.fromkeys(MARKS, 0), "no-dscp")
    expect_marks(6, 6, dict.fromkeys(MARKS, 0), "no-dscp")


@test
def a_connection_has_one_dscp_for_both_ways_and_no_ecn_of_its_own():
    for version in (4, 6):
        for opened, kept in ((0, 0), (AF41, AF41), (CS6, 0)):
            with contextlib.ExitStack() as stack:
                place = Place(stack, client=version, peer=version, transport="tcp", opened=opened)
                set_mark(place.peer.socket, EF | ECT0)
                check_equal(place.up(b"up").mark, kept, f"the mark of what came over TCP with {opened:#04x}")
                place.wire.waiting()
                place.down(b"down")
                segments = wait_for(lambda: [packet for packet in place.wire.waiting() if packet.protocol == stun.TCP], what="a segment to the client")
                check_equal({packet.mark & ~CE for packet in segments}, {kept}, "the DSCP of the relay's segments")


@test
def each_flow_has_a_label_of_its_own():
    with contextlib.ExitStack() as stack:
        place = Place(stack, client=6, peer=6)
        ups, downs = set(), set()
        for number in range(3):
            place.down(b"down %d" % number)
            downs.add(place.left_with(b"down %d" % number).label)
            ups.add(place.up(b"up %d" % number).label)
        check_equal((len(ups), len(downs)), (1, 1), "the numbers of labels, up and down")
        check(all(ups | downs) and not ups & downs, f"the labels are {ups} up, {downs} down")


if __name__ == "__main__":
    main()
