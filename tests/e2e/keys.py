"""Keys of the admin door: made, listed and revoked by the command line and over HTTP; what they open, and what is in the log of it."""
import contextlib
import json
import re
import sqlite3
import time

from support.door import Connection, call
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

HOSTED = ("admin-socket=door", "userdb=relay.db")
TOKEN = re.compile(r"rk_[0-9a-f]{12}\.[A-Za-z0-9_-]{43}")
SOON_S = 1.0


def relay(server, *words):
    code, out, errors = run_relay(*words[:2], "--userdb", "relay.db", *words[2:], cwd=server.directory)
    check_equal(code, 0, f"{words}: {errors}")
    return out


def make_key(server, tenant, scope, *more):
    token = relay(server, "key", "add", "--tenant", tenant, "--scope", scope, *more).strip()
    check(TOKEN.fullmatch(token), token)
    return token


def with_tenants(server, *names):
    for name in names:
        relay(server, "tenant", "set", name, "status=active")


def ask(server, method, path, key=None, body=None):
    connection = Connection(server.path("door"))
    try:
        status, said, headers = call(connection, method, path, body, key)
        return status, said, headers
    finally:
        connection.close()


@smoke
def a_key_is_shown_once_and_opens_the_door_for_its_tenant_until_it_is_revoked():
    with Server(*HOSTED) as server:
        with_tenants(server, "acme", "umbra")
        admin, mint = make_key(server, "acme", "admin", "--name", "desk"), make_key(server, "acme", "mint")
        check_equal(ask(server, "GET", "/v1/allocations", admin)[0], 200, "the status of a good key")
        check_equal(ask(server, "GET", "/v1/allocations", mint)[0], 403, "the status of another scope")
        check_equal(ask(server, "GET", "/v1/policy", admin)[0], 403, "the status of what is the operator's")
        check_equal(ask(server, "GET", "/v1/allocations?tenant=umbra", admin)[0], 404, "the status of another tenant")
        for wrong in (admin[:-1] + ("A" if admin[-1] != "A" else "B"), "rk_000000000000" + admin[15:], "x", "", admin + "x"):
            status, said, headers = ask(server, "GET", "/v1/allocations", wrong)
            check_equal((status, said["error"], headers["WWW-Authenticate"]), (401, "no such key, or its time is over", "Bearer"), wrong)
        listed = json.loads(relay(server, "key", "list", "--json"))
        check_equal({(row["id"], row["tenant"], row["scopes"], row["name"]) for row in listed},
                    {(admin.split(".")[0], "acme", "admin", "desk"), (mint.split(".")[0], "acme", "mint", "")}, "the list")
        relay(server, "key", "remove", admin.split(".")[0])
        revoked = time.monotonic()
        while ask(server, "GET", "/v1/allocations", admin)[0] != 401:
            check(time.monotonic() - revoked < SOON_S, "it still opens")
        text = relay(server, "key", "list", "--json")
        with open(server.path("relay.db"), "rb") as file:
            kept = file.read()
        with sqlite3.connect(server.path("relay.db")) as file:
            audit = "".join(map(str, file.execute("SELECT * FROM audit")))
        for token in (admin, mint):
            secret = token.split(".")[1]
            check(secret not in text and secret not in audit and secret.encode() not in kept, "the secret was kept")
        check_equal(audit.count("key_add") + audit.count("key_remove"), 3, "audit rows")
        check_equal(audit.count('"scopes": "admin"'), 1, "what the audit has of a key")


@test
def tenants_make_and_revoke_their_own_keys_over_http():
    with Server(*HOSTED) as server:
        with_tenants(server, "acme", "umbra")
        admin, other = make_key(server, "acme", "admin"), make_key(server, "umbra", "admin")
        status, made, _ = ask(server, "POST", "/v1/keys", admin, {"scopes": ["mint", "usage:read"], "name": "game", "expires": int(time.time()) + 3600})
        check_equal((status, made["tenant"], made["scopes"], made["name"]), (201, "acme", ["mint", "usage:read"], "game"), "what was made")
        check(TOKEN.fullmatch(made["token"]), made)
        check_equal(ask(server, "GET", "/v1/allocations", made["token"])[0], 403, "the status of the new key")
        check_equal(ask(server, "POST", "/v1/keys", admin, {"scopes": ["mint"], "tenant": "umbra"})[0], 404, "for another tenant")
        check_equal(ask(server, "POST", "/v1/keys", admin, {"scopes": ["mint"], "tenant": "*"})[0], 404, "for all of them")
        check_equal(ask(server, "POST", "/v1/keys", None, {"scopes": ["mint"], "tenant": "nobody"})[0], 404, "for a tenant that is not there")
        for key, tenants in ((admin, {"acme"}), (other, {"umbra"}), (None, {"acme", "umbra"})):
            _, listed, _ = ask(server, "GET", "/v1/keys", key)
            check_equal({row["tenant"] for row in listed["keys"]}, tenants, "whose keys are seen")
            check("token" not in json.dumps(listed) and "hash" not in json.dumps(listed), listed)
        check_equal(ask(server, "DELETE", f"/v1/keys/{made['id']}", other)[0], 404, "another tenant's")
        check_equal(ask(server, "DELETE", f"/v1/keys/{made['id']}", admin)[0], 200, "its own")
        check_equal(ask(server, "GET", "/v1/keys", made["token"])[0], 401, "at once")
        check_equal(ask(server, "DELETE", f"/v1/keys/{made['id']}", admin)[0], 404, "a second time")
        status, operator, _ = ask(server, "POST", "/v1/keys", None, {"scopes": ["admin"]})
        check_equal((status, operator["tenant"]), (201, "*"), "the operator's own")
        check_equal(ask(server, "GET", "/v1/policy", operator["token"])[0], 200, "what it opens")


