"""loads: what is measured, as rows: loads with what takes part in them, and the goals that their figures are held to.

A load is run in rounds, in each of which every cell has its turn; a cell is a target, with arguments of its own where a load compares a target with
itself. A goal is a ratio of two cells' figures, or one figure.
"""
import dataclasses
import json
import signal
import subprocess
import time

import machine
from machine import Cable, LOAD_CPU, Loopback, ROOT, fail
from targets import RELAY, Wants, generate, generator

CHANNEL = [f"forwarder {way}" for way in ("one", "gro+connected", "steer-packet", "steer-packet+gro")]
ONE = ["forwarder one"]
BOTH = ["relay", "coturn"]
CPU = "cpu_us_per_packet"


# -- how one cell is measured: with (target, arguments, load) -> figures by name

def traffic(target, arguments, load):
    return generate(target, *arguments, transport=load.transport)


def strangers(target, arguments, load):
    """What is left in memory of sources that never authenticated; others came before, so that what the process needs for itself is there."""
    traffic(target, arguments, load)
    before = machine.resident_bytes(target.process.pid)
    report = traffic(target, arguments, load)
    return {**report, "resident_bytes_each": (machine.resident_bytes(target.process.pid) - before) / report["clients"]}


def beside(target, arguments, load):
    """Traffic of some clients, while others (--idle) only have their allocations."""
    if "--idle" not in arguments:
        return traffic(target, arguments, load)
    at = arguments.index("--idle")
    holder = hold_until_told(target, ["--load", "hold", "--held", arguments[at + 1]])
    try:
        return traffic(target, arguments[:at] + arguments[at + 2:], load)
    finally:
        holder.send_signal(signal.SIGINT)
        holder.communicate(timeout=machine.START_S)


def policy(_, arguments, __):
    """What a hook takes, without a network."""
    done = subprocess.run([RELAY, "bench-policy", *arguments, "--json"], capture_output=True, text=True, check=True, preexec_fn=machine.pinned(machine.SERVER_CPU))
    hook = json.loads(done.stdout)[0]
    return {"p50_us": hook["p50_ns"] / 1000, "p99_us": hook["p99_ns"] / 1000}


def beginning(target, _, __):
    """The target was started for this round alone."""
    return {"start_s": target.start_s}


def many(target, arguments, load):
    """More clients than one generator has descriptors for: several of them, which come after each other and hold together."""
    before, pid = machine.resident_bytes(target.process.pid), target.process.pid
    held, total = [], 0
    try:
        for address in machine.MORE_CLIENT[:load.generators]:
            held.append(hold_until_told(target, [*arguments, "--from", address]))
            total += load.held
        return {"clients": total, "resident_bytes_each": (machine.resident_bytes(pid) - before) / total, "resident_bytes_held": machine.resident_bytes(pid)}
    finally:
        for process in held:
            process.send_signal(signal.SIGINT)
        for process in held:
            process.communicate(timeout=machine.START_S)


