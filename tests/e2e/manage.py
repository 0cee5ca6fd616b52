"""Tenants, users and secrets by the admin door and by the verbs, of a relay that runs and of a file; who changed what."""
import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import time
import urllib.parse

from support.client import Peer
from support.door import ask_json, tell
from support.pace import check_steady, packets_going_on
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

HOSTED = ("admin-socket=door", "userdb=relay.db")


def hosted(*lines, **how):
    how.setdefault("auth", ["lt-cred-mech"])
    return Server(*HOSTED, *lines, **how)


def change(server, *statements):
    with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as file, file:
        for statement in statements:
            file.execute(statement)


def listed(server, path, name, **query):
    """All rows of a list, page by page."""
    rows = []
    while True:
        status, body = ask_json(server, path, **query)
        check_equal(status, 200, f"the status of {path} ({body})")
        rows += body[name]
        if body["next"] is None:
            return rows
        query["after"] = body["next"]


def expect(status, answer):
    check_equal(answer[0], status, f"the status ({answer[1]})")
    return answer[1]


def code(server, name, password, realm):
    with server.client(username=name, password=password) as client:
        client.realm = realm
        answer = client.allocate().code
        client.refresh(0)
        return answer


@smoke
def tenants_are_made_changed_listed_and_removed():
    with hosted() as server:
        made = expect(201, tell(server, "POST", "/v1/tenants", {"name": "acme", "max_bps": 8000, "month_action": "throttle"}))
        check_equal([made[name] for name in ("name", "realm", "status", "max_bps", "month_action", "max_allocations")],
                    ["acme", "acme", "active", 8000, "throttle", 0], "what was made")
        check(abs(made["created"] - time.time()) < 5, "when it was made")
        expect(409, tell(server, "POST", "/v1/tenants", {"name": "acme"}))
        expect(404, tell(server, "PATCH", "/v1/tenants/nobody", {"max_bps": 1}))
        changed = expect(200, tell(server, "PATCH", "/v1/tenants/acme", {"max_bps": 9000, "status": "disabled"}))
        check_equal((changed["max_bps"], changed["status"], changed["month_action"]), (9000, "disabled", "throttle"), "what was changed")
        check_equal(expect(200, ask_json(server, "/v1/tenants/acme")), changed, "the tenant")
        expect(404, ask_json(server, "/v1/tenants/nobody"))
        for body, field in (({"name": "b", "max_bps": -1}, "max_bps"), ({"name": "b", "max_bps": "1"}, "max_bps"), ({"name": "b", "status": "off"}, "status"), ({}, "name"),
                            ({"name": "*"}, "name"), ({"name": "b", "colour": "red"}, "colour"), ({"name": "a\tb"}, "name"), ({"name": "b", "realm": "a\tb"}, "realm")):
            check_equal(expect(400, tell(server, "POST", "/v1/tenants", body)).get("field"), field, f"the field of {body}")
        expect(400, tell(server, "POST", "/v1/tenants", b"{"))
        check_equal([row["name"] for row in listed(server, "/v1/tenants", "tenants")], ["acme"], "the tenants")
        check_equal(expect(200, tell(server, "DELETE", "/v1/tenants/acme"))["name"], "acme", "who was removed")
        expect(404, tell(server, "DELETE", "/v1/tenants/acme"))


@test
def tenants_are_listed_page_by_page():
    with hosted() as server:
        change(server, *(f"INSERT INTO tenants (name, created_ms, max_bps) VALUES ('t{i:02}', 1700000000000, {i})" for i in range(25)))
        rows = listed(server, "/v1/tenants", "tenants", limit=10)
        check_equal([row["name"] for row in rows], [f"t{i:02}" for i in range(25)], "the tenants")
        check_equal({name: rows[7][name] for name in ("max_bps", "status", "realm", "created")},
                    {"max_bps": 7, "status": "active", "realm": "", "created": 1700000000}, "one of them")
        for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"tenat": "x"}):
            check_equal(ask_json(server, "/v1/tenants", **query)[0], 400, f"the status of {query}")


