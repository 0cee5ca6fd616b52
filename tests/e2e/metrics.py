"""GET /metrics: well formed, whole from the first time on, moved by what happens, and in agreement with what clients counted."""
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess

from support import stun
from support.client import Peer, number
from support.door import ask
from support.prometheus import scrape
from support.server import ROOT, Server
from support.tap import check, check_equal, main, skip, smoke, test, wait_for

PATIENT = True

HOOKS = """
local seen = relay.metric.counter("seen_total", {user = "any", quote = 'a"b\\\\c'})
local asked = relay.metric.counter("asked_total")
return {
  authorize = function(req)
    seen:add() asked:add(2)
    if req.user == "bob" then return relay.deny(403, "not bob") end
    if req.user == "slow" then relay.sleep(0.3) end
    if req.user == "late" then relay.sleep(60) end
    if req.user == "error" then error("no") end
    if req.user == "loop" then while true do end end
    if req.user == "type" then return 7 end
    return relay.allow{max_bps = req.user == "thin" and 8000 or nil}
  end,
  permission = function(alloc, peer) end,
}
"""
USERS = [f"user={name}:secret" for name in ("zebra", "bob", "slow", "late", "error", "loop", "type", "thin")]


def documented():
    """(name, type, labels) of every row of core/METRICS.md"""
    with open(os.path.join(ROOT, "core/METRICS.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| .* \|$", file.read(), re.M)
    return [(name, kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]


@smoke
def every_series_is_there_from_the_first_time_and_the_page_names_them_all():
    with Server("admin-socket=door", "userdb=relay.db", *USERS, tls=True, threads=2, files={"p.lua": HOOKS, "q.lua": "return {route = function() end}"},
                policies=["p.lua", "q.lua"]) as server:
        first = scrape(server)
        rows = documented()
        check_equal({name for name in first.types if not name.startswith("relay_script_")}, {name for name, _, _ in rows}, "the names")
        for name, kind, labels in rows:
            check_equal(first.types[name], kind, f"the type of {name}")
            for (_, pairs), value in first.family(name).items():
                check_equal({label for label, _ in pairs} - {"le"}, labels, f"the labels of {name}")
                check(kind == "gauge" or name.startswith(("relay_udp", "relay_requests", "relay_policy_hook", "relay_store", "relay_connections", "relay_drops", "relay_events_total")) or value == 0,
                      f"{name} {pairs} is {value} at the start")
        check_equal(len(first.family("relay_requests_total")), 7 * 18, "methods and codes")
        check_equal({dict(pairs)["policy"] + "." + dict(pairs)["phase"] for (_, pairs) in first.family("relay_policy_hook_total")},
                    {"p.lua.authorize", "p.lua.permission", "q.lua.route"}, "hooks")
        check_equal(scrape(server)("relay_script_seen_total", quote=r'a\"b\\c'), 0, "a script's counter")
        for client in [server.client(username="zebra") for _ in range(3)]:
            client.relayed()
        wait_for(lambda: scrape(server)("relay_allocations") == 3, what="the gauge")
        status, text, _ = ask(server, "/metrics")
        check(status == 200 and "zebra" not in text, "a username is told")
        check_equal(server.relay("metrics", "-c", server.config).splitlines()[0], text.splitlines()[0], "what the command prints")


@smoke
def sums_agree_with_what_clients_and_peers_have_counted():
    with Server("admin-socket=door", threads=3, tls=True) as server, Peer() as peer:
        sent = {}
        for transport, packets in (("udp", 40), ("tcp", 30), ("tls", 20)):
            up = down = 0
            with server.client(transport) as client:
                relayed = client.relayed()
                client.bind(0x4000, peer.address)
                for i in range(packets):
                    client.send_channel(0x4000, b"u" * i)
                    check(peer.receive(), "a packet to the peer")
                    up += i
                    if i % 2:
                        peer.send(b"d" * (3 * i), relayed)
                        check(client.receive_data(), "a packet to the client")
                        down += 3 * i
                wait_for(lambda: scrape(server)("relay_bytes_total", transport=transport, direction="in") == up, what=f"the bytes of a live {transport}")
                client.refresh(0)
            sent[transport] = packets, up, packets // 2, down

        def told(transport):
            now = scrape(server)
            return tuple(now(f"relay_{what}_total", transport=transport, direction=direction) for direction in ("in", "out") for what in ("packets", "bytes"))

        for transport, counted in sent.items():
            wait_for(lambda: told(transport) == counted, what=f"{told(transport)} to be {counted}")
            check_equal(scrape(server)("relay_allocations_opened_total", transport=transport), 1, f"allocations over {transport}")
        wait_for(lambda: scrape(server)("relay_allocations_closed_total", reason="released") == 3, what="the ends")
        now = scrape(server)
        check_equal((now("relay_allocations"), now("relay_quota_allocations"), now("relay_tenant_allocations")), (0, 0, 0), "who is left")
        check_equal((now("relay_requests_total", method="CHANNEL_BIND", code="success"), now("relay_requests_total", method="ALLOCATE", code="401")), (3, 3), "requests")
        check(now("relay_udp_datagrams_total", direction="in") >= 85, "datagrams")


def refused(server, user, code, *more):
    with server.client(username=user) as client:
        check_equal(client.allocate(*more).code, code, f"the code for {user}")


def moves_of_the_protocol(server):
    with server.client() as client, Peer() as peer, Peer("127.0.0.2") as stranger:
        client.challenge()
        request = client.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")])
        relayed = client.transact(request).address(stun.XOR_RELAYED_ADDRESS)
        client.transact(request)
        client.bind(0x4000, peer.address)
        client.send_channel(0x4001, b"no channel")
        stranger.send(b"no permission", relayed)
        client.send(b"\xff" * 30)
        client.send_channel(0x4000, b"up")
        check(peer.receive(), "a packet")
        peer.send(b"down", relayed)
        check(client.receive_data(), "a packet")
        with server.client("tcp") as other:
            other.relayed()
        refused(server, "nobody", 401)
        client.refresh(0)
    with server.client(username="thin") as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        for _ in range(10):
            client.send_channel(0x4000, b"x" * 500)
    with server.client("tls") as client:
        client.relayed()
    with socket.create_connection((server.host, server.tls_port)) as junk:
        junk.sendall(b"\x16\x03\x01\x00\x05junk!")
        junk.settimeout(5)
        while junk.recv(100):
            pass


def moves_of_the_policies(server):
    for user in ("error", "loop", "type"):
        refused(server, user, 500)
    refused(server, "bob", 403)
    with server.client(username="slow") as client, server.client(username="late") as late:
        late.challenge()
        late.send(late.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]))
        wait_for(lambda: scrape(server)("relay_policy_parked") >= 1 and scrape(server)("relay_parked_requests") >= 1, what="who waits")
        check_equal(client.allocate().kind, stun.SUCCESS, "a slow success")
        wait_for(lambda: scrape(server)("relay_policy_errors_total", kind="late") == 1, what="who waited too long")
    for text, event in ((HOOKS + "\n", "policies_loaded"), ("nonsense", "policies_kept")):
        server.write("p.lua", text)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: event in server.log(), what=event)


