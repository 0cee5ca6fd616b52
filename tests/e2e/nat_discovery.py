"""How NATs behave, found out through the relay: RFC 5780 with two addresses, RFC 3489's clients, and coturn's tools behind NATs that are built to order."""
import concurrent.futures
import re
import subprocess

from support import stun
from support.behaviour import CHANGE_IP, CHANGE_PORT, Asker, change, filtering_of, mapping_of, response_port
from support.client import Client
from support.nats import ENDPOINT, HOMES, KINDS, OTHER, PORT, SERVER, outside
from support.server import Server, free_port, need
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

ONE, TWO = "127.0.0.1", "127.0.0.2"
CLASSIC_SOURCE, CLASSIC_CHANGED, RESPONSE_ADDRESS = 0x0004, 0x0005, 0x0002

# what stun-client calls each kind, in the words of RFC 3489 section 5
CLASSIC_NAMES = {"full cone": "Independent Mapping, Independent Filter", "restricted cone": "Independent Mapping, Address Dependent Filter",
                 "port restricted cone": "Independent Mapping, Port Dependent Filter", "address dependent": "Dependent Mapping",
                 "symmetric": "Dependent Mapping"}

# coturn's tool takes the address for its third test from the answer to its second, which names the first address again
COTURN_MAPPING = {"address dependent": PORT}


def discovering(*lines, hosts=(ONE, TWO), **how):
    """A server with two addresses; `server.other_port` is the other of its two ports."""
    port = free_port(hosts[0])
    server = Server("rfc5780", f"listening-ip={hosts[1]}", f"alt-listening-port={port}", *lines, host=hosts[0], **how)
    server.other_port = port
    return server


def run(*command, limit_s=30):
    need(command[0])
    return subprocess.run(command, capture_output=True, text=True, timeout=limit_s, errors="replace").stdout


@smoke
def answers_come_from_where_they_are_asked_to_and_say_so():
    with discovering(threads=2) as server:
        hosts, ports = (ONE, TWO), (server.port, server.other_port)
        for at in range(4):
            to = hosts[at >> 1], ports[at & 1]
            for flags in (None, 0, CHANGE_PORT, CHANGE_IP, CHANGE_IP | CHANGE_PORT):
                place = at ^ (flags or 0) >> 1
                with Asker(ONE) as asker:
                    message, source = asker.ask(to, *([] if flags is None else [change(flags)]))
                check_equal(source, (hosts[place >> 1], ports[place & 1]), f"where the answer to {flags} at {to} came from")
                check_equal(message.plain(stun.RESPONSE_ORIGIN), source, "RESPONSE-ORIGIN")
                check_equal(message.plain(stun.OTHER_ADDRESS), (hosts[at >> 1 ^ 1], ports[at & 1 ^ 1]), "OTHER-ADDRESS")
                check_equal((message.address(stun.XOR_MAPPED_ADDRESS), message.plain(stun.MAPPED_ADDRESS)), (asker.address, asker.address), "mapped")


@test
def an_answer_goes_to_the_port_that_is_asked_for():
    with discovering() as server, Asker(ONE) as one, Asker(ONE) as other:
        request = stun.build(stun.BINDING, [response_port(other.address[1])])
        one.socket.sendto(request, (ONE, server.port))
        message, source = other.wait(request[8:20], 3)
        check_equal((source, message.address(stun.XOR_MAPPED_ADDRESS)), ((ONE, server.port), one.address), "source, mapped")
        check_equal(one.wait(request[8:20], 0.1), None, "what the port that asked was told")
        message, _ = one.ask((ONE, server.port), response_port(other.address[1]), (stun.PADDING, b"\0" * 1500))
        check_equal(message.code, 400, "the answer to padding toward another port")


