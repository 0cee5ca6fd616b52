"""targets: what is measured: this server, Debian's coturn with the same options, and the bare forwarder; started, pinned, and ended.

    with served("coturn", network, wants) as target:      # target.pids, target.url("tcp"), target.start_s
        report = generate(target, "--load", "relay", ...)
"""
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import machine
from machine import BUILD, LOAD_CPU, ROOT, SERVER_CPU, fail
from support.server import make_certificate

RELAY = os.path.join(BUILD, "relay")
FORWARDER = os.path.join(BUILD, "bench", "forwarder")
GENERATOR_S = 280
WAYS = ("one", "mmsg", "mmsg+connected", "gro", "gro+connected", "steer-raw", "steer-packet", "steer-packet+gro")
QUOTA = [f"lua-dir={ROOT}/lua", f"policy={ROOT}/policies/quota.lua", "set=quota.total=1000000", "set=quota.realm=1000000", "set=quota.user=1000000",
         "set=quota.rate=6000000"]


@dataclasses.dataclass
class Wants:
    """What a load asks of whoever serves it."""

    ports: tuple = machine.RELAY_PORTS
    relay_from: tuple = ()  # without: where it listens
    tls: bool = False
    patience_s: float = machine.START_S


@dataclasses.dataclass
class Target:
    name: str
    network: object
    process: subprocess.Popen
    log: str
    start_s: float = None
    said: str = ""

    @property
    def pids(self):
        return [self.process.pid, *self.network.threads]

    def url(self, transport="udp"):
        at, net = self.network.at, self.network
        return f"turns:{at}:{net.tls_port}?transport=tcp" if transport == "tls" else f"turn:{at}:{net.port}?transport={transport}"


def options_of_both(wants, directory, network):
    """What coturn and we are told alike; one worker, as one processor is measured."""
    lines = [f"listening-ip={network.at}", f"listening-port={network.port}", "realm=example.org", "user=ann:secret", "lt-cred-mech", "relay-threads=1",
             "allow-loopback-peers", f"allowed-peer-ip={machine.RANGE}", f"min-port={wants.ports[0]}", f"max-port={wants.ports[1]}", "no-dtls",
             *(f"relay-ip={address}" for address in wants.relay_from or [network.at])]
    if not wants.tls:
        return [*lines, "no-tls"]
    certificate, key = make_certificate(directory, names=f"IP:{network.at}")
    return [*lines, f"tls-listening-port={network.tls_port}", f"cert={certificate}", f"pkey={key}"]


def write_options(directory, lines):
    path = os.path.join(directory, "conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return path


def relay(extra=(), under=(), binary=RELAY):
    def argv(wants, directory, log, network):
        return [*under, binary, "-c", write_options(directory, [*options_of_both(wants, directory, network), f"log-file={log}", *extra])]
    return argv


def coturn(wants, directory, log, network):
    lines = [*options_of_both(wants, directory, network), f"log-file={log}", "simple-log", "no-stdout-log", "no-cli", f"pidfile={directory}/pid",
             f"userdb={directory}/db"]
    return ["turnserver", "-c", write_options(directory, lines)]


def forwarder(way):
    def argv(wants, _, __, network):
        return [FORWARDER, way, f"{network.at}:{network.port}", network.at, *map(str, wants.ports), network.interface]
    return argv


# name: its command line; `plain` has no privileges, so that nothing is steered; `packet` is told that no packet filters are of use
TARGETS = {
    "relay": relay(),
    "relay-plain": relay(under=("setpriv", "--bounding-set=-all", "--inh-caps=-all")),
    "relay-packet": relay(["relay-send=packet"]),
    "relay-quota": relay(QUOTA),
    "coturn": coturn,
    **{f"forwarder {way}": forwarder(way) for way in WAYS},
}


@functools.cache
def is_there(name):
    if name == "coturn":
        return shutil.which("turnserver") is not None
    return os.path.exists(FORWARDER if name.startswith("forwarder") else RELAY)


@functools.cache
def version_of(name):
    """What it is, so that figures of another are not taken for it."""
    if name == "coturn":
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "coturn"], capture_output=True, text=True).stdout
        return said or subprocess.run(["turnserver", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    with open(FORWARDER if name.startswith("forwarder") else RELAY, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


@contextlib.contextmanager
def served(name, network, wants, make=None):
    """The target of this name, or what `make` makes; `said` is what it has said at its end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.chmod(directory, 0o755)
        log = os.path.join(directory, "log")
        argv = (make or TARGETS[name])(wants, directory, log, network)
        with open(os.path.join(directory, "said"), "w+b") as said:
            process = machine.start(argv, SERVER_CPU, network.server, stdout=said, stderr=said, cwd=directory)
            target = Target(name, network, process, log)
            try:
                target.start_s = machine.wait_until_served(process, (network.at, network.port), functools.partial(network.inside, network.client), wants.patience_s)
                if target.start_s is not None:
                    yield target
            finally:
                machine.stop(process)
                said.seek(0)
                target.said = said.read().decode(errors="replace")
        if target.start_s is None:
            fail(f"{' '.join(process.args)}: it does not serve, and ended with {process.returncode}: {target.said.strip()}")


def generator(target, *arguments, transport="udp", pids=()):
    """The command line of `relay bench`. Loads that relay have their peer where clients are, which is known only here."""
    argv = [RELAY, "bench", target.url(transport), "--user", "ann", "--password", "secret", "--insecure", "--json", *arguments]
    relays = "--load" not in arguments or arguments[arguments.index("--load") + 1] in ("relay", "hold")
    return [*argv, *(["--peer", target.network.peer] if relays else []), *(word for pid in pids for word in ("--pid", str(pid)))]


def generate(target, *arguments, transport="udp", pids=None):
    """One run of it, to its end: its report, with what it cost those processes; without others the target's own."""
    argv = generator(target, *arguments, transport=transport, pids=target.pids if pids is None else pids)
    process = machine.start(argv, LOAD_CPU, target.network.client, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=GENERATOR_S)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        fail(f"{target.name}: {' '.join(argv)}: ended with {process.returncode}: {errors.strip()}")
    return json.loads(output)
