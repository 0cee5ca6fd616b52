"""The admin door as a whole, by /openapi.json: every row refuses what it must, and shows nothing of another tenant."""
import contextlib
import http.client
import json
import re
import sqlite3
import urllib.parse

from support.api import METHODS, ask, connect, kind_of, rows_of, wrong_text
from support.door import call
from support.follow import Follower
from support.minted import serving
from support.server import free_port
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

ALL = ["mint", "usage:read", "admin"]
TENANTS = ("acme", "umbra")
# what a running server writes by itself: it may change while nobody asks for anything
ITS_OWN = {"starts", "sessions", "usage", "usage_hours", "usage_days", "refusals", "peaks", "meters", "months", "outbox", "audit", "sqlite_sequence"}
# lists that are of a tenant, and whose answers say so only if they are asked to
TELLING = {"/v1/usage": {"group_by": "tag"}, "/v1/tenants/{tenant}/usage": {"group_by": "tag"}}
# what tenants may read that is nobody's
NOBODYS = set()
# nobody knows what was minted: a tenant may revoke any name, and means what is its own
UNKNOWN = {"/v1/credentials/{id}": "credential", "/v1/keys/{id}/credentials": "key"}


def tell(server, method, path, body=None, key=None):
    """As the operator; what it says."""
    with connect(server) as door:
        status, said, _ = call(door, method, path, body, key)
        check(status in (200, 201), f"{method} {path}: {status} {said}")
        return said


def make_key(server, tenant, scopes):
    return tell(server, "POST", "/v1/keys", {"tenant": tenant, "scopes": scopes, "name": f"{tenant}-key"})


def seed(server, tenant, held):
    """A tenant with one of everything that has a path, each with its name in it: by name, as Row.at wants them."""
    tell(server, "POST", "/v1/tenants", {"name": tenant})
    tell(server, "POST", f"/v1/tenants/{tenant}/users", {"name": f"{tenant}-user"})
    tell(server, "POST", f"/v1/tenants/{tenant}/secrets", {"secret": f"{tenant}-secret-of-some-length"})
    secret = tell(server, "GET", f"/v1/tenants/{tenant}/secrets")["secrets"][0]["id"]
    key = make_key(server, tenant, ALL)
    minted = tell(server, "POST", f"/v1/tenants/{tenant}/credentials", {"tag": f"{tenant}-player", "room": f"{tenant}-room"})
    ice = minted["iceServers"][0]
    client = held.enter_context(server.client(username=ice["username"], password=ice["credential"]))
    check_equal(client.allocate().code, 0, "the answer to an Allocate")
    client.permit(("10.0.0.1", 9))  # is refused, for /v1/explain
    tell(server, "DELETE", f"/v1/tenants/{tenant}/tags/{tenant}-gone")
    revocation = next(row["id"] for row in tell(server, "GET", "/v1/revocations")["revocations"] if row["tenant"] == tenant)
    webhook = tell(server, "POST", "/v1/webhooks", {"tenant": tenant, "url": f"http://127.0.0.1:1/{tenant}"})["id"]
    allocation = tell(server, "GET", f"/v1/allocations?tenant={tenant}")["allocations"][0]["id"]
    return {"tenant": tenant, "user": f"{tenant}-user", "secret": secret, "key": key["id"], "token": key["token"], "credential": minted["credentialId"],
            "tag": f"{tenant}-player", "room": f"{tenant}-room", "allocation": allocation, "webhook": webhook, "revocation": revocation}


def marks(things):
    """Whatever of these stands in an answer shows this tenant."""
    return [things[name] for name in ("tenant", "key", "credential", "allocation", "webhook", "token")]


def shows(text, things):
    return [mark for mark in marks(things) if mark in text]


@contextlib.contextmanager
def two_tenants(*lines):
    with serving("userdb=relay.db", "webhook-allow=127.0.0.1:1", *lines) as server, contextlib.ExitStack() as held:
        yield server, *(seed(server, tenant, held) for tenant in TENANTS)


def nothing():
    """Things that are not there."""
    return {name: "77" for name in ("tenant", "user", "secret", "key", "credential", "tag", "room", "allocation", "webhook", "revocation", "id", "name")}


def keyed(server):
    return [row for row in rows_of(server) if not row.is_open]


