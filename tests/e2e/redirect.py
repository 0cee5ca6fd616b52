"""300 (Try Alternate): by options as in coturn, by policies, followed by coturn's client and by one of our own."""
import concurrent.futures
import ipaddress
import struct

from support import stun
from support.client import Client, Peer, transport
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test
from support.uclient import echo_peer, uclient

PATIENT = True

POLICY = """
return {{name = "sends", {hook} = function(req)
  return relay.redirect{{server = "127.0.0.1:{port}", domain = "turn2.example.org"}}
end}}"""


def where(message):
    """ALTERNATE-SERVER: as MAPPED-ADDRESS, RFC 8489 section 14.1."""
    value = message.get(stun.ALTERNATE_SERVER)
    return str(ipaddress.ip_address(value[4:])), struct.unpack("!H", value[2:4])[0]


def is_signed(client, message):
    return message.has_integrity(stun.key_of(client.username, client.realm or "", client.password))


def follow(client, message):
    """Asks the other server as RFC 8489 section 10 has it: over the same transport, with the same credentials."""
    host, port = where(message)

    class Other:
        pass

    Other.host = host
    return Client(Other, client.transport, client.username, client.password, port=port)


def relays_to(client):
    with Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        client.send_channel(0x4000, b"ping")
        return peer.receive() is not None


@smoke
def an_allocate_is_sent_on_before_it_is_challenged_and_followed():
    with Server() as second, Server(f"alternate-server=127.0.0.1:{second.port}") as first:
        for name in ("udp", "tcp"):
            with first.client(name) as client:
                answer = client.challenge()
                check_equal((answer.code, where(answer)), (300, ("127.0.0.1", second.port)), f"the answer over {name}")
                check(answer.get(stun.NONCE) is None and not is_signed(client, answer), "a challenge, or a signature of nobody")
                check_equal(client.binding().code, 0, "a Binding, which stays")
                with follow(client, answer) as there:
                    check(relays_to(there), f"the second server does not relay over {name}")


@test
def coturns_client_follows_over_udp_and_tcp():
    with Server("verbose") as second, Server("verbose", f"alternate-server=127.0.0.1:{second.port}") as first, echo_peer() as peer, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        load = ("-c", "-e", "127.0.0.1", "-r", str(peer), "-n", "10", "-l", "100")
        for run in [pool.submit(uclient, first, *load, *how) for how in ((), ("-t",))]:
            run.result().expect_all(10, 100)
        check_equal(first.log().count(" allocated "), 0, "allocations on the first server")
        check(second.log().count(" allocated ") >= 2, "no allocations on the second server")


@test
def several_take_turns_and_a_server_that_is_in_its_own_list_keeps_its_clients():
    with Server("alternate-server=127.0.0.1:1001", "alternate-server=::1", "alternate-server=127.0.0.2") as server, \
            server.client() as client:
        check_equal([where(client.challenge()) for _ in range(3)], [("127.0.0.1", 1001), ("127.0.0.2", 3478), ("127.0.0.1", 1001)],
                    "where one client is sent")
    server = Server("alternate-server=127.0.0.2")
    with open(server.config, "a", encoding="utf-8") as file:
        file.write(f"alternate-server=127.0.0.1:{server.port}\n")
    with server, server.client() as client:
        check_equal(client.allocate().code, 0, "the Allocate of a client that is where it belongs")


@test
def options_of_one_transport_go_first_and_tls_has_its_own():
    with Server("alternate-server=127.0.0.3", "tcp-alternate-server=127.0.0.4:44", "tls-alternate-server=127.0.0.5/turn2.example.org",
                tls=True) as server:
        for name, wanted, domain in (("udp", ("127.0.0.3", 3478), None), ("tcp", ("127.0.0.4", 44), None),
                                     ("tls", ("127.0.0.5", 5349), "turn2.example.org")):
            with server.client(name) as client:
                answer = client.challenge()
                check_equal((where(answer), answer.text(stun.ALTERNATE_DOMAIN)), (wanted, domain), f"the answer over {name}")
    with Server("alternate-server=127.0.0.3", tls=True) as server, server.client("tls") as client:
        check_equal(client.allocate().code, 0, "the Allocate over TLS, which alternate-server does not speak of")


@test
def with_credentials_the_answer_is_signed():
    with Server("alternate-server=127.0.0.3") as server, server.client() as client:
        client.learn(client.transact(stun.build(stun.REFRESH)))  # a challenge
        for password, code in (("secret", 300), ("wrong", 401)):
            answer = client.transact(client.signed(stun.ALLOCATE, [transport(stun.UDP)], password=password))
            check_equal((answer.code, is_signed(client, answer)), (code, code == 300), f"the answer to {password}")


@test
def a_policy_redirects_by_route_unsigned_and_by_authorize_signed():
    for hook in ("route", "authorize"):
        with Server() as second, Server(files={"sends.lua": POLICY.format(hook=hook, port=second.port)}, policies=["sends.lua"], tls=True) as first:
            for name, domain in (("udp", None), ("tls", "turn2.example.org")):
                with first.client(name) as client:
                    answer = client.allocate() if hook == "authorize" else client.challenge()
                    check_equal((answer.code, where(answer)), (300, ("127.0.0.1", second.port)), f"the answer of {hook} over {name}")
                    check_equal(answer.text(stun.ALTERNATE_DOMAIN), domain, "its domain")
                    check_equal(is_signed(client, answer), hook == "authorize", "its signature")
                    if name == "udp":
                        with follow(client, answer) as there:
                            check(relays_to(there), "the second server does not relay")


@test
def a_policy_that_names_the_other_family_alone_fails():
    text = 'return {name = "sends", authorize = function() return relay.redirect{server = "[::1]:3478"} end}'
    with Server(files={"sends.lua": text}, policies=["sends.lua"]) as server, server.client() as client:
        check_equal(client.allocate().code, 500, "the Allocate")


@test
def a_bad_alternate_ends_the_start():
    for value in ("turn2.example.org", "127.0.0.1:0x5", "127.0.0.1:99999", "0.0.0.0", "127.0.0.1/a_b", "127.0.0.1/"):
        server = Server(f"alternate-server={value}")
        status, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(status == 1 and "alternate-server: " in errors and "turnserver.conf:" in errors, f"{value} was answered {status}: {errors}")


if __name__ == "__main__":
    main()