def moves_of_files(server):
    locker = sqlite3.connect(server.path("relay.db"), timeout=5, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with server.client() as client:
        client.relayed()
    wait_for(lambda: scrape(server)("relay_store_failing") == 1 and scrape(server)("relay_store_waiting_rows") > 0, limit_s=20, what="a store that fails")
    locker.execute("ROLLBACK")
    locker.close()
    wait_for(lambda: scrape(server)("relay_store_failing") == 0, limit_s=20, what="a store that is well")
    os.rename(server.certificate, server.certificate + ".away")
    server.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: "certificates_kept" in server.log(), what="a refusal")
    os.rename(server.certificate + ".away", server.certificate)


STILL = {"relay_build_info", "relay_start_time_seconds", "relay_workers", "relay_quota_limit", "relay_store_dropped_total", "relay_store_folded_total", "relay_certificate_expiry_timestamp_seconds",
         "relay_policy_hooks", "relay_listener_buffer_bytes"}
PASSING = {"relay_parked_requests", "relay_policy_parked", "relay_store_failing", "relay_store_waiting_rows"}  # seen above while they were not 0

ELSEWHERE = {"relay_event_streams", "relay_event_streams_cut_total", "relay_events_lost_total",  # events.py moves them
             "relay_webhook_deliveries_total", "relay_webhook_waiting",  # webhooks.py
             "relay_store_rollups_total", "relay_store_folded_total",  # usage.py, and tests/unit/store/usage.c
             "relay_handed_over_packets_total",  # handover.py
             "relay_listener_drops_total", "relay_udp_receive_errors_total",  # losses.py
             "relay_unanswered_total", "relay_draining"}  # caps.py, drain.py


def moves_of_minting(server):
    server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
    server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_allocations=1000", "month_bytes=1000000000")
    check_equal([ask(server, f"/v1/tenants/{tenant}/credentials", "POST")[0] for tenant in ("acme", "nobody")], [201, 404], "what is minted")


