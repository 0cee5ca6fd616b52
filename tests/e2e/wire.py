"""The relay's packets on the wire, and what routers say of them: DF, TTL, padding, fragments, ICMP. RFC 8656 sections 11.5 and 13 to 16; needs root for its network."""
import contextlib

from support import stun
from support.client import Peer, even_port
from support.route import Route
from support.server import Server
from support.tap import check, check_equal, main, test

PATIENT = True
ALL_WAYS = True

WHOLE = (stun.DONT_FRAGMENT, b"")
IPV4_TOO_BIG, IPV6_TOO_BIG = (3, 4), (2, 0)
PEERS = ["allowed-peer-ip=10.99.0.0/16", "allowed-peer-ip=fd99::/16"]


@contextlib.contextmanager
def path(version=4, transport="udp", far=1300):
    """A route, a client beside the relay, and a peer behind the router: (route, client, relayed address, peer)."""
    with Route(far=far) as route, contextlib.ExitStack() as stack:
        with route.inside(route.peer):
            peer = stack.enter_context(Peer(route.PEER[version]))
        with route.inside(route.relay):
            server = stack.enter_context(Server(peers=PEERS, host=route.RELAY[version]))
            client = stack.enter_context(server.client(transport))
        relayed = client.relayed(WHOLE)
        check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
        # the router learns its neighbours before anything is measured
        client.send_to(peer.address, b"first")
        check_equal(peer.receive(), (b"first", relayed), "what the peer received")
        yield route, client, relayed, peer


@test
def df_is_set_where_it_is_asked_for():
    with path(transport="tcp") as (route, client, relayed, peer), route.capture() as wire:
        client.bind(0x4000, peer.address)
        wanted = []
        for number in range(12):
            text, whole = b"%02d" % number, number % 4 in (1, 2)
            if number % 4 == 3:
                client.send_channel(0x4000, text)
            else:
                client.send_to(peer.address, text, *([WHOLE] if whole else []))
            wanted.append((text, whole, False))
        got = [(packet.payload, packet.df, packet.more) for packet in wire.datagrams(len(wanted), peer.address[1])]
        check_equal(got, wanted, "payload, DF, more fragments")
        for text, *_ in wanted:
            check_equal(peer.receive(), (text, relayed), "what the peer received")


def expect_too_big(version, transport, too_big, sizes):
    """With DF `sizes` (bytes: MTU that is told) do not arrive, without they do, and shorter ones always do."""
    with path(version, transport) as (_, client, relayed, peer):
        for size, mtu in sizes:
            client.send_to(peer.address, b"w" * size, WHOLE)
            check_equal(client.receive_error(), (peer.address, *too_big, mtu), f"what the client was told of {size} bytes")
            client.send_to(peer.address, b"f" * size)
            check_equal(peer.receive(), (b"f" * size, relayed), f"{size} bytes without DF")
            client.send_to(peer.address, b"s" * 1200, WHOLE)
            check_equal(peer.receive(), (b"s" * 1200, relayed), "1200 bytes with DF")
        check_equal(client.receive_error(0.2), None, "what else the client was told")


@test
def a_datagram_with_df_that_is_too_long_for_a_link_is_told_over_ipv4():
    expect_too_big(4, "udp", IPV4_TOO_BIG, [(4000, 1500), (1473, 1500), (1400, 1300), (1273, 1300)])


@test
def a_datagram_with_df_that_is_too_long_for_a_link_is_told_over_ipv6():
    expect_too_big(6, "tcp", IPV6_TOO_BIG, [(1400, 1300), (1400, 1300), (4000, 1300)])


def arrives(version, what, say, receive):
    """Over IPv6 a router drops what is too long for its next link and says so: then the sender knows, and what it sends after that arrives."""
    for _ in range(1 if version == 4 else 3):
        say()
        if receive(3.0 if version == 4 else 0.3):
            return
    check(False, f"{what} over IPv{version} did not arrive")


