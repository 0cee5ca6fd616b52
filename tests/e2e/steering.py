"""Relaying by one socket of the worker for all relay ports: where it can be had, what it holds, what it leaves alone, and what is said of it."""
import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess

from support import stun
from support.client import Peer, even_port
from support.namespaces import Namespaces, ip
from support.route import Route
from support.server import BINARY, Server, need, run_relay
from support.tap import check, check_equal, main, skip, test, wait_for

PATIENT = True

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h
CAPABILITIES = ("net_admin", "net_raw", "bpf", "sys_admin")


def need_privileges():
    code, _, said = run_relay("--check-config", "--realm=example.org", "--user=ann:secret", "--relay-ip=127.0.0.1", "--relay-steering=on")
    if code != 0:
        skip(f"no steering here: {said.splitlines()[-1]}")


def way(log):
    return [line.split("relay_sockets ", 1)[1] for line in log.splitlines() if " relay_sockets " in line]


def echo(server, transport="udp", size=100):
    """A client and a peer that has heard from it and answered."""
    with server.client(transport) as client, Peer(server.host) as peer:
        relayed = client.relayed()
        check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
        client.send_to(peer.address, b"u" * size)
        check_equal(peer.receive(), (b"u" * size, relayed), "what the peer received")
        peer.send(b"d" * size, relayed)
        check_equal(client.receive_data(), (peer.address, b"d" * size), "what the client received")


def udp_sockets(server):
    """Of the process: how many are UDP."""
    inodes = set()
    for table in ("udp", "udp6"):
        with open(f"/proc/{server.process.pid}/net/{table}", encoding="ascii") as file:
            inodes |= {line.split()[9] for line in file.read().splitlines()[1:]}
    names = (os.readlink(f"/proc/{server.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{server.process.pid}/fd"))
    return sum(name.startswith("socket:[") and name[8:-1] in inodes for name in names)


@test
def datagrams_of_all_sizes_go_both_ways_over_both_families():
    need_privileges()
    for host in ("127.0.0.1", "::1"):
        with Server("relay-steering=on", host=host, threads=2) as server:
            for size in (0, 1, 7, 8, 9, 1199, 1233, 1400, 9000):
                echo(server, size=size)
            echo(server, "tcp")


@test
def what_is_longer_than_a_batch_takes_goes_to_a_peer_too():
    need_privileges()
    for way_of_it in ("on", "off"):
        with Server(f"relay-steering={way_of_it}") as server, server.client("tcp") as client, Peer(server.host) as peer:
            relayed = client.relayed()
            check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
            for size in (9216, 9217, 20000):
                client.send_to(peer.address, b"u" * size)
                check_equal(peer.receive(), (b"u" * size, relayed), f"what the peer received of {size} bytes, relay-steering={way_of_it}")


@test
def a_listener_on_all_addresses_answers_from_the_one_that_was_asked():
    need_privileges()
    for host, all_addresses, asked in (("127.0.0.1", "0.0.0.0", "127.0.0.2"), ("::1", "::", "::1")):
        server = Server("relay-steering=on", host=host)
        with open(server.config, encoding="utf-8") as file:
            server.write("turnserver.conf", file.read().replace(f"listening-ip={host}", f"listening-ip={all_addresses}"))
        with server:
            server.host = asked
            with server.client() as client, Peer(host) as peer:  # of whom no other address is heard
                relayed = client.relayed()
                check_equal(client.bind(0x4000, peer.address).code, 0, "the answer to ChannelBind")
                for size in (1, 1200, 9000):
                    peer.send(b"d" * size, relayed)
                    check_equal(client.receive_data(), (0x4000, b"d" * size), "what the client received")


@test
def a_port_that_the_system_may_give_away_is_held_by_a_socket():
    need_privileges()
    with Server("relay-steering=on") as server, contextlib.ExitStack() as stack:
        before = udp_sockets(server)
        relayed = [stack.enter_context(server.client()).relayed() for _ in range(5)]
        check_equal(udp_sockets(server) - before, 5, "sockets of five allocations")
        for address in relayed:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                try:
                    other.bind(address)
                    check(False, f"another program has taken {address}")
                except OSError:
                    pass
        check_equal(way(server.log()), ["for=worker holds_ports=yes send=raw"], "the line of the log")


