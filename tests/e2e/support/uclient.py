"""uclient: coturn's own client and peer. The exit code of turnutils_uclient lies, so its byte counts and the error codes it saw are read instead.

`-n` is messages, `-l` bytes each, `-c` leaves the second (RTCP) session out, `-s` uses Send instead of channels, `-y` goes client to client.
"""
import concurrent.futures
import contextlib
import dataclasses
import os
import re
import socket
import subprocess

from support.program import built
from support.server import free_range, need
from support.tap import check, check_equal, wait_for

LIMIT_S = 40
HASTE = 4
MESSAGES, LENGTH = 20, 170
LOAD = ("-n", str(MESSAGES), "-l", str(LENGTH), "-z", "5")
TRANSPORTS = {"udp": [], "tcp": ["-t"], "tls": ["-t", "-S"], "dtls": ["-S"]}


@dataclasses.dataclass
class Result:
    sent: int
    received: int
    sent_bytes: int
    received_bytes: int
    codes: list
    output: str

    def said(self):
        """What it printed last, without a line for each message."""
        return "\n".join(line for line in self.output.splitlines() if not re.search("buffer sent|response received: size", line))[-1500:]

    def expect_all(self, messages, length):
        """Every message arrived, and nothing was refused on the way."""
        check_equal((self.sent, self.received), (messages, messages), f"sent and received messages\n{self.said()}\nwhich")
        check_equal((self.sent_bytes, self.received_bytes), (messages * length,) * 2, "sent and received bytes")

    def expect_refused(self):
        """No allocation: uclient says so, but not with which code."""
        check_equal(self.received, 0, "received messages")
        check("Cannot complete Allocation" in self.output, f"not refused:\n{self.said()}")

    def expect_none(self, code):
        """Nothing arrived, because of `code`."""
        check_equal(self.received, 0, "received messages")
        check(code in self.codes, f"no error {code} but {self.codes}\n{self.said()}")


def last(pattern, text):
    found = re.findall(pattern, text)
    return tuple(int(number) for number in found[-1]) if found else (0, 0)


def over(server, transport):
    """The switches for a transport; where there is a certificate it is verified."""
    return [*TRANSPORTS[transport], *(["-E", server.certificate, "-p", str(server.tls_port)] if "-S" in TRANSPORTS[transport] else [])]


def uclient(server, *arguments, user="ann", password="secret", host=None, port=None, haste=HASTE, limit_s=LIMIT_S):
    """One run against the server, or what is at `host` and `port`. `haste`: the client's clock runs this many times as fast as ours."""
    need("turnutils_uclient")
    env = {**os.environ, "LD_PRELOAD": built("haste", "-shared", "-fPIC"), "HASTE": str(haste)}
    argv = ["timeout", "-k", "1", str(limit_s), "turnutils_uclient", "-v", "-p", str(port or server.port)]
    if user is not None:
        argv += ["-u", user]
    if password is not None:
        argv += ["-w", password]
    done = subprocess.run([*argv, *arguments, host or server.host], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    text = done.stdout
    sent, received = last(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", text)
    sent_bytes, received_bytes = last(r"tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)", text)
    codes = [int(code) for code in re.findall(r"error (\d{3})\b", text)]
    return Result(sent, received, sent_bytes, received_bytes, codes, text)


def relays(server, *how, messages=MESSAGES, peer=None, **more):
    """Messages to an echoing peer and back; it is on the server's address if no other is named."""
    with echo_peer(peer or server.host) as port:
        uclient(server, "-e", peer or server.host, "-r", str(port), *LOAD, *how, **more).expect_all(messages, LENGTH)


def side_by_side(runs, at_once=8):
    """Calls functions by their names, some at a time, as most of a run of uclient is waiting; tells which of them failed and how."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        failures = {name: run.exception() for name, run in [(name, pool.submit(run)) for name, run in runs.items()]}
    told = [f"{name}: {error!r}" if not isinstance(error, AssertionError) else f"{name}: {error}" for name, error in failures.items() if error]
    check(not told, f"{len(told)} of {len(runs)} failed\n" + "\n".join(told))


@contextlib.contextmanager
def echo_peer(host="127.0.0.1"):
    """turnutils_peer on a free port, which it yields, and the one behind it; it has answered once."""
    need("turnutils_peer")
    port = free_range(2, host)
    process = subprocess.Popen(["turnutils_peer", "-L", host, "-p", str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.05)
            probe.connect((host, port))

            def echoes():
                with contextlib.suppress(OSError):
                    probe.send(b"x" * 100)
                    return probe.recv(200)

            wait_for(echoes, what="turnutils_peer")
        yield port
    finally:
        process.kill()
        process.wait()


def stunclient(server, port=None):
    """The reflexive address that turnutils_stunclient reads, as (host, port) text, or None."""
    need("turnutils_stunclient")
    done = subprocess.run(["timeout", "5", "turnutils_stunclient", "-p", str(server.port), server.host], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    match = re.search(r"UDP reflexive addr: (\S+):(\d+)", done.stdout)
    return (match[1], int(match[2])) if match else None