@test
def what_is_longer_than_a_link_arrives_in_fragments_both_ways():
    for version in (4, 6):
        with path(version, far=1280) as (_, client, relayed, peer):
            client.bind(0x4000, peer.address)
            for size in (1400, 1473, 2000, 4000, 9000):
                up, down = bytes(range(250)) * (size // 250) + b"u" * (size % 250), b"d" * size
                arrives(version, f"{size} bytes up", lambda: client.send_channel(0x4000, up), lambda s: peer.receive(s) == (up, relayed))
                arrives(version, f"{size} bytes down", lambda: peer.send(down, relayed), lambda s: client.receive_data(s) == (0x4000, down))


@test
def over_ipv6_a_client_of_udp_asks_for_df_in_vain():
    with path(6, far=1280) as (_, client, relayed, peer):
        arrives(6, "1400 bytes with DONT-FRAGMENT", lambda: client.send_to(peer.address, b"w" * 1400, WHOLE), lambda s: peer.receive(s) == (b"w" * 1400, relayed))


@test
def a_port_unreachable_of_a_far_peer_reaches_the_client():
    for version, icmp in ((4, (3, 3)), (6, (1, 4))):
        with path(version) as (_, client, relayed, peer):
            closed = (peer.address[0], 9)
            client.send_to(closed, b"anybody?")
            check_equal(client.receive_error(), (closed, *icmp, 0), "what the client was told")
            check_equal(client.bind(0x4009, closed).code, 0, "the answer to ChannelBind")
            client.send_channel(0x4009, b"anybody on the channel?")
            check_equal(client.receive_error(), (closed, *icmp, 0), "what the client was told with a channel")
            client.send_to(peer.address, b"hello")
            check_equal(peer.receive(), (b"hello", relayed), "what the peer received")


def converse(client, peer):
    """All that a client may ask, in sizes that need padding; the client itself refuses padding that is not zero."""
    client.binding()
    check_equal(client.allocate(even_port(False), username="nobody").code, 401, "the answer to a stranger")
    relayed = client.relayed()
    check_equal(client.request(stun.ALLOCATE, [(0x7777, b"")]).code, 420, "the answer to an unknown attribute")
    check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
    for size in range(1, 9):
        client.send_to(peer.address, b"\xff" * size)
        check_equal(peer.receive(), (b"\xff" * size, relayed), "what the peer received")
        peer.send(b"\xee" * size, relayed)
        check_equal(client.receive_data(), (peer.address, b"\xee" * size), "what the client received")
    check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
    for size in range(9):
        client.send_channel(0x4000, b"\xff" * size)
        check_equal(peer.receive(), (b"\xff" * size, relayed), "what the peer received on the channel")
        peer.send(b"\xee" * size, relayed)
        check_equal(client.receive_data(), (0x4000, b"\xee" * size), "what the client received on the channel")
    client.send_to((peer.address[0], 9), b"anybody?")
    check(client.receive_error(), "the client was told nothing")
    check_equal(client.refresh(0).code, 0, "the answer to Refresh")


def check_payload(payload):
    """As bytes of UDP: STUN with padding of zeros, or ChannelData without any."""
    if payload[0] & 0xC0:
        check_equal(len(payload), 4 + int.from_bytes(payload[2:4], "big"), "the length of ChannelData")
    else:
        stun.Message(payload)


@test
def every_packet_has_a_ttl_of_64_and_padding_of_zeros():
    for version in (4, 6):
        for transport in ("udp", "tcp", "tls"):
            with Route() as route, contextlib.ExitStack() as stack, route.capture() as wire:
                with route.inside(route.peer):
                    peer = stack.enter_context(Peer(route.PEER[version]))
                with route.inside(route.relay):
                    server = stack.enter_context(Server("software=odd", peers=PEERS, host=route.RELAY[version], tls=True))
                with route.inside(route.router):
                    converse(stack.enter_context(server.client(transport, local=(route.ROUTER[version], 0))), peer)
                packets = wire.waiting()
            said = [packet for packet in packets if packet.ports[0] == server.port and packet.protocol == stun.UDP]
            check(len(packets) > 40, f"{len(packets)} packets were seen over IPv{version} and {transport}")
            check(len(said) > 20 or transport != "udp", f"{len(said)} of the server were seen over IPv{version}")
            check_equal({packet.life for packet in packets}, {64}, f"time to live over IPv{version} and {transport}")
            for packet in said:
                check_payload(packet.payload)


if __name__ == "__main__":
    main()
