"""server: starts the relay with a configuration of its own in a temporary directory, waits until it serves, and stops it by its pid."""
import collections
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from support import stun
from support.client import Client
from support.tap import check, check_equal, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
POLICIES = os.path.join(ROOT, "policies")
BINARY = os.path.join(ROOT, os.environ.get("B", "build"), "relay")
SANITIZED = "RELAY_SANITIZER" in os.environ
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
NAME = "relay.test"
AUTHORITY = "authority-cert.pem"
START_S = 20.0 if SANITIZED else 5.0
STOP_S = 20.0 if SANITIZED else 5.0
BLOCK = 64  # ports that are claimed at once
CLAIMED, LEFT, LOCK = [], collections.defaultdict(lambda: range(0)), threading.Lock()  # what holds the names; by network, ports that nobody has yet


def claim(count):
    """`count` ports in a row, or more, that no other test has, nor gets as long as this process lives: each block of them has a name in the network.
    They are below those that the kernel gives to clients: none of these takes one before the server does, or finds itself there."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        last = max(int(file.read().split()[0]), 20000) - count
    while True:
        with contextlib.suppress(OSError), contextlib.ExitStack() as names:
            ports = range(first := random.randrange(10000 // BLOCK + 1, last // BLOCK) * BLOCK, first + -(-count // BLOCK) * BLOCK)
            for block in ports[::BLOCK]:
                names.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0relay-test-ports-{block}")
            CLAIMED.append(names.pop_all())
            return ports


def is_free(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
        tcp.bind((host, port))
        udp.bind((host, port))
        return True
    return False


def free_range(count, host="127.0.0.1"):
    """The first of `count` ports in a row, free for UDP and TCP, which are given once; of more than one it is even."""
    with LOCK:
        while True:
            left = LEFT[network := os.readlink("/proc/thread-self/ns/net")]
            if count > 1:
                left = left[left.start % 2:]
            if len(left) < count:
                left = claim(count)
            LEFT[network] = left[count:]
            if all(is_free(host, port) for port in left[:count]):
                return left.start


def free_port(host="127.0.0.1"):
    return free_range(1, host)


def make_certificate(directory, prefix="", names=f"DNS:localhost,DNS:{NAME},IP:127.0.0.1", rsa=False):
    """A certificate by the directory's own authority, for localhost if nothing else is said: (certificate and authority, key)."""
    def new(kind, name, subject, *how):
        key, certificate = os.path.join(directory, f"{name}key.pem"), os.path.join(directory, f"{name}cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2", "-subj", subject, *how, "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        return certificate, key

    ec, authority = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], os.path.join(directory, AUTHORITY)
    if not os.path.exists(authority):
        new(ec, "authority-", "/CN=the authority of a test")
    certificate, key = new(["rsa:2048"] if rsa else ec, prefix, "/CN=localhost", "-CA", authority, "-CAkey", os.path.join(directory, "authority-key.pem"),
                           "-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName={names}")
    with open(certificate, "a", encoding="ascii") as chain, open(authority, encoding="ascii") as root:
        chain.write(root.read())
    return certificate, key