@smoke
def users_log_in_as_they_were_put():
    with hosted() as server:
        path = f"/v1/tenants/{server.realm}/users"
        given = expect(201, tell(server, "POST", path, {"name": "bob", "password": "hunter2"}))
        check_equal((sorted(given), given["realm"], given["name"]), (["created", "name", "realm"], server.realm, "bob"), "the answer")
        check_equal(code(server, "bob", "hunter2", server.realm), 0, "bob's Allocate")
        expect(409, tell(server, "POST", path, {"name": "bob", "password": "other"}))
        expect(200, tell(server, "PATCH", path + "/bob", {"password": "changed"}))
        check_equal((code(server, "bob", "hunter2", server.realm), code(server, "bob", "changed", server.realm)), (401, 0), "after the change")
        made = expect(201, tell(server, "POST", path, {"name": "eve"}))["password"]
        check_equal(code(server, "eve", made, server.realm), 0, "with the password that was made")
        made = expect(200, tell(server, "PATCH", path + "/eve"))["password"]
        check_equal(code(server, "eve", made, server.realm), 0, "with the one that was made anew")
        key = "0x" + hashlib.md5(f"kay:{server.realm}:k3y".encode()).hexdigest()
        expect(201, tell(server, "POST", path, {"name": "kay", "key": key}))
        check_equal(code(server, "kay", "k3y", server.realm), 0, "by a key")
        check_equal(sorted(expect(200, ask_json(server, path + "/eve"))), ["created", "name", "realm"], "what is told of a user")
        for body, field in (({"password": "x"}, "name"), ({"name": "x", "password": ""}, "password"), ({"name": "x", "key": "0x" + "g" * 32}, "key"),
                            ({"name": "x", "key": key, "password": "y"}, "key"), ({"name": "x\u00ad"}, "name"), ({"name": "x", "password": "y\u00ad"}, "password")):
            check_equal(expect(400, tell(server, "POST", path, body)).get("field"), field, f"the field of {body}")
        expect(200, tell(server, "DELETE", path + "/bob"))
        check_equal(code(server, "bob", "changed", server.realm), 401, "after he was removed")
        for method, where in (("DELETE", path + "/bob"), ("PATCH", path + "/bob"), ("POST", "/v1/tenants/nobody/users"), ("POST", "/v1/tenants/*/users")):
            expect(404, tell(server, method, where, {"name": "x"} if method == "POST" else None))
        expect(404, ask_json(server, "/v1/tenants/nobody/users"))
        check_equal([row["name"] for row in listed(server, "/v1/tenants/*/users", "users", limit=1)], ["eve", "kay"], "all users")


@test
def a_name_with_strange_characters_is_a_name():
    with hosted() as server:
        path = f"/v1/tenants/{server.realm}/users"
        for name in ("team/ann", "an n?&%2F", "\ud55c\uae00", "a" * 508):
            expect(201, tell(server, "POST", path, {"name": name, "password": "x"}))
            check_equal(expect(200, ask_json(server, path + "/" + urllib.parse.quote(name, safe="")))["name"], name, "the name")
            expect(200, tell(server, "DELETE", path + "/" + urllib.parse.quote(name, safe="")))


@smoke
def secrets_come_in_or_are_told_once():
    with hosted("use-auth-secret", auth=[]) as server:
        def minted(secret):
            name = f"{int(time.time()) + 100}:bob"
            password = base64.b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
            return code(server, name, password, server.realm)

        everywhere = expect(201, tell(server, "POST", "/v1/tenants/*/secrets", {"secret": "hush"}))
        check_equal(sorted(everywhere), ["id", "realm"], "the answer")
        expect(201, tell(server, "POST", "/v1/tenants", {"name": "acme", "realm": server.realm}))
        made = expect(201, tell(server, "POST", "/v1/tenants/acme/secrets"))
        check_equal((minted("hush"), minted(made["secret"]), minted("wrong")), (0, 0, 401), "by the secrets")
        rows = listed(server, "/v1/tenants/*/secrets", "secrets", limit=1)
        check_equal([(row["id"], row["realm"], sorted(row)) for row in rows],
                    [(everywhere["id"], "", ["created", "id", "realm"]), (made["id"], server.realm, ["created", "id", "realm"])], "the secrets")
        check_equal([row["id"] for row in listed(server, "/v1/tenants/acme/secrets", "secrets")], [made["id"]], "those of one tenant")
        expect(404, tell(server, "DELETE", f"/v1/tenants/acme/secrets/{everywhere['id']}"))
        expect(404, tell(server, "DELETE", "/v1/tenants/acme/secrets/x"))
        expect(200, tell(server, "DELETE", f"/v1/tenants/acme/secrets/{made['id']}"))
        check_equal((minted("hush"), minted(made["secret"])), (0, 401), "after one was removed")
        told = json.dumps(listed(server, "/v1/audit", "audit"))
        for secret in ("hush", made["secret"]):
            check(secret not in told and secret not in server.log(), f"{secret} was told")