def hold_until_told(target, arguments):
    process = machine.start(generator(target, "--seconds", "240", *arguments), LOAD_CPU, target.network.client, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    before, quiet = -1, 0
    while quiet < 2 and process.poll() is None:  # as long as the server works, they come
        time.sleep(0.5)
        now = machine.spent_ns([target.process.pid])
        quiet = quiet + 1 if now - before < 20e6 else 0
        before = now
    if process.returncode is not None:
        fail(f"{target.name}: the holder ended: {process.communicate()[1].strip()}")
    return process


@dataclasses.dataclass
class Load:
    title: str
    cells: dict  # name: (target, arguments)
    arguments: list = dataclasses.field(default_factory=list)
    figure: str = CPU
    unit: str = "us"
    network: type = Loopback
    transport: str = "udp"
    wants: Wants = dataclasses.field(default_factory=Wants)
    measure: object = traffic
    seconds: int = 2       # of one run; 0: it ends by itself
    rounds: int = 0        # 0: as many as asked for; else so many, and none is thrown away
    anew: bool = False     # the target is started for each run
    held: int = 0
    generators: int = 0
    chart: str = ""        # its name in the chart, if it is there


def of(targets, **arguments):
    return {target: (target, arguments.get(target, [])) for target in targets}


def relaying(direction, *more):
    return ["--load", "relay", "--direction", direction, *more]


PACED = ["--clients", "1000", "--rate", "50000"]
BURSTS = ["--clients", "100", "--rate", "50000", "--bytes", "1200", "--burst", "8"]
SATURATED = ["--clients", "100", "--window", "64"]
TLS = Wants(tls=True)
PLAIN = ["relay", "relay-plain", "coturn"]
FRAMES = ["relay", "relay-packet", "coturn"]
ALL_OURS = ["relay", "relay-packet", "relay-plain", "coturn"]

ARROWS = {"up": "client to peer", "down": "peer to client"}


def ways(name, title, paced, chart="", **how):
    """The load in both directions."""
    return {f"{name}-{way}": Load(f"{title}, {arrow}", arguments=relaying(way, *paced), chart=chart.format(way), **how) for way, arrow in ARROWS.items()}


LOADS = {
    **ways("lo", "50,000 packets/s, 1,000 clients, 172 bytes, loopback", PACED, "paced {}, loopback", cells=of([*ALL_OURS, *CHANNEL])),
    **ways("veth", "50,000 packets/s, 1,000 clients, 172 bytes, between two namespaces", PACED, "paced {}, two hosts", cells=of([*FRAMES, *CHANNEL]), network=Cable),
    **ways("burst", "50,000 packets/s in bursts of 8, 100 clients, 1,200 bytes, loopback", BURSTS, "bursts {}, loopback", cells=of([*PLAIN, *CHANNEL])),
    **ways("veth-burst", "50,000 packets/s in bursts of 8, 100 clients, 1,200 bytes, between two namespaces", BURSTS, cells=of([*FRAMES, *CHANNEL]), network=Cable),
    **ways("saturated", "as fast as it goes, 100 clients, 172 bytes, loopback", SATURATED, "saturated {}, loopback", cells=of([*ALL_OURS, *CHANNEL])),
    **ways("tcp", "ChannelData over TCP, as fast as it goes, 100 clients, 172 bytes, loopback", SATURATED, "TCP {}", cells=of(BOTH), transport="tcp"),
    **ways("tls", "ChannelData over TLS, as fast as it goes, 100 clients, 172 bytes, loopback", SATURATED, "TLS {}", cells=of(BOTH), transport="tls", wants=TLS),
    "pair": Load("two clients of this server, as fast as it goes, 100 clients, 172 bytes, for a packet from end to end", of(["relay", "coturn", *CHANNEL]),
                 relaying("pair", *SATURATED), chart="both ends here"),
    "pair-paced": Load("two clients of this server, 50,000 packets/s, 1,000 clients, 172 bytes, for a packet from end to end", of(["relay", "coturn", *CHANNEL]),
                       relaying("pair", *PACED)),
    "binding": Load("Binding requests, as fast as it goes, 100 clients", of([*BOTH, *ONE]), ["--load", "binding", *SATURATED], chart="Binding"),
    "allocate": Load("Allocate and Refresh(0), authenticated, 16 clients; ours with policies/quota.lua", of(["relay-quota", "relay", "coturn", *ONE]),
                     ["--load", "allocate", "--clients", "16"], chart="Allocate"),
    "hold": Load("10,000 allocations held: resident bytes each", of([*BOTH, *ONE]), ["--load", "hold", "--held", "10000"], figure="resident_bytes_each",
                 unit="bytes", anew=True, rounds=3, seconds=1, chart="memory, 10,000 held"),
    "hold-tcp": Load("1,000 clients over TCP held: resident bytes each", of(BOTH), ["--load", "hold", "--held", "1000"], figure="resident_bytes_each",
                     unit="bytes", transport="tcp", anew=True, rounds=3, seconds=1),
    "hold-tls": Load("1,000 clients over TLS held: resident bytes each", of(BOTH), ["--load", "hold", "--held", "1000"], figure="resident_bytes_each",
                     unit="bytes", transport="tls", wants=TLS, anew=True, rounds=3, seconds=1),
    "hold-many": Load("100,000 allocations held on one process, four relay addresses: resident bytes each", of(["relay"]),
                      ["--load", "hold", "--held", "12500"], figure="resident_bytes_each", unit="bytes", measure=many, generators=8, held=12500, seconds=0,
                      wants=Wants(relay_from=tuple(machine.MORE_SERVER)), anew=True, rounds=1),
    "strangers": Load("10,000 sources that ask for Binding and never authenticate: resident bytes each", of(BOTH),
                      ["--load", "binding", "--clients", "10000", "--window", "64", "--packets", "40000"], figure="resident_bytes_each", unit="bytes",
                      measure=strangers, anew=True, rounds=3, seconds=0),
    "overload": Load("400,000 packets/s asked for, 100 clients, 172 bytes, client to peer: the least share of a client, of the mean", of(BOTH),
                     relaying("up", "--clients", "100", "--rate", "400000"), figure="share_least", unit="of the mean"),
    "live": Load("10 and 10,000 live allocations, 50,000 packets/s, client to peer", {
        f"{target} {count}": (target, ["--clients", str(count)]) for target in BOTH for count in (10, 10000)}, relaying("up", "--rate", "50000"),
        anew=True),  # for a while coturn knows whoever left, and has another come by his port
    "live-idle": Load("10 clients, alone and beside 9,990 that are idle, 50,000 packets/s, client to peer", {
        f"{target} {name}": (target, more) for target in BOTH for name, more in (("10", []), ("10 of 10000", ["--idle", "9990"]))},
        relaying("up", "--clients", "10", "--rate", "50000"), measure=beside),
    "policy": Load("policies/quota.lua: one authorize", of(["relay"]), [f"{ROOT}/policies/quota.lua", "authorize", "--lua-dir", f"{ROOT}/lua"], figure="p50_us",
                   measure=policy, seconds=0),
    "start": Load("from exec to the first answer, relay ports 1024 to 65535", of(BOTH), figure="start_s", unit="s", measure=beginning, anew=True, rounds=5,
                  wants=Wants(ports=(1024, 65535), patience_s=60)),
}


# -- what the figures are held to

@dataclasses.dataclass
class Goal:
    """`over` divided by `under`, the median of the rounds' ratios, or `over` alone, is at least or at most so much. FORWARDER: the cheapest way in that load."""

    says: str
    load: str
    over: str
    under: str = ""
    at_least: float = None
    at_most: float = None
    figure: str = ""  # another than the load's own


FORWARDER = "the cheapest forwarder"


def each_way(says, loads, over, under, **bound):
    return [Goal(f"{says} {load.rpartition('-')[2]}", load, over, under, **bound) for load in loads]


def both(load):
    return [f"{load}-up", f"{load}-down"]


GOALS = [
    *(Goal(f"1. ours / the cheapest forwarder, {load}", load, "relay", FORWARDER, at_most=1.15)
      for load in [*both("lo"), *both("veth"), *both("burst"), *both("saturated")]),
    *(Goal(f"1. ours with relay-send=packet / the cheapest forwarder, {load}", load, "relay-packet", FORWARDER, at_most=1.15)
      for load in [*both("lo"), *both("veth"), *both("saturated")]),
    *each_way("1. coturn / ours, paced, loopback,", both("lo"), "coturn", "relay", at_least=1.7),
    *each_way("1. coturn / ours with relay-send=packet, paced, loopback,", both("lo"), "coturn", "relay-packet", at_least=1.7),
    Goal("1. coturn / ours, paced, two hosts, up", "veth-up", "coturn", "relay", at_least=2.2),
    Goal("1. coturn / ours, paced, two hosts, down", "veth-down", "coturn", "relay", at_least=1.9),
    Goal("1. coturn / ours with relay-send=packet, paced, two hosts, up", "veth-up", "coturn", "relay-packet", at_least=2.2),
    Goal("1. coturn / ours with relay-send=packet, paced, two hosts, down", "veth-down", "coturn", "relay-packet", at_least=1.9),
    *each_way("1. coturn / ours, bursts,", both("burst"), "coturn", "relay", at_least=1.8),
    *each_way("1. coturn / ours, saturated,", both("saturated"), "coturn", "relay", at_least=1.45),
    *each_way("1. coturn / ours with relay-send=packet, saturated,", both("saturated"), "coturn", "relay-packet", at_least=1.45),
    *each_way("1. coturn / ours without privileges, paced, loopback,", both("lo"), "coturn", "relay-plain", at_least=1.4),
    *each_way("1. coturn / ours without privileges, bursts,", both("burst"), "coturn", "relay-plain", at_least=1.8),
    Goal("2. ours / coturn, both ends here, saturated", "pair", "relay", "coturn", at_most=0.5),
    Goal("2. ours / coturn, both ends here, paced", "pair-paced", "relay", "coturn", at_most=0.5),
    *(Goal(f"3. system calls for a packet, saturated, {load.rpartition('-')[2]}", load, "relay", at_most=0.8, figure="system_calls_per_packet")
      for load in both("saturated")),
    Goal("4. coturn / ours with quota.lua, Allocate and Refresh(0)", "allocate", "coturn", "relay-quota", at_least=6),
    Goal("4. ours with quota.lua / without a policy", "allocate", "relay-quota", "relay", at_most=1.05),
    Goal("4. authorize of quota.lua, us", "policy", "relay", at_most=1.0),
    Goal("5. ours / coturn, memory of a held allocation", "hold", "relay", "coturn", at_most=0.1),
    Goal("5. memory of an unauthenticated source, bytes", "strangers", "relay", at_most=0.5),
    Goal("6. coturn / ours, Binding", "binding", "coturn", "relay", at_least=1.5),
    *(Goal(f"6. ours / coturn, {load.replace('-', ' ')}", load, "relay", "coturn", at_most=0.8) for load in [*both("tcp"), *both("tls")]),
    Goal("6. ours / coturn, memory of a client over TCP", "hold-tcp", "relay", "coturn", at_most=0.25),
    Goal("6. ours / coturn, memory of a client over TLS", "hold-tls", "relay", "coturn", at_most=0.25),
    *(Goal(f"7. ours / coturn, {figure.partition('_')[0]} latency at half load, {load.rpartition('-')[2]}", load, "relay", "coturn", at_most=1.0, figure=figure)
      for load in both("lo") for figure in ("p50_us", "p99_us")),
    Goal("7. the least share of a client at overload", "overload", "relay", at_least=0.5),
    Goal("8. ours, 10,000 live allocations that relay / 10", "live", "relay 10000", "relay 10", at_most=1.2),
    Goal("8. ours, 10 that relay and 9,990 idle ones / 10", "live-idle", "relay 10 of 10000", "relay 10", at_most=1.2),
    Goal("8. start to first answer, seconds", "start", "relay", at_most=0.2),
]