@smoke
def without_a_key_or_with_a_wrong_one_every_row_is_401():
    port = free_port()
    with two_tenants(f"admin-listen=127.0.0.1:{port}") as (server, acme, _):
        revoked = make_key(server, "acme", ALL)
        tell(server, "DELETE", f"/v1/keys/{revoked['id']}")
        for row in keyed(server):
            status, text, headers = ask(server, row, row.at(acme), connection=http.client.HTTPConnection("127.0.0.1", port))
            check_equal((status, headers["WWW-Authenticate"]), (401, "Bearer"), f"{row} without a key")
            said = {ask(server, row, row.at(acme), key, row.body())[:2] for key in (revoked["token"], acme["token"][:-1] + "!", "rk_000000000000" + acme["token"][15:])}
            check_equal({status for status, _ in said}, {401}, f"{row} with a wrong key")
            check_equal(len(said), 1, f"{row}: wrong keys are answered alike")


@test
def a_key_without_the_scope_is_403_and_so_is_a_tenants_where_only_the_operator_may():
    with two_tenants() as (server, acme, _):
        keys = {scope: {tenant: make_key(server, tenant, [scope])["token"] for tenant in ("acme", "*")} for scope in ALL}
        for row in keyed(server):
            for scope in set(ALL) - row.scopes:
                for tenant, key in keys[scope].items():
                    check_equal(ask(server, row, row.at(acme), key, row.body())[0], 403, f"{row} with {scope} of {tenant}")
            if row.is_operators:
                check_equal(ask(server, row, row.at(acme), acme["token"], row.body())[0], 403, f"{row} with all scopes of a tenant")


@test
def what_is_no_row_is_404_and_another_method_405_with_those_that_there_are():
    with two_tenants() as (server, acme, _):
        paths = {}
        for row in rows_of(server):
            paths.setdefault(row.path, []).append(row)
        with connect(server) as door:
            for rows in paths.values():
                path, allowed = rows[0].at(acme).partition("?")[0], {row.method for row in rows}
                for method in set(METHODS) - allowed:
                    status, _, headers = call(door, method, path, key=acme["token"])
                    check_equal((status, set(headers["Allow"].split(", "))), (405, allowed | ({"HEAD"} if "GET" in allowed else set())), f"{method} {path}")
                check_equal(call(door, "GET", path + "/nothing-of-it/at-all", key=acme["token"])[0], 404, f"below {path}")


@test
def what_is_wrong_in_a_query_is_400_with_its_name():
    with two_tenants() as (server, acme, _):
        for row in rows_of(server):
            wrong = {name: wrong_text(each["schema"]) for name, each in row.query.items()}
            for name, text in {**{name: text for name, text in wrong.items() if text is not None}, "nothing-of-it": "1"}.items():
                status, said, _ = ask(server, row, row.at(acme, **{name: text}), None, row.body())
                check_equal((status, json.loads(said).get("field")), (400, name), f"{row} with {name}={text[:20]}")


@test
def what_is_wrong_in_a_body_is_400_with_its_name_and_a_long_one_413():
    with two_tenants() as (server, acme, _):
        for row in rows_of(server):
            check_equal(ask(server, row, row.at(acme), None, b"x" * (1 << 17))[0], 413, f"{row} with a body that is too long")
            if row.schema is None:
                check_equal(ask(server, row, row.at(acme), None, b"{}")[0], 413, f"{row}, which takes no body")
                continue
            for body in (b"{", b"[]", b'"text"', b"\xff"):
                check_equal(ask(server, row, row.at(acme), None, body)[0], 400, f"{row} with {body}")
            for name, schema in (row.fields or {}).items():
                wrong = [] if kind_of(schema) == "object" else {}
                status, said, _ = ask(server, row, row.at(acme), None, {**row.body(), name: wrong})
                check_equal((status, json.loads(said).get("field")), (400, name), f"{row} with a wrong {name}")
            for name in row.schema.get("required", ()):
                status, said, _ = ask(server, row, row.at(acme), None, {key: value for key, value in row.body().items() if key != name})
                check_equal((status, json.loads(said).get("field")), (400, name), f"{row} without {name}")
            if row.fields is not None:
                status, said, _ = ask(server, row, row.at(acme), None, {**row.body(), "nothing_of_it": 1})
                check_equal((status, json.loads(said).get("field")), (400, "nothing_of_it"), f"{row} with a field that is none")


@test
def who_asks_too_often_is_429_everywhere():
    with two_tenants("admin-rate=1") as (server, _, __):
        key = make_key(server, "*", ALL)["token"]
        for row in keyed(server):
            answers = [ask(server, row, row.at(nothing()), key, row.body()) for _ in range(3)]
            refused = [headers["Retry-After"] for status, _, headers in answers if status == 429]
            check(refused and set(refused) == {"1"}, f"{row}: {[status for status, _, _ in answers]}")