@test
def a_tenant_that_has_something_goes_by_force_alone():
    with hosted(auth=["lt-cred-mech", "user=ann:secret"]) as server, server.client() as ann, Peer() as peer:
        expect(201, tell(server, "POST", "/v1/tenants", {"name": server.realm}))
        expect(201, tell(server, "POST", f"/v1/tenants/{server.realm}/users", {"name": "bob"}))
        expect(201, tell(server, "POST", f"/v1/tenants/{server.realm}/secrets"))
        ann.relayed()
        ann.bind(0x4000, peer.address)
        wait_for(lambda: server.query("SELECT count(*) FROM sessions WHERE closed_ms IS NULL") == [(1,)], 5, "the session")
        refused = expect(409, tell(server, "DELETE", f"/v1/tenants/{server.realm}"))["error"]
        check("1 users, 1 secrets, 1 allocations that live" in refused, refused)
        expect(400, tell(server, "DELETE", f"/v1/tenants/{server.realm}", force="perhaps"))
        gone = expect(200, tell(server, "DELETE", f"/v1/tenants/{server.realm}", force="true"))
        check_equal(gone["name"], server.realm, "what was removed")
        wait_for(lambda: ask_json(server, "/v1/allocations")[1]["allocations"] == [], 2, "the end of who is there")
        check_equal(code(server, "ann", "secret", server.realm), 401, "who comes again")
        check_equal(server.query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM secrets), (SELECT count(*) FROM tenants)"), [(0, 0, 0)], "what is left")
        wait_for(lambda: server.query("SELECT reason FROM sessions") == [("revoked",)], 5, "the session's end")


@smoke
def each_change_is_in_the_audit_with_what_was_before():
    with hosted() as server:
        expect(201, tell(server, "POST", "/v1/tenants", {"name": "acme", "max_bps": 8000}))
        expect(200, tell(server, "PATCH", "/v1/tenants/acme", {"max_bps": 9000}))
        expect(201, tell(server, "POST", "/v1/tenants/acme/users", {"name": "bob", "password": "hunter2"}))
        expect(200, tell(server, "DELETE", "/v1/tenants/acme/users/bob"))
        server.relay("tenant", "set", "--userdb", "relay.db", "other", "max_bps=5")
        expect(409, tell(server, "POST", "/v1/tenants", {"name": "acme"}))
        rows = listed(server, "/v1/audit", "audit", limit=2)
        check_equal([(row["action"], row["tenant"]) for row in rows],
                    [("tenant_add", "other"), ("user_remove", "acme"), ("user_put", "acme"), ("tenant_set", "acme"), ("tenant_add", "acme")], "the actions")
        check(rows[0]["who"].startswith("cli:") and {row["who"] for row in rows[1:]} == {"socket"}, "who")
        check_equal((rows[3]["before"], rows[3]["after"]), ({"max_bps": 8000}, {"max_bps": 9000}), "a change")
        check_equal((rows[4]["before"], rows[4]["after"]["max_bps"], rows[4]["after"]["realm"]), (None, 8000, "acme"), "a beginning")
        check(rows[1]["before"]["sha256"] is True and rows[1]["after"] is None, "an end")
        check_equal(rows[1]["detail"], {"realm": "acme", "user": "bob"}, "of whom")
        check_equal(len(listed(server, "/v1/audit", "audit", tenant="acme", limit=3)), 4, "those of one tenant")
        now = int(time.time())
        check_equal([len(listed(server, "/v1/audit", "audit", **query)) for query in ({"from": now + 60}, {"to": now - 60}, {"from": now - 60, "to": now + 60})],
                    [0, 0, 5], "those of a time")
        for query in ({"after": "x"}, {"after": "1.x"}, {"from": "x"}, {"limit": 0}):
            check_equal(ask_json(server, "/v1/audit", **query)[0], 400, f"the status of {query}")
        said = server.relay("audit", "-c", server.config, "--tenant", "acme", "--limit", "2", "--json")
        check_equal([row["action"] for row in json.loads(said)], ["user_remove", "user_put"], "by the verb")
        check_equal(server.relay("audit", "--userdb", "relay.db", "--tenant", "acme", "--limit", "2", "--json"), said, "of the file")
        check("hunter2" not in json.dumps(rows) + server.log() + said, "the password was told")


