"""uclient: coturn's own client and peer. The exit code of turnutils_uclient lies, so its byte counts and the error codes it saw are read instead."""
import contextlib
import dataclasses
import re
import socket
import subprocess

from support.server import free_port, need
from support.tap import check, check_equal, wait_for

LIMIT_S = 40


@dataclasses.dataclass
class Result:
    sent: int
    received: int
    sent_bytes: int
    received_bytes: int
    codes: list
    output: str

    def expect_all(self, messages, length):
        """Every message arrived, and nothing was refused on the way."""
        check_equal((self.sent, self.received), (messages, messages), f"sent and received messages\n{self.output[-2000:]}")
        check_equal((self.sent_bytes, self.received_bytes), (messages * length,) * 2, "sent and received bytes")

    def expect_refused(self):
        """No allocation: uclient says so, but not with which code."""
        check_equal(self.received, 0, "received messages")
        check("Cannot complete Allocation" in self.output, f"not refused:\n{self.output[-2000:]}")

    def expect_none(self, code):
        """Nothing arrived, because of `code`."""
        check_equal(self.received, 0, "received messages")
        check(code in self.codes, f"no error {code} but {self.codes}\n{self.output[-2000:]}")


def last(pattern, text):
    found = re.findall(pattern, text)
    return tuple(int(number) for number in found[-1]) if found else (0, 0)


def uclient(server, *arguments, user="ann", password="secret", limit_s=LIMIT_S):
    need("turnutils_uclient")
    argv = ["timeout", "-k", "1", str(limit_s), "turnutils_uclient", "-v", "-p", str(server.port)]
    if user is not None:
        argv += ["-u", user]
    if password is not None:
        argv += ["-w", password]
    done = subprocess.run([*argv, *arguments, server.host], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    text = done.stdout
    sent, received = last(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", text)
    sent_bytes, received_bytes = last(r"tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)", text)
    codes = [int(code) for code in re.findall(r"error (\d{3})\b", text)]
    return Result(sent, received, sent_bytes, received_bytes, codes, text)


@contextlib.contextmanager
def echo_peer(host="127.0.0.1"):
    """turnutils_peer on a free port, which it yields; it has answered once."""
    need("turnutils_peer")
    port = free_port(host)
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
