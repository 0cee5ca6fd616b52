"""Coturn's own client against the relay: over every transport and family, each way it knows to relay; and its STUN client."""
import concurrent.futures
import functools

from support.server import Server
from support.tap import check, check_equal, main, smoke, test
from support.uclient import LENGTH, LOAD, MESSAGES, echo_peer, over, relays, side_by_side, stunclient, uclient

PATIENT = True

V4, V6 = "127.0.0.1", "::1"


def between_clients(server, *how, clients=2, **more):
    """Messages from client to client, each on a relay address of its own."""
    uclient(server, "-y", *LOAD, *how, **more).expect_all(clients * MESSAGES, LENGTH)


# way: what is done, uclient's switches, where the client finds the server, and more
WAYS = {
    "channels": (relays, ["-c"], V4, {"peer": V4}),
    "Send": (relays, ["-c", "-s"], V4, {"peer": V4}),
    "a second session for RTCP on a reserved port": (relays, [], V4, {"peer": V4, "messages": 2 * MESSAGES}),
    "padded channels": (relays, ["-c", "-D"], V4, {"peer": V4}),
    "extra requests": (relays, ["-c", "-G"], V4, {"peer": V4}),
    "DONT-FRAGMENT": (relays, ["-c", "-g"], V4, {"peer": V4}),
    "DONT-FRAGMENT in Send": (relays, ["-c", "-g", "-s"], V4, {"peer": V4}),
    "ORIGIN": (relays, ["-c", "-o", "https://example.org"], V4, {"peer": V4}),
    "client to client": (between_clients, ["-c"], V4, {}),
    "client to client with Send": (between_clients, ["-c", "-s"], V4, {}),
    "client to client with RTCP": (between_clients, [], V4, {"clients": 4}),
    "two addresses, to IPv4": (relays, ["-Z"], V4, {"peer": V4}),
    "two addresses, to IPv6": (relays, ["-Z"], V4, {"peer": V6}),
    "IPv6 from IPv4": (relays, ["-c", "-x"], V4, {"peer": V6}),
    "IPv6 from IPv4 with Send": (relays, ["-c", "-x", "-s"], V4, {"peer": V6}),
    "IPv6": (relays, ["-c", "-x"], V6, {"peer": V6}),
    "IPv6 with Send": (relays, ["-c", "-x", "-s"], V6, {"peer": V6}),
    "IPv6 with RTCP": (relays, ["-x"], V6, {"peer": V6, "messages": 2 * MESSAGES}),
    "IPv4 from IPv6": (relays, ["-c", "-X"], V6, {"peer": V4}),
    "IPv4 from IPv6 with Send": (relays, ["-c", "-X", "-s"], V6, {"peer": V4}),
    "client to client over IPv6": (between_clients, ["-c", "-x"], V6, {}),
}


def every_way(transport):
    with Server("listening-ip=::1", "relay-ip=::1", tls=True, threads=2, ports=256) as server:
        side_by_side({f"{way} over {transport}": functools.partial(does, server, *how, *over(server, transport), host=host, **more)
                      for way, (does, how, host, more) in WAYS.items()})


@smoke
def every_way_over_udp():
    every_way("udp")


@smoke
def every_way_over_tcp():
    every_way("tcp")


@smoke
def every_way_over_tls():
    every_way("tls")


@smoke
def every_way_over_dtls():
    every_way("dtls")


@test
def tls_and_dtls_on_the_plain_port():
    with Server(tls=True) as server:
        side_by_side({way: functools.partial(relays, server, "-c", *how) for way, how in (("TLS", ["-t", "-S"]), ("DTLS", ["-S"]))})


@test
def tcp_allocations():
    """-T: clients connect to each other's relayed addresses; -P: peers of uclient's own connect to them, which it does not count (RFC 6062)."""
    with Server(tls=True, threads=2) as server:
        def connected(*how):
            return uclient(server, "-m", "2", *LOAD, *how)

        def passive():
            result = connected("-P")
            check_equal((result.sent, result.received), (2 * MESSAGES, MESSAGES), "sent and received messages")

        side_by_side({"-T": lambda: connected("-T").expect_all(2 * MESSAGES, LENGTH),
                      "-T over TLS": lambda: connected("-T", *over(server, "tls")).expect_all(2 * MESSAGES, LENGTH), "-P": passive})


@test
def ten_clients_on_two_workers():
    with Server(threads=2) as server:
        relays(server, "-c", "-m", "10", messages=10 * MESSAGES)


@smoke
def mobility_over_udp_and_tcp():
    """The client moves at once, with the same Refresh sent twice; over TLS it fails by itself, as its new session is never begun."""
    with Server("mobility", threads=4) as server:
        side_by_side({" ".join(how): functools.partial(relays, server, "-c", "-M", *how) for how in ([], ["-s"], ["-t"], ["-s", "-t"])})


@test
def a_stun_client_reads_its_own_address():
    for host in (V4, V6):
        with Server(threads=2, host=host) as server:
            address = stunclient(server)
            check(address, f"no reflexive address from {host}")
            check_equal(address[0], host, "the reflexive address")


if __name__ == "__main__":
    main()