@test
def every_row_moves_when_its_thing_happens():
    server = Server("admin-socket=door", "userdb=relay.db", "user-quota=100", "shadow=new.lua", "mint-secret-file=master", *USERS, tls=True, threads=2,
                    files={"p.lua": HOOKS, "new.lua": "return {}"}, policies=["p.lua"])
    server.relay("secret", "new", "master")
    with server:
        before = scrape(server)
        held = server.client("tcp")
        held.relayed()
        moves_of_the_protocol(server)
        moves_of_the_policies(server)
        moves_of_minting(server)
        moves_of_files(server)
        wait_for(lambda: scrape(server)("relay_policy_gc_seconds_total") > 0, what="garbage")
        check_equal(ask(server, "/v1/drain", "POST", deadline=600)[0], 200, "the beginning of the end")
        after = scrape(server)
        check_equal(ask(server, "/v1/drain", "DELETE")[0], 200, "which is called off")
        for name, _, _ in documented():
            if name not in STILL | PASSING | ELSEWHERE:
                check(before.family(name) != after.family(name), f"{name} has not moved")
        for name, labels in (("relay_drops_total", {"reason": reason}) for reason in ("no_permission", "rate", "malformed")):
            check(after(name, **labels) > before(name, **labels), f"{name} {labels} has not moved")
        for kinds in (("error",), ("budget", "timeout"), ("type",), ("late",)):
            check_equal(sum(after("relay_policy_errors_total", kind=kind) for kind in kinds), 1, f"errors of kind {kinds}")
        check_equal(after("relay_refusals_total", reason="policy"), 5, "refusals by a policy, and where it failed")
        check_equal([after("relay_policy_reloads_total", result=result) for result in ("done", "refused")], [1, 1], "reloads")
        check_equal([after("relay_certificate_reloads_total", result=result) for result in ("done", "refused")], [2, 1], "certificates")
        answers = {result: after("relay_policy_hook_total", phase="authorize", result=result) for result in ("allow", "deny", "fail")}
        check_equal(answers, {"allow": after("relay_allocations_opened_total"), "deny": 1, "fail": 4}, "what authorize answered")
        check_equal(after("relay_policy_hook_seconds_count", phase="authorize", kind="wall"), sum(answers.values()), "how often it was measured")
        check(after("relay_policy_hook_seconds_sum", phase="authorize", kind="wall") > 3.3 > after("relay_policy_hook_seconds_sum", phase="authorize", kind="cpu"), "how long")
        check_equal(after("relay_script_asked_total"), 2 * after("relay_script_seen_total"), "the script's own")
        check_equal(after("relay_tenant_allocations", tenant="example.org"), after("relay_allocations"), "the tenant's")
        held.close()


@test
def quotas_kicks_and_caps_have_reasons_of_their_own():
    with Server("admin-socket=door", "user-quota=2", "total-quota=3", "user=bob:secret") as server:
        clients = [server.client(), server.client(), server.client(username="bob")]
        for client in clients:
            client.relayed()
        refused(server, "ann", 486)
        refused(server, "bob", 486)
        check_equal(clients[0].refresh(0).kind, stun.SUCCESS, "a release")
        with server.client("tcp", username="bob") as client:
            client.relayed(number(stun.LIFETIME, 600))
        wait_for(lambda: scrape(server)("relay_allocations_closed_total", reason="client_closed") == 1, what="a closed connection")
        now = scrape(server)
        reasons = {dict(pairs)["reason"]: value for (_, pairs), value in now.family("relay_refusals_total").items() if value}
        check_equal(sum(reasons.values()), 2, f"the refusals {reasons}")
        check("total_quota" in reasons, f"the reasons {reasons}")
        check_equal((now("relay_quota_allocations"), now("relay_quota_limit"), now("relay_allocations")), (2, 3, 2), "the quota")
        check_equal(now("relay_requests_total", method="ALLOCATE", code="486"), 2, "the answers")


@test
def promtool_has_nothing_to_say():
    if not shutil.which("promtool"):
        skip("promtool (Debian's package prometheus) is not installed")
    with Server("admin-socket=door", "userdb=relay.db", *USERS, tls=True, threads=2, files={"p.lua": HOOKS}, policies=["p.lua"]) as server:
        with server.client() as client:
            client.relayed()
        wait_for(lambda: scrape(server)("relay_allocations_opened_total") == 1, what="an allocation")
        _, text, _ = ask(server, "/metrics")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
        check_equal((done.returncode, done.stdout + done.stderr), (0, ""), "what promtool says")


if __name__ == "__main__":
    main()