@test
def who_puts_somebody_out_is_in_the_audit():
    with hosted(auth=["lt-cred-mech", "user=ann:secret"]) as server, server.client() as ann:
        ann.relayed()
        row, = ask_json(server, "/v1/allocations")[1]["allocations"]
        server.relay("kick", "-c", server.config, row["id"])
        wait_for(lambda: listed(server, "/v1/audit", "audit"), 5, "the row")
        noted, = listed(server, "/v1/audit", "audit", tenant=server.realm)
        check_equal((noted["action"], noted["who"], noted["tenant"]), ("kick", "socket", server.realm), "who did what")
        check_equal((noted["detail"]["id"], noted["detail"]["user"], noted["detail"]["src"]), (row["id"], "ann", row["src"]), "to whom")


@smoke
def verbs_say_the_same_of_a_file_and_of_a_relay_that_runs():
    with hosted() as server:
        there, here = ("--admin-socket", server.path("door")), ("--userdb", "relay.db")

        def both(*words):
            for extra in ((), ("--json",)):
                told = [server.relay(*words, *place, *extra) for place in (there, here)]
                check_equal(told[0], told[1], f"relay {' '.join(words)} {extra}")
            return told[1]

        server.relay("tenant", "add", *there, "acme", "max_bps=8000", "status=disabled")
        server.relay("tenant", "set", *there, "acme", "max_bps=9000")
        server.relay("tenant", "set", *there, "north", "realm=north.example")
        server.relay("tenant", "set", *here, "south", "realm=south.example")
        check_equal([(row["name"], row["realm"], row["max_bps"]) for row in json.loads(both("tenant", "list"))],
                    [("acme", "acme", 9000), ("north", "north.example", 0), ("south", "south.example", 0)], "the tenants")
        check_equal(json.loads(both("tenant", "show", "acme"))["status"], "disabled", "one tenant")
        server.relay("user", "add", *there, "--tenant", "north", "bob", "--password-stdin", stdin="x\n")
        server.relay("user", "add", *there, "--tenant", "north", "bob", "--password-stdin", stdin="y\n")
        server.relay("user", "add", *here, "--tenant", "south", "te/am", "--password-stdin", stdin="x\n")
        check_equal([(row["realm"], row["name"]) for row in json.loads(both("user", "list"))], [("north.example", "bob"), ("south.example", "te/am")], "the users")
        check_equal(len(json.loads(both("user", "list", "--tenant", "north"))), 1, "the users of one")
        check_equal(len(json.loads(both("user", "list", "--realm", "south.example"))), 1, "the users of a realm")
        secret = server.relay("secret", "add", *there, "--tenant", "north").strip()
        check_equal(server.query("SELECT secret, realm FROM secrets"), [(secret, "north.example")], "the secret that was made")
        server.relay("secret", "add", *there, "--secret-stdin", stdin="hush\n")
        check_equal([row["realm"] for row in json.loads(both("secret", "list"))], ["north.example", ""], "the secrets")
        server.relay("secret", "remove", *there, "2")
        server.relay("user", "remove", *there, "--tenant", "south", "te/am")
        for words, why in ((("user", "remove", "--tenant", "south", "te/am"), "no such user"), (("tenant", "remove", "north"), "it has 1 users, 1 secrets"),
                           (("tenant", "show", "nobody"), "no such tenant"), (("tenant", "add", "acme"), "there is a tenant of this name"),
                           (("user", "list", "--tenant", "nobody"), "no such tenant"), (("secret", "remove", "77"), "no such secret")):
            for place in (there, here):
                status, _, errors = run_relay(*words, *place, cwd=server.directory)
                check(status == 1 and why in errors, f"relay {words} {place}: {status} {errors}")
        server.relay("tenant", "remove", *there, "north", "--force")
        check_equal(server.query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM secrets)"), [(0, 0)], "what went with it")