class Server:
    """with Server("total-quota=5") as server: ...

    The lines are added to a base configuration on free ports: user ann with password "secret", realm example.org, loopback peers allowed,
    plain UDP and TCP; tls=True adds a certificate, TLS and DTLS; ports=N makes its relay ports N that no other program takes, `relay_ports`.
    auth=[...] and peers=[...] replace those parts of the base. `arguments` go on the command line; `files` (name: text) into the temporary
    directory, where the server runs, so that lines, arguments and policies=[...] may name them as they are. Leaving the block stops the
    server and expects a clean end: exit code 0 and no report of a sanitizer.
    """

    AUTH = ("lt-cred-mech", "user=ann:secret")
    PEERS = ("allow-loopback-peers",)

    def __init__(self, *lines, auth=AUTH, peers=PEERS, host="127.0.0.1", tls=False, arguments=(), threads=1, files=None,
                 policies=(), realm="example.org", ports=0):
        self.host, self.port, self.tls_port, self.realm = host, free_port(host), free_port(host), realm
        self.temporary = tempfile.TemporaryDirectory(prefix="relay-e2e-")
        self.directory = self.temporary.name
        self.log_path = os.path.join(self.directory, "log")
        self.authority = self.certificate = self.process = self.start_s = None
        self.arguments = list(arguments)
        base = [f"listening-ip={host}", f"relay-ip={host}", f"listening-port={self.port}", f"tls-listening-port={self.tls_port}",
                f"realm={realm}", f"relay-threads={threads}", "log-file=stderr", *auth, *peers]
        base += os.environ.get("RELAY_WITH", "").split()  # tests/run: programs that say ALL_WAYS
        if ports:
            self.relay_ports = range(first := free_range(ports), first + ports)
            base += [f"min-port={first}", f"max-port={first + ports - 1}"]
        if tls:
            self.authority = self.path(AUTHORITY)
            self.certificate, key = make_certificate(self.directory)
            base += [f"cert={self.certificate}", f"pkey={key}"]
        else:
            base += ["no-tls", "no-dtls"]
        if policies:
            base += [f"lua-dir={ROOT}/lua", *(f"policy={policy}" for policy in policies)]
        for name, text in (files or {}).items():
            self.write(name, text)
        self.config = self.write("turnserver.conf", "".join(f"{line}\n" for line in [*base, *lines]))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process:
                self.stop(expect_clean=kind is None)
            if kind is not None:
                print("".join(f"# log: {line}\n" for line in self.log().splitlines()[-60:]), end="")
        finally:
            self.temporary.cleanup()

    def start(self):
        """Starts and waits until a Binding is answered."""
        begin = time.monotonic()
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([BINARY, "-c", self.config, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory)
        while not self.answers():
            if self.process.poll() is not None:
                code, self.process = self.process.returncode, None
                raise AssertionError(f"the server ended with {code} instead of serving")
            check(time.monotonic() < begin + START_S, f"the server does not answer after {START_S} s")
        self.start_s = time.monotonic() - begin

    def answers(self):
        """Whether a Binding is answered now, over UDP or, failing that, TCP."""
        with contextlib.suppress(OSError, AssertionError), Client(self, "udp") as client:
            client.send(stun.build(stun.BINDING))
            if client.receive(0.02):
                return True
        with contextlib.suppress(OSError, AssertionError), Client(self, "tcp") as client:
            client.send(stun.build(stun.BINDING))
            return client.receive(0.1) is not None
        time.sleep(0.005)
        return False

    def stop(self, expect_clean=True):
        """SIGTERM; a server that does not end in time is killed."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = f"nothing within {STOP_S} s of SIGTERM"
        if expect_clean:
            check(not REPORT.search(self.log()), "a sanitizer reported:\n" + self.log())
            check_equal(code, 0, "the exit code of the server")

    def query(self, sql, *values):
        """The rows of relay.db, which the configuration names."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path('relay.db')}?mode=ro", uri=True, timeout=5)) as database:
            return database.execute(sql, values).fetchall()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def workers(self):
        """Which worker made each allocation so far, in their order: the last byte of its id. With `verbose` only."""
        return [int(number) & 255 for number in re.findall(r" allocated .*\bid=(\d+) ", self.log())]

    def relay(self, *arguments, stdin=""):
        """A command of the binary, run in the server's directory, that must succeed; returns what it printed."""
        code, output, errors = run_relay(*arguments, stdin=stdin, cwd=self.directory)
        check_equal(code, 0, f"the exit code of relay {' '.join(arguments)} ({errors.strip()})")
        return output

    def client(self, transport="udp", **how):
        return Client(self, transport, **how)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def run_relay(*arguments, stdin="", cwd=None, limit_s=20.0, env=None):
    """Runs the binary to its end: (exit code, stdout, stderr). `env` is added to the environment."""
    done = subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, text=True, cwd=cwd, timeout=limit_s, errors="replace",
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def need(command):
    """A program that the test cannot do without; its absence is a loud skip."""
    if not shutil.which(command):
        skip(f"{command} is not installed")
