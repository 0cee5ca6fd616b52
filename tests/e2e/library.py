"""What policies call in the running server: files that change under it."""
import base64
import hashlib
import hmac
import json
import os

from support.client import Peer
from support.server import Server
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

TENANTS = """
local data = relay.data("tenants.json")
local names = data.names
return {name = "tenants", authorize = function(req) if not names[req.user] then return relay.deny(403, "not listed") end end}"""


def replace(server, name, text):
    """As editors do it: readers see the old file or the new one."""
    os.replace(server.write(name + ".new", text), server.path(name))


def allocate(server, **how):
    with server.client(**how) as client:
        return client.allocate().code


@smoke
def data_that_changes_counts_for_every_worker_without_a_restart():
    files = {"t.lua": TENANTS, "tenants.json": json.dumps({"names": {}})}
    with Server(files=files, policies=["t.lua"], threads=2) as server:
        check_equal(allocate(server), 403, "a name that is not listed")
        replace(server, "tenants.json", json.dumps({"names": {"ann": 1}}))
        wait_for(lambda: "policy_file " in server.log(), what="the new file's line")
        wait_for(lambda: all(allocate(server) == 0 for _ in range(8)), what="eight Allocates on both workers")
        replace(server, "tenants.json", '{"names": ')
        wait_for(lambda: "policy_file_refused" in server.log(), what="the refusal of half a file")
        check("tenants.json" in server.log().split("policy_file_refused")[1].split("\n")[0], "the file is not named")
        check_equal([allocate(server) for _ in range(8)], [0] * 8, "with the file from before")


@test
def a_secret_is_rotated_without_a_restart():
    policy = """
    local secret = relay.secret("rest")
    return {name = "rest", authenticate = function(req)
      return relay.key{user = "zoe", passwords = secret:hmac_b64("sha1", req.username)} end}"""
    of = lambda secret: base64.b64encode(hmac.new(secret, b"zoe", hashlib.sha1).digest()).decode()
    with Server("secret=rest=turn", auth=[], files={"rest.lua": policy, "turn": "one\n"}, policies=["rest.lua"]) as server:
        check_equal(allocate(server, username="zoe", password=of(b"one")), 0, "under the first secret")
        check_equal(allocate(server, username="zoe", password=of(b"two")), 401, "under a secret to come")
        replace(server, "turn", "two\none\n")
        wait_for(lambda: allocate(server, username="zoe", password=of(b"two")) == 0, what="the new secret")
        check_equal(allocate(server, username="zoe", password=of(b"one")), 0, "under the older secret, which stays")
        replace(server, "turn", "two\n")
        wait_for(lambda: allocate(server, username="zoe", password=of(b"one")) == 401, what="the end of the old secret")


METER = """
local month = relay.meter("transfer", {period = "month", persist = true})
return {name = "metered",
  authorize = function(req) return relay.allow{meter = {month, req.user, cap = 100000, on_cap = "%s"}} end,
  log = function(ev) if ev.type == "allocated" then relay.log.info("sum", {bytes = month:get("ann")}) end end}"""


def sums(server):
    rows = server.query("SELECT name, key, sum FROM meters")
    return {(name, key): sum for name, key, sum in rows}


def relay_bytes(client, peer, datagrams, size=1000):
    check_equal(client.permit(peer.address).code, 0, "the permission")
    for _ in range(datagrams):
        client.send_to(peer.address, bytes(size))
        check(peer.receive(), "a datagram was not relayed")


@test
def a_meter_survives_kill_9_and_its_cap_puts_out_who_relays():
    files = {"m.lua": METER % "close"}
    with Server("userdb=relay.db", files=files, policies=["m.lua"]) as server, Peer() as peer:
        with server.client() as client:
            check_equal(client.allocate().code, 0, "the first Allocate")
            relay_bytes(client, peer, 60)
            wait_for(lambda: sums(server).get(("transfer", "ann")) == 60000, what="60,000 bytes in the database")
            server.kill()
        server.start()
        with server.client() as client:
            check_equal(client.allocate().code, 0, "an Allocate after the crash")
            relay_bytes(client, peer, 45)
            wait_for(lambda: client.refresh(600).code == 437, what="the end of an allocation over its cap")
        check_equal(allocate(server), 486, "an Allocate over the cap")
        wait_for(lambda: sums(server) == {("transfer", "ann"): 105000}, what="105,000 bytes in the database")


if __name__ == "__main__":
    main(limit_s=60)
