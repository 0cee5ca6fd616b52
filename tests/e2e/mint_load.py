"""Many credentials a second, and what relaying feels of it: RELAY_MINT_RATE (200) a second for RELAY_MINT_SECONDS (1), over one connection and over four.

The numbers are printed. They are those of this machine with everything on it: the relay, who mints and who plays share its processors. 1,000 a second for a while:

    RELAY_MINT_RATE=1000 RELAY_MINT_SECONDS=10 python3 tests/e2e/mint_load.py
"""
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

from support import minted
from support.client import Peer
from support.minted import MASTER, serving
from support.server import SANITIZED
from support.tap import check, check_equal, main, test

RATE = int(os.environ.get("RELAY_MINT_RATE", "50" if SANITIZED else "200"))
SECONDS = float(os.environ.get("RELAY_MINT_SECONDS", "1"))
PACKETS = 60  # a second, as a game sends
REQUEST = b'POST /v1/tenants/acme/credentials HTTP/1.1\r\nHost: relay\r\nContent-Length: 29\r\n\r\n{"tag": "ann", "room": "red"}'


class Minter:
    """Asks over one connection that stays."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.rest = b""

    def mint(self):
        """The status of one answer."""
        self.socket.sendall(REQUEST)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(65536)
        head, _, body = self.rest.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self.socket.recv(65536)
        self.rest = body[length:]
        return int(head.split()[1])


def mint_at(path, rate, seconds):
    """Mints at an even pace, as far as the answers let: prints how many were made, and the time from the moment that one was due to its answer, sorted, in ms."""
    minter, took, begin = Minter(path), [], time.monotonic()
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        time.sleep(max(0, due - time.monotonic()))
        check_equal(minter.mint(), 201, "an answer")
        took.append((time.monotonic() - due) * 1000)
    print(len(took), time.monotonic() - begin, *(f"{ms:.3f}" for ms in (percentile(took, 50), percentile(took, 99))))


def percentile(values, of):
    return sorted(values)[min(len(values) - 1, len(values) * of // 100)]


def start_minters(server, count):
    return [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--mint", server.path("door"), str(RATE / count), str(SECONDS)], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.PIPE) for _ in range(count)]


def results_of(minters):
    """(how many were minted, a second, the worst median and 99th percentile in ms)"""
    rows = []
    for minter in minters:
        output, errors = minter.communicate(timeout=SECONDS + 30)
        check_equal(minter.returncode, 0, f"the end of who mints ({errors})")
        rows.append([float(word) for word in output.split()])
    return sum(row[0] for row in rows), sum(row[0] / row[1] for row in rows), max(row[2] for row in rows), max(row[3] for row in rows)


class Player:
    """Sends through the relay to an echo and measures the way there and back."""

    def __init__(self, client, peer):
        self.client, self.peer, self.sent, self.trips, self.runs = client, peer, 0, [], True

    def echo(self):
        while self.runs:
            got = self.peer.receive(0.2)
            if got:
                self.peer.send(*got)

    def play(self, seconds):
        """(lost, median, 99th percentile in ms)"""
        self.sent, self.trips, begin = 0, [], time.monotonic()
        while time.monotonic() < begin + seconds:
            self.sent += 1
            sent = time.monotonic()
            self.client.send_channel(0x4000, b"%-100d" % self.sent)
            if self.client.receive_data(1.0):
                self.trips.append((time.monotonic() - sent) * 1000)
            time.sleep(max(0, begin + self.sent / PACKETS - time.monotonic()))
        return self.sent - len(self.trips), percentile(self.trips, 50), percentile(self.trips, 99)


@contextlib.contextmanager
def playing(server):
    username, password = minted.mint(MASTER, "acme")
    with server.client(username=username, password=password) as client, Peer() as peer:
        client.relayed()
        check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
        player = Player(client, peer)
        thread = threading.Thread(target=player.echo)
        thread.start()
        try:
            yield player
        finally:
            player.runs = False
            thread.join()


@test
def minting_does_not_disturb_relaying():
    with serving("mint-rate=0", tenants={"acme": ["status=active"]}, threads=2) as server, playing(server) as player:
        lost, median, worst = player.play(SECONDS)
        print(f"# nobody mints: {lost} of {player.sent} packets lost, there and back {median:.2f} ms, 99th percentile {worst:.2f} ms")
        check_equal(lost, 0, "packets that were lost")
        for count in (1, 4):
            minters = start_minters(server, count)
            lost, median, late = player.play(SECONDS + 0.5)
            made, rate, usual, slow = results_of(minters)
            print(f"# {made:.0f} minted over {count} connections, {rate:.0f} a second, in {usual:.2f} ms, 99th percentile {slow:.2f} ms;"
                  f" {lost} of {player.sent} packets lost, there and back {median:.2f} ms, 99th percentile {late:.2f} ms")
            check_equal((made, lost), (count * int(RATE / count * SECONDS), 0), "what was minted, and lost")
            check(rate > 0.8 * RATE, f"only {rate:.0f} a second were minted")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mint"]:
        mint_at(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    else:
        main(limit_s=60 + 4 * int(SECONDS))
