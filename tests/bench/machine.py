"""machine: what a measurement needs: processors to be pinned to, networks of its own, processes that end, and what they have spent.

The server is on one processor and the generator on the other. Networks are of the run's own making and go with it:

    with Host() as network:                  # loopback as it is; needs no root
    with Loopback("relay") as network:       # one namespace: SERVER and CLIENT are addresses of its lo
    with Cable("relay") as network:          # two namespaces, and a pair of network devices between them
        process = start(["turnserver", ...], SERVER_CPU, network.server)
        ...                                  # network.threads: kernel threads that work for the server
"""
import contextlib
import ctypes
import fcntl
import glob
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from support.namespaces import Namespaces, ip  # noqa: E402
from support.server import free_port  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
SERVER_CPU, LOAD_CPU = 0, 1
SERVER, CLIENT = "10.99.0.1", "10.99.0.2"
MORE_SERVER = [f"10.99.0.{last}" for last in range(11, 15)]  # to relay from
MORE_CLIENT = [f"10.99.0.{last}" for last in range(21, 29)]  # to come from
RANGE = "10.99.0.0-10.99.0.255"
RELAY_PORTS, OTHER_PORTS = (10000, 44999), (45000, 65000)  # what is steered to a server must not be a client's
START_S = 30

SIOCETHTOOL, ETHTOOL_STSO, ETHTOOL_SGRO = 0x8946, 0x1F, 0x2C


def fail(why):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {why}")


def has(program):
    return shutil.which(program) is not None


# -- processes

def pinned(cpu):
    def become():
        os.sched_setaffinity(0, {cpu})
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return become


def start(argv, cpu, namespace=None, **how):
    inside = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []  # not `ip netns exec`, behind which there is no tracefs to count system calls with
    return subprocess.Popen([*inside, *argv], stdin=subprocess.DEVNULL, preexec_fn=pinned(cpu), text=True, **how)


def stop(process):
    """Ends it by SIGTERM, or else by force."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def spent_ns(pids):
    """Processor time of all threads of these processes, in user space and in the system."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total


def resident_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


def wait_until_served(process, address, inside, patience_s=START_S):
    """Asks until a Binding is answered; how long that took, in seconds; None if the process ended or the time did."""
    request = struct.pack("!HHI", 1, 0, 0x2112A442) + b"is it there?"
    begin = time.monotonic()
    with inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(address)
        asking.settimeout(0.002)
        while time.monotonic() < begin + patience_s and process.poll() is None:
            with contextlib.suppress(OSError):
                asking.send(request)
                asking.recv(100)
                return time.monotonic() - begin
    return None


# -- networks: where a server is (`at`, `port`), whom it relays to (`peer`), and namespaces to start programs in

class Host:
    """The machine's own loopback, for whoever is not root."""

    interface, at, peer = "lo", "127.0.0.1", "127.0.0.1"
    server = client = None
    threads = ()

    def __enter__(self):
        self.port, self.tls_port = free_port(), free_port()
        return self

    def __exit__(self, *_):
        pass

    @staticmethod
    def inside(_):
        return contextlib.nullcontext()


class Own(Namespaces):
    """Nobody else is there."""

    at, peer, port, tls_port = SERVER, CLIENT, 3478, 5349


def napi_threads():
    found = set()
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            if file.read().startswith("napi/"):
                found.add(int(path.split("/")[2]))
    return found


class Loopback(Own):
    """Delivery is charged to whoever sends."""

    interface = "lo"
    threads = ()

    def __init__(self, name):
        self.NAMES = (f"bench-{name}",)
        super().__init__()
        self.server = self.client = self.all()[0]

    def wire(self):
        for address in (SERVER, CLIENT, *MORE_SERVER, *MORE_CLIENT):
            ip("-n", self.server, "addr", "add", f"{address}/32", "dev", "lo")
        self.settle(self.server, "lo")

    @staticmethod
    def settle(namespace, interface):
        """What is sent as frames has addresses of this host; what is steered to a server is no client's port."""
        words = [f"net.ipv4.conf.{where}.{what}" for where in ("all", interface) for what in ("accept_local=1", "rp_filter=0")]
        words += ["net.ipv4.ip_local_port_range={} {}".format(*OTHER_PORTS)]
        subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", *words], check=True)


class Cable(Own):
    """Two hosts, as near as one machine gets: veth, whose receiving is done by kernel threads, each on its side's processor."""

    interface = "server"

    def __init__(self, name):
        self.NAMES = (f"bench-{name}-server", f"bench-{name}-client")
        super().__init__()
        self.server, self.client = self.all()
        self.threads = ()

    def wire(self):
        ip("-n", self.server, "link", "add", "server", "type", "veth", "peer", "name", "client", "netns", self.client)
        self.threads = self.end(self.server, "server", [SERVER, *MORE_SERVER], SERVER_CPU)
        self.end(self.client, "client", [CLIENT, *MORE_CLIENT], LOAD_CPU)
        for namespace, device, other, addresses in ((self.server, "server", self.client, [CLIENT, *MORE_CLIENT]),
                                                    (self.client, "client", self.server, [SERVER, *MORE_SERVER])):
            hop = self.read(other, f"/sys/class/net/{'client' if device == 'server' else 'server'}/address")
            for address in addresses:
                ip("-n", namespace, "neigh", "replace", address, "lladdr", hop, "nud", "permanent", "dev", device)

    @staticmethod
    def read(namespace, path):
        return subprocess.run(["ip", "netns", "exec", namespace, "cat", path], check=True, capture_output=True, text=True).stdout.strip()

    def end(self, namespace, device, addresses, cpu):
        """One end of the cable: its kernel threads, which are new."""
        for address in addresses:
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
        Loopback.settle(namespace, device)
        with self.inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for what, on in ((ETHTOOL_STSO, 0), (ETHTOOL_SGRO, 1)):  # else a veth's sender does the receiving too
                wish = ctypes.create_string_buffer(struct.pack("II", what, on))
                fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", device.encode(), ctypes.addressof(wish)))
        ip("-n", namespace, "link", "set", device, "up")
        before = napi_threads()
        subprocess.run(["ip", "netns", "exec", namespace, "sh", "-c", f"echo 1 > /sys/class/net/{device}/threaded"], check=True)
        threads = sorted(napi_threads() - before)
        for thread in threads:
            os.sched_setaffinity(thread, {cpu})
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))  # before all else on it, as an interrupt would be
        return threads
