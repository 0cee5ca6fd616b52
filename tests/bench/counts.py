"""counts: instructions that the server executes in user space for one packet, by callgrind: the same each time, whatever else the machine does.

    with counted(binary, options) as server:
        figure = server.each("up")

The server runs under valgrind once, on loopback, with a socket for each allocation; its counters are read and set to zero between loads. A load is run for few packets and for many, and the
difference divided by the difference in packets is what one costs: setting up and giving back are taken out. Packets are sent one at a time: each wakes the server alone, so that a figure
holds all that a wake-up costs, the event loop too, and batching does not show.
"""
import contextlib
import json
import os
import re
import subprocess
import tempfile
import time

from machine import Host, ROOT, fail
from targets import Wants, generate, relay, served

ONE_AT_A_TIME = (["--clients", "4", "--window", "1"], (100, 1100))  # and so many packets
# load: which it is, over what
KINDS = {
    "up": (["--direction", "up"], "udp"), "down": (["--direction", "down"], "udp"), "send": (["--mode", "send", "--direction", "up"], "udp"),
    "data": (["--mode", "send", "--direction", "down"], "udp"), "pair": (["--direction", "pair"], "udp"), "tcp-up": (["--direction", "up"], "tcp"),
    "tcp-down": (["--direction", "down"], "tcp"), "binding": (["--load", "binding"], "udp"), "allocate": (["--load", "allocate"], "udp"),
}
COUNTED = {"allocate": (["--clients", "1"], (20, 120))}
PORTS = (20000, 29999)
IDLE_S = 1.5
NOTED = os.path.join(ROOT, "tests", "bench", "instructions.json")


def noted():
    """What builds are held to, by load."""
    if not os.path.exists(NOTED):
        return {}
    with open(NOTED, encoding="ascii") as file:
        return json.load(file)


class Counted:
    def __init__(self, target, out):
        self.target, self.out, self.dumps, self.since, self.idle_each_s, self.least = target, out, 0, time.monotonic(), 0, {}
        self.zero()
        time.sleep(IDLE_S)
        self.idle_each_s = self.zero() / IDLE_S

    def zero(self):
        """What was executed since the last time, without what timers do, which on a busy machine is more for a packet."""
        self.dumps += 1
        now = time.monotonic()
        done = subprocess.run(["vgdb", f"--pid={self.target.process.pid}", "dump"], capture_output=True, text=True)
        path = self.path()
        if not os.path.exists(path):
            fail(f"vgdb: {done.stdout}{done.stderr}")
        with open(path, encoding="utf-8", errors="replace") as file:
            executed = int(re.search(r"^summary: (\d+)", file.read(), re.M)[1])
        idle, self.since = self.idle_each_s * (now - self.since), now
        return executed - idle

    def path(self):
        """Of the last counters that were read, for callgrind_annotate."""
        return f"{self.out}.{self.dumps}"

    def load(self, kind, packets):
        arguments, transport = KINDS[kind]
        report = generate(self.target, *arguments, *COUNTED.get(kind, ONE_AT_A_TIME)[0], "--packets", str(packets), transport=transport, pids=[])
        if report["lost"]:
            fail(f"{kind}: {report['lost']} lost")
        executed = self.zero()
        self.least[kind, packets] = min(executed, self.least.get((kind, packets), executed))

    def each(self, kind):
        """Of all runs so far, two of them new, those that least came between: what timers do, and what comes for the first time. It only adds: who doubts asks again."""
        few, many = COUNTED.get(kind, ONE_AT_A_TIME)[1]
        for _ in range(2):
            self.load(kind, few)
            self.load(kind, many)
        return (self.least[kind, many] - self.least[kind, few]) / (many - few)


def unsteered(binary):
    """Steering is for root alone, and older builds have none."""
    known = subprocess.run([binary, "--help"], capture_output=True, text=True).stdout
    return ["relay-steering=off"] if "--relay-steering" in known else []


@contextlib.contextmanager
def counted(binary, options=()):
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Host() as network:
        out = os.path.join(directory, "out")
        under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with served(binary, network, Wants(ports=PORTS), relay([*unsteered(binary), *options], under, binary)) as target:
            yield Counted(target, out)
