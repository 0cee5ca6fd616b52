"""Alice and Bob, each behind a NAT: where STUN's answers are enough to meet directly, and where nothing but the relay connects them."""
import contextlib
import time

from support import stun
from support.behaviour import Asker
from support.client import Client
from support.nats import HOMES, SERVER, outside
from support.server import Server
from support.tap import check, check_equal, main, test

PATIENT = True
ALL_WAYS = True

ROUNDS, ROUND_S = 8, 0.04
MESSAGES = 50

# who meets whom directly: not where one side sends from ports that cannot be foreseen and the other lets in by port
FULL, RESTRICTED, PORT_RESTRICTED, SYMMETRIC = "full cone", "restricted cone", "port restricted cone", "symmetric"
MEETINGS = [(FULL, FULL, True), (FULL, RESTRICTED, True), (FULL, PORT_RESTRICTED, True), (FULL, SYMMETRIC, True), (RESTRICTED, RESTRICTED, True),
            (RESTRICTED, PORT_RESTRICTED, True), (RESTRICTED, SYMMETRIC, True), (PORT_RESTRICTED, PORT_RESTRICTED, True),
            (PORT_RESTRICTED, SYMMETRIC, False), (SYMMETRIC, SYMMETRIC, False)]


class Party:
    """Alice or Bob with one socket: `reflexive` is what STUN says of it, `met` where the other side was heard from."""

    def __init__(self, nats, server, name):
        self.nats, self.name, self.met = nats, name, None
        with nats.inside(getattr(nats, name)):
            self.asker = Asker(f"{HOMES[name][2]}.1")
        message, _ = self.asker.ask((SERVER, server.port))
        self.reflexive = message.address(stun.XOR_MAPPED_ADDRESS)
        check_equal(self.reflexive[0], HOMES[name][1], f"the reflexive address of {name}")

    def close(self):
        self.asker.socket.close()

    def knock(self, at, data=b"hello"):
        self.asker.socket.sendto(data, at)

    def hear(self, limit_s=ROUND_S):
        """The next datagram, or None."""
        self.asker.socket.settimeout(limit_s)
        try:
            data, self.met = self.asker.socket.recvfrom(2048)
            return data
        except TimeoutError:
            return None


def meet(one, other):
    """Both knock at where the other is said to be, or was heard from. Whether each hears the other, and a message goes each way then."""
    for _ in range(ROUNDS):
        for party, partner in ((one, other), (other, one)):
            party.knock(party.met or partner.reflexive)
        for party in (one, other):
            party.hear()
    if not (one.met and other.met):
        check(not one.met and not other.met, "only one side heard the other")
        return False
    for party, partner in ((one, other), (other, one)):
        party.knock(party.met, b"to %s" % partner.name.encode())
        deadline = time.monotonic() + 3
        while partner.hear(1) != b"to %s" % partner.name.encode():
            check(time.monotonic() < deadline, f"{partner.name} was met, but hears nothing")
    return True


def public_server():
    """A relay that may relay within its public network."""
    return Server(host=SERVER, peers=["allowed-peer-ip=198.51.100.0/24"], threads=2)


@contextlib.contextmanager
def parties(nats, server):
    both = [Party(nats, server, name) for name in HOMES]
    try:
        yield both
    finally:
        for party in both:
            party.close()


def relay_clients(nats, server):
    """A TURN client of each, who have allocated: [(client, relayed address), ...]."""
    found = []
    for name in HOMES:
        with nats.inside(getattr(nats, name)):
            client = Client(server, local=(f"{HOMES[name][2]}.1", 0))
        found.append((client, client.relayed()))
    return found


def expect_stopped(nats):
    """What each side sent left its home and was stopped before the other's: the network carried it, the NATs refused it."""
    for name, partner in (("alice", "bob"), ("bob", "alice")):
        check(nats.counts(name)[0] >= ROUNDS, f"too little left the home of {name}")
        check_equal(nats.counts(partner)[1], ROUNDS, f"what of {name} was stopped before the home of {partner}")


@test
def every_pair_of_nats_meets_or_does_not_as_its_kinds_say():
    with outside(FULL, FULL, public_server) as (nats, server):
        for alice, bob, meets in MEETINGS:
            nats.behave("alice", alice)
            nats.behave("bob", bob)
            with parties(nats, server) as both:
                before = nats.delivered()
                check_equal(meet(*both), meets, f"whether {alice} and {bob} meet")
                check_equal(nats.delivered() - before, 0, "datagrams that the server received meanwhile")
            if not meets:
                expect_stopped(nats)


@test
def who_lets_in_by_port_is_met_only_if_both_knock():
    with outside(PORT_RESTRICTED, PORT_RESTRICTED, public_server) as (nats, server), parties(nats, server) as (alice, bob):
        bob.knock(alice.reflexive)
        check_equal(alice.hear(0.2), None, "what Alice hears before she knocked")
        check_equal(nats.counts("alice")[1], 1, "datagrams that were stopped before her home")
        alice.knock(bob.reflexive)
        check_equal(bob.hear(3), b"hello", "what Bob hears, who has knocked")
        bob.knock(alice.reflexive, b"again")
        check_equal(alice.hear(3), b"again", "what Alice hears")
        check_equal((alice.met, bob.met), (bob.reflexive, alice.reflexive), "where they met")


@test
def behind_symmetric_nats_they_fail_directly_and_succeed_through_the_relay():
    with outside(SYMMETRIC, SYMMETRIC, public_server) as (nats, server):
        with parties(nats, server) as both:
            check_equal(meet(*both), False, "whether they meet directly")
        expect_stopped(nats)
        (alice, at_alice), (bob, at_bob) = relay_clients(nats, server)
        with alice, bob:
            alice.send_to(at_bob, b"before she may")
            check_equal(alice.permit(at_bob).code, 0, "the answer to Alice's CreatePermission")
            alice.send_to(at_bob, b"before he lets in")
            check_equal(bob.receive_data(0.3), None, "what Bob received before he let it in")
            check_equal(bob.permit(at_alice).code, 0, "the answer to Bob's CreatePermission")
            before = nats.delivered()
            for number in range(MESSAGES):
                alice.send_to(at_bob, b"%d" % number)
                check_equal(bob.receive_data(), (at_alice, b"%d" % number), "what Bob received")
                bob.send_to(at_alice, b"%d" % -number)
                check_equal(alice.receive_data(), (at_bob, b"%d" % -number), "what Alice received")
            # a message comes from its sender; from the one relayed address to the other it stays inside
            check_equal(nats.delivered() - before, 2 * MESSAGES, "datagrams that the server received meanwhile")


@test
def behind_a_symmetric_nat_one_relayed_address_is_enough_for_both():
    with outside(SYMMETRIC, SYMMETRIC, public_server) as (nats, server):
        (alice, at_alice), (bob, _) = relay_clients(nats, server)
        with alice, bob, parties(nats, server) as (_, plain_bob):
            plain_bob.knock(at_alice, b"too early")
            check_equal(alice.receive_data(0.3), None, "what Alice received before she let it in")
            check_equal(alice.permit((HOMES["bob"][1], 9)).code, 0, "the answer to CreatePermission")
            plain_bob.knock(at_alice)
            where, data = alice.receive_data()
            check_equal((where[0], data), (HOMES["bob"][1], b"hello"), "what Alice received")
            check(where != plain_bob.reflexive, "a symmetric NAT used one port twice")
            alice.send_to(where, b"welcome")
            check_equal((plain_bob.hear(3), plain_bob.met), (b"welcome", at_alice), "what Bob received, and from where")


if __name__ == "__main__":
    main()