@test
def no_answer_is_padded_beyond_what_was_sent_nor_beyond_1500():
    with discovering() as server, Asker(ONE) as asker:
        for size in (0, 4, 100, 1500, 4000):
            message, _ = asker.ask((ONE, server.port), (stun.PADDING, b"p" * size))
            check_equal(message.get(stun.PADDING), b"\0" * min(size, 1500), f"the padding for {size} bytes")
        check_equal(asker.ask((ONE, server.port))[0].get(stun.PADDING), None, "the padding that nobody asked for")


@smoke
def all_of_it_is_off_unless_switched_on():
    for lines in ((), ("rfc5780", "stun-backward-compatibility", "rfc3489-compatibility", "no-rfc5780", "no-stun-backward-compatibility")):
        with Server(f"listening-ip={TWO}", *lines) as server, Asker(ONE) as asker:
            to = ONE, server.port
            check_equal(len(asker.ask(to)[0].data), 32, "the bytes of an answer")
            for wish in (change(0), change(CHANGE_IP), response_port(9), (stun.PADDING, b"\0" * 4)):
                message, _ = asker.ask(to, wish)
                check_equal((message.code, message.unknown), (420, [wish[0]]), f"the answer to {wish}")
            check_equal(asker.ask_classic(to), None, "the answer to an RFC 3489 request")


@test
def over_tcp_and_tls_the_other_address_is_told_and_wishes_are_400():
    with discovering(f"alt-tls-listening-port={free_port()}", tls=True) as server:
        for transport, other in (("tcp", server.other_port), ("tls", None)):
            with Client(server, transport) as client:
                told = client.binding().plain(stun.OTHER_ADDRESS)
                check_equal(told[0], TWO, "OTHER-ADDRESS")
                check(other in (told[1], None), f"OTHER-ADDRESS is {told}")
                for wish in (change(CHANGE_IP), change(CHANGE_PORT), response_port(9), (stun.PADDING, b"\0" * 4)):
                    check_equal(client.transact(stun.build(stun.BINDING, [wish])).code, 400, f"the answer to {wish} over {transport}")


@test
def mapped_address_alone_is_twelve_bytes_more():
    with Server("stun-backward-compatibility") as server, Asker(ONE) as asker:
        message, _ = asker.ask((ONE, server.port))
        check_equal((message.plain(stun.MAPPED_ADDRESS), len(message.data)), (asker.address, 44), "MAPPED-ADDRESS, bytes")
        check_equal((message.get(stun.RESPONSE_ORIGIN), message.get(stun.OTHER_ADDRESS)), (None, None), "RFC 5780's attributes")


@smoke
def an_rfc_3489_client_is_answered_as_it_expects():
    with discovering("rfc3489-compatibility", "fingerprint", "software=relay") as server, Asker(ONE) as asker:
        def place(host, port):
            return b"\0\1" + port.to_bytes(2, "big") + bytes(map(int, host.split(".")))

        for flags in (None, 0, CHANGE_PORT, CHANGE_IP, CHANGE_IP | CHANGE_PORT):
            found, source = asker.ask_classic((ONE, server.port), flags)
            where = TWO if (flags or 0) & CHANGE_IP else ONE, server.other_port if (flags or 0) & CHANGE_PORT else server.port
            check_equal(source, where, f"where the answer to {flags} came from")
            check_equal(found, {stun.MAPPED_ADDRESS: place(*asker.address), CLASSIC_SOURCE: place(*where),
                                CLASSIC_CHANGED: place(TWO, server.other_port)}, "the answer")


@test
def an_unknown_attribute_is_420_for_clients_of_every_age():
    with Server("rfc3489-compatibility") as server, Asker(ONE) as asker:
        message, _ = asker.ask((ONE, server.port), (0x7001, b""), (0x9001, b""))
        check_equal((message.code, message.unknown), (420, [0x7001]), "the answer to RFC 5389")
        found, _ = asker.ask_classic((ONE, server.port), CHANGE_IP)
        check_equal((found[stun.ERROR_CODE], found[stun.UNKNOWN_ATTRIBUTES]), (b"\0\0\4\x14", b"\0\3\0\3"), "the answer to RFC 3489")