@test
def a_port_that_it_does_not_give_away_needs_no_socket():
    need_privileges()
    with Server("relay-steering=on", ports=64) as server, contextlib.ExitStack() as stack:
        before = udp_sockets(server)
        clients = [stack.enter_context(server.client()) for _ in range(20)]
        relayed = [client.relayed() for client in clients]
        check_equal(udp_sockets(server) - before, 0, "sockets of twenty allocations")
        check_equal(len(set(relayed)), 20, "relayed addresses")
        echo(server)
        peer = stack.enter_context(Peer())
        for client, address in zip(clients, relayed):
            client.permit(peer.address)
            client.send_to(peer.address, b"from %d" % address[1])
            check_equal(peer.receive(), (b"from %d" % address[1], address), "what the peer received")
            peer.send(b"to %d" % address[1], address)
            check_equal(client.receive_data(), (peer.address, b"to %d" % address[1]), "what that client received")
        check_equal(way(server.log()), ["for=worker holds_ports=no send=raw"], "the line of the log")


def leave_to_another(count):
    """All ports of a range but another program's are allocated, without a pause."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, Server("relay-steering=on", ports=count) as server:
        taken = server.relay_ports[3]
        other.bind(("127.0.0.1", taken))
        other.settimeout(3)
        with contextlib.ExitStack() as stack, Peer() as peer:
            clients = [stack.enter_context(server.client()) for _ in range(count - 1)]
            ports = {client.relayed()[1] for client in clients}
            check_equal(ports, set(server.relay_ports) - {taken}, "relay ports")
            peer.send(b"for the other", ("127.0.0.1", taken))
            check_equal(other.recv(100), b"for the other", "what the other program received")


@test
def a_port_of_another_program_is_left_to_it():
    need_privileges()
    leave_to_another(8)  # asked about one by one


@test
def also_where_so_many_are_asked_about_that_all_are_looked_at():
    need_privileges()
    leave_to_another(100)


@test
def a_port_that_no_allocation_has_is_answered_as_ever():
    need_privileges()
    with Server("relay-steering=on", ports=8) as server:
        with server.client() as client, Peer() as peer:
            relayed = client.relayed()
            for port in server.relay_ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knocking:
                    knocking.settimeout(0.2 if port == relayed[1] else 3)
                    knocking.connect(("127.0.0.1", port))
                    knocking.send(b"is anybody there")
                    try:
                        knocking.recv(1)
                        refused = False
                    except ConnectionRefusedError:
                        refused = True
                    except TimeoutError:
                        refused = False
                    check_equal(refused, port != relayed[1], f"whether {port} is refused beside {relayed}")
            check_equal(client.refresh(0).code, 0, "the end of the allocation")
            peer.socket.connect(relayed)
            peer.socket.send(b"nobody any more")
            try:
                peer.receive()
                check(False, "a port that was given back is not refused")
            except ConnectionRefusedError:
                pass


@test
def two_servers_share_a_range_and_take_nothing_from_each_other():
    need_privileges()
    with Server("relay-steering=on") as one, Server("relay-steering=on") as two, Server("relay-steering=off") as three:
        for _ in range(5):
            for server in (one, two, three):
                echo(server)


@test
def a_reserved_sibling_belongs_to_who_claims_it():
    need_privileges()
    with Server("relay-steering=on", threads=2, ports=64) as server, server.client() as first, server.client() as second, Peer() as peer:
        answer = first.allocate(even_port(True))
        check_equal(answer.code, 0, "the answer to EVEN-PORT")
        check_equal(second.allocate((stun.RESERVATION_TOKEN, answer.get(stun.RESERVATION_TOKEN))).code, 0, "the answer to the token")
        check_equal(second.permit(peer.address).code, 0, "the answer to CreatePermission")
        second.send_to(peer.address, b"from the sibling")
        data, address = peer.receive()
        check_equal(data, b"from the sibling", "what the peer received")
        peer.send(b"back", address)
        check_equal(second.receive_data(), (peer.address, b"back"), "what the second client received")


@test
def what_the_peers_network_says_reaches_the_client():
    need_privileges()
    for host, kind in (("127.0.0.1", (3, 3)), ("::1", (1, 4))):
        with Server("relay-steering=on", host=host, threads=2) as server, server.client("tcp") as client:
            client.relayed()
            with Peer(host) as gone:
                address = gone.address
            check_equal(client.permit(address).code, 0, "the answer to CreatePermission")
            client.send_to(address, b"is anybody there")
            check_equal(client.receive_error(), (address, *kind, 0), "what the client was told")


def without(capabilities, *arguments):
    need("setpriv")
    dropped = ",".join(f"-{name}" for name in capabilities)
    return subprocess.run(["setpriv", f"--bounding-set={dropped}", "--inh-caps=-all", BINARY, "--realm=example.org", "--user=ann:secret", "--listening-ip=127.0.0.1",
                           "--relay-ip=127.0.0.1", *arguments], capture_output=True, text=True, timeout=20, check=False)


@test
def without_a_privilege_it_goes_on_by_a_socket_each_and_says_what_is_missing():
    need_privileges()
    for capabilities, named in ((("net_raw",), ["CAP_NET_RAW"]), (("net_admin",), ["CAP_NET_ADMIN"]), (("bpf", "sys_admin"), ["CAP_BPF"]),
                                (CAPABILITIES, ["CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW"])):
        done = without(capabilities, "--check-config")
        check_equal(done.returncode, 0, "the exit code")
        line = next(line for line in done.stdout.splitlines() if line.startswith("relay sockets"))
        check(line.split()[2:6] == ["one", "for", "each", "allocation;"] and all(name in line for name in named), line)
        refused = without(capabilities, "--check-config", "--relay-steering=on")
        check_equal(refused.returncode, 1, "the exit code with relay-steering=on")
        check("relay-steering: " + ", ".join(named) in refused.stderr, refused.stderr)


@test
def the_way_is_told_by_check_config():
    need_privileges()
    for options, said in ((["--relay-steering=off"], "one for each allocation (relay-steering=off)"), (["--min-port=30000", "--max-port=30100"], "one for each worker"),
                          (["--min-port=40000"], "one for each worker, and one that holds the port of each allocation; "
                                                 "without those when net.ipv4.ip_local_reserved_ports has 40000-65535")):
        code, out, _ = run_relay("--check-config", "--realm=example.org", "--user=ann:secret", "--relay-ip=127.0.0.1", *options)
        check_equal(code, 0, "the exit code")
        check(f"relay sockets   {said}\n" in out, out)


@test
def frames_need_steering():
    code, _, said = run_relay("--check-config", "--realm=example.org", "--user=ann:secret", "--relay-ip=127.0.0.1", "--relay-steering=off", "--relay-send=packet")
    check_equal(code, 1, "the exit code")
    check("relay-send: packet is of no use with relay-steering=off" in said, said)
    need_privileges()
    code, out, _ = run_relay("--check-config", "--realm=example.org", "--user=ann:secret", "--relay-ip=127.0.0.1", "--relay-send=packet")
    check_equal(code, 0, "the exit code")
    check("\nrelay sending   frames to neighbours" in out, out)


@test
def privileges_are_needed_at_the_start_only():
    need_privileges()
    if os.geteuid() != 0:
        skip("becoming another user needs root")
    with Server("relay-steering=on", "proc-user=nobody", "proc-group=nogroup") as server:
        for size in (100, 9000):
            echo(server, size=size)
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            check("CapEff:\t0000000000000000\n" in file.read(), "it still has capabilities")


class Reserved(Namespaces):
    NAMES = ("reserved",)

    def wire(self):
        ip("netns", "exec", self.reserved, "sysctl", "-qw", "net.ipv4.ip_local_reserved_ports=40000,49152-60000,60001-65535")


@test
def reserved_ports_need_no_socket():
    need_privileges()
    with Reserved() as place, place.inside(place.reserved), Server("relay-steering=on") as server, server.client() as client:
        before = udp_sockets(server)
        client.relayed()
        check_equal(udp_sockets(server) - before, 0, "sockets of an allocation")
        check_equal(way(server.log()), ["for=worker holds_ports=no send=raw"], "the line of the log")
        echo(server)


def fill_in_checksums(device):
    """The device does not, so that the system has to, and who receives looks at them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        wish = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", device.encode(), ctypes.addressof(wish)))