@test
def a_key_has_a_rate_and_others_go_on():
    with Server(*HOSTED, "admin-rate=5") as server:
        with_tenants(server, "acme")
        busy, calm = make_key(server, "acme", "admin"), make_key(server, "acme", "admin")
        connection = Connection(server.path("door"))
        answers = [call(connection, "GET", "/v1/allocations", key=busy) for _ in range(30)]
        refused = [headers["Retry-After"] for status, _, headers in answers if status == 429]
        check(len(refused) >= 20 and set(refused) == {"1"}, [status for status, _, _ in answers])
        check_equal(call(connection, "GET", "/v1/allocations", key=calm)[0], 200, "the other key")
        connection.close()


def logged(server, pattern):
    check(re.search(pattern, server.log()), f"{pattern} is not in the log")


@test
def what_is_changed_or_refused_is_in_the_log_and_no_key_is():
    with Server(*HOSTED) as server:
        with_tenants(server, "acme")
        admin = make_key(server, "acme", "admin")
        ask(server, "GET", "/v1/policy", admin)
        ask(server, "POST", "/v1/keys", admin, {"scopes": ["admin"]})
        ask(server, "GET", "/v1/keys", "rk_wrong.wrong")
        ask(server, "GET", "/v1/keys", admin)
        logged(server, r"admin_refused client=socket who=- tenant=\"\" method=GET path=\"/v1/keys\" status=401")
        key = admin.split(".")[0]
        logged(server, rf"warning admin_refused client=socket who={key} tenant=\"acme\" method=GET path=\"/v1/policy\" status=403")
        logged(server, rf"info admin_change client=socket who={key} tenant=\"acme\" method=POST path=\"/v1/keys\" status=201")
        check(not TOKEN.search(server.log()), "a key is in the log")
        check(f"who={key} tenant=\"acme\" method=GET path=\"/v1/keys\" status=200" not in server.log(), "what changes nothing is in the log")


@test
def while_the_database_cannot_be_read_keys_that_were_seen_go_on_and_others_are_503():
    with Server(*HOSTED) as server:
        seen, unseen = make_key(server, "*", "admin"), make_key(server, "*", "admin")
        check_equal(ask(server, "GET", "/v1/policy", seen)[0], 200, "the status before")

        def rename(before, after):
            with contextlib.closing(sqlite3.connect(server.path("relay.db"))) as file:
                file.execute(f"ALTER TABLE {before} RENAME TO {after}")
        rename("keys", "gone")
        wait_for(lambda: ask(server, "GET", "/v1/policy", unseen)[0] == 503, what="a key that was not seen")
        check(int(ask(server, "GET", "/v1/policy", unseen)[2]["Retry-After"]) > 0, "when to come again")
        check_equal(ask(server, "GET", "/v1/policy", seen)[0], 200, "a key that was seen")
        rename("gone", "keys")
        check_equal([ask(server, "GET", "/v1/policy", key)[0] for key in (seen, unseen)], [200, 200], "when it is back")


@test
def the_same_verbs_ask_a_relay_that_runs():
    with Server(*HOSTED) as server:
        with_tenants(server, "acme")

        def there(*words):
            code, out, errors = run_relay(*words[:2], "--admin-socket", "door", *words[2:], cwd=server.directory)
            check_equal(code, 0, f"{words}: {errors}")
            return out

        token = there("key", "add", "--tenant", "acme", "--scope", "mint,admin", "--name", "desk", "--expires", "1h").strip()
        check(TOKEN.fullmatch(token), token)
        check_equal(ask(server, "GET", "/v1/allocations", token)[0], 200, "what it opens")
        check_equal(there("key", "list", "--json"), relay(server, "key", "list", "--json"), "the list, there and in the file")
        check_equal(there("key", "list", "--tenant", "acme"), relay(server, "key", "list", "--tenant", "acme"), "the table")
        there("key", "remove", token.split(".")[0])
        check_equal(ask(server, "GET", "/v1/allocations", token)[0], 401, "at once")
        code, _, errors = run_relay("key", "list", "--admin-socket", "door", "--userdb", "relay.db", cwd=server.directory)
        check(code == 2 and errors, errors)


@test
def a_command_line_that_is_wrong_says_how():
    with Server(*HOSTED) as server:
        for words, said in ((("--tenant", "acme", "--scope", "admin"), "no such tenant"), (("--tenant", "*", "--scope", "rule"), "mint, usage:read"),
                            (("--tenant", "*", "--scope", "mint", "--expires", "1999-01-01"), "a time to come"), (("--scope", "mint"), "--tenant is missing")):
            code, out, errors = run_relay("key", "add", "--userdb", "relay.db", *words, cwd=server.directory)
            check(code != 0 and not out and said in errors, errors)


main()
