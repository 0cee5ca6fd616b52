"""Usage: exact by tenant, room, tag and transport: what clients counted, sessions, usage, the API and the metrics say the same, to the byte."""
import concurrent.futures
import contextlib
import csv
import io
import json
import os
import sqlite3
import threading
import time

from support import minted
from support.client import Peer
from support.door import Connection, ask, ask_json
from support.openssl import DtlsClient
from support.prometheus import scrape
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True

MASTER = "m" * 40
PATIENCE_S = 30 if SANITIZED else 10
NUMBERS = ("bytes_in", "bytes_out", "packets_in", "packets_out")


def serving(*lines, **how):
    server = Server("admin-socket=door", "userdb=relay.db", *lines, auth=["mint-secret-file=mint.secret"],
                    files={"mint.secret": MASTER + "\n", **how.pop("files", {})}, **how)
    os.chmod(server.path("mint.secret"), 0o600)
    for tenant in ("t0", "t1"):
        server.relay("tenant", "set", "--userdb", "relay.db", tenant, "status=active")
    return server


class Player:
    """A client that counts what it sent, and what came back."""

    def __init__(self, server, tenant, room, tag, transport, how):
        username, password = minted.mint(MASTER, tenant, tag=tag, cid=f"c-{tag}", room=room)
        self.tenant, self.room, self.tag, self.transport, self.how = tenant, room, tag, transport, how
        self.counts = dict.fromkeys(NUMBERS, 0)
        kind = DtlsClient(server, username=username, password=password) if transport == "dtls" else None
        self.client = kind or server.client(transport, username=username, password=password)

    def play(self, turns, size):
        with Peer() as peer:
            relayed = self.client.relayed()
            if self.how == "channel":
                self.client.bind(0x4000, peer.address)
            else:
                self.client.permit(peer.address)
            for turn in range(turns):
                data = bytes(size + turn)
                if self.how == "channel":
                    self.client.send_channel(0x4000, data)
                else:
                    self.client.send_to(peer.address, data)
                check_equal(peer.receive()[0], data, "what the peer got")
                peer.send(data + b"back", relayed)
                check_equal(self.client.receive_data()[1], data + b"back", "what came back")
                for name, more in zip(NUMBERS, (len(data), len(data) + 4, 1, 1)):
                    self.counts[name] += more

    def leave(self):
        self.client.refresh(0)
        self.client.close()


def sums(players, *keys):
    """What the players counted, by these attributes."""
    found = {}
    for player in players:
        key = tuple(getattr(player, name) for name in keys)
        found[key] = tuple(a + b for a, b in zip(found.get(key, (0, 0, 0, 0)), player.counts.values()))
    return found


def rows_of(table):
    return lambda server, *keys: {row[:len(keys)]: row[len(keys):] for row in server.query(
        f"SELECT {', '.join([*keys, *(f'sum({name})' for name in NUMBERS)])} FROM {table} GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}")}


def told(server, *keys):
    """The same by the API."""
    status, body = ask_json(server, "/v1/usage", group_by=",".join(keys))
    check_equal(status, 200, f"the status of {body}")
    return {tuple(row[name] for name in keys): tuple(row[name] for name in NUMBERS) for row in body["rows"]}


