"""The relay's packets on the wire, and what routers say of them: DF, TTL, fragments, ICMP. RFC 8656 sections 11.5 and 14; needs root for its network."""
import contextlib

from support import stun
from support.client import Peer
from support.route import Route
from support.server import Server
from support.tap import check_equal, main, test

WHOLE = (stun.DONT_FRAGMENT, b"")
IPV4_TOO_BIG, IPV6_TOO_BIG = (3, 4), (2, 0)


@contextlib.contextmanager
def path(version=4, transport="udp"):
    """A route, a client beside the relay, and a peer behind the router: (route, client, relayed address, peer)."""
    with Route() as route, contextlib.ExitStack() as stack:
        with route.inside(route.peer):
            peer = stack.enter_context(Peer(route.PEER[version]))
        with route.inside(route.relay):
            server = stack.enter_context(Server(peers=["allowed-peer-ip=10.99.2.0/24", "allowed-peer-ip=fd99:2::/64"], host=route.RELAY[version]))
            client = stack.enter_context(server.client(transport))
        relayed = client.relayed(WHOLE)
        check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
        # the router learns its neighbours before anything is measured
        client.send_to(peer.address, b"first")
        check_equal(peer.receive(), (b"first", relayed), "what the peer received")
        yield route, client, relayed, peer


@test
def df_is_set_where_it_is_asked_for_and_the_ttl_is_64():
    with path(transport="tcp") as (route, client, relayed, peer), route.capture() as wire:
        client.bind(0x4000, peer.address)
        wanted = []
        for number in range(12):
            text, whole = b"%02d" % number, number % 4 in (1, 2)
            if number % 4 == 3:
                client.send_channel(0x4000, text)
            else:
                client.send_to(peer.address, text, *([WHOLE] if whole else []))
            wanted.append((text, whole, False, 64))
        got = wire.datagrams(len(wanted), peer.address[1])
        check_equal(got, wanted, "payload, DF, more fragments, TTL")
        for text, *_ in wanted:
            check_equal(peer.receive(), (text, relayed), "what the peer received")


def expect_too_big(version, too_big, sizes):
    """With DF `sizes` (bytes: MTU that is told) do not arrive, without they do, and shorter ones always do."""
    with path(version) as (_, client, relayed, peer):
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
    expect_too_big(4, IPV4_TOO_BIG, [(4000, 1500), (1473, 1500), (1400, 1300), (1273, 1300)])


@test
def a_datagram_with_df_that_is_too_long_for_a_link_is_told_over_ipv6():
    expect_too_big(6, IPV6_TOO_BIG, [(1400, 1300), (1400, 1300), (4000, 1300)])


@test
def a_port_unreachable_of_a_far_peer_reaches_the_client():
    for version, icmp in ((4, (3, 3)), (6, (1, 4))):
        with path(version) as (_, client, relayed, peer):
            closed = (peer.address[0], 9)
            client.send_to(closed, b"anybody?")
            check_equal(client.receive_error(), (closed, *icmp, 0), "what the client was told")
            client.send_to(peer.address, b"hello")
            check_equal(peer.receive(), (b"hello", relayed), "what the peer received")


if __name__ == "__main__":
    main()
