"""Coturn's own client against the relay: every transport, channels and Send, every kind of credential, and what must be refused.

`-n` is messages, `-l` bytes each, `-c` leaves the second (RTCP) session out, `-s` uses Send instead of channels, `-y` goes client to client.
"""
import concurrent.futures
import time

from support import stun
from support.server import Server
from support.tap import check, check_equal, main, smoke, test
from support.uclient import echo_peer, stunclient, uclient

MESSAGES, LENGTH = 20, 170
LOAD = ("-n", str(MESSAGES), "-l", str(LENGTH), "-z", "5")


def relays(server, *how, **credential):
    """Messages to an echoing peer and back."""
    with echo_peer(server.host) as peer:
        result = uclient(server, "-c", "-e", server.host, "-r", str(peer), *LOAD, *how, **credential)
    result.expect_all(MESSAGES, LENGTH)


def relays_each(server, *ways):
    """Several clients at once: most of a run of uclient is waiting."""
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        for run in [pool.submit(relays, server, *way) for way in ways]:
            run.result()


def channel_and_send(server, *how):
    relays_each(server, how, ("-s", *how))


@smoke
def channels_and_send_over_udp():
    with Server() as server:
        channel_and_send(server)


@smoke
def channels_and_send_over_tcp():
    with Server() as server:
        channel_and_send(server, "-t")


@smoke
def channels_and_send_over_tls():
    with Server(tls=True) as server:
        channel_and_send(server, "-t", "-S", "-E", server.certificate, "-p", str(server.tls_port))


@smoke
def channels_and_send_over_dtls():
    with Server(tls=True) as server:
        channel_and_send(server, "-S", "-E", server.certificate, "-p", str(server.tls_port))


@test
def tls_and_dtls_on_the_plain_port():
    with Server(tls=True) as server:
        relays_each(server, ["-t", "-S"], ["-S"])


@test
def a_second_session_for_rtcp_on_a_reserved_port():
    with Server() as server, echo_peer() as peer:
        result = uclient(server, "-e", "127.0.0.1", "-r", str(peer), *LOAD)
        result.expect_all(2 * MESSAGES, LENGTH)


@smoke
def client_to_client():
    with Server(threads=2) as server:
        uclient(server, "-y", "-c", "-m", "2", *LOAD).expect_all(2 * MESSAGES, LENGTH)


@test
def client_to_client_over_tcp_with_send():
    with Server(threads=2) as server:
        uclient(server, "-y", "-c", "-s", "-t", "-m", "2", *LOAD).expect_all(2 * MESSAGES, LENGTH)


@test
def tcp_allocations():
    """-T: clients connect to each other's relayed addresses; -P: peers of uclient's own connect to them, which it does not count (RFC 6062)."""
    ways = (("-T",), ("-T", "-S"), ("-P",))
    with Server(tls=True, threads=2) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        connect, connect_tls, passive = pool.map(lambda way: uclient(server, "-m", "2", *way, "-E", server.certificate, *LOAD), ways)
        connect.expect_all(2 * MESSAGES, LENGTH)
        connect_tls.expect_all(2 * MESSAGES, LENGTH)
        check_equal((passive.sent, passive.received), (2 * MESSAGES, MESSAGES), "sent and received messages")


@test
def ten_clients_on_two_workers():
    with Server(threads=2) as server, echo_peer() as peer:
        uclient(server, "-c", "-m", "10", "-e", "127.0.0.1", "-r", str(peer), *LOAD).expect_all(10 * MESSAGES, LENGTH)


@test
def padded_channel_data_and_extra_requests():
    with Server() as server:
        relays_each(server, ["-D"], ["-G"])


@test
def dual_allocation():
    with Server("relay-ip=::1") as server:
        for host in ("127.0.0.1", "::1"):
            with echo_peer(host) as peer:
                uclient(server, "-Z", "-e", host, "-r", str(peer), *LOAD).expect_all(MESSAGES, LENGTH)


