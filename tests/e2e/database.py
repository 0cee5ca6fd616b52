"""SQLite under the running relay: users, tenants, exact usage, kill -9 under load, a database that breaks while it relays."""
import contextlib
import json
import os
import sqlite3
import stat
import threading
import time

from support import stun
from support.client import Peer
from support.server import POLICIES, SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True

DATABASE = "userdb=relay.db"
COLUMNS = "sum(bytes_in), sum(bytes_out), sum(packets_in), sum(packets_out)"


def query(server, sql, *values):
    return server.query(sql, *values)


def add_user(server, name, password, realm=None):
    server.relay("user", "add", "--userdb", "relay.db", "--realm", realm or server.realm, name, "--password-stdin", stdin=password + "\n")


def talk(client, peer, relayed, up, down, size):
    """`up` packets to the peer and `down` packets back, every one of them confirmed."""
    for _ in range(up):
        client.send_channel(0x4000, b"u" * size)
        check(peer.receive(), "a packet on the way up was lost")
    for _ in range(down):
        peer.send(b"d" * size, relayed)
        check(client.receive_data(), "a packet on the way down was lost")


@test
def users_are_added_listed_changed_and_removed_while_it_runs():
    with Server(DATABASE, auth=["lt-cred-mech"], threads=2) as server:
        def code(password):
            with server.client(username="bob", password=password) as client:
                answer = client.allocate().code
                client.refresh(0)
                return answer

        check_equal(code("hunter2"), 401, "the answer before the user is there")
        add_user(server, "bob", "hunter2")
        wait_for(lambda: code("hunter2") == 0, 3, "bob's credential")
        check("bob" in server.relay("user", "list", "--userdb", "relay.db", "--realm", server.realm), "bob is not listed")
        add_user(server, "bob", "changed")
        wait_for(lambda: (code("hunter2"), code("changed")) == (401, 0), 3, "the new password")
        server.relay("user", "remove", "--userdb", "relay.db", "--realm", server.realm, "bob")
        wait_for(lambda: code("changed") == 401, 3, "the end of bob")
        check("bob" not in server.relay("user", "list", "--userdb", "relay.db"), "bob is still listed")


@test
def the_command_line_refuses_what_is_wrong():
    server = Server()
    for line in ("user", "user ad", "user add bob", "user add --userdb x.db bob", "user add --userdb x.db --realm r", "user remove --userdb x.db --realm r nobody",
                 "tenant set --userdb x.db acme max_alocations=4", "tenant set --userdb x.db acme max_allocations=x", "tenant set --userdb x.db acme",
                 "usage", "usage --userdb missing.db", "frobnicate"):
        code, output, errors = run_relay(*line.split(), cwd=server.directory)
        check(0 < code < 128 and errors.strip(), f"relay {line} was answered {code}: {output}{errors}")


@test
def the_database_holds_keys_and_not_passwords_and_is_for_its_owner_alone():
    with Server(DATABASE, auth=["lt-cred-mech"]) as server:
        add_user(server, "bob", "hunter2")
        check_equal(query(server, "SELECT key FROM users WHERE name = 'bob'"), [(stun.key_of("bob", server.realm, "hunter2"),)], "bob's key")
        for name in os.listdir(server.directory):
            if name.startswith("relay.db"):
                check_equal(stat.S_IMODE(os.stat(server.path(name)).st_mode), 0o600, f"the mode of {name}")
                with open(server.path(name), "rb") as file:
                    check(b"hunter2" not in file.read(), f"the password is in {name}")


@smoke
def usage_is_exact_in_both_directions():
    up, down, size = 70, 40, 333
    with Server(DATABASE, threads=2) as server:
        for transport in ("udp", "tcp"):
            with server.client(transport) as client, Peer() as peer:
                relayed = client.relayed()
                client.bind(0x4000, peer.address)
                talk(client, peer, relayed, up, down, size)
                client.refresh(0)
        expected = (2 * up * size, 2 * down * size, 2 * up, 2 * down)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: query(server, f"SELECT {COLUMNS} FROM usage")[0] == expected, 5 if not SANITIZED else 20)
        check_equal(query(server, f"SELECT {COLUMNS} FROM usage"), [expected], "the usage")
        check_equal(query(server, f"SELECT {COLUMNS} FROM sessions"), [expected], "the sessions")
        check_equal(query(server, "SELECT user, transport FROM sessions ORDER BY transport"), [("ann", "tcp"), ("ann", "udp")], "who")
        closed = "SELECT count(*) FROM sessions WHERE closed_ms IS NOT NULL AND reason <> ''"
        wait_for(lambda: query(server, closed) == [(2,)], 5, "two closed sessions")
        text = server.relay("usage", "--userdb", "relay.db")
        check("ann" in text and str(expected[0]) in text and str(expected[1]) in text, f"relay usage says {text}")


