"""RFC 8016: an allocation follows its client to another address, whichever workers the old and the new one belong to."""
import contextlib
import sqlite3
import threading

from support import stun
from support.client import Peer
from support.server import SANITIZED, Server
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

WORKERS = 4
KINDS = ("udp", "tcp", "tls")
ROUND, MOVES_MAX = 50, 400
CHANNEL = 0x4000


def ticket_of(message):
    check_equal(message.code, 0, "the code")
    ticket = message.get(stun.MOBILITY_TICKET)
    check(ticket and len(ticket) == 32 and ticket.isascii() and 0 not in ticket, f"no ticket, or one that is no text: {ticket}")
    return ticket


def held(client, peer):
    """An allocation that may move, with a channel: its relayed address and its ticket."""
    message = client.allocate((stun.MOBILITY_TICKET, b""))
    ticket = ticket_of(message)
    check_equal(client.bind(CHANNEL, peer.address).code, 0, "ChannelBind")
    return message.address(stun.XOR_RELAYED_ADDRESS), ticket


def move(client, ticket, **how):
    return client.refresh(600, (stun.MOBILITY_TICKET, ticket), **how)


def speaks(client, peer, relayed, text):
    """From the client to the peer and back."""
    client.send_channel(CHANNEL, text)
    check_equal(peer.receive(), (text, relayed), "what the peer received")
    peer.send(text[::-1], relayed)
    check_equal(client.receive_data(), (CHANNEL, text[::-1]), "what the client received")