@test
def dont_fragment_in_requests_and_indications():
    with Server() as server:
        channel_and_send(server, "-g")


@test
def ipv6_over_udp_and_tcp():
    with Server(host="::1") as server:
        relays_each(server, ["-x"], ["-x", "-s"], ["-x", "-t"], ["-x", "-s", "-t"])


@test
def a_key_in_hexadecimal_instead_of_a_password():
    key = stun.key_of("ann", "example.org", "secret").hex()
    with Server(auth=["lt-cred-mech", f"user=ann:0x{key}"]) as server:
        relays(server)


@test
def a_user_of_the_database():
    server = Server("userdb=relay.db", auth=["lt-cred-mech"])
    server.relay("user", "add", "--userdb", "relay.db", "--realm", server.realm, "bob", "--password-stdin", stdin="hunter2\n")
    with server:
        relays(server, user="bob", password="hunter2")
        uclient(server, "-y", "-c", *LOAD, user="bob", password="wrong").expect_refused()


@test
def a_credential_made_from_the_secret():
    with Server(auth=["use-auth-secret", "static-auth-secret=first", "static-auth-secret=second"]) as server:
        relays(server, "-W", "first", user="carol", password=None)
        relays(server, "-W", "second", user="carol", password=None)
        uclient(server, "-y", "-c", *LOAD, "-W", "third", user="carol", password=None).expect_refused()


@test
def an_expired_credential_is_refused():
    with Server(auth=["use-auth-secret", "static-auth-secret=first"]) as server:
        for expires, code in ((int(time.time()) + 60, 0), (int(time.time()) - 60, 401)):
            username, password = stun.rest_credential("first", expires, "carol")
            with server.client(username=username, password=password) as client:
                check_equal(client.allocate().code, code, f"the answer to a credential that expires at {expires}")
        username, password = stun.rest_credential("first", int(time.time()) - 60, "carol")
        uclient(server, "-y", "-c", *LOAD, user=username, password=password).expect_refused()


@smoke
def a_wrong_password_is_401():
    with Server() as server:
        uclient(server, "-y", "-c", *LOAD, password="wrong").expect_refused()
        with server.client(password="wrong") as client:
            message = client.allocate()
            check_equal(message.code, 401, "the answer to a wrong password")
            check(message.text(stun.REALM) == "example.org" and message.text(stun.NONCE), "the 401 names no realm or nonce")


@test
def an_unknown_user_looks_like_a_wrong_password():
    with Server() as server, server.client(password="wrong") as known, server.client(username="nobody") as unknown:
        answers = [known.allocate(), unknown.allocate()]
        shapes = [[(kind, len(value)) for kind, value in answer.attributes] for answer in answers]
        check_equal([answer.code for answer in answers], [401, 401], "the codes")
        check_equal(shapes[0], shapes[1], "the shape of the answer")


@test
def a_quota_exceeded_is_486():
    with Server("user-quota=4") as server:
        uclient(server, "-y", "-c", "-m", "10", *LOAD).expect_none(486)


@test
def a_denied_peer_is_403():
    with Server(peers=[]) as server, echo_peer() as peer:
        uclient(server, "-c", "-e", "127.0.0.1", "-r", str(peer), *LOAD).expect_none(403)
    with Server("denied-peer-ip=127.0.0.1") as server, echo_peer() as peer:
        uclient(server, "-c", "-e", "127.0.0.1", "-r", str(peer), *LOAD).expect_none(403)


@test
def a_stun_client_reads_its_own_address():
    with Server(threads=2) as server:
        address = stunclient(server)
        check(address and address[0] == "127.0.0.1", f"the reflexive address is {address}")


@test
def a_client_that_speaks_nonsense_does_not_disturb_another():
    with Server() as server:
        uclient(server, "-y", "-c", "-R", "-N", *LOAD, limit_s=8)
        relays(server)


if __name__ == "__main__":
    main()
