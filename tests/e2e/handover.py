"""What one client of the server relays to another is handed over inside: over all transports, within a worker and from one to another, in order."""
import contextlib

from support.openssl import DtlsClient
from support.prometheus import scrape
from support.server import Server
from support.tap import check_equal, main, smoke, test, wait_for

PATIENT = True

KINDS = ("udp", "tcp", "tls", "dtls")
WORKERS = 2
ROUNDS, WINDOW = 20, 50  # as many as wait in a socket's buffer, whatever the system's defaults


def server_of(*lines, **how):
    return Server("admin-socket=door", "verbose", *lines, threads=WORKERS, **how)


def on_each_worker(server, stack, kind):
    """A client of the kind on each worker, with its relayed address: [(client, address)]."""
    found = {}
    while len(found) < WORKERS:
        client = stack.enter_context(DtlsClient(server) if kind == "dtls" else server.client(kind))
        made = len(server.workers())
        at = client.relayed()
        found.setdefault(wait_for(lambda: server.workers()[made:], what="its line in the log")[0], (client, at))
    for client, at in found.values():
        check_equal(client.permit(at).code, 0, "a permission for all relayed addresses, which are of one address")
    return [found[worker] for worker in sorted(found)]


def handed_over(server):
    now = scrape(server)
    return {worker: now("relay_handed_over_packets_total", worker=worker) for worker in ("same", "other")}


def packets(server, kind, direction):
    return scrape(server)("relay_packets_total", transport=kind, direction=direction)


def talk(ends):
    """Each sends to each, itself too: how many packets that was."""
    for number, (client, at) in enumerate(ends):
        for other, there in ends:
            text = b"%d to %d" % (number, there[1])
            client.send_to(there, text)
            check_equal(other.receive_data(), (at, text), f"what the client over {other.transport} got of the one over {client.transport}")
    return len(ends) ** 2


@smoke
def over_all_transports_within_a_worker_and_to_another():
    with server_of(tls=True) as server, contextlib.ExitStack() as stack:
        ends = [end for kind in KINDS for end in on_each_worker(server, stack, kind)]
        half = talk(ends) / 2
        wait_for(lambda: handed_over(server) == {"same": half, "other": half}, what="the metric: half of them to another worker")
        wait_for(lambda: {packets(server, kind, direction) for kind in KINDS for direction in ("in", "out")} == {WORKERS * len(ends)},
                 what="the metric: each packet is counted at both its ends")


@test
def with_no_local_handover_they_go_by_the_sockets():
    with server_of("no-local-handover") as server, contextlib.ExitStack() as stack:
        ends = [end for kind in ("udp", "tcp") for end in on_each_worker(server, stack, kind)]
        talk(ends)
        wait_for(lambda: packets(server, "udp", "in") == packets(server, "tcp", "out") == 2 * len(ends), what="the metric")
        check_equal(handed_over(server), {"same": 0, "other": 0}, "packets that were handed over")


def bind_both(one, other, number):
    for (client, _), (_, there) in ((one, other), (other, one)):
        check_equal(client.bind(number, there).code, 0, "the answer to ChannelBind")


@test
def packets_of_one_sender_arrive_in_order():
    """By channel and by Send in turn, from and to streams and datagrams; the receiver has a channel, so that all come alike."""
    with server_of() as server, contextlib.ExitStack() as stack:
        udp, tcp = (on_each_worker(server, stack, kind) for kind in ("udp", "tcp"))
        pairs = ((udp[0], udp[1]), (tcp[0], udp[1]), (udp[0], tcp[1]), (tcp[0], tcp[1]), (udp[0], tcp[0]))
        for channel, (one, other) in enumerate(pairs, 0x4000):
            bind_both(one, other, channel)
            for number in range(ROUNDS):
                sent = [b"%d" % (number * WINDOW + i) for i in range(WINDOW)]
                for client, there in ((one[0], other[1]), (other[0], one[1])):
                    for i, text in enumerate(sent):
                        if i % 2:
                            client.send_channel(channel, text)
                        else:
                            client.send_to(there, text)
                for client in (one[0], other[0]):
                    check_equal([client.receive_data() for _ in sent], [(channel, text) for text in sent], "what arrived")


@test
def to_a_port_that_nobody_holds_any_more_nothing_goes_and_whoever_takes_it_is_reached():
    with server_of() as server, contextlib.ExitStack() as stack:
        (one, at), (other, there) = on_each_worker(server, stack, "udp")
        one.send_to(there, b"before")
        check_equal(other.receive_data(), (at, b"before"), "what arrived")
        check_equal(other.refresh(0).code, 0, "the answer to Refresh")
        one.send_to(there, b"meanwhile")
        again = other.relayed()
        check_equal(other.permit(at).code, 0, "the answer to CreatePermission")
        one.send_to(again, b"after")
        check_equal(other.receive_data(), (at, b"after"), "what arrived")


if __name__ == "__main__":
    main()