@test
def behind_an_address_translation_the_public_addresses_are_told():
    with discovering(f"external-ip=192.0.2.1/{ONE}", f"external-ip=192.0.2.2/{TWO}") as server, Asker(ONE) as asker:
        message, source = asker.ask((ONE, server.port), change(CHANGE_IP))
        check_equal(source, (TWO, server.port), "where the answer came from")
        check_equal(message.plain(stun.RESPONSE_ORIGIN), ("192.0.2.2", server.port), "RESPONSE-ORIGIN")
        check_equal(message.plain(stun.OTHER_ADDRESS), ("192.0.2.2", server.other_port), "OTHER-ADDRESS")


@test
def coturns_tools_understand_the_answers():
    with discovering() as server:
        port, ways = str(server.port), {"mapping": "-m", "filtering": "-f"}
        check_equal(len(re.findall(r"RFC 5780 response \d", run("turnutils_stunclient", "-f", "-p", port, ONE))), 3, "answers to stunclient")
        for padding in ([], ["-P"]):
            for what, way in ways.items():
                said = run("turnutils_natdiscovery", way, *padding, "-p", port, ONE)
                check(f"NAT with Endpoint Independent {what.title()}!" in said, said)
                check("No ALG: Mapped == XOR-Mapped" in said, said)
        # section 4.6: the second answer is for a second socket, and comes to the first one
        said = run("turnutils_natdiscovery", "-t", "-T", "1", "-p", port, ONE)
        check_equal(len(set(re.findall(r"UDP reflexive addr: (\S+)", said))), 2, f"mappings told to one socket, by {said}")


def public_server():
    return discovering("rfc3489-compatibility", hosts=(SERVER, OTHER), threads=2)


def ask_everything(nats, server, name):
    """What each client, in the home of `name`, finds out."""
    host, port = f"{HOMES[name][2]}.1", str(server.port)
    commands = {"-m": ["turnutils_natdiscovery", "-m", "-p", port, SERVER], "-f": ["turnutils_natdiscovery", "-f", "-p", port, SERVER],
                "stun": ["stun", f"{SERVER}:{port}"]}

    def inside(work, *arguments):
        with nats.inside(getattr(nats, name)):
            return work(*arguments)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        said = {way: pool.submit(inside, run, *command) for way, command in commands.items()}
        ours = [pool.submit(inside, work, host, (SERVER, server.port)) for work in (mapping_of, filtering_of)]
        return [each.result() for each in ours], {way: each.result() for way, each in said.items()}


def discover(*kinds):
    """Each kind is found out to be what was built: by RFC 5780's tests of our own, by coturn's, by RFC 3489's."""
    for command in ("turnutils_natdiscovery", "stun"):
        need(command)
    with outside(*kinds, public_server) as (nats, server), concurrent.futures.ThreadPoolExecutor() as pool:
        for name, each in [(name, pool.submit(ask_everything, nats, server, name)) for name in HOMES]:
            kind, (ours, said) = nats.kinds[name], each.result()
            mapping, filtering = KINDS[kind][:2]
            check_equal(ours, [mapping, filtering], f"what a {kind} NAT was found to be")
            check(f"NAT with {COTURN_MAPPING.get(kind, mapping)} Mapping!" in said["-m"], f"{kind}: {said['-m']}")
            check(f"NAT with {filtering} Filtering!" in said["-f"], f"{kind}: {said['-f']}")
            check(CLASSIC_NAMES[kind] in said["stun"], f"{kind}: {said['stun']}")
            left, stopped = nats.counts(name)
            check(left > 0, "nothing left the home")
            check_equal(stopped > 0, filtering != ENDPOINT, f"whether a {kind} NAT stopped something")


@test
def cone_nats_are_found_out():
    discover("full cone", "restricted cone")


@test
def port_restricted_and_symmetric_nats_are_found_out():
    discover("port restricted cone", "symmetric")


@test
def a_nat_that_maps_by_address_is_found_out():
    discover("address dependent", "full cone")


if __name__ == "__main__":
    main()
