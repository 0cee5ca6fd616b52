"""Quotas are exact: over workers, over retransmissions, over errors; units taken are always live allocations."""
import contextlib
import os
import selectors
import time

from support import stun
from support.client import even_port, family, transport
from support.server import POLICIES, Server
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

ALLOWED = 50
TRIED = 100


def all_at_once(clients, requests, limit_s=5.0):
    """Sends one request per client without waiting in between, again every half second, and returns the answers in order."""
    answers = [None] * len(clients)
    with selectors.DefaultSelector() as selector:
        for index, client in enumerate(clients):
            selector.register(client.socket, selectors.EVENT_READ, index)
        deadline, repeat = time.monotonic() + limit_s, 0.0
        while None in answers:
            check(time.monotonic() < deadline, f"{answers.count(None)} of {len(clients)} requests were not answered")
            if time.monotonic() >= repeat:
                repeat = time.monotonic() + 0.5
                for client, request, answer in zip(clients, requests, answers):
                    if answer is None:
                        client.send(request)
            for key, _ in selector.select(0.05):
                clients[key.data].poll(0.01)
                tid = requests[key.data][8:20]
                answers[key.data] = next((message for message in clients[key.data].answers if message.tid == tid), answers[key.data])
    return answers


@contextlib.contextmanager
def crowd(server, count):
    """Clients that all know a nonce."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(count)]
        challenge = [stun.build(stun.ALLOCATE, [transport(stun.UDP)]) for _ in clients]
        for client, message in zip(clients, all_at_once(clients, challenge)):
            client.learn(message)
        yield clients


def allocate_all(clients):
    requests = [client.signed(stun.ALLOCATE, [transport(stun.UDP)]) for client in clients]
    return requests, all_at_once(clients, requests)


def holds_exactly(server, allowed, *, tried=TRIED):
    """The whole story of a quota: a rush, retransmissions, refusals, releases, and another rush."""
    with crowd(server, tried) as clients:
        requests, answers = allocate_all(clients)
        inside = [client for client, answer in zip(clients, answers) if answer.code == 0]
        outside = [client for client, answer in zip(clients, answers) if answer.code != 0]
        check_equal(len(inside), allowed, "allocations of the first rush")
        check_equal({answer.code for answer in answers}, {0, 486}, "the codes")
        again = all_at_once(clients, requests)
        relayed = [[answer.address(stun.XOR_RELAYED_ADDRESS) for answer in some] for some in (answers, again)]
        check_equal(relayed[0], relayed[1], "the relayed addresses after retransmission")
        for client in outside[:5]:
            for refused in ([even_port(True)], [(stun.RESERVATION_TOKEN, b"guessing")], [family(stun.IPV6)], [(0x7ABC, b"")]):
                check(client.allocate(*refused).code != 0, f"{refused} was granted")
        for client in inside[:allowed // 5]:
            check_equal(client.refresh(0).code, 0, "the answer to Refresh(0)")
        _, answers = allocate_all(outside)
        check_equal([answer.code for answer in answers].count(0), allowed // 5, "allocations after a fifth was released")
        for client in clients:
            client.refresh(0)
        _, answers = allocate_all(clients)
        check_equal([answer.code for answer in answers].count(0), allowed, "allocations of the second rush")


@smoke
def a_hundred_at_once_against_a_total_quota_of_fifty():
    with Server(f"total-quota={ALLOWED}", threads=2) as server:
        holds_exactly(server, ALLOWED)


@test
def a_hundred_at_once_against_a_user_quota_of_fifty():
    with Server(f"user-quota={ALLOWED}", threads=2) as server:
        holds_exactly(server, ALLOWED)


@smoke
def the_same_through_the_policy_with_its_total_realm_and_user_limits():
    for scope in ("total", "realm", "user"):
        limits = {"total": 1000, "realm": 1000, "user": 1000, "rate": 100000, scope: ALLOWED}
        with Server(*(f"set=quota.{name}={value}" for name, value in limits.items()), threads=2,
                    policies=[os.path.join(POLICIES, "quota.lua")]) as server:
            holds_exactly(server, ALLOWED)


@test
def a_policy_cannot_raise_the_limit_of_the_configuration():
    with Server("total-quota=5", "set=quota.rate=100000", "set=quota.user=100", policies=[os.path.join(POLICIES, "quota.lua")], threads=2) as server:
        holds_exactly(server, 5, tried=20)


@test
def the_attempt_rate_of_the_policy_refuses_the_impatient():
    with Server("set=quota.rate=5", policies=[os.path.join(POLICIES, "quota.lua")]) as server:
        codes = []
        for _ in range(8):
            with server.client() as client:
                codes.append(client.allocate().code)
                client.refresh(0)
        check_equal(codes, [0] * 5 + [486] * 3, "the codes")


@test
def users_have_quotas_of_their_own():
    with Server("user-quota=2", auth=["lt-cred-mech", "user=ann:secret", "user=bob:hunter2"], threads=2) as server, contextlib.ExitStack() as stack:
        codes = []
        for name, password in [("ann", "secret")] * 3 + [("bob", "hunter2")] * 3:
            codes.append(stack.enter_context(server.client(username=name, password=password)).allocate().code)
        check_equal(codes, [0, 0, 486, 0, 0, 486], "the codes")


@test
def a_rest_user_is_counted_by_name_not_by_expiry():
    with Server("user-quota=2", auth=["use-auth-secret", "static-auth-secret=s"]) as server, contextlib.ExitStack() as stack:
        codes = []
        for seconds in (100, 200, 300):
            username, password = stun.rest_credential("s", int(time.time()) + seconds, "carol")
            codes.append(stack.enter_context(server.client(username=username, password=password)).allocate().code)
        check_equal(codes, [0, 0, 486], "the codes")


@test
def a_unit_comes_back_when_ports_run_out():
    with Server("total-quota=3", threads=2, ports=2) as server, crowd(server, 4) as clients:
        codes = [client.allocate().code for client in clients]
        check_equal(codes, [0, 0, 508, 508], "the codes when two ports are left")
        clients[0].refresh(0)
        clients[1].refresh(0)
        check_equal([client.allocate().code for client in clients[2:]], [0, 0], "the codes after a release")


@test
def a_unit_comes_back_when_the_allocation_expires():
    with Server("total-quota=1", "max-allocate-lifetime=1") as server, server.client() as one, server.client() as other:
        check_equal(one.allocate().code, 0, "the first Allocate")
        check_equal(other.allocate().code, 486, "the second")
        wait_for(lambda: other.allocate().code == 0, 6, "the end of the first allocation")


if __name__ == "__main__":
    main()
