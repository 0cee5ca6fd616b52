"""GET /v1/events: what happens, as it does: who is told, who resumes, who is too slow; relay events."""
import contextlib
import json
import os
import re
import subprocess
import threading
import time

from support import stun
from support.client import transport
from support.door import ask, ask_json, call_once, make_key, tell
from support.follow import Follower
from support.program import built
from support.server import BINARY, Server, free_port, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

DOOR = "admin-socket=door"
POLICY = """
local keys = {ann = "a", bob = "b", eve = "e"}
return {
  authenticate = function(req)
    local tenant = req.username == "bob" and "beta" or "acme"
    if keys[req.username] then return relay.key{tenant = tenant, user = req.username, password = keys[req.username]} end
  end,
  authorize = function(req)
    if req.user == "eve" then return relay.deny(403, "no eve") end
    return relay.allow{tags = {room = "match-7", tag = "player one"}}
  end,
}
"""
LINES = dict(auth=("lt-cred-mech",), files={"p.lua": POLICY}, policies=["p.lua"])
KEPT = 1024


def who(server, name):
    return server.client(username=name, password=name[0])


def gauge(server, name):
    return float(re.search(rf"^{name} (\S+)$", ask(server, "/metrics")[1], re.M)[1])


def refusals(server, count):
    """As many events as these, of a source that is known."""
    with who(server, "eve") as eve:
        eve.allocate()
        for _ in range(count - 1):
            eve.send(eve.signed(stun.ALLOCATE, [transport(stun.UDP)]))
            eve.poll()


