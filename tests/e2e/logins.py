"""Thousands of logins a second wait for a slow backend, on the one worker that relays too: who relays and who comes from another tenant does not notice.

RELAY_LOGINS is how many a second; what this machine can hold beside others is far less than what it can hold alone.
"""
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

from support.pace import p99
from support.server import BINARY, SANITIZED, Server, free_port
from support.tap import check, check_equal, main, test, wait_for

RATE = int(os.environ.get("RELAY_LOGINS", "200"))
DELAY_S = 0.2
LOGINS_S, WINDOWS = 8, 5
CLIENTS = 480  # of one tenant 512 may wait on a worker; 2,000 logins a second need 400

ASKS = """
return {
  name = "asks",
  route = function(req) if req.origin == "other" then return relay.tenant("other", {realm = "other.example"}) end end,
  authenticate = function(req)
    if req.tenant == "other" then return relay.key{user = req.username, password = "secret"} end
    if req.username ~= "bob" then return nil end
    local res, why = relay.http.post("%s/auth", {json = {username = req.username, ip = req.src.ip}, timeout = 1})
    if not res then return relay.fail("backend: " .. why) end
    return relay.key{user = req.username, password = res:json().password}
  end,
}"""


class Backend:
    """A process of support/slowly.py, on the same port every time."""

    def __init__(self):
        self.port, self.process = free_port(), None

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "support.slowly", str(self.port), str(DELAY_S)], stdout=subprocess.PIPE, text=True,
                                        cwd=os.path.dirname(os.path.abspath(__file__)))
        wait_for(self.listens, 5, "the backend")

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self):
        """What it said of itself, by name."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        return numbers(process.communicate(timeout=5)[0])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.stop()


def numbers(text):
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", text)}


def start_load(server, user, *arguments):
    return subprocess.Popen([BINARY, "bench", f"turn:{server.host}:{server.port}", "--user", user, "--password", "secret", "--json", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def end_load(process):
    output, errors = process.communicate(timeout=60)
    check_equal((process.returncode, errors), (0, ""), "the end of a load")
    return json.loads(output)


def allocates_of_another(server, process):
    """How long each Allocate of the other tenant takes, in ms, while the load runs."""
    took = []
    while process.poll() is None:
        with server.client(origin="other", username="zoe", password="secret") as zoe:
            zoe.challenge()
            begun = time.monotonic()
            check_equal(zoe.allocate().code, 0, "an Allocate of the other tenant")
            took.append((time.monotonic() - begun) * 1000)
            zoe.refresh(0)
        time.sleep(0.02)
    return took


def asking(backend):
    return Server(f"policy-http=http://127.0.0.1:{backend.port}", files={"asks.lua": ASKS % f"http://127.0.0.1:{backend.port}"}, policies=["asks.lua"])


def relay_beside(server, backend, stranger):
    """While clients log in to `stranger`: p99 of packets that `server` relays, in most of five windows (who measures may have to wait for a processor,
    too), and of Allocates of its other tenant, both in ms; and what became of the logins."""
    logins = start_load(stranger, "bob", "--load", "allocate", "--rate", str(RATE), "--packets", str(RATE * LOGINS_S), "--clients", str(CLIENTS))
    wait_for(lambda: len(established(backend.port)) >= RATE * DELAY_S * 0.5, 10, "logins that wait")
    relayed, another = [], []
    for _ in range(WINDOWS):
        relaying = start_load(server, "ann", "--clients", "1", "--rate", "500", "--packets", "400")
        another += allocates_of_another(server, relaying)
        relayed.append(end_load(relaying))
    check(logins.poll() is None, "the logins were over too early")
    done = end_load(logins)
    check_equal((sum(window["lost"] for window in relayed), done["lost"], done["delivered"]), (0, 0, RATE * LOGINS_S),
                "packets and logins that were lost, logins that were granted")
    return statistics.median(window["p99_us"] for window in relayed) / 1000, p99(another), done


@test
def logins_that_wait_for_a_slow_backend_delay_nobody():
    with Backend() as backend, asking(backend) as server:
        with asking(backend) as stranger:  # the same work for the machine, on another worker
            relayed_apart, another_apart, _ = relay_beside(server, backend, stranger)
        relayed, another, done = relay_beside(server, backend, server)
        said = backend.stop()
        print(f"# {done['delivered'] / done['seconds']:.0f} logins a second of {RATE}, at most {said['most']:.0f} wait at once; "
              f"they take {done['p50_us'] / 1000:.1f} ms, p99 {done['p99_us'] / 1000:.1f} ms")
        print(f"# p99 of relayed packets: {relayed_apart:.2f} ms beside logins to another server, {relayed:.2f} ms beside logins to this one; "
              f"of another tenant's Allocates: {another_apart:.2f} ms and {another:.2f} ms")
        check_equal(said["asked"], 2 * RATE * LOGINS_S, "what the backend was asked")
        check(relayed < relayed_apart + 50 or SANITIZED, "relaying is delayed")
        check(another < another_apart + 50 or SANITIZED, "another tenant is delayed")
        with server.client(username="bob", password="secret") as bob:
            check_equal(bob.allocate().code, 500, "an Allocate while the backend is down")
            backend.start()
            check_equal(bob.allocate().code, 0, "an Allocate when it is up again")


def established(port):
    """Connections to the port that are open, as the kernel lists them."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return [line for line in file if f"0100007F:{port:04X} 01" in line]


if __name__ == "__main__":
    main(limit_s=60)
