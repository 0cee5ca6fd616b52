"""pace: how long single packets take from a client to its peer and back, while something else goes on."""
import contextlib
import select
import statistics
import threading
import time

from support import stun
from support.client import Peer, transport
from support.server import SANITIZED
from support.tap import check, check_equal, wait_for


def round_trips(client, peer, relayed, seconds):
    """Seconds that each took, over channel 0x4000, for so long."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        sent = time.monotonic()
        client.send_channel(0x4000, b"ping")
        check_equal(peer.receive(), (b"ping", relayed), "what the peer received")
        peer.send(b"pong", relayed)
        check_equal(client.receive_data(), (0x4000, b"pong"), "what the client received")
        took.append(time.monotonic() - sent)
        time.sleep(0.002)
    return took


@contextlib.contextmanager
def packets_going_on(client, peer):
    """One after the other over channel 0x4000, as long as the block runs: the seconds that each took, for check_steady."""
    client.bind(0x4000, peer.address)
    ends, took = threading.Event(), []

    def relaying():
        while not ends.is_set():
            sent = time.monotonic()
            client.send_channel(0x4000, b"x")
            took.append(time.monotonic() - sent if peer.receive() else 9.0)

    traffic = threading.Thread(target=relaying)
    traffic.start()
    try:
        yield took
    finally:
        ends.set()
        traffic.join()


def check_steady(took):
    check(len(took) > 100 and max(took) < 1.0, f"{len(took)} packets, the latest after {max(took):.3f} s")


def p99(values):
    return statistics.quantiles(values, n=100)[98]


class Logins(threading.Thread):
    """Clients that ask at once, again and again; one for each (username, password)."""

    def __init__(self, server, accounts):
        super().__init__()
        self.server, self.accounts, self.codes, self.over = server, accounts, [], threading.Event()
        self.done = []

    def run(self):
        while not self.over.is_set():
            clients = [self.server.client(username=name, password=password) for name, password in self.accounts]
            waiting = {}
            for client in clients:
                client.challenge()
                client.send(client.signed(stun.ALLOCATE, [transport(stun.UDP)]))
                waiting[client.socket] = client
            end = time.monotonic() + 4
            while waiting and time.monotonic() < end:
                for ready in select.select(list(waiting), [], [], 0.1)[0]:
                    waiting.pop(ready).poll(0.1)
            self.codes += [client.answers[0].code if client.answers else None for client in clients]
            self.done += clients  # closed at the end: an allocation holds their 5-tuple
        for client in self.done:
            client.close()


def check_undisturbed(server, accounts, has_begun):
    """Who relays, and who waits for nothing, notices nothing of those that log in and wait; returns the codes of these."""
    with server.client() as ann, Peer() as peer:
        relayed = ann.relayed()
        ann.bind(0x4000, peer.address)
        before = p99(round_trips(ann, peer, relayed, 1.5))
        logins = Logins(server, accounts)
        logins.start()
        try:
            wait_for(has_begun, 5, "the first that waits")
            during = p99(round_trips(ann, peer, relayed, 3))
            with server.client() as other:
                asked = time.monotonic()
                check_equal(other.allocate().code, 0, "an Allocate that asks nobody")
                took = time.monotonic() - asked
        finally:
            logins.over.set()
            logins.join()
    print(f"# relaying p99: {before * 1000:.2f} ms alone, {during * 1000:.2f} ms beside {len(logins.codes)} logins that wait")
    check(during < before + (0.05 if not SANITIZED else 0.5), f"relaying: p99 {during:.4f} s, {before:.4f} s before")
    check(took < 0.15 or SANITIZED, f"another's Allocate took {took:.3f} s")
    check(len(logins.codes) >= len(accounts), f"{len(logins.codes)} logins were answered")
    return set(logins.codes)