def sessions(server):
    """(client, worker, bytes from it, bytes to it) of each that has ended; the worker is the last byte of an id."""
    with contextlib.closing(sqlite3.connect(f"file:{server.path('relay.db')}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute("SELECT client, id & 255, bytes_in, bytes_out FROM sessions WHERE closed_ms IS NOT NULL").fetchall()


def move_once(server, kind, peer, number):
    """One move with data before, meanwhile and after; says where from, where to, and how many bytes went each way."""
    texts = [b"before %d" % number, b"meanwhile %d" % number, b"after %d" % number, b"x" * 1000]
    with server.client(kind) as old, server.client(kind) as new:
        check_equal(new.allocate().code, 0, "an allocation to tell the worker by")
        check_equal(new.refresh(0).code, 0, "its release")
        relayed, ticket = held(old, peer)
        speaks(old, peer, relayed, texts[0])
        check(ticket_of(move(new, ticket)) != ticket, "the ticket stays the same")
        speaks(old, peer, relayed, texts[1])
        speaks(new, peer, relayed, texts[2])
        speaks(new, peer, relayed, texts[3])
        check_equal(new.refresh(0).code, 0, "the release")
        return *("127.0.0.1:%d" % client.local[1] for client in (old, new)), sum(map(len, texts))


def moves_between_all_workers(kind):
    """Moves until each worker's allocations have moved to each worker's 5-tuples; what is counted of an allocation does not mind."""
    moves = []
    with Server("mobility", "userdb=relay.db", tls=True, threads=WORKERS) as server, Peer() as peer:
        while len(moves) < MOVES_MAX:
            for _ in range(ROUND):
                moves.append(move_once(server, kind, peer, len(moves)))
            rows = wait_for(lambda: len(found := sessions(server)) == 2 * len(moves) and found)
            worker = {client: at for client, at, _, _ in rows}
            counted = sorted((client, bytes_in, bytes_out) for client, _, bytes_in, bytes_out in rows if bytes_in)
            check_equal(counted, sorted((old, size, size) for old, _, size in moves), "what was counted")
            pairs = {(worker[old], worker[new]) for old, new, _ in moves}
            if len(pairs) == WORKERS ** 2:
                return
    check(False, f"only {len(pairs)} pairs of workers in {len(moves)} moves over {kind}")


@test
def over_udp_between_all_pairs_of_workers():
    moves_between_all_workers("udp")


@test
def over_tcp_between_all_pairs_of_workers():
    moves_between_all_workers("tcp")


@test
def over_tls_between_all_pairs_of_workers():
    moves_between_all_workers("tls")


@smoke
def over_every_transport_and_from_one_to_another():
    with Server("mobility", tls=True, threads=WORKERS) as server, Peer() as peer:
        for first in KINDS:
            for second in KINDS:
                with server.client(first) as old, server.client(second) as new:
                    relayed, ticket = held(old, peer)
                    ticket = ticket_of(move(new, ticket))
                    speaks(new, peer, relayed, b"hello")
                    with server.client(first) as again:
                        ticket_of(move(again, ticket))
                        speaks(again, peer, relayed, b"hello again")


@smoke
def an_allocation_waits_for_its_client_when_a_connection_ends():
    with Server("mobility", "total-quota=1", tls=True, threads=WORKERS) as server, Peer() as peer:
        for kind in ("tcp", "tls"):
            with server.client(kind) as old:
                relayed, ticket = held(old, peer)
            with server.client(kind) as other:
                check_equal(other.allocate().code, 486, "its quota is still taken")
            with server.client(kind) as new:
                ticket = ticket_of(move(new, ticket))
                speaks(new, peer, relayed, b"here again")
                check_equal(new.refresh(0).code, 0, "the release")


@test
def what_follows_in_the_same_segment_is_not_lost():
    """The move and channel data behind it, in one write: both arrive with the worker that has the allocation."""
    with Server("mobility", tls=True, threads=WORKERS) as server, Peer() as peer:
        for number in range(24):
            kind = ("tcp", "tls")[number % 2]
            with server.client(kind) as old, server.client(kind) as new:
                relayed, ticket = held(old, peer)
                new.challenge()
                request = new.signed(stun.REFRESH, [(stun.MOBILITY_TICKET, ticket)])
                frames = b"".join(stun.pad(bytes([0x40, 0, 0, 5]) + b"num%02d" % i) for i in range(50))
                new.send(request + frames)
                ticket_of(new.answer(request[8:20]))
                for i in range(50):
                    check_equal(peer.receive(), (b"num%02d" % i, relayed), f"frame {i}")


@test
def a_ticket_is_of_use_to_its_user_only():
    with Server("mobility", "user=bob:hunter2", threads=WORKERS) as server, Peer() as peer:
        with server.client() as old:
            relayed, ticket = held(old, peer)
            for _ in range(12):
                with server.client(username="bob", password="hunter2") as thief:
                    check_equal(move(thief, ticket).code, 441, "another user's ticket")
                with server.client(password="wrong") as guesser:
                    check_equal(move(guesser, ticket).code, 401, "a wrong password")
                with server.client() as client:
                    check_equal(move(client, b"A" * 32).code, 437, "a made up ticket")
            speaks(old, peer, relayed, b"still here")


@test
def it_is_off_by_default_405():
    with Server(tls=True) as server:
        for kind in KINDS:
            with server.client(kind) as client:
                check_equal(client.allocate((stun.MOBILITY_TICKET, b"")).code, 405, f"the answer over {kind}")
                check_equal(client.allocate().code, 0, "without a ticket")


@test
def a_flood_of_resumes_is_bounded_and_disturbs_nobody():
    """One user moves from port to port as fast as it can; another one's data goes on, quota and memory stay."""
    with Server("mobility", "total-quota=2", threads=WORKERS) as server, Peer() as peer, Peer() as other_peer, contextlib.ExitStack() as stack:
        quiet = stack.enter_context(server.client())
        relayed, _ = held(quiet, other_peer)
        first = stack.enter_context(server.client())
        _, ticket = held(first, peer)
        stop = threading.Event()
        lost = []

        def talk():
            while not stop.is_set():
                try:
                    speaks(quiet, other_peer, relayed, b"still here")
                except AssertionError as error:
                    lost.append(error)
                    return

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            before = None
            for number in range(200 if SANITIZED else 1500):
                with server.client() as client:
                    ticket = ticket_of(move(client, ticket))
                    old_ticket = ticket
                    if number % 3 == 0:
                        client.send_channel(CHANNEL, b"x")
                    if number % 50 == 0:
                        for _ in range(20):  # the same again, and things that are no tickets
                            client.send(client.signed(stun.REFRESH, [(stun.MOBILITY_TICKET, old_ticket)]))
                            client.send(client.signed(stun.REFRESH, [(stun.MOBILITY_TICKET, b"A" * 32)]))
                if number == 100:
                    before = server.resident_kb()
            grown = server.resident_kb() - before
            check(SANITIZED or grown < 8 * 1024, f"memory grew by {grown} kB")
        finally:
            stop.set()
            thread.join()
        check(not lost, f"another client was disturbed: {lost}")
        with server.client() as third:
            check_equal(third.allocate().code, 486, "a third allocation")
        with server.client() as client:
            check_equal(client.refresh(0, (stun.MOBILITY_TICKET, ticket)).code, 0, "the release")
        with server.client() as third:
            check_equal(third.allocate().code, 0, "when one was given back")


if __name__ == "__main__":
    main()
