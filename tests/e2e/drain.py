"""The end that lets clients go in their own time: by SIGTERM, SIGUSR1 and relay drain."""
import contextlib
import re
import signal
import time

from support import stun
from support.client import Peer, transport
from support.door import ask, ask_json
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

LATE_S = 8.0 if SANITIZED else 2.0


def ended(server, limit_s=LATE_S):
    """The exit code of a server that ends by itself."""
    process, server.process = server.process, None
    return process.wait(limit_s)


def ready(server):
    status, body = ask_json(server, "/readyz")
    return status, body.get("reason")


def enter(server, **how):
    """The code of an Allocate; what it gets it gives back."""
    with server.client(**how) as client:
        code = client.allocate().code
        if code == 0:
            client.refresh(0)
        return code


def ask_first(server, over="udp"):
    """The answer to an Allocate without credentials."""
    with server.client(over) as client:
        return client.transact(stun.build(stun.ALLOCATE, [transport(stun.UDP)]))


@smoke
def sigterm_lets_clients_go_on_until_the_deadline():
    with Server("admin-socket=door", "drain-deadline=3", "max-allocate-lifetime=3600", threads=2) as server, Peer() as peer, server.client() as client, server.client() as second:
        relayed = client.relayed(lifetime=3600)
        second.relayed()
        client.bind(0x4000, peer.address)
        check_equal(ready(server), (200, None), "before")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ready(server) == (503, "draining"), what="it is not ready")
        wait_for(lambda: [enter(server) for _ in range(5)] == [508] * 5, limit_s=1, what="new ones are refused, on all workers")
        check_equal(ask_json(server, "/v1/explain")[1]["refusals"][0]["reason"], "draining", "why")
        check("\nrelay_draining 1\n" in ask(server, "/metrics")[1], "the metric")
        lifetime = second.refresh(3600).number(stun.LIFETIME)
        check(1 <= lifetime <= 3, f"a lifetime of {lifetime}")
        while time.monotonic() < begin + 2.5:
            client.send_channel(0x4000, b"on and on")
            check(peer.receive(), "what the client sends")
            peer.send(b"and back", relayed)
            check(client.receive_data(), "what the peer sends")
            time.sleep(0.05)
        check_equal(ended(server), 0, "the exit code")
        check(2.5 < time.monotonic() - begin < 3 + LATE_S, f"it took {time.monotonic() - begin:.1f} s")
        check(re.search(r" drained reason=deadline allocations=[12]\n", server.log()), "the log")


@test
def it_ends_with_the_last_allocation():
    with Server("admin-socket=door", "drain-deadline=600", threads=2) as server, server.client() as client, server.client() as other:
        client.relayed()
        other.relayed()
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ready(server)[0] == 503, what="it drains")
        check_equal(client.refresh(0).code, 0, "the first one's end")
        wait_for(lambda: ask_json(server, "/v1/drain")[1]["allocations"] == 1, what="one is left")
        check_equal(other.refresh(0).code, 0, "the last one's end")
        check_equal(ended(server), 0, "the exit code")
        check(" drained reason=empty " in server.log(), "the log")


@test
def a_second_sigterm_ends_it_at_once_and_so_does_the_first_without_a_deadline():
    for lines, signals in ((["drain-deadline=600"], 2), ([], 1)):
        with Server("admin-socket=door", *lines) as server, server.client() as client:
            client.relayed()
            for _ in range(signals - 1):
                server.process.send_signal(signal.SIGTERM)
                wait_for(lambda: ready(server)[0] == 503, what="it drains")
            server.process.send_signal(signal.SIGTERM)
            check_equal(ended(server), 0, "the exit code")


@test
def clients_are_sent_to_the_sibling():
    with Server("admin-socket=door", "drain-server=127.0.0.9:3479", threads=2, tls=True) as server, server.client() as client:
        client.relayed()
        server.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: ask_first(server).code == 300, limit_s=1, what="who comes is sent away, before the challenge")
        check_equal(ask_first(server).plain(stun.ALTERNATE_SERVER), ("127.0.0.9", 3479), "where")
        check_equal(ask_first(server, "tcp").code, 300, "over TCP")
        check_equal(enter(server, transport="tls"), 508, "over TLS, for which there is none")
        check_equal(client.refresh(600).number(stun.LIFETIME), 600, "without a deadline a lifetime is whole")
        client.refresh(0)
        check_equal(ended(server), 0, "the exit code")


@test
def relay_drain_begins_it_and_calls_it_off():
    with Server("admin-socket=door", "userdb=relay.db", "total-quota=2") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(2)]
        for client in clients:
            client.relayed()
        check_equal(ready(server), (503, "full: total-quota 2/2"), "a server that is full")
        check_equal(clients.pop().refresh(0).code, 0, "one goes")
        wait_for(lambda: ready(server) == (200, None), what="it is ready")
        for deadline, seconds in (("15m", 900), ("90", 90), ("2h", 7200)):
            said = server.relay("drain", "-c", server.config, "--deadline", deadline)
            until = int(re.fullmatch(r"draining until (\d+); 1 allocations\n", said)[1])
            check(seconds - 3 < until - time.time() <= seconds, f"until {until}")
        check_equal(ready(server), (503, "draining"), "while it drains")
        wait_for(lambda: enter(server) == 508, limit_s=1, what="new ones are refused")
        check_equal(server.relay("drain", "-c", server.config, "--cancel"), "not draining; 1 allocations\n", "what it says")
        check_equal(ready(server), (200, None), "when it was called off")
        wait_for(lambda: enter(server) == 0, limit_s=1, what="new ones are let in")
        for wrong in (("--deadline", "0"), ("--deadline", "x"), ("--deadline", "999h"), ("--deadline", "9m", "--cancel")):
            check_equal(run_relay("drain", "-c", server.config, *wrong)[0], 2, f"the exit code for {wrong}")
        for query in ({"deadline": 0}, {"deadline": "x"}, {"deadline": 604801}):
            check_equal(ask_json(server, "/v1/drain", "POST", **query)[0], 400, f"the status for {query}")
        server.relay("drain", "-c", server.config, "--deadline", "1s")
        check_equal(ended(server), 0, "the exit code")


if __name__ == "__main__":
    main()
