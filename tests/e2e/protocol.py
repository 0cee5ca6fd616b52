"""What the relay answers, asked by a client of our own: transactions, nonces, error codes, ports, reservations. RFC 8489 and RFC 8656."""
from support import stun
from support.client import Peer, even_port, family, number, transport
from support.server import Server
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

AWAY = ("127.0.0.1", 9)


def code_of(message):
    return message.code or "success"


def expect_code(message, code, what):
    check_equal(code_of(message), code, f"the answer to {what}")


@smoke
def a_binding_tells_the_address_it_came_from():
    with Server(tls=True) as server:
        for kind in ("udp", "tcp", "tls"):
            with server.client(kind) as client:
                message = client.binding()
                check_equal(message.address(stun.XOR_MAPPED_ADDRESS), client.local, f"XOR-MAPPED-ADDRESS over {kind}")
                check(kind != "udp" or len(message.data) <= 92, f"{len(message.data)} bytes in answer to 20")


@smoke
def data_flows_both_ways_by_channel_and_by_indication():
    with Server() as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        check(client.permit(peer.address).code == 0, "no permission")
        client.send_to(peer.address, b"hello")
        check_equal(peer.receive(), (b"hello", relayed), "what the peer received")
        peer.send(b"hi", relayed)
        check_equal(client.receive_data(), (peer.address, b"hi"), "the Data indication")
        check(client.bind(0x4001, peer.address).code == 0, "no channel")
        client.send_channel(0x4001, b"abc")
        check_equal(peer.receive(), (b"abc", relayed), "what the peer received by channel")
        peer.send(b"defgh", relayed)
        check_equal(client.receive_data(), (0x4001, b"defgh"), "the ChannelData")


@test
def empty_and_large_payloads_are_relayed():
    with Server() as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4001, peer.address)
        for size in (0, 1, 1200, 1472, 9000):
            client.send_channel(0x4001, b"z" * size)
            check_equal(peer.receive(), (b"z" * size, relayed), f"{size} bytes up")
            peer.send(b"y" * size, relayed)
            check_equal(client.receive_data(), (0x4001, b"y" * size), f"{size} bytes down")


@test
def without_a_permission_nothing_passes_either_way():
    with Server() as server, server.client() as client, Peer("127.0.0.2") as stranger, Peer() as peer:
        relayed = client.relayed()
        client.send_to(stranger.address, b"no")
        stranger.send(b"no", relayed)
        client.permit(peer.address)
        client.send_to(peer.address, b"yes")
        check_equal(peer.receive(), (b"yes", relayed), "what the permitted peer received")
        check_equal(stranger.receive(0.2), None, "what the stranger received")
        check_equal(client.receive_data(0.2), None, "what the client received")


@test
def a_retransmitted_allocate_gets_the_same_answer():
    for kind in ("udp", "tcp"):
        with Server("user-quota=1") as server, server.client(kind) as client:
            client.challenge()
            request = client.signed(stun.ALLOCATE, [transport(stun.UDP)])
            answers = [client.transact(request) for _ in range(3)]
            check_equal([code_of(answer) for answer in answers], ["success"] * 3, f"the answers over {kind}")
            check_equal(len({answer.address(stun.XOR_RELAYED_ADDRESS) for answer in answers}), 1, "different relayed addresses")


@test
def an_allocate_on_a_live_5_tuple_is_437():
    with Server() as server, server.client() as client:
        client.relayed()
        expect_code(client.allocate(), 437, "a second Allocate")
        expect_code(client.refresh(600), "success", "a Refresh of the first")


@test
def a_request_without_an_allocation_is_437():
    with Server() as server, server.client() as client:
        client.challenge()
        expect_code(client.refresh(600), 437, "Refresh")
        expect_code(client.permit(AWAY), 437, "CreatePermission")
        expect_code(client.bind(0x4000, AWAY), 437, "ChannelBind")


@test
def another_user_on_the_5_tuple_is_441():
    with Server(auth=["lt-cred-mech", "user=ann:secret", "user=bob:hunter2"]) as server, server.client() as client:
        client.relayed()
        for message in (client.refresh(600, username="bob", password="hunter2"), client.permit(AWAY, username="bob", password="hunter2")):
            expect_code(message, 441, "bob on the allocation of ann")
        expect_code(client.refresh(600), "success", "a Refresh by its owner")