@smoke
def clients_sessions_usage_api_and_metrics_agree_to_the_byte():
    with serving(tls=True, threads=3) as server:
        players = [Player(server, f"t{i % 2}", f"match{i % 3}", f"player{i}", transport, how)
                   for i, (transport, how) in enumerate((transport, how) for transport in ("udp", "tcp", "tls", "dtls") for how in ("channel", "send")
                                                 if (transport, how) != ("dtls", "channel"))]
        with concurrent.futures.ThreadPoolExecutor(len(players)) as pool:
            list(pool.map(lambda player: player.play(20, 200), players))
        wait_for(lambda: told(server, "tenant") == sums(players, "tenant"), PATIENCE_S, "the sums while they live")
        body = ask_json(server, "/v1/tenants/t0/usage")[1]
        check_equal((body["total"]["opened"], body["total"]["closed"], body["total"]["peak_held"], body["total"]["peak_active"]), (4, 0, 4, 4), "t0 while it lives")
        for player in players:
            player.leave()
        wait_for(lambda: server.query("SELECT count(*) FROM sessions WHERE closed_ms IS NULL") == [(0,)], PATIENCE_S, "the end of the sessions")
        for keys in (("tenant",), ("tenant", "room"), ("room", "tag"), ("transport",), ("tenant", "room", "tag", "user", "transport")):
            played = [type("Row", (), {**vars(player), "user": player.tag}) for player in players]
            want = sums(played, *keys)
            for name, source in (("sessions", rows_of("sessions")), ("usage", rows_of("usage")), ("the API", told)):
                check_equal(source(server, *keys), want, f"{name} by {keys}")
        metrics = scrape(server)
        want = sums(players, "transport")
        for transport, (bytes_in, bytes_out, packets_in, packets_out) in ((key[0], value) for key, value in want.items()):
            wait_for(lambda: scrape(server)("relay_bytes_total", transport=transport, direction="in") == bytes_in, 3, f"bytes in by {transport}")
            metrics = scrape(server)
            check_equal((metrics("relay_bytes_total", transport=transport, direction="out"), metrics("relay_packets_total", transport=transport, direction="in"),
                         metrics("relay_packets_total", transport=transport, direction="out")), (bytes_out, packets_in, packets_out), f"metrics of {transport}")
        check_equal(server.query("SELECT sum(lived_ms), count(*), count(closed_ms) FROM sessions"),
                    server.query("SELECT sum(lived_ms), sum(opened), sum(closed) FROM usage"), "time, openings and ends")
        check(server.query("SELECT sum(lived_ms) FROM usage")[0][0] > 0, "nobody lived")
        check_equal(server.query("SELECT count(*) FROM sessions WHERE lived_ms BETWEEN closed_ms - opened_ms - 5 AND closed_ms - opened_ms + 5"), [(len(players),)],
                    "sessions whose time is that between their opening and their end")


def put(server, rows):
    """Rows of usage as a relay would have written them: (tenant, minute, room, tag, bytes)."""
    with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as database:
        database.executemany("INSERT INTO usage (tenant, span, minute, room, tag, user, transport, bytes_in) VALUES (?, 1, ?, ?, ?, 'ann', 'udp', ?)", rows)
        database.commit()


T0 = 1_800_000_000 // 86400 * 1440  # a midnight, in minutes
ALL = {"from": 0, "to": (T0 + 100000) * 60}


@test
def it_is_told_as_json_csv_and_ndjson():
    names = ["plain", "=cmd()", "a,b", 'say "x"', "two\r\nlines", "-1", "\u00e9\ud55c"]
    with serving() as server:
        put(server, [("acme", T0 + i, f"r{i}", name, 2 ** 53 - 1 + i % 2) for i, name in enumerate(names)])
        status, text, media = ask(server, "/v1/usage", group_by="room,tag", **ALL)
        body = json.loads(text)
        check_equal((status, media), (200, "application/json"), "JSON")
        check_equal([row["tag"] for row in body["rows"]], names, "the tags in JSON")
        check_equal([row["bytes_in"] for row in body["rows"][:2]], [2 ** 53 - 1, str(2 ** 53)], "numbers up to 2^53 - 1, and those beyond")
        check_equal(int(body["total"]["bytes_in"]), sum(2 ** 53 - 1 + i % 2 for i in range(len(names))), "the total")
        check_equal((body["group_by"], body["from"], body["span"]), (["room", "tag"], "1970-01-01T00:00:00Z", 1), "the head")
        status, text, media = ask(server, "/v1/usage", group_by="room,tag", format="ndjson", **ALL)
        check_equal((status, media), (200, "application/x-ndjson"), "NDJSON")
        check_equal([json.loads(line) for line in text.splitlines()], body["rows"], "the rows of NDJSON")
        status, text, media = ask(server, "/v1/usage", group_by="room,tag", format="csv", **ALL)
        check_equal((status, media.split(";")[0]), (200, "text/csv"), "CSV")
        check(text.startswith("room,tag,bytes_in,bytes_out,packets_in,packets_out,lived_ms,opened,closed,active_minutes\r\n"), text)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        check_equal([row["tag"] for row in rows], ["'" + name if name[0] in "=-" else name for name in names], "the tags of CSV")
        check_equal([int(row["bytes_in"]) for row in rows], [2 ** 53 - 1 + i % 2 for i in range(len(names))], "the numbers of CSV")