@smoke
def a_stream_tells_who_comes_goes_and_is_refused():
    with Server(DOOR, threads=2, **LINES) as server, Follower(server) as events:
        check_equal((events.status, events.headers["content-type"]), (200, "text/event-stream"), "the answer")
        with who(server, "ann") as ann, who(server, "eve") as eve:
            relayed = ann.relayed()
            opened = events.next()
            check_equal((opened["type"], opened["tenant"]), ("allocation.opened", "acme"), f"{opened}")
            check_equal(opened["data"], {"allocation": opened["data"]["allocation"], "user": "ann", "room": "match-7", "tag": "player one", "credential": "",
                                         "transport": "udp", "client": "%s:%d" % ann.local, "relay": "%s:%d" % relayed}, "the detail")
            check(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", opened["timestamp"]), opened["timestamp"])
            eve.allocate()
            refused = events.next()
            check_equal((refused["type"], refused["data"]["code"], refused["data"]["reason"], refused["data"]["by"], refused["data"]["user"]),
                        ("allocation.refused", 403, "no eve", "p.lua:9", "eve"), f"{refused}")
            rows = json.loads(server.relay("explain", "-c", "turnserver.conf", "--json", "--decision", refused["data"]["decision"]))
            check_equal(len(rows), 1, "the decision is found by relay explain")
            ann.refresh(0)
            closed = events.next()
            check_equal((closed["type"], closed["data"]["allocation"], closed["data"]["reason"]),
                        ("allocation.closed", opened["data"]["allocation"], "released"), f"{closed}")
        check_equal(len({event["id"] for event in (opened, refused, closed)}), 3, "ids")


@test
def filters_are_by_tenant_and_type_and_wrong_ones_are_refused():
    with Server(DOOR, **LINES) as server, Follower(server, tenant="beta") as beta, Follower(server, type="allocation.closed,policy") as closed:
        for name in ("ann", "bob"):
            with who(server, name) as client:
                client.relayed()
                client.refresh(0)
        check_equal([beta.next()["tenant"] for _ in range(2)], ["beta", "beta"], "of a tenant")
        check_equal([closed.next()["data"]["user"] for _ in range(2)], ["ann", "bob"], "of a type")
        server.relay("reload", "-c", "turnserver.conf")
        check_equal(closed.next()["type"], "policy.reloaded", "of a family")
        for query, field in ((dict(type="allocation.open"), "type"), (dict(type="allocation,,key"), "type"), (dict(type=""), None), (dict(kind="x"), None)):
            status, body = ask_json(server, "/v1/events", **query) if query != dict(type="") else (400, {})
            check_equal(status, 400, f"{query} {body}")
            check(field is None or body["field"] == field, f"{body}")
        with Follower(server, last="yesterday") as wrong:
            check_equal((wrong.status, json.loads(wrong.body())["field"]), (400, "Last-Event-ID"), "a wrong place")
        status, _, _ = ask(server, "/v1/events", method="HEAD")
        check_equal(status, 200, "HEAD")
        wait_for(lambda: gauge(server, "relay_event_streams") == 2, what="HEAD leaves no stream")


@test
def who_comes_back_goes_on_where_he_was_or_hears_of_a_gap():
    with Server(DOOR, **LINES) as server:
        with Follower(server) as events, who(server, "ann") as ann:
            ann.relayed()
            first = events.next()
        with who(server, "bob") as bob:
            bob.relayed()
            bob.refresh(0)
            wait_for(lambda: 'relay_events_total{type="allocation.closed"} 1' in ask(server, "/metrics")[1], what="the end")
            with Follower(server, last=first["at"]) as events:
                check_equal([events.next()["type"] for _ in range(2)], ["allocation.opened", "allocation.closed"], "what was missed")
        server.stop()
        server.start()
        with who(server, "ann") as ann:
            ann.relayed()
            wait_for(lambda: 'relay_events_total{type="allocation.opened"} 1' in ask(server, "/metrics")[1], what="another event")
            with Follower(server, last=first["at"]) as events:
                gap = events.next()
                check_equal((gap["type"], gap["data"]["why"], gap["at"]), ("gap", "restart", None), f"{gap}")
                check_equal(events.next()["data"]["user"], "ann", "what this start remembers")


@test
def a_key_hears_of_its_own_tenant_and_of_what_concerns_all():
    port = free_port()
    with Server(DOOR, "userdb=relay.db", f"admin-listen=127.0.0.1:{port}", **LINES) as server:
        for tenant in ("acme", "beta"):
            server.relay("tenant", "set", "--userdb", "relay.db", tenant, "status=active")
        acme, mint = make_key(server, "acme"), make_key(server, "acme", "mint")
        for key, query, status in ((None, {}, 200), (acme, {}, 200), (acme, {"tenant": "acme"}, 200), (acme, {"tenant": "beta"}, 404), (mint, {}, 403),
                                   (acme[:-1], {}, 401)):
            with Follower(server, key=key, **query) as events:
                check_equal(events.status, status, f"{query}")
        with Follower(server, key=acme, port=port, type="allocation,key,tenant,policy,stats") as events, who(server, "bob") as bob, who(server, "ann") as ann:
            bob.relayed()
            server.relay("reload", "-c", "turnserver.conf")
            ann.relayed()
            check_equal(call_once(server, "DELETE", "/v1/keys/" + mint.split(".")[0], acme)[0], 200, "the end of a key")
            check_equal(tell(server, "PATCH", "/v1/tenants/beta", {"status": "disabled"})[0], 200, "beta's end")
            check_equal(tell(server, "PATCH", "/v1/tenants/acme", {"status": "disabled"})[0], 200, "acme's end")
            seen, wanted = [], {"allocation.opened", "key.revoked", "tenant.disabled", "stats"}
            while not wanted <= {event["type"] for event in seen}:
                seen.append(events.next())
            check_equal({event["tenant"] for event in seen}, {"acme"}, f"{seen}")
            numbers = next(event for event in seen if event["type"] == "stats")
            check_equal({row["tenant"] for row in numbers["data"]["tenants"]}, {"acme"}, "whose numbers")


def churn(server, client, count):
    """As many allocations made and released; each is two events."""
    for _ in range(count):
        client.allocate()
        client.refresh(0)


@test
def a_slow_reader_is_cut_and_holds_nobody_up():
    with Server(DOOR, **LINES) as server, Follower(server, type="allocation") as slow, who(server, "ann") as ann:
        ann.relayed()
        at = slow.next()["at"]
        ann.refresh(0)
        count = 1500
        begin = time.monotonic()
        churn(server, ann, count)
        check(time.monotonic() - begin < 20, "allocations go on")
        check_equal(ask(server, "/livez")[0], 200, "the door answers")
        wait_for(lambda: f'relay_events_total{{type="allocation.closed"}} {count + 1}' in ask(server, "/metrics")[1], what="all are told")
        with Follower(server, last=at) as late:
            gap = late.next()
            check_equal((gap["type"], gap["data"]["why"]), ("gap", "late"), f"{gap}")
            check(int(late.next()["at"].split("-")[1]) > 2 * count - KEPT, "the oldest that is remembered")
        heard = 0
        while slow.next():
            heard += 1
        check_equal(slow.ended, "cut", "how it ended")
        check(heard < 2 * count, f"{heard} of {2 * count}")
        check_equal(gauge(server, "relay_event_streams_cut_total"), 1.0, "the metric")


@test
def refusals_come_at_a_rate_and_more_are_counted_as_lost():
    with Server(DOOR, **LINES) as server, Follower(server) as events:
        refusals(server, 1000)
        wait_for(lambda: gauge(server, "relay_events_lost_total") > 0, what="a loss")
        seen = []
        while not seen or seen[-1]["type"] != "gap":
            seen.append(events.next())
        check_equal(seen[-1]["data"]["why"], "busy", "why")
        check(200 <= len(seen) - 1 <= 999, f"{len(seen)} refusals")


@test
def numbers_come_every_second_to_who_asks():
    with Server(DOOR, threads=2, **LINES) as server, Follower(server, type="stats") as events, who(server, "ann") as ann, who(server, "eve") as eve, \
            Follower(server, type="stats", tenant="beta") as others:
        relayed = ann.relayed()
        eve.allocate()
        with who(server, "bob") as bob:
            bob.relayed()
            bob.permit(relayed)
            ann.permit((server.host, 1))
            for _ in range(50):
                bob.send_to(relayed, bytes(1000))
            seen = {}
            while not (seen.get("acme", {}).get("bytes_out") and seen.get("beta", {}).get("bps_in")):
                stats = events.next()
                check_equal((stats["type"], stats["at"]), ("stats", None), f"{stats}")
                seen = {row["tenant"]: row for row in stats["data"]["tenants"]}
            check_equal((seen["acme"]["held"], seen["acme"]["refused"], seen["beta"]["held"], seen["beta"]["active"]), (1, 1, 1, 1), f"{seen}")
            check_equal(seen["beta"]["month_bytes"], 50 * 1000, "the month")
            check_equal(seen["acme"]["bytes_out"], seen["beta"]["bytes_in"], "what one sends the other gets")
            check_equal({row["tenant"] for row in others.next()["data"]["tenants"]} - {"beta"}, set(), "of one tenant")


@test
def streams_are_bounded():
    with Server(DOOR, "userdb=relay.db") as server, contextlib.ExitStack() as streams:
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
        acme = make_key(server, "acme")
        for _ in range(8):
            check_equal(streams.enter_context(Follower(server, key=acme)).status, 200, "one more of a tenant")
        check_equal(call_once(server, "GET", "/v1/events", acme)[0], 503, "one too many of a tenant")
        for _ in range(24):
            check_equal(streams.enter_context(Follower(server)).status, 200, "one more")
        check_equal(ask(server, "/v1/events")[0], 503, "one too many")
        check_equal(gauge(server, "relay_event_streams"), 32.0, "the metric")


@contextlib.contextmanager
def hasty(times):
    """Servers that are started within have a clock that runs so many times as fast as ours."""
    os.environ.update(LD_PRELOAD=built("haste", "-shared", "-fPIC"), HASTE=str(times))
    try:
        yield
    finally:
        del os.environ["LD_PRELOAD"], os.environ["HASTE"]


def ask_on(server, ends):
    """A loop that is asked looks at its clock."""
    while not ends.wait(0.02):
        ask(server, "/livez")


@test
def a_comment_comes_every_15_seconds():
    ends = threading.Event()
    with hasty(20):
        server = Server(DOOR)
        server.start()
    asking = threading.Thread(target=ask_on, args=(server, ends))
    with server.temporary, contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        stack.callback(asking.join)
        stack.callback(ends.set)
        events = stack.enter_context(Follower(server))
        asking.start()
        heard = [(events.block(), time.monotonic()) for _ in range(2)]
        check_equal([lines for lines, _ in heard], [[":"], [":"]], "what came")
        check(0.5 < heard[1][1] - heard[0][1] < 3, f"{heard}")


@test
def relay_events_prints_them_and_comes_back():
    with Server(DOOR, **LINES) as server:
        command = [BINARY, "events", "-c", "turnserver.conf", "--type", "allocation"]
        plain = subprocess.Popen(command, cwd=server.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rows = subprocess.Popen([*command, "--json", "--tenant", "acme"], cwd=server.directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            wait_for(lambda: gauge(server, "relay_event_streams") == 2, what="two readers")
            with who(server, "bob") as bob, who(server, "ann") as ann:
                bob.relayed()
                ann.relayed()
            check(re.search(r"^\S+Z allocation.opened beta allocation=\d+ user=bob room=match-7 tag=player one transport=udp client=", plain.stdout.readline()), "a line")
            check_equal(json.loads(rows.stdout.readline())["data"]["user"], "ann", "a line of JSON")
            plain.stdout.readline()
            server.stop()
            server.start()
            wait_for(lambda: gauge(server, "relay_event_streams") == 2, what="they come back")
            with who(server, "bob") as bob:
                bob.relayed()
                line = plain.stdout.readline()
                while "allocation.opened" not in line:
                    line = plain.stdout.readline()
                check("user=bob" in line, line)
        finally:
            for process in (plain, rows):
                process.terminate()
                process.communicate()
        code, _, errors = run_relay("events", "-c", "turnserver.conf", "--type", "nothing", cwd=server.directory)
        check(code == 1 and "type: names of events expected" in errors, errors)


if __name__ == "__main__":
    main()