@test
def a_transport_other_than_udp_is_442():
    with Server() as server, server.client() as client:
        expect_code(client.allocate(protocol=33), 442, "REQUESTED-TRANSPORT 33")
        expect_code(client.allocate(), "success", "the Allocate after it")


@test
def an_address_family_that_is_not_there_is_440():
    with Server() as server, server.client() as client:
        expect_code(client.allocate(family(stun.IPV6)), 440, "IPv6 on a relay with IPv4 only")
        expect_code(client.allocate(family(7)), 440, "family 7")
        expect_code(client.allocate(family(stun.IPV4)), "success", "IPv4")


@test
def a_peer_of_the_other_family_is_443():
    with Server() as server, server.client() as client:
        client.relayed()
        expect_code(client.permit(("2001:4860:4860::8888", 9)), 443, "a permission for IPv6")
        expect_code(client.bind(0x4000, ("2001:4860:4860::8888", 9)), 443, "a channel for IPv6")


@test
def an_unknown_attribute_is_420_and_is_named():
    with Server() as server, server.client() as client:
        message = client.allocate((0x7ABC, b"what"), (0x7ABD, b""))
        expect_code(message, 420, "attributes 0x7abc and 0x7abd")
        check_equal(sorted(message.unknown), [0x7ABC, 0x7ABD], "UNKNOWN-ATTRIBUTES")
        message = client.transact(stun.build(stun.BINDING, [(0x7ABC, b"what")]))
        expect_code(message, 420, "the same in a Binding")
        expect_code(client.allocate((0xFABC, b"never mind")), "success", "an attribute that need not be understood")


@test
def a_stale_nonce_is_438_with_a_new_one():
    with Server("stale-nonce=1") as server, server.client() as client:
        client.relayed()
        old = client.nonce

        def goes_stale():
            message = client.refresh(600, nonce=old)
            return message if message.code else None

        message = wait_for(goes_stale, 6, "a stale nonce")
        expect_code(message, 438, "an old nonce")
        new = message.text(stun.NONCE)
        check(new and new != old, "no new nonce")
        expect_code(client.refresh(600, nonce=new), "success", "the new nonce")


@test
def a_nonce_is_bound_to_the_address_it_was_given_to():
    with Server() as server, server.client() as one, server.client() as other:
        one.relayed()
        other.relayed()
        message = one.refresh(600, nonce=other.nonce)
        expect_code(message, 438, "a Refresh with the nonce of another port")
        expect_code(one.refresh(600, nonce="f" * len(one.nonce)), 438, "a made-up nonce")
        expect_code(one.refresh(600, nonce=message.text(stun.NONCE)), "success", "the nonce that came with the 438")
        with server.client() as third:
            third.challenge()
            message = third.allocate(nonce=other.nonce)
            check(message.code in (401, 438) and message.text(stun.NONCE), f"an Allocate with a foreign nonce was answered {code_of(message)}")


@test
def what_stands_behind_the_integrity_is_ignored():
    with Server() as server, server.client() as client, Peer() as hidden, Peer() as peer:
        relayed = client.relayed()
        hidden_peer = stun.peer("127.0.0.2", hidden.address[1])
        message = client.transact(client.signed(stun.CREATE_PERMISSION, [stun.peer(*peer.address)], behind=[hidden_peer]))
        check(message.code in (0, 400), f"the answer is {message.code}")
        client.send_to(("127.0.0.2", hidden.address[1]), b"no")
        client.permit(peer.address)
        client.send_to(peer.address, b"yes")
        check_equal(peer.receive(), (b"yes", relayed), "what the permitted peer received")
        check_equal(hidden.receive(0.2), None, "what the hidden peer received")
        message = client.transact(client.signed(stun.REFRESH, [number(stun.LIFETIME, 700)], behind=[number(stun.LIFETIME, 0)]))
        check(message.code or message.number(stun.LIFETIME) == 700, "a hidden LIFETIME was obeyed")
        expect_code(client.refresh(700), "success", "a Refresh afterwards")


@test
def a_bad_request_is_400():
    with Server() as server, server.client() as client:
        client.challenge()
        expect_code(client.transact(client.signed(stun.ALLOCATE)), 400, "an Allocate without REQUESTED-TRANSPORT")
        client.relayed()
        expect_code(client.request(stun.CREATE_PERMISSION), 400, "a CreatePermission without a peer")
        expect_code(client.request(stun.CHANNEL_BIND, [stun.peer(*AWAY)]), 400, "a ChannelBind without a number")
        expect_code(client.bind(0x3FFF, AWAY), 400, "channel 0x3fff")
        expect_code(client.bind(0x4000, AWAY), "success", "channel 0x4000")
        expect_code(client.bind(0x4000, ("127.0.0.1", 10)), 400, "the same channel for another peer")
        expect_code(client.bind(0x4001, AWAY), 400, "another channel for the same peer")
        expect_code(client.bind(0x4000, AWAY), "success", "the same binding again")


