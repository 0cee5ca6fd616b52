"""nats: a public network and two homes behind address translations that behave as they are told to; needs root and nftables.

    public (198.51.100.1 and .2: the server's two addresses) --- alice_nat (.11) --- alice (10.81.0.1)
                                                             `-- bob_nat (.12) --- bob (10.82.0.1)

Linux translates with conntrack: `snat` keeps the port (one mapping for every destination) and lets in what answers; `masquerade fully-random` draws a
port for every destination. The rest is made of rules. What is not let in is dropped before conntrack remembers it: a remembered stranger would take the
very port that a hole is to be punched for. Each home counts the datagrams that leave it and those that are stopped before it.
"""
import contextlib
import json
import subprocess

from support.namespaces import Namespaces, ip
from support.server import need

SERVER, OTHER = "198.51.100.1", "198.51.100.2"
HOMES = {"alice": ("alice_nat", "198.51.100.11", "10.81.0"), "bob": ("bob_nat", "198.51.100.12", "10.82.0")}

ENDPOINT, ADDRESS, PORT = "Endpoint Independent", "Address Dependent", "Address and Port Dependent"

KEEP = 'oifname "out" meta l4proto udp snat to {outside}'
RANDOM = 'oifname "out" meta l4proto udp masquerade fully-random'
BY_ADDRESS = (f'oifname "out" meta l4proto udp ip daddr {SERVER} snat to {{outside}} : jhash udp sport mod 10000 seed 1 offset 20000\n'
              'oifname "out" meta l4proto udp snat to {outside} : jhash udp sport mod 10000 seed 1 offset 40000')
OPEN = 'iifname "out" udp dport 1024-65535 dnat to {inside}'
KNOWN = 'iifname "out" ct state new udp dport . ip saddr != @contacts counter name stopped drop'

# name: (mapping and filtering in the words of RFC 4787, rules of postrouting, prerouting and forward)
KINDS = {
    "full cone": (ENDPOINT, ENDPOINT, KEEP, OPEN, ""),
    "restricted cone": (ENDPOINT, ADDRESS, KEEP, OPEN, KNOWN),
    "port restricted cone": (ENDPOINT, PORT, KEEP, "", ""),
    "address dependent": (ADDRESS, PORT, BY_ADDRESS, "", ""),
    "symmetric": (PORT, PORT, RANDOM, "", ""),
}

RULES = """
table ip home
delete table ip home
table ip home {{
    counter left {{}}
    counter stopped {{}}
    set contacts {{ type inet_service . ipv4_addr; size 65535; flags dynamic,timeout; timeout 60s; }}
    chain out {{ type nat hook postrouting priority 100;
        {out}
    }}
    chain in {{ type nat hook prerouting priority -100;
        {into}
    }}
    chain through {{ type filter hook forward priority 0;
        oifname "out" meta l4proto udp counter name left
        oifname "out" update @contacts {{ udp sport . ip daddr }}
        {through}
    }}
    chain here {{ type filter hook input priority 0;
        iifname "out" meta l4proto udp counter name stopped drop
    }}
}}
"""


class Nats(Namespaces):
    NAMES = ("public", "alice_nat", "alice", "bob_nat", "bob")

    def __init__(self, alice, bob):
        super().__init__()
        need("nft")
        self.kinds = {"alice": alice, "bob": bob}

    def wire(self):
        ip("-n", self.public, "link", "add", "net", "type", "bridge")
        for address in (SERVER, OTHER):
            ip("-n", self.public, "address", "add", f"{address}/24", "dev", "net")
        ip("-n", self.public, "link", "set", "net", "up")
        for name, (nat, outside, home) in HOMES.items():
            self.wire_home(getattr(self, name), getattr(self, nat), name, outside, home)
            self.behave(name, self.kinds[name])

    def wire_home(self, inner, nat, name, outside, home):
        ip("-n", nat, "link", "add", "out", "type", "veth", "peer", "name", name, "netns", self.public)
        ip("-n", self.public, "link", "set", name, "master", "net", "up")
        ip("-n", inner, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", nat)
        for where, device, address in ((nat, "out", outside), (nat, "in", f"{home}.254"), (inner, "out", f"{home}.1")):
            ip("-n", where, "address", "add", f"{address}/24", "dev", device)
            ip("-n", where, "link", "set", device, "up")
        ip("-n", inner, "route", "add", "default", "via", f"{home}.254")
        with self.inside(nat), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")

    def behave(self, name, kind):
        """The home of `name` is behind a translation of this kind from now on; nothing is remembered of what was."""
        nat, outside, home = HOMES[name]
        self.kinds[name] = kind
        out, into, through = (rule.format(outside=outside, inside=f"{home}.1") for rule in KINDS[kind][2:])
        ip("netns", "exec", getattr(self, nat), "nft", "-f", "-", stdin=RULES.format(out=out, into=into, through=through))

    def counts(self, name):
        """(datagrams that left the home, datagrams that were stopped before it)."""
        listing = subprocess.run(["ip", "netns", "exec", getattr(self, HOMES[name][0]), "nft", "-j", "list", "counters"],
                                 check=True, capture_output=True, text=True).stdout
        found = {row["counter"]["name"]: row["counter"]["packets"] for row in json.loads(listing)["nftables"] if "counter" in row}
        return found["left"], found["stopped"]

    def delivered(self):
        """UDP datagrams that sockets in the public network have received."""
        with self.inside(self.public), open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = [line.split()[1:] for line in file if line.startswith("Udp:")]
        return dict(zip(names, map(int, values)))["InDatagrams"]


@contextlib.contextmanager
def outside(alice, bob, make):
    """Two homes behind these kinds of NAT, and the server that make() returns outside: (nats, server)."""
    with Nats(alice, bob) as nats, contextlib.ExitStack() as stack:
        with nats.inside(nats.public):
            server = stack.enter_context(make())
        yield nats, server
