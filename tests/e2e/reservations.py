"""EVEN-PORT and RESERVATION-TOKEN where the workers are many: who reserves and who claims meet in the ledger alone. RFC 8656 sections 7.2 and 18.7."""
import itertools
import re

from support import stun
from support.client import Peer, even_port
from support.server import Server
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

TRANSPORTS = ("udp", "tcp")


def narrow(threads=4):
    """A server of several workers with so few ports that a lost one is missed at once; it logs each allocation."""
    return Server("verbose", threads=threads, ports=4)


def reserve(client):
    """An even port with its sibling reserved: (relayed address, token)."""
    message = client.allocate(even_port(reserve=True))
    check_equal(message.kind, stun.SUCCESS, f"the answer ({message.code}) to EVEN-PORT")
    host, port = message.address(stun.XOR_RELAYED_ADDRESS)
    check_equal(port % 2, 0, "the port of EVEN-PORT modulo 2")
    return (host, port), (stun.RESERVATION_TOKEN, message.get(stun.RESERVATION_TOKEN))


def exchange(client, peer, relayed):
    check_equal(client.permit(peer.address).code, 0, "the answer to CreatePermission")
    client.send_to(peer.address, b"up")
    check_equal(peer.receive(), (b"up", relayed), "what the peer received")
    peer.send(b"down", relayed)
    check_equal(client.receive_data(), (peer.address, b"down"), "what the client received")


def workers(server):
    """The worker of each allocation, in order: the last 8 bits of its id."""
    return [int(number) & 0xFF for number in re.findall(r"allocated .*?\bid=(\d+)", server.log())]


@smoke
def a_reservation_of_one_worker_is_claimed_on_another():
    with narrow() as server, Peer() as peer:
        for reserving, claiming in itertools.product(TRANSPORTS, TRANSPORTS):
            for _ in range(6):
                with server.client(reserving) as first, server.client(claiming) as second:
                    (host, port), token = reserve(first)
                    check_equal(second.relayed(token), (host, port + 1), "the reserved address")
                    exchange(first, peer, (host, port))
                    exchange(second, peer, (host, port + 1))
                    check_equal(second.allocate(token).code, 437, "the answer to a second Allocate")
                    check_equal((first.refresh(0).code, second.refresh(0).code), (0, 0), "the answers to Refresh")
        pairs = list(zip(*[iter(workers(server))] * 2))
        check_equal(len(pairs), 24, "the number of pairs in the log")
        check(sum(a != b for a, b in pairs) >= 6, f"the workers of the pairs are {pairs}")


@test
def a_token_is_claimed_once_whoever_asks_first():
    with narrow() as server:
        for _ in range(8):
            clients = [server.client(transport) for transport in TRANSPORTS * 3]
            try:
                _, token = reserve(clients[0])
                requests = []
                for client in clients[1:]:
                    client.challenge()
                    requests.append((client, client.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, bytes([stun.UDP, 0, 0, 0])), token])))
                for client, request in requests:
                    client.send(request)
                codes = sorted(client.transact(request).code for client, request in requests if client.transport == "udp")
                codes += [client.answer(request[8:20]).code for client, request in requests if client.transport == "tcp"]
                check_equal(sorted(codes), [0, 508, 508, 508, 508], "the answers to a token that five claim")
                for client in clients:
                    client.refresh(0)
            finally:
                for client in clients:
                    client.close()


@test
def reserving_and_going_pins_no_port():
    """An odd port is free again when its reserver leaves, by Refresh or by closing the connection; one that was claimed is its claimer's."""
    with narrow() as server:
        for number in range(40):
            with server.client(TRANSPORTS[number % 2]) as client:
                reserve(client)
                if number % 4 != 3:
                    check_equal(client.refresh(0).code, 0, "the answer to Refresh")
        with server.client() as first, server.client() as second, server.client("tcp") as third:
            (host, port), token = reserve(first)
            check_equal(second.relayed(token), (host, port + 1), "the reserved address")
            check_equal(first.refresh(0).code, 0, "the answer to Refresh")
            (_, other), _ = reserve(third)
            check(other not in (port, port + 1), f"port {other} was given beside the claimed {port + 1}")
            check_equal(second.refresh().code, 0, "the answer to the claimer's Refresh")
            check_equal(second.refresh(0).code, 0, "the answer to the claimer's last Refresh")
            reserve(first)


if __name__ == "__main__":
    main()