@test
def even_port_and_reservation_token():
    with Server(ports=64) as server, server.client() as first, server.client() as second, server.client() as third:
        message = first.allocate(even_port(reserve=True))
        expect_code(message, "success", "EVEN-PORT with R")
        host, port = message.address(stun.XOR_RELAYED_ADDRESS)
        token = message.get(stun.RESERVATION_TOKEN)
        check(port % 2 == 0 and token and len(token) == 8, f"port {port}, token {token}")
        check_equal(second.relayed((stun.RESERVATION_TOKEN, token)), (host, port + 1), "the reserved address")
        expect_code(third.allocate((stun.RESERVATION_TOKEN, token)), 508, "a token used twice")
        expect_code(third.allocate((stun.RESERVATION_TOKEN, b"guessing")), 508, "a token made up")
        expect_code(third.allocate((stun.RESERVATION_TOKEN, token), even_port(False)), 400, "a token together with EVEN-PORT")
        check_equal(third.relayed(even_port(reserve=False))[1] % 2, 0, "the port of EVEN-PORT without R, modulo 2")


@test
def one_allocation_with_two_relayed_addresses():
    additional = (stun.ADDITIONAL_ADDRESS_FAMILY, bytes([stun.IPV6, 0, 0, 0]))
    with Server("relay-ip=::1") as server, server.client() as client, Peer() as four, Peer("::1") as six:
        message = client.allocate(additional)
        expect_code(message, "success", "ADDITIONAL-ADDRESS-FAMILY")
        relayed = message.addresses(stun.XOR_RELAYED_ADDRESS)
        check_equal([host for host, _ in relayed], ["127.0.0.1", "::1"], "the relayed addresses")
        expect_code(client.permit(four.address, six.address), "success", "permissions of both families")
        for peer, address in zip((four, six), relayed):
            client.send_to(peer.address, b"hello")
            check_equal(peer.receive(), (b"hello", address), "what the peer received")
            peer.send(b"hi", address)
            check_equal(client.receive_data(), (peer.address, b"hi"), "what the client received")
        expect_code(client.refresh(0, family(stun.IPV4)), "success", "the release of the IPv4 address")
        client.send_to(four.address, b"late")
        client.send_to(six.address, b"still")
        check_equal(six.receive(), (b"still", relayed[1]), "what the IPv6 peer received")
        check_equal(four.receive(0.1), None, "what the IPv4 peer received")
    with Server() as server, server.client() as client:
        message = client.allocate(additional)
        check_equal([host for host, _ in message.addresses(stun.XOR_RELAYED_ADDRESS)], ["127.0.0.1"], "the relayed addresses")
        check_equal(message.get(stun.ADDRESS_ERROR_CODE)[:4], bytes([stun.IPV6, 0, 4, 40]), "ADDRESS-ERROR-CODE")


@test
def a_token_holds_on_another_worker():
    with Server(threads=2, ports=64) as server:
        for _ in range(12):
            with server.client() as first, server.client("tcp") as second:
                message = first.allocate(even_port(reserve=True))
                host, port = message.address(stun.XOR_RELAYED_ADDRESS)
                check_equal(second.relayed((stun.RESERVATION_TOKEN, message.get(stun.RESERVATION_TOKEN))), (host, port + 1), "the reserved address")
                first.refresh(0)
                second.refresh(0)


@test
def no_port_left_is_508_and_a_released_one_is_used_again():
    with Server(ports=4) as server:
        clients = [server.client() for _ in range(5)]
        ports = sorted(client.relayed()[1] for client in clients[:4])
        check_equal(ports, list(server.relay_ports), "the relayed ports")
        expect_code(clients[4].allocate(), 508, "a fifth Allocate")
        expect_code(clients[2].refresh(0), "success", "the release of one")
        expect_code(clients[4].allocate(), "success", "the Allocate after it")
        for client in clients:
            client.close()


