"""Whom the relay may talk to: what is not the open internet is refused in every spelling, its own listeners are out of reach, and lists change it."""
import socket

from support import stun
from support.client import Peer
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test

PATIENT = True
ALL_WAYS = True

IP_RECVTTL = 12     # linux/in.h; Python has no name for it

CLOSED_IPV4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254", "169.254.0.1",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "224.0.0.1", "239.255.255.255", "255.255.255.255",
]
OPEN_IPV4 = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "126.255.255.255", "11.0.0.1"]

CLOSED_IPV6 = [
    "::", "::1", "fe80::1", "febf::1", "fc00::1", "fdff::1", "ff02::1", "ff0e::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",          # mapped
    "::127.0.0.1", "::10.0.0.1", "::192.168.1.1",                                               # compatible
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",              # NAT64
    "2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::",                  # 6to4
    "2001:0:7f00:1::", "2001::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",                       # Teredo
]
OPEN_IPV6 = ["2001:4860:4860::8888", "2606:4700:4700::1111"]


def codes_of_peers(client, hosts):
    """(host, codes of CreatePermission and ChannelBind) for each."""
    for number, host in enumerate(hosts):
        yield host, (client.permit((host, 9)).code, client.bind(0x4000 + number, (host, 9)).code)


def expect_peers(server, closed, open_):
    with server.client() as client:
        client.relayed()
        got = dict(codes_of_peers(client, closed + open_))
        wrong = {host: codes for host, codes in got.items() if codes != ((403, 403) if host in closed else (0, 0))}
        check(not wrong, f"CreatePermission and ChannelBind were answered {wrong}")


@smoke
def what_is_not_the_open_internet_is_403_over_ipv4():
    with Server(peers=[]) as server:
        expect_peers(server, CLOSED_IPV4, OPEN_IPV4)


@smoke
def what_is_not_the_open_internet_is_403_over_ipv6_in_every_spelling():
    with Server(peers=[], host="::1") as server:
        expect_peers(server, CLOSED_IPV6, OPEN_IPV6)


@test
def no_connection_goes_to_what_is_not_the_open_internet():
    for host, closed in (("127.0.0.1", CLOSED_IPV4), ("::1", CLOSED_IPV6)):
        with Server(peers=[], host=host) as server, server.client("tcp") as client:
            client.relayed(protocol=stun.TCP)
            wrong = {peer: code for peer in closed if (code := client.connect_peer((peer, 9)).code) != 403}
            check(not wrong, f"Connect was answered {wrong}")


@test
def one_closed_address_among_several_refuses_them_all():
    with Server(peers=[]) as server, server.client() as client:
        client.relayed()
        check_equal(client.permit(("8.8.8.8", 9), ("10.0.0.1", 9)).code, 403, "an open and a closed peer")


@test
def a_refused_peer_gets_no_data_by_any_way():
    for host in ("127.0.0.2", "127.0.0.1"):
        with Server(peers=[]) as server, server.client() as client, Peer(host) as peer:
            relayed = client.relayed()
            client.permit(peer.address)
            client.bind(0x4000, peer.address)
            client.send_to(peer.address, b"no")
            client.send_channel(0x4000, b"no")
            peer.send(b"no", relayed)
            check_equal(peer.receive(0.3), None, f"what the peer on {host} received")
            check_equal(client.receive_data(0.1), None, f"what the client received from {host}")


@test
def allowed_and_denied_lists_take_addresses_ranges_and_prefixes():
    lists = ["allowed-peer-ip=10.1.0.0-10.1.0.255", "allowed-peer-ip=192.168.7.0/24", "allowed-peer-ip=127.0.0.1",
             "denied-peer-ip=8.8.8.0/24", "denied-peer-ip=1.1.1.1", "denied-peer-ip=11.0.0.0-11.0.0.9"]
    with Server(*lists, peers=[]) as server:
        expect_peers(server, ["10.1.1.0", "10.0.255.255", "192.168.8.0", "127.0.0.2", "8.8.8.8", "8.8.8.255", "1.1.1.1", "11.0.0.0", "11.0.0.9"],
                     ["10.1.0.0", "10.1.0.255", "192.168.7.0", "192.168.7.255", "127.0.0.1", "8.8.9.0", "1.1.1.2", "11.0.0.10"])