@test
def a_hundred_thousand_users_slow_nobody_down():
    users = 100_000
    with hosted(auth=["lt-cred-mech", "user=ann:secret"]) as server, server.client() as ann, Peer() as peer:
        path = f"/v1/tenants/{server.realm}/users"
        expect(201, tell(server, "POST", "/v1/tenants", {"name": server.realm}))
        ann.relayed()
        took = {}

        def timed(what, call):
            begun = time.monotonic()
            answer = call()
            took.setdefault(what, []).append(time.monotonic() - begun)
            return answer

        with packets_going_on(ann, peer) as late:
            change(server, f"""WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {users - 3000})
                INSERT INTO users (realm, name, key, userhash, created_ms) SELECT '{server.realm}', printf('u%06d', i), randomblob(16), randomblob(32), 1 FROM c""")
            for first in range(users - 3000, users, 1000):
                many = [f"u{i:06}\tp{i}" for i in range(first + 1, first + 1001)]
                check_equal(timed("1,000 put", lambda: expect(200, tell(server, "POST", f"/v1/tenants/{server.realm}/bulk", {"users": many})))["put"], 1000, "how many were put")
            after = f"{len(server.realm)}:{server.realm}u050000"
            page = timed("a page", lambda: expect(200, ask_json(server, path, limit=1000, after=after)))
            check_equal((page["users"][0]["name"], len(page["users"])), ("u050001", 1000), "a page in the middle")
            for i in range(20):
                name = f"u{i * 5000 + 1:06}"
                check_equal(timed("one shown", lambda: expect(200, ask_json(server, f"{path}/{name}")))["name"], name, "one of them")
            timed("one added", lambda: expect(201, tell(server, "POST", path, {"name": "zoe", "password": "z"})))
            check_equal(timed("a login", lambda: code(server, "u099999", "p99999", server.realm)), 0, "one of them")
            timed("all listed", lambda: check_equal(len(listed(server, path, "users", limit=1000)), users + 1, "how many there are"))
        check_steady(late)
        print("#", ", ".join(f"{what}: {max(times) * 1000:.0f} ms" for what, times in took.items()), f"; the latest packet: {max(late) * 1000:.0f} ms")
        check(max(took["one shown"] + took["a page"]) < 5, f"what took how long: {took}")
        check_equal(server.query("SELECT count(*) FROM audit WHERE type = 'users_put'"), [(3,)], "rows of the audit")


@test
def many_users_are_put_all_or_none():
    with hosted() as server:
        path = f"/v1/tenants/{server.realm}/bulk"
        for users, why in (([], "1 to 1000"), (["a"], "number 1: a name, a tab"), (["a\tx", "b\ty\u00ad"], "number 2: this may be no password"),
                           (["a\tx", "\ty"], "number 2: this may be no name"), ([1], "1 to 1000"), (["a\tx"] * 1001, "1 to 1000"), (["a\t"], "no password")):
            refused = expect(400, tell(server, "POST", path, {"users": users}))
            check(why in refused["error"] and refused["field"] == "users", refused)
        check_equal(server.query("SELECT count(*) FROM users"), [(0,)], "users")
        expect(404, tell(server, "POST", "/v1/tenants/nobody/bulk", {"users": ["a\tx"]}))
        expect(200, tell(server, "POST", path, {"users": ["ann\tx", "bob\ty"]}))
        check_equal((code(server, "ann", "x", server.realm), code(server, "bob", "y", server.realm)), (0, 0), "those that were put")


@test
def a_locked_or_broken_database_is_said_and_main_goes_on():
    with hosted() as server, contextlib.closing(sqlite3.connect(server.path("relay.db"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        refused = expect(503, tell(server, "POST", "/v1/tenants", {"name": "acme"}))
        check("locked" in refused["error"] and time.monotonic() - begun < 5, refused)
        check_equal(ask_json(server, "/livez")[0], 200, "main")
        other.execute("ROLLBACK")
        expect(201, tell(server, "POST", "/v1/tenants", {"name": "acme"}))
        change(server, "ALTER TABLE tenants RENAME TO elsewhere")
        check("no such table" in expect(503, ask_json(server, "/v1/tenants"))["error"], "a broken file")
        change(server, "ALTER TABLE elsewhere RENAME TO tenants")
        check_equal(len(listed(server, "/v1/tenants", "tenants")), 1, "the tenants, when it is healed")


@test
def without_a_database_there_is_nothing_to_manage():
    with Server("admin-socket=door") as server:
        for path in ("/v1/tenants", "/v1/tenants/*/users", "/v1/audit"):
            check("userdb" in expect(503, ask_json(server, path))["error"], path)


main()
