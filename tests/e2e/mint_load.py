"""Many credentials a second, and what relaying feels of it: RELAY_MINT_RATE (200) a second for RELAY_MINT_SECONDS (1), over one connection and over four,
by the unix socket and over TCP with a key.

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
from support.server import SANITIZED, free_port
from support.tap import check, check_equal, main, test

RATE = int(os.environ.get("RELAY_MINT_RATE", "50" if SANITIZED else "200"))
SECONDS = float(os.environ.get("RELAY_MINT_SECONDS", "1"))
PACKETS = 60  # a second, as a game sends
BODY = '{"tag": "ann", "room": "red"}'
HEAD = f"POST /v1/tenants/acme/credentials HTTP/1.1\r\nHost: relay\r\nContent-Length: {len(BODY)}\r\n"


class Minter:
    """Asks over one connection that stays."""

    def __init__(self, where, key):
        """`where` is a port on loopback, or the path of a socket, where a key is not needed."""
        self.socket = socket.create_connection(("127.0.0.1", int(where))) if where.isdigit() else socket.socket(socket.AF_UNIX)
        if not where.isdigit():
            self.socket.connect(where)
        self.request = (HEAD + (f"Authorization: Bearer {key}\r\n" if key else "") + "\r\n" + BODY).encode()
        self.rest = b""

    def mint(self):
        """The status of one answer."""
        self.socket.sendall(self.request)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(65536)
        head, _, body = self.rest.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self.socket.recv(65536)
        self.rest = body[length:]
        return int(head.split()[1])


def mint_at(where, key, rate, seconds):
    """Mints at an even pace, as far as the answers let: prints how many were made, and the time from the moment that one was due to its answer, sorted, in ms."""
    minter, took, begin = Minter(where, key), [], time.monotonic()
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        time.sleep(max(0, due - time.monotonic()))
        check_equal(minter.mint(), 201, "an answer")
        took.append((time.monotonic() - due) * 1000)
    print(len(took), time.monotonic() - begin, *(f"{ms:.3f}" for ms in (percentile(took, 50), percentile(took, 99))))


def percentile(values, of):
    return sorted(values)[min(len(values) - 1, len(values) * of // 100)]


def start_minters(where, key, count):
    return [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--mint", where, key, str(RATE / count), str(SECONDS)], stdout=subprocess.PIPE, text=True,
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
    port = free_port()
    with serving("mint-rate=0", f"admin-listen=127.0.0.1:{port}", tenants={"acme": ["status=active"]}, threads=2) as server, playing(server) as player:
        key = server.relay("key", "add", "--userdb", "relay.db", "--tenant", "acme", "--scope", "mint").strip()
        lost, median, worst = player.play(SECONDS)
        print(f"# nobody mints: {lost} of {player.sent} packets lost, there and back {median:.2f} ms, 99th percentile {worst:.2f} ms")
        check_equal(lost, 0, "packets that were lost")
        for where, token, count in ((server.path("door"), "", 1), (server.path("door"), "", 4), (str(port), key, 4)):
            minters = start_minters(where, token, count)
            lost, median, late = player.play(SECONDS + 0.5)
            made, rate, usual, slow = results_of(minters)
            print(f"# {made:.0f} minted over {count} connections{' of TCP' * bool(token)}, {rate:.0f} a second, in {usual:.2f} ms, 99th percentile {slow:.2f} ms;"
                  f" {lost} of {player.sent} packets lost, there and back {median:.2f} ms, 99th percentile {late:.2f} ms")
            check_equal((made, lost), (count * int(RATE / count * SECONDS), 0), "what was minted, and lost")
            check(rate > 0.8 * RATE, f"only {rate:.0f} a second were minted")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mint"]:
        mint_at(sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
    else:
        main(limit_s=60 + 4 * int(SECONDS))