@measuring
@test
def usage_of_a_live_session_appears_within_two_seconds():
    with Server(DATABASE) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        talk(client, peer, relayed, 10, 10, 100)
        wait_for(lambda: query(server, f"SELECT {COLUMNS} FROM usage") == [(1000, 1000, 10, 10)], 2, "the usage")


@test
def usage_survives_sigterm():
    server = Server(DATABASE)
    with server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        talk(client, peer, relayed, 10, 10, 100)
        server.stop()
        check_equal(query(server, f"SELECT {COLUMNS} FROM usage"), [(1000, 1000, 10, 10)], "the usage")
        check_equal(query(server, "SELECT count(*) FROM sessions WHERE closed_ms IS NULL"), [(0,)], "open sessions")


def load_until(server, stop, sent):
    """Relays packets as fast as they are confirmed; notes (time, bytes so far)."""
    with server.client() as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        total = 0
        while not stop.is_set():
            with contextlib.suppress(OSError, AssertionError):
                client.send_channel(0x4000, b"u" * 500)
                if peer.receive(0.2):
                    total += 500
                    sent.append((time.monotonic(), total))


@measuring
@test
def kill_9_under_load_loses_at_most_a_second_and_no_integrity():
    with Server(DATABASE, threads=2) as server:
        add_user(server, "bob", "hunter2")
        stop, sent = threading.Event(), []
        load = threading.Thread(target=load_until, args=(server, stop, sent))
        load.start()
        try:
            time.sleep(3.3)
            server.kill()
            killed = time.monotonic()
        finally:
            stop.set()
            load.join()
        server.start()
        check(server.start_s < 1, f"it serves only after {server.start_s:.2f} s")
        check_equal(query(server, "PRAGMA integrity_check"), [("ok",)], "the integrity")
        had_to_be_there = max((total for at, total in sent if at < killed - 1.1), default=0)
        check(had_to_be_there > 0, "the load did nothing")
        there = query(server, "SELECT sum(bytes_in) FROM usage")[0][0] or 0
        check(had_to_be_there <= there <= sent[-1][1] + 500, f"{there} bytes are there, {had_to_be_there} had to be, {sent[-1][1]} were sent")
        check_equal(query(server, "SELECT count(*) FROM users"), [(1,)], "users")
        with server.client(username="bob", password="hunter2") as client:
            check_equal(client.allocate().code, 0, "bob's Allocate afterwards")
        wait_for(lambda: query(server, "SELECT count(*) FROM sessions WHERE closed_ms IS NULL") <= [(1,)], 3, "the end of what was open")


@measuring
@test
def killed_again_and_again_it_keeps_its_integrity():
    with Server(DATABASE) as server:
        for _ in range(6):
            with server.client() as client, Peer() as peer:
                relayed = client.relayed()
                client.bind(0x4000, peer.address)
                talk(client, peer, relayed, 20, 20, 100)
                server.kill()
            server.start()
            check(server.start_s < 1, f"it serves only after {server.start_s:.2f} s")
        check_equal(query(server, "PRAGMA integrity_check"), [("ok",)], "the integrity")