@test
def lifetimes_are_clamped_and_zero_releases():
    with Server("max-allocate-lifetime=1200") as server, server.client() as client, Peer() as peer:
        message = client.allocate(lifetime=1)
        check_equal(message.number(stun.LIFETIME), 600, "the lifetime when 1 was asked for")
        check_equal(client.refresh(100000).number(stun.LIFETIME), 1200, "the lifetime when 100000 was asked for")
        relayed = message.address(stun.XOR_RELAYED_ADDRESS)
        client.permit(peer.address)
        check_equal(client.refresh(0).number(stun.LIFETIME), 0, "the lifetime after Refresh(0)")
        peer.send(b"late", relayed)
        check_equal(client.receive_data(0.2), None, "what arrived after the release")
        expect_code(client.refresh(600), 437, "a Refresh after the release")


@test
def a_permission_and_a_channel_expire():
    with Server("permission-lifetime=1", "channel-lifetime=2") as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.permit(peer.address)
        client.send_to(peer.address, b"now")
        check_equal(peer.receive(), (b"now", relayed), "what the peer received at once")

        def is_shut():
            client.send_to(peer.address, b"later")
            return peer.receive(0.1) is None

        wait_for(is_shut, 6, "the end of the permission")


@test
def an_answer_bears_integrity_and_fingerprint_and_zero_padding():
    with Server("fingerprint") as server, server.client() as client:
        message = client.allocate(fingerprint=True)
        check(message.has_integrity(stun.key_of("ann", "example.org", "secret")), "no integrity")
        check(message.has_fingerprint(), "no fingerprint")
        check(client.binding().has_fingerprint(), "no fingerprint on a Binding")


@test
def a_wrong_fingerprint_is_not_answered():
    with Server() as server, server.client() as client:
        message = stun.with_fingerprint(stun.build(stun.BINDING))
        client.send(message[:-1] + bytes([message[-1] ^ 1]))
        check_equal(client.receive(0.2), None, "the answer")
        expect_code(client.transact(message), "success", "the right one")


@test
def an_unauthenticated_answer_is_small():
    with Server() as server, server.client() as client:
        request = stun.build(stun.ALLOCATE, [transport(stun.UDP)])
        message = client.transact(request)
        expect_code(message, 401, "an Allocate without credentials")
        check(len(message.data) <= 100, f"{len(message.data)} bytes in answer to {len(request)}")
        for junk in (b"\0" * 20, b"junk", b"\x40\x00\x00\x04abcd", b"\xff" * 64, stun.build(stun.BINDING, kind=stun.SUCCESS),
                     stun.build(stun.BINDING, kind=stun.INDICATION), stun.build(stun.ALLOCATE, kind=stun.ERROR)):
            client.send(junk)
        check_equal(client.receive(0.3), None, "the answer to junk")


@test
def the_answer_of_another_client_cannot_be_had_by_guessing():
    """A request with the transaction id of another client's Allocate, from another port, is a new request."""
    with Server() as server, server.client() as one, server.client() as other:
        one.challenge()
        tid = b"sametransact"
        first = one.transact(one.signed(stun.ALLOCATE, [transport(stun.UDP)], tid=tid))
        second = other.transact(stun.build(stun.ALLOCATE, [transport(stun.UDP)], tid=tid))
        check_equal((first.code, second.code), (0, 401), "the codes")


@test
def tokens_ports_and_nonces_are_not_in_a_row():
    with Server() as server:
        clients = [server.client() for _ in range(12)]
        ports = [client.relayed()[1] for client in clients]
        steps = [b - a for a, b in zip(ports, ports[1:])]
        check(len(set(ports)) == 12 and len(set(steps)) > 3, f"relay ports can be guessed: {ports}")
        check_equal(len({client.nonce for client in clients}), 12, "different nonces")
        for client in clients:
            client.close()


@test
def two_clients_may_name_the_same_peer():
    with Server(threads=2) as server, server.client() as one, server.client() as other, Peer() as peer:
        addresses = [client.relayed() for client in (one, other)]
        for client, address, text in ((one, addresses[0], b"one"), (other, addresses[1], b"other")):
            client.bind(0x4000, peer.address)
            client.send_channel(0x4000, text)
            check_equal(peer.receive(), (text, address), "what the peer received")
        peer.send(b"to other", addresses[1])
        check_equal(other.receive_data(), (0x4000, b"to other"), "what the other received")
        check_equal(one.receive_data(0.1), None, "what the one received")


if __name__ == "__main__":
    main()
