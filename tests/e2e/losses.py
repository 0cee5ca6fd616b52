"""What is lost on the way is counted by what lost it: rows of relay_drops_total and others that ordinary traffic does not move."""
import socket
import struct

from support.client import Peer
from support.prometheus import scrape
from support.server import Server
from support.tap import check, check_equal, main, test, wait_for

DOOR = "admin-socket=door"


def dropped(server, reason):
    return scrape(server)("relay_drops_total", reason=reason)


@test
def a_datagram_that_is_longer_than_the_relay_reads():
    with Server(DOOR) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        client.send_channel(0x4000, bytes(9300))
        peer.send(bytes(9300), relayed)
        wait_for(lambda: dropped(server, "too_long") == 2, what="the metric")
        client.send_channel(0x4000, bytes(9000))
        check_equal(len(peer.receive()[0]), 9000, "the longest that is meant")


@test
def a_datagram_that_the_system_refuses_to_send():
    with Server(DOOR, "allowed-peer-ip=255.255.255.255") as server, server.client() as client:
        client.relayed()
        check_equal(client.bind(0x4000, ("255.255.255.255", 9)).code, 0, "the answer to ChannelBind")
        client.send_channel(0x4000, b"to everybody")
        wait_for(lambda: dropped(server, "unsent") == 1, what="the metric")


@test
def frames_for_a_client_that_does_not_read():
    with Server(DOOR) as server, server.client("tcp") as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)

        def flood():
            for _ in range(200):
                peer.send(bytes(9000), relayed)
            return dropped(server, "slow_reader") > 0
        wait_for(flood, 10, "the metric")
        client.socket.settimeout(5)
        number, length = struct.unpack("!HH", client.socket.recv(4, socket.MSG_WAITALL))
        check_equal((number, length), (0x4000, 9000), "the first frame: what is lost are whole ones")


@test
def a_policy_that_fills_its_memory():
    hoard = """local MIB <const>, held = 2 ^ 20 // 1 | 0, {}
return {
  init = function() for i = 1, 62 do held[i] = ("x"):rep(MIB) end end,
  authorize = function() for i = 63, 65 do held[i] = ("x"):rep(MIB) end end,
}"""
    with Server(DOOR, files={"p.lua": hoard}, policies=["p.lua"]) as server, server.client() as client:
        check_equal(client.allocate().code, 500, "the answer")
        wait_for(lambda: scrape(server)("relay_policy_errors_total", kind="memory") == 1, what="the metric")
        check("not enough memory" in server.log(), "the log says so")


if __name__ == "__main__":
    main()