@test
def times_are_half_open_and_said_in_several_ways():
    with serving() as server:
        put(server, [("acme", T0 + i, "r", "t", 10 ** i) for i in range(4)])

        def total(**query):
            status, body = ask_json(server, "/v1/tenants/acme/usage", **query)
            check_equal(status, 200, f"the status of {query}: {body}")
            return body["total"]["bytes_in"]

        def iso(minute, form="%Y-%m-%dT%H:%M:%SZ"):
            return time.strftime(form, time.gmtime(minute * 60))

        check_equal(total(**{"from": T0 * 60, "to": (T0 + 2) * 60}), 11, "two minutes")
        check_equal(total(**{"from": (T0 + 2) * 60, "to": (T0 + 4) * 60}), 1100, "the two behind")
        check_equal(total(**{"from": iso(T0), "to": iso(T0 + 1)}), 1, "ISO 8601")
        check_equal(total(**{"from": iso(T0 + 540, "%Y-%m-%dT%H:%M:%S.25+09:00"), "to": iso(T0 - 420 + 3, "%Y-%m-%dT%H:%M-07:00")}), 110, "with zones and a fraction")
        check_equal(total(**{"from": iso(T0, "%Y-%m-%d"), "to": iso(T0 + 1440, "%Y-%m-%d")}), 1111, "a day")
        now = time.time()
        put(server, [("acme", int(now) // 60, "r", "t", 7)])
        check_equal(total(), 7, "this month")


@test
def what_is_wrong_is_refused_with_its_name():
    with serving() as server:
        for field, value in (("from", "yesterday"), ("from", "2026-13-01"), ("to", ""), ("to", "2026-01-01T00:00:00+25:00"), ("from", "9" * 30), ("group_by", "colour"),
                             ("group_by", "room,room"), ("group_by", "reason,room"), ("format", "xml"), ("sort", "tag"), ("sort", "peak_held"), ("limit", "0"),
                             ("limit", "x"), ("limt", "1")):
            query = {field: value, **({"group_by": "room"} if value == "peak_held" else {})}
            status, body = ask_json(server, "/v1/usage", **query)
            check_equal((status, body.get("field")), (400, field), f"the answer to {query}: {body}")
        status, body = ask_json(server, "/v1/usage", **{"from": 100, "to": 100})
        check_equal((status, body.get("field")), (400, "from"), "the answer to no time at all")
    with Server("admin-socket=door") as server:
        check_equal(ask(server, "/v1/usage")[0], 503, "the status without a database")


@test
def top_rooms_time_series_refusals_and_peaks_are_a_question_each():
    with serving() as server:
        put(server, [("t0", T0 + i % 180, f"r{i % 10}", f"t{i}", i) for i in range(1000)])
        top = ask_json(server, "/v1/tenants/t0/usage", group_by="room", sort="bytes_in", limit=3, **ALL)[1]
        check_equal([row["room"] for row in top["rows"]], ["r9", "r8", "r7"], "the top rooms")
        check_equal(top["total"]["bytes_in"], 999 * 500, "the total of all rooms")
        series = ask_json(server, "/v1/tenants/t0/usage", group_by="hour", **ALL)[1]["rows"]
        check_equal([row["hour"][11:16] for row in series], ["00:00", "01:00", "02:00"], "the hours")
        check_equal(sum(row["bytes_in"] for row in series), 999 * 500, "the hours' sum")
        check_equal(ask_json(server, "/v1/tenants/t0/usage", tag="t7", **ALL)[1]["total"]["bytes_in"], 7, "one player's")
        username, _ = minted.mint(MASTER, "t0", tag="ann")
        with server.client(username=username, password="wrong") as client:
            check_equal(client.allocate().code, 401, "the answer to a wrong password")
        username, password = minted.mint(MASTER, "nobody", tag="ann")
        with server.client(username=username, password=password) as client:
            check_equal(client.allocate().code, 403, "the answer to a tenant that is not there")
        wait_for(lambda: ask_json(server, "/v1/usage")[1]["total"]["refused"] == 2, 3, "the refusals")
        rows = ask_json(server, "/v1/usage", group_by="tenant,reason")[1]["rows"]
        check_equal([(row["tenant"], row["refused"]) for row in rows], [("example.org", 1), ("nobody", 1)], f"the refusals: {rows}")
        check_equal(rows[0]["reason"], "auth_failed", "the reason")


def memory_of(server):
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@measuring
@test
def a_hundred_thousand_tags_are_streamed_without_memory_and_nobody_waits():
    count = 100_000
    with serving() as server:
        put(server, (("acme", T0 + i % 60, f"room{i % 5000}", f"a-player-with-a-name-{i:06}", i) for i in range(count)))
        before, start = memory_of(server), time.monotonic()
        check_equal(ask_json(server, "/v1/usage", **ALL)[1]["total"]["bytes_in"], count * (count - 1) // 2, "the total")
        total_s, start = time.monotonic() - start, time.monotonic()
        status, text, _ = ask(server, "/v1/usage", group_by="room,tag", format="csv", **ALL)
        export_s = time.monotonic() - start
        rows = text.splitlines()
        check_equal((status, len(rows)), (200, count + 1), "the rows")
        check_equal(sum(int(row.split(",")[2]) for row in rows[1:]), count * (count - 1) // 2, "their sum")
        grown = memory_of(server) - before
        print(f"# {count} tags: the total {total_s * 1000:.0f} ms, all rows ({len(text) >> 10} KiB) {export_s * 1000:.0f} ms, {grown >> 10} KiB more memory")
        check(grown < (64 << 20) or SANITIZED, f"it has taken {grown} bytes")
        slowest = 0.0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            export = pool.submit(ask, server, "/v1/usage", group_by="room,tag", limit=30000, **ALL)
            while not export.done():
                start = time.monotonic()
                check_equal(ask(server, "/livez")[0], 200, "livez meanwhile")
                slowest = max(slowest, time.monotonic() - start)
                time.sleep(0.02)
        check_equal(len(json.loads(export.result()[1])["rows"]), 30000, "the rows of JSON")
        print(f"# the slowest question meanwhile: {slowest * 1000:.1f} ms")
        check(slowest < 0.5 or SANITIZED, f"a question took {slowest:.3f} s meanwhile")


@test
def a_reader_who_goes_away_leaves_nothing_behind():
    with serving() as server:
        put(server, (("acme", T0, "r", f"a-player-with-a-name-{i:06}", i) for i in range(20000)))
        for _ in range(8):
            connection = Connection(server.path("door"))
            connection.request("GET", f"/v1/usage?group_by=tag&from=0&to={ALL['to']}")
            connection.getresponse().read(1000)
            connection.close()
        check_equal(len(ask_json(server, "/v1/usage", group_by="tag", **ALL)[1]["rows"]), 20000, "the rows")
        with contextlib.ExitStack() as readers:
            slow = []
            for _ in range(16):
                slow.append(readers.enter_context(contextlib.closing(Connection(server.path("door")))))
                slow[-1].request("GET", f"/v1/usage?group_by=tag&from=0&to={ALL['to']}")
                check_equal(slow[-1].getresponse().status, 200, "the status of one of many")
            check_equal(ask(server, "/v1/usage")[0], 503, "the status of one too many")
            slow.pop().close()
            wait_for(lambda: ask(server, "/v1/usage")[0] == 200, 5, "an answer where one has gone")
            server.stop()


@test
def what_is_old_is_merged_and_no_sum_changes_though_it_is_killed_meanwhile():
    now = int(time.time()) // 60
    with serving("usage-keep-minutes=2", "usage-keep-hours=20", "sessions-keep=3") as server:
        put(server, [(f"t{i % 2}", now - i * 7, f"r{i % 3}", f"p{i % 5}", i) for i in range(8000)])
        with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as database:
            for days in (1, 4):
                opened = (now - days * 1440) * 60000
                database.execute("INSERT INTO sessions (id, start, tenant, user, transport, opened_ms, seen_ms, closed_ms) VALUES (?, 1, 't0', 'u', 'udp', ?, ?, ?)",
                                 (opened << 21, opened, opened, opened))
            database.commit()
        want = server.query("SELECT tenant, room, tag, sum(bytes_in) FROM usage GROUP BY 1, 2, 3")
        old = f"SELECT count(*) FROM usage WHERE span = 1 AND minute < {now - 2 * 1440 - 60} OR span = 60 AND minute < {now - 21 * 1440}"
        whole = "SELECT tenant, room, tag, sum(bytes_in) FROM usage GROUP BY 1, 2, 3"
        server.stop()
        server.start()
        first = server.query(old)[0][0]
        for _ in range(3):
            before = server.query(old)[0][0]
            wait_for(lambda: server.query(old)[0][0] < before or not before, 20, "the next rows to be merged")
            server.kill()
            check_equal(server.query(whole), want, "the sums after a kill")
            server.start()
        wait_for(lambda: server.query(old) == [(0,)], 40, "the end of what is old")
        check(first > 0, "there was nothing to do")
        check_equal(server.query(whole), want, "the sums")
        check_equal(server.query("SELECT DISTINCT span FROM usage ORDER BY span"), [(1,), (60,), (1440,)], "the spans")
        wait_for(lambda: server.query("SELECT count(*) FROM sessions") == [(1,)], 10, "the end of the old session")
        body = ask_json(server, "/v1/tenants/t1/usage", group_by="room", **ALL)[1]
        check_equal({row["room"]: row["bytes_in"] for row in body["rows"]},
                    {room: sum(row[3] for row in want if row[0] == "t1" and row[1] == room) for room in ("r0", "r1", "r2")}, "the API")
        check_equal(body["span"], 1440, "the longest row")
        check(scrape(server)("relay_store_rollups_total") > 0, "no transaction was counted")


@test
def the_command_line_says_the_same_by_the_socket_and_by_the_file():
    with serving() as server:
        put(server, [(f"t{i % 2}", T0 + i, f"r{i % 3}", f"p{i}", i) for i in range(100)])
        span = ["--from", "0", "--to", "2099-01-01"]

        def usage(*arguments, way):
            where = {"socket": ["--admin-socket", "door"], "config": ["-c", server.config], "file": ["--userdb", "relay.db"]}[way]
            return server.relay("usage", *where, *span, *arguments)

        for arguments in (["--group-by", "room"], ["--group-by", "tenant,room", "--format", "csv"], ["--format", "ndjson"], ["--tenant", "t1", "--group-by", "hour"],
                          ["--group-by", "tag", "--sort", "bytes_in", "--limit", "3", "--room", "r1"]):
            by_file = usage(*arguments, way="file")
            for way in ("socket", "config"):
                check_equal(usage(*arguments, way=way), by_file, f"{arguments} by the {way}")
        for way in ("socket", "file"):
            body = json.loads(usage("--group-by", "room", "--json", way=way))
            check_equal({row["room"]: row["bytes_in"] for row in body["rows"]}, {f"r{k}": sum(range(k, 100, 3)) for k in range(3)}, f"the rooms by the {way}")
        table = usage("--group-by", "tag", "--sort", "bytes_in", "--limit", "1", way="socket").splitlines()
        check_equal(table[1].split()[:2], ["p99", "99"], "the top tag for people")
        for wrong, name in ((["--group-by", "colour"], "--group-by"), (["--sort", "tag"], "--sort"), (["--limit", "0"], "--limit"), (["--format", "xml"], "--format"),
                            (["--from", "soon"], "--from")):
            code, _, errors = run_relay("usage", "--userdb", "relay.db", *wrong, cwd=server.directory)
            check_equal((code, name in errors), (2, True), f"the answer to {wrong}: {errors}")


@test
def what_a_rate_limit_drops_is_not_counted_and_policies_name_rooms_and_tags():
    policy = """return {name = 'match', authorize = function(req)
      return relay.allow{tags = {room = 'red', tag = 'p-' .. req.user, other = 1}, max_bps = 80000}
    end}"""
    with Server("admin-socket=door", "userdb=relay.db", files={"match.lua": policy}, policies=["match.lua"], threads=2) as server, \
            server.client() as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        sent = 0
        for _ in range(200):
            client.send_channel(0x4000, bytes(1000))
            sent += 1000
        got = 0
        while (data := peer.receive(0.5)):
            got += len(data[0])
        check(0 < got < sent, f"{got} of {sent} bytes came through")
        wait_for(lambda: server.query("SELECT room, tag, sum(bytes_in), sum(packets_in) FROM usage GROUP BY 1, 2") == [("red", "p-ann", got, got // 1000)], 5,
                 f"{got} bytes in the usage, which has {server.query('SELECT * FROM usage')}")
        check_equal(server.query("SELECT room, tag, bytes_in FROM sessions"), [("red", "p-ann", got)], "the session")
        wait_for(lambda: scrape(server)("relay_drops_total", reason="rate") == (sent - got) // 1000, 3, "what was dropped, in the metrics")


@test
def an_allocation_that_only_lives_is_counted_while_it_does():
    with serving() as server:
        username, password = minted.mint(MASTER, "t0", tag="idle", room="wait")
        with server.client(username=username, password=password) as client:
            client.relayed()
            both = "SELECT (SELECT sum(lived_ms) FROM usage), (SELECT sum(lived_ms) FROM sessions)"
            wait_for(lambda: (server.query(both)[0][0] or 0) >= 2500, 15, "some seconds of its life")
            lived, of_sessions = server.query(both)[0]
            check_equal(lived, of_sessions, "the time by usage and by sessions")
            check_equal(server.query("SELECT held, active FROM peaks ORDER BY minute LIMIT 1"), [(1, 0)], "the peak")
            client.refresh(0)
        wait_for(lambda: server.query("SELECT sum(closed) FROM usage") == [(1,)], 5, "its end")
        check_equal(*(server.query(both)[0]), "the time at the end")
        opened, closed, lived, seconds = server.query("SELECT opened_ms, closed_ms, lived_ms, seconds FROM sessions")[0]
        check(abs(closed - opened - lived) <= 5 and seconds == lived // 1000, f"it lived {lived} ms ({seconds} s) of {closed - opened}")


@measuring
@test
def killed_under_load_it_loses_a_second_at_most_and_doubles_nothing():
    agree = " AND ".join(f"(SELECT sum({name}) FROM usage) IS (SELECT sum({name}) FROM sessions)" for name in (*NUMBERS, "lived_ms"))
    agree += " AND (SELECT coalesce(sum(opened), 0) FROM usage) = (SELECT count(*) FROM sessions)"
    with serving(threads=3) as server:
        players = [Player(server, f"t{i % 2}", f"match{i}", f"player{i}", transport, "channel") for i, transport in enumerate(("udp", "tcp", "udp", "tcp"))]
        stop, noted = threading.Event(), []

        def load(player):
            with Peer() as peer, contextlib.suppress(OSError, AssertionError, TypeError):
                player.client.relayed()
                player.client.bind(0x4000, peer.address)
                while not stop.is_set():
                    player.client.send_channel(0x4000, bytes(700))
                    player.counts["bytes_in"] += 700
                    check(peer.receive(0.3), "nothing came")
                    noted.append((time.monotonic(), 700))

        threads = [threading.Thread(target=load, args=(player,)) for player in players]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 2.5
        moments = 0
        while time.monotonic() < until:
            check_equal(server.query(f"SELECT {agree}"), [(1,)], "sessions and usage at a moment")
            moments += 1
        server.kill()
        killed = time.monotonic()
        stop.set()
        for thread in threads:
            thread.join()
        server.start()
        check(moments > 20, f"only {moments} moments were looked at")
        there, sent = server.query("SELECT sum(bytes_in) FROM usage")[0][0], sum(player.counts["bytes_in"] for player in players)
        had_to_be = sum(size for at, size in noted if at < killed - 1.1)
        check(had_to_be <= there <= sent, f"{there} bytes are there, {had_to_be} had to be, {sent} were sent")
        check(had_to_be > 0, "the load did nothing")
        check_equal(server.query(f"SELECT {agree}"), [(1,)], "sessions and usage after the kill")
        check_equal(server.query("SELECT sum(opened), sum(closed) FROM usage"), [(4, 4)], "what was opened and ended by the crash")
        check_equal(ask_json(server, "/v1/usage")[1]["total"]["bytes_in"], there, "the API")


main()