def kept(server, tenant):
    """All that the database has of a tenant, but for what the server writes by itself."""
    with contextlib.closing(sqlite3.connect(server.path("relay.db"))) as file:
        tables = [name for name, in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'") if name not in ITS_OWN]
        return {table: [row for row in map(str, file.execute(f"SELECT * FROM {table}")) if tenant in row] for table in tables}


def is_there(server, things):
    return things["allocation"] in json.dumps(tell(server, "GET", f"/v1/allocations?tenant={things['tenant']}"))


@test
def nothing_of_another_tenant_is_seen_or_changed_by_any_row():
    with two_tenants() as (server, acme, umbra):
        rows = sorted((row for row in keyed(server) if not row.is_operators), key=lambda row: row.path in UNKNOWN)
        wait_for(lambda: "umbra" in json.dumps(tell(server, "GET", "/v1/usage?group_by=tag")), what="usage of umbra")
        before = kept(server, "umbra")
        check(all(any(mark in "".join(rows) for rows in before.values()) for mark in ("umbra", umbra["key"])), before)
        for row in rows:
            key, others, own = acme["token"], row.at(umbra), row.at(acme, **TELLING.get(row.path, {}))
            if row.names:
                there = ask(server, row, others, key, row.body())[:2]
                nowhere = ask(server, row, row.at({**nothing(), "tenant": "nobody"}), key, row.body())[:2]
                if row.path in UNKNOWN:
                    there, nowhere = ((status, re.sub(r"\d{10}|\"id\": *\d+", "THIS", text.replace(umbra[UNKNOWN[row.path]], "77"))) for status, text in (there, nowhere))
                    check_equal(there[0], 200, f"{row} of what may be of another tenant")
                else:
                    check_equal(there[0], 404, f"{row} of another tenant")
                check_equal(there, nowhere, f"{row}: as one that is not there")
                check(not shows(there[1], umbra), f"{row}: {there}")
            if "tenant" in row.query:
                for tenant in ("umbra", "*"):
                    status, text, _ = ask(server, row, row.at(acme, tenant=tenant), key, row.body())
                    check(status == 404 and not shows(text, umbra), f"{row} with tenant={tenant}: {status} {text}")
            if row.schema is not None and row.fields is None:
                status, text, _ = ask(server, row, own, key, row.body("umbra"))
                check((status, shows(text, umbra)) == (404, []), f"{row} with another tenant in its body: {status} {text}")
            if "tenant" in (row.fields or {}):
                check_equal(ask(server, row, row.at(acme), key, {**row.body(), "tenant": "umbra"})[0], 404, f"{row} with another tenant in its body")
            if row.method == "GET" and not row.is_stream:
                status, text, _ = ask(server, row, own, key)
                check_equal((status, shows(text, umbra)), (200, []), f"{row}: what is shown of another tenant")
        check_equal(kept(server, "umbra"), before, "what the database has of the other tenant")
        check(is_there(server, umbra), "its allocation")


@test
def what_is_hidden_from_others_is_there_to_be_seen():
    """Without it the test before could not fail."""
    with two_tenants() as (server, _, umbra):
        wait_for(lambda: "umbra" in json.dumps(tell(server, "GET", "/v1/usage?group_by=tag")), what="usage of umbra")
        for row in keyed(server):
            if row.is_operators or row.method != "GET" or row.is_stream or row.path in NOBODYS:
                continue
            status, text, _ = ask(server, row, row.at(umbra, **TELLING.get(row.path, {})), umbra["token"])
            check_equal((status, bool(shows(text, umbra))), (200, True), f"{row}: what its own tenant sees ({text[:200]})")


@test
def a_stream_tells_a_tenant_of_itself_alone():
    with two_tenants() as (server, acme, umbra):
        streams = [row for row in keyed(server) if row.is_stream]
        check(streams, "there is no stream")
        for row in streams:
            with Follower(server, path=row.at(acme), key=acme["token"]) as events, contextlib.ExitStack() as held:
                for things in (umbra, acme):
                    minted = tell(server, "POST", f"/v1/tenants/{things['tenant']}/credentials", {"tag": f"{things['tag']}-2"})
                    ice = minted["iceServers"][0]
                    client = held.enter_context(server.client(username=ice["username"], password=ice["credential"]))
                    check_equal(client.allocate().code, 0, "the answer to an Allocate")
                first = events.next("allocation.opened")
                check_equal((first["tenant"], shows(json.dumps(first), umbra)), ("acme", []), f"{row}: the first that was told")


@test
def what_is_made_in_the_end_works():
    """Every row that takes a body takes the one that the description describes."""
    with two_tenants() as (server, acme, _):
        for row in rows_of(server):
            if row.schema is None or row.is_open:
                continue
            status, text, _ = ask(server, row, row.at(acme), None, row.body())
            check(status < 300, f"{row} with {row.body()}: {status} {text}")


main()
