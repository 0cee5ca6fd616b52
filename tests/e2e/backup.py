"""Copies of the database while it is written: what is in them, that they are whole or not there, and that a relay starts on them."""
import contextlib
import os
import sqlite3
import stat
import threading
import time

from support.client import Peer
from support.door import ask_json, tell
from support.pace import check_steady, packets_going_on
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

HOSTED = ("admin-socket=door", "userdb=relay.db")
SUMS = """SELECT (SELECT batch FROM starts ORDER BY id DESC LIMIT 1),
 (SELECT json_array(total(bytes_in), total(bytes_out), total(packets_in), total(packets_out)) FROM sessions),
 (SELECT json_array(total(bytes_in), total(bytes_out), total(packets_in), total(packets_out)) FROM usage)"""


def rows(path, sql):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
        return file.execute(sql).fetchall()


class Watch(threading.Thread):
    """What the sums are, by the number of the batch that was committed last: each read is of one moment."""

    def __init__(self, path):
        super().__init__()
        self.path, self.sums, self.over = path, {}, threading.Event()

    def run(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)) as file:
            while not self.over.is_set():
                batch, sessions, usage = file.execute(SUMS).fetchone()
                self.sums[batch] = (sessions, usage)
                time.sleep(0.01)


def fill(server, megabytes):
    """Rows of long ago, so that a copy takes many pieces."""
    with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as file, file:
        file.execute("CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB)")
        file.execute("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) INSERT INTO ballast SELECT i, zeroblob(100000) FROM c", (megabytes * 10,))


@contextlib.contextmanager
def traffic(server, users):
    """Each with packets in both directions all the time."""
    over = threading.Event()

    def relay_packets():
        with server.client() as client, Peer() as peer:
            relayed = client.relayed()
            client.bind(0x4000, peer.address)
            while not over.is_set():
                client.send_channel(0x4000, b"u" * 700)
                if peer.receive():
                    peer.send(b"d" * 300, relayed)
                    client.receive_data()

    threads = [threading.Thread(target=relay_packets) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@smoke
def a_copy_under_load_has_the_sums_of_its_moment_and_a_relay_starts_on_it():
    with Server(*HOSTED, threads=2) as server:
        fill(server, 40)
        watch = Watch(server.path("relay.db"))
        watch.start()
        try:
            with traffic(server, 3), server.client() as ann, Peer() as peer:
                ann.relayed()
                with packets_going_on(ann, peer) as late:
                    wait_for(lambda: len(watch.sums) > 5, 10, "some batches")
                    before = max(watch.sums)
                    copies = []
                    for i in range(3):  # the last one by the verb alone
                        place = ("-c", server.config) if i < 2 else ("--userdb", "relay.db")
                        begun = time.monotonic()
                        server.relay("backup", *place, f"copy{i}.db")
                        print(f"# a copy of {os.path.getsize(server.path(f'copy{i}.db')) >> 20} MiB took {time.monotonic() - begun:.2f} s")
                        copies.append(server.path(f"copy{i}.db"))
                    wait_for(lambda: max(watch.sums) > before + 2, 10, "batches behind the copies")
                check_steady(late)
        finally:
            watch.over.set()
            watch.join()
        known = 0
        for copy in copies:
            check_equal(rows(copy, "PRAGMA integrity_check"), [("ok",)], f"the integrity of {copy}")
            (batch, sessions, usage), = rows(copy, SUMS)
            check_equal(sessions, usage, "the sums of sessions and of usage")
            check(batch >= before, f"the batch {batch} of a copy that was begun behind {before}")
            check(batch not in watch.sums or watch.sums[batch] == (sessions, usage), f"the sums of batch {batch}: {sessions}, {watch.sums.get(batch)}")
            known += batch in watch.sums
            check_equal(stat.S_IMODE(os.stat(copy).st_mode), 0o600, "the mode of the copy")
        check(known >= 1, "the moment of no copy was seen in the original")
        check(rows(copies[-1], "SELECT total(bytes_in) FROM usage")[0][0] > 0, "there is no traffic in the copy")
        check_equal([name for name in os.listdir(server.directory) if name.endswith(".part")], [], "what is left over")
        os.rename(copies[0], server.path("restored.db"))
        sums = rows(server.path("restored.db"), SUMS)[0][2]
        server.stop()
        server.config = server.write("again.conf", open(server.config, encoding="utf-8").read().replace("userdb=relay.db", "userdb=restored.db"))
        server.start()
        with server.client() as ann:
            ann.relayed()
        check_equal(rows(server.path("restored.db"), "SELECT count(*) FROM sessions WHERE closed_ms IS NULL AND start <> (SELECT max(id) FROM starts)"), [(0,)],
                    "sessions of the copy that are open still")
        check_equal(rows(server.path("restored.db"), SUMS)[0][2], sums, "the sums, with the relay on them")


@test
def nothing_is_overwritten_and_what_fails_leaves_nothing():
    with Server(*HOSTED) as server:
        server.write("there.db", "precious")
        for place in (("-c", server.config), ("--userdb", "relay.db")):
            for out, why in (("there.db", "nothing is overwritten"), ("nowhere/x.db", "No such file"), ("/proc/x.db", "cannot be created")):
                code, _, errors = run_relay("backup", *place, out, cwd=server.directory)
                check(code == 1 and why in errors, f"{place} {out}: {code} {errors}")
        with open(server.path("there.db"), encoding="ascii") as file:
            check_equal(file.read(), "precious", "what was there")
        code, _, errors = run_relay("backup", "--userdb", "none.db", "x.db", cwd=server.directory)
        check(code == 1 and "none.db" in errors, errors)
        check_equal(tell(server, "POST", "/v1/backup", {"path": "x.db"})[1].get("field"), "path", "the field of a path that begins nowhere")
        check_equal(tell(server, "POST", "/v1/backup", {})[1].get("field"), "path", "the field that is missing")
        check_equal(tell(server, "POST", "/v1/backup", {"path": server.path("there.db")})[0], 409, "where something is")
        check_equal(ask_json(server, "/v1/backup")[1]["state"], "failed", "what became of it")
        check_equal([name for name in os.listdir(server.directory) if name.endswith((".part", "x.db"))], [], "what is left over")


@test
def a_relay_that_stops_leaves_no_half_copy():
    with Server(*HOSTED) as server:
        fill(server, 60)
        status, body = tell(server, "POST", "/v1/backup", {"path": server.path("half.db")})
        check_equal((status, body["state"]), (202, "running"), f"the answer ({body})")
        check_equal(tell(server, "POST", "/v1/backup", {"path": server.path("other.db")})[0], 409, "a second one")
        check(os.path.exists(server.path("half.db.part")), "it was over before it could be stopped")
        check_equal(stat.S_IMODE(os.stat(server.path("half.db.part")).st_mode), 0o600, "the mode of what is being made")
        server.stop()
        check_equal([name for name in os.listdir(server.directory) if name.startswith("half")], [], "what is left")


main()