@test
def a_range_of_ipv6_is_a_span_and_a_denied_ipv4_address_is_denied_mapped():
    with Server("denied-peer-ip=2606:4700::ff00-2606:4700::1:10", peers=[], host="::1") as server:
        expect_peers(server, ["2606:4700::ff00", "2606:4700::ffff", "2606:4700::1:0", "2606:4700::1:10"], ["2606:4700::feff", "2606:4700::1:11"])
    with Server("denied-peer-ip=8.8.8.8", peers=[], host="::1") as server, server.client() as client:
        client.relayed()
        check(client.permit(("::ffff:8.8.8.8", 9)).code == 403, "the mapped spelling of a denied address was granted")


@test
def its_own_listener_cannot_be_reached_through_the_relay():
    with Server(tls=True) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.permit(("127.0.0.1", 9))
        for port in (server.port, server.tls_port):
            client.send_to(("127.0.0.1", port), stun.build(stun.BINDING))
        client.send_to(peer.address, b"control")
        check_equal(peer.receive(), (b"control", relayed), "what the peer received")
        check_equal(client.receive_data(0.3), None, "what the listener answered through the relay")


@smoke
def two_relayed_addresses_reach_each_other():
    with Server(threads=2) as server, server.client() as one, server.client("tcp") as other:
        addresses = [one.relayed(), other.relayed()]
        one.bind(0x4000, addresses[1])
        other.bind(0x4001, addresses[0])
        one.send_channel(0x4000, b"ping")
        check_equal(other.receive_data(), (0x4001, b"ping"), "what the other received")
        other.send_channel(0x4001, b"pong")
        check_equal(one.receive_data(), (0x4000, b"pong"), "what the one received")


@test
def relayed_packets_have_an_ordinary_time_to_live():
    with Server() as server, server.client() as client, Peer() as peer:
        peer.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        client.relayed()
        client.permit(peer.address)
        client.send_to(peer.address, b"x")
        peer.socket.settimeout(3)
        _, ancillary, _, _ = peer.socket.recvmsg(100, 100)
        lives = [int.from_bytes(data[:4], "little") for level, kind, data in ancillary if (level, kind) == (socket.IPPROTO_IP, socket.IP_TTL)]
        check(lives and lives[0] >= 32, f"the time to live is {lives}")


def expect_port_unreachable(host, icmp, transport):
    """A closed port of a permitted peer is told; what goes to the open one meanwhile, and all that comes after, is relayed."""
    with Server(host=host, tls=transport == "tls") as server, server.client(transport) as client, Peer(host) as peer:
        with Peer(host) as gone:
            closed = gone.address
        relayed = client.relayed()
        client.permit(peer.address)
        client.bind(0x4000, peer.address)
        for number in range(4):
            client.send_to(closed, b"anybody?")
            client.send_channel(0x4000, b"%d" % number)
            check_equal(peer.receive(), (b"%d" % number, relayed), "what the open peer received")
            check_equal(client.receive_error(), (closed, *icmp, 0), "what the client was told")
        peer.send(b"back", relayed)
        check_equal(client.receive_data(), (0x4000, b"back"), "what the client received")
        check_equal(client.refresh(600).code, 0, "the answer to Refresh")


@smoke
def a_closed_port_is_told_to_the_client_with_icmp():
    for transport in ("udp", "tcp", "tls"):
        expect_port_unreachable("127.0.0.1", (3, 3), transport)


@test
def a_closed_port_is_told_to_the_client_with_icmpv6():
    expect_port_unreachable("::1", (1, 4), "udp")


@test
def a_port_that_was_closed_without_permission_is_not_told():
    with Server() as server, server.client() as client, Peer("127.0.0.2") as peer:
        relayed = client.relayed()
        with Peer() as gone:
            client.send_to(gone.address, b"no")
        client.permit(peer.address)
        client.send_to(peer.address, b"yes")
        check_equal(peer.receive(), (b"yes", relayed), "what the permitted peer received")
        check_equal(client.receive_error(0.2), None, "what the client was told")


@test
def an_external_address_is_what_clients_are_told():
    with Server("external-ip=203.0.113.7/127.0.0.1") as server, server.client() as client:
        host, port = client.relayed()
        check_equal(host, "203.0.113.7", "the relayed address")
        check(port >= 49152, f"port {port}")


@test
def a_malformed_list_stops_the_start():
    for value in ("10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0", "::1-10.0.0.1", "2001:db8::/129", "example.org", ""):
        server = Server(f"denied-peer-ip={value}")
        code, _, errors = run_relay("-c", server.config, limit_s=5)
        check(code == 1 and "denied-peer-ip" in errors, f"{value!r} was answered {code}: {errors}")


if __name__ == "__main__":
    main()