class Filtered:
    """A relay, whose packet filters count what it sends, and a client and a peer behind a router; or `near`: on its own machine, which counts them too."""

    def __init__(self, stack, version, send, near=False, takes_own="0"):
        self.route = stack.enter_context(Route())
        where, address = (self.route.relay, self.route.RELAY[version]) if near else (self.route.peer, self.route.PEER[version])
        self.route.switch(self.route.relay, "net/ipv4/conf/lo/accept_local", takes_own)
        ip("netns", "exec", self.route.relay, "nft", "-f", "-",
           stdin="table inet t { counter out {}; chain o { type filter hook output priority 0; meta l4proto udp counter name out; }; }")
        with self.route.inside(self.route.relay):
            fill_in_checksums("out")
        with self.route.inside(where):
            self.peer = stack.enter_context(Peer(address))
        with self.route.inside(self.route.relay):
            server = stack.enter_context(Server("relay-steering=on", f"relay-send={send}", peers=["allowed-peer-ip=10.99.0.0/16", "allowed-peer-ip=fd99::/16"],
                                                host=self.route.RELAY[version]))
        with self.route.inside(where):
            self.client = stack.enter_context(server.client(local=(address, 0)))
        self.relayed = self.client.relayed()
        check_equal(self.client.permit(self.peer.address).code, 0, "the answer to CreatePermission")

    def count(self):
        with self.route.inside(self.route.relay):
            listing = subprocess.run(["nft", "-j", "list", "counters"], capture_output=True, text=True, check=True).stdout
        return next(row["counter"]["packets"] for row in json.loads(listing)["nftables"] if "counter" in row)

    def seen(self):
        """Of 10 datagrams, which all arrive, and are answered."""
        before = self.count()
        for number in range(10):
            data = b"%069d" % number
            self.client.send_to(self.peer.address, data)
            check_equal(self.peer.receive(), (data, self.relayed), "what the peer received")
            self.peer.send(data, self.relayed)
            check_equal(self.client.receive_data(), (self.peer.address, data), "what the client received")
        return self.count() - before


@test
def frames_go_past_packet_filters_and_all_else_does_not():
    need_privileges()
    need("nft")
    for version in (4, 6):
        with contextlib.ExitStack() as stack:
            place = Filtered(stack, version, "raw")
            check_equal([place.seen() for _ in range(3)], [20, 20, 20], "what the filters saw with relay-send=raw")
        with contextlib.ExitStack() as stack:
            place = Filtered(stack, version, "packet")
            wait_for(lambda: place.seen() <= 2, what="frames, once the neighbour is known")


@test
def frames_stay_on_this_machine_where_it_takes_them():
    need_privileges()
    need("nft")
    of_others = 20
    for version, takes_own, framed in ((4, "0", False), (4, "1", True), (6, "0", True)):
        with contextlib.ExitStack() as stack:
            place = Filtered(stack, version, "packet", near=True, takes_own=takes_own)
            if framed:
                wait_for(lambda: place.seen() <= 2 + of_others, what="frames, once it was asked")
            else:
                check_equal([place.seen() for _ in range(3)], [20 + of_others] * 3, "what the filters saw where nothing of its own is taken")


if __name__ == "__main__":
    main()