@measuring
@test
def a_locked_database_stops_nothing_and_is_said_once():
    with Server(DATABASE) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        wait_for(lambda: query(server, "SELECT count(*) FROM sessions") == [(1,)], 3, "the session")
        locker = sqlite3.connect(server.path("relay.db"), timeout=5, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        before = len(server.log().splitlines())
        worst, until = 0.0, time.monotonic() + 3
        while time.monotonic() < until:
            start = time.monotonic()
            talk(client, peer, relayed, 1, 1, 100)
            worst = max(worst, time.monotonic() - start)
        packets = query(server, "SELECT sum(packets_in) FROM usage")[0][0] or 0
        locker.execute("ROLLBACK")
        locker.close()
        check(worst < 0.1, f"a packet took {worst * 1000:.0f} ms")
        check(len(server.log().splitlines()) - before <= 4, f"the log is flooded: {server.log()}")
        wait_for(lambda: (query(server, "SELECT sum(packets_in) FROM usage")[0][0] or 0) > packets, 5, "the usage that waited")


@test
def a_database_that_vanishes_or_turns_read_only_stops_nothing():
    with Server(DATABASE) as server, server.client() as client, Peer() as peer:
        relayed = client.relayed()
        client.bind(0x4000, peer.address)
        wait_for(lambda: query(server, "SELECT count(*) FROM sessions") == [(1,)], 3, "the session")
        with open(server.path("relay.db"), "r+b") as file:
            file.write(b"\xff" * 4096)
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            talk(client, peer, relayed, 1, 1, 100)
        check_equal((client.refresh(600).code, client.permit(("127.0.0.1", 9)).code), (0, 0), "the codes of Refresh and CreatePermission")


@test
def a_secret_of_the_database_is_a_secret():
    with Server(DATABASE, auth=["use-auth-secret"]) as server:
        with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as database:
            database.execute("INSERT INTO secrets (realm, secret, created_ms) VALUES (?, 'from-the-database', 1)", (server.realm,))
            database.commit()
        username, password = stun.rest_credential("from-the-database", int(time.time()) + 60, "carol")

        def is_accepted():
            with server.client(username=username, password=password) as client:
                return client.allocate().code == 0

        wait_for(is_accepted, 3, "the credential")


@test
def tenants_have_realms_users_and_limits_of_their_own():
    with open(os.path.join(POLICIES, "tenants.lua"), encoding="utf-8") as file:
        server = Server(DATABASE, files={"tenants.lua": file.read()}, policies=["tenants.lua"], threads=2)
    tenants = {"by_port": {str(server.port): "acme"}, "tenants": {"acme": {"realm": "acme.example", "allocations": 2}}}
    server.write("tenants.json", json.dumps(tenants))
    add_user(server, "bob", "hunter2", realm="acme.example")
    with server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(username="bob", password="hunter2")) for _ in range(3)]
        check_equal([client.allocate().code for client in clients], [0, 0, 486], "the codes of bob")
        check_equal(clients[0].realm, "acme.example", "the realm")
        check_equal(query(server, "SELECT DISTINCT tenant FROM sessions") or [("acme",)], [("acme",)], "the tenant of the sessions")


@test
def tenants_are_told_apart_by_sni_origin_and_name():
    with open(os.path.join(POLICIES, "tenants.lua"), encoding="utf-8") as file:
        server = Server(DATABASE, files={"tenants.lua": file.read()}, policies=["tenants.lua"], tls=True)
    tenants = {"by_sni": {"turn.acme.example": "acme"}, "by_origin": {"https://beta.example": "beta"},
               "tenants": {"acme": {"realm": "acme.example"}, "beta": {"realm": "beta.example"}, "gamma": {}}}
    server.write("tenants.json", json.dumps(tenants))
    for name, realm in (("bob", "acme.example"), ("bob", "beta.example"), ("bob@gamma", server.realm)):
        add_user(server, name, "hunter2", realm=realm)
    ways = {"acme": ("tls", "bob", {"sni": "turn.acme.example"}), "beta": ("udp", "bob", {"origin": "https://beta.example"}),
            "gamma": ("udp", "bob@gamma", {})}
    with server, contextlib.ExitStack() as stack:
        for tenant, (transport, username, how) in ways.items():
            client = stack.enter_context(server.client(transport, username=username, password="hunter2", **how))
            check_equal(client.allocate().code, 0, f"the code of {tenant}")
        stranger = stack.enter_context(server.client("tls", username="bob", password="hunter2", sni="other.example"))
        check_equal(stranger.allocate().code, 401, "the code of a stranger")
        wait_for(lambda: query(server, "SELECT tenant, user FROM sessions ORDER BY tenant") == [("acme", "bob"), ("beta", "bob"), ("gamma", "bob")],
                 3, "the sessions of three tenants")


@test
def a_tenant_routed_without_a_realm_has_the_one_of_the_table():
    server = Server(DATABASE, files={"route.lua": "return {name = 'route', route = function() return relay.tenant('acme') end}"}, policies=["route.lua"])
    server.relay("tenant", "set", "--userdb", "relay.db", "acme", "realm=acme.example", "max_allocations=1")
    add_user(server, "bob", "hunter2", realm="acme.example")
    with server, server.client(username="bob", password="hunter2") as client, server.client(username="bob", password="hunter2") as other:
        check_equal([client.allocate().code, client.realm], [0, "acme.example"], "the code and the realm")
        check_equal(other.allocate().code, 486, "the second code")
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "realm=new.example")
        with server.client() as stranger:
            wait_for(lambda: stranger.challenge().text(stun.REALM) == "new.example", 3, "the new realm")


@test
def a_tenant_is_set_on_the_command_line():
    server = Server(DATABASE)
    server.relay("tenant", "set", "--userdb", "relay.db", "acme", "max_allocations=2", "realm=acme.example")
    check_equal(query(server, "SELECT name, realm, max_allocations FROM tenants"), [("acme", "acme.example", 2)], "the tenants")
    server.relay("tenant", "set", "--userdb", "relay.db", "acme", "max_allocations=3")
    check_equal(query(server, "SELECT name, realm, max_allocations FROM tenants"), [("acme", "acme.example", 3)], "the tenants after a change")


if __name__ == "__main__":
    main()
