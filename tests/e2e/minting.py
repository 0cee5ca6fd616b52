"""Credentials are asked for at the admin door: what they let in, what is refused and how, and that a browser takes the answer as it is."""
import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import tempfile
import time

from support import minted
from support.chromium import Chromium
from support.door import Connection, ask
from support.minted import CREDENTIALS, MASTER, enter, post, serving
from support.pages import ANSWER, OFFER, TALK, stage
from support.prometheus import Scrape
from support.server import NAME, Server, free_port, run_relay
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

@smoke
def what_is_minted_lets_in_and_is_named_as_the_server_listens():
    with serving(f"public-host={NAME}", tls=True) as server:
        before = time.time()
        status, body, headers = post(server, {"ttl": 90, "tag": "ann", "room": "red", "max_bps": 1_000_000, "max_allocations": 1})
        check_equal((status, headers["Content-Type"], headers["Cache-Control"]), (201, "application/json", "no-store"), "the answer")
        check_equal(sorted(body), ["credentialId", "expiresAt", "iceServers"], "its members")
        check(before + 89 <= body["expiresAt"] <= time.time() + 90, f"it expires at {body['expiresAt']}")
        (ice,) = body["iceServers"]
        check_equal(ice["urls"], [f"turn:{NAME}:{server.port}?transport=udp", f"turns:{NAME}:{server.tls_port}?transport=tcp"], "the URLs")
        check(ice["username"] == f"{body['expiresAt']}:tacme.op:ann:{body['credentialId']}:room=red:bps=1000000:n=1", f"the name {ice['username']}")
        with server.client(username=ice["username"], password=ice["credential"]) as client:
            check_equal(client.allocate().code, 0, "the answer to an Allocate")
            row = json.loads(ask(server, "/v1/allocations", tenant="acme")[1])["allocations"][0]
            check_equal(row["tags"], {"tag": "ann", "room": "red", "credential": body["credentialId"], "key": "op"}, "the tags")
            check_equal(enter(server, ice["username"], ice["credential"]), 486, "a second allocation")


@test
def what_is_left_out_has_a_default():
    with serving() as server:
        _, body, _ = post(server, b"")
        (ice,) = body["iceServers"]
        check_equal(ice["urls"], [f"turn:127.0.0.1:{server.port}?transport=udp"], "the URLs without TLS")
        check(3598 <= body["expiresAt"] - time.time() <= 3600, f"it expires at {body['expiresAt']}")
        check_equal(enter(server, ice["username"], ice["credential"]), 0, "the answer")
        _, body, _ = post(server, {"transports": ["tcp", "udp"], "key": "k7"})
        check_equal([url.rpartition("=")[2] for url in body["iceServers"][0]["urls"]], ["udp", "tcp"], "what was asked for")
        check(":tacme.k7:" in body["iceServers"][0]["username"], "the operator says in whose name")
        _, body, _ = post(server, {}, CREDENTIALS + "?format=uberti")
        check_equal((sorted(body), body["ttl"]), (["password", "ttl", "uris", "username"], 3600), "the form of the draft")
        check_equal(enter(server, body["username"], body["password"]), 0, "the answer")
        _, body, _ = post(server, {"ttl": 60}, CREDENTIALS + "?format=twilio")
        check_equal((body["ttl"], sorted(body["ice_servers"][0])), ("60", ["credential", "url", "urls", "username"]), "the form of Twilio")
        time.strptime(body["date_created"], "%a, %d %b %Y %H:%M:%S +0000")
        check_equal(enter(server, body["username"], body["password"]), 0, "the answer")


@test
def a_wrong_body_is_400_with_the_name_of_the_field():
    with serving() as server:
        for body, field in (({"ttl": 172801}, "ttl"), ({"ttl": 0}, "ttl"), ({"ttl": "60"}, "ttl"), ({"tag": 7}, "tag"), ({"tag": "a,b"}, "tag"),
                            ({"room": "x" * 129}, "room"), ({"room": "\n"}, "room"), ({"transports": ["sctp"]}, "transports"), ({"transports": []}, "transports"),
                            ({"transports": ["tls"]}, "transports"), ({"max_bps": -1}, "max_bps"), ({"max_allocations": 2**32}, "max_allocations"),
                            ({"tll": 60}, "tll"), ({"key": "a,b"}, "key"), ({"tag": ":" * 128, "room": ":" * 128}, "room")):
            status, answer, _ = post(server, body)
            check_equal((status, answer.get("field")), (400, field), f"the answer to {body}")
            check(field in answer["error"], f"it says {answer}")
        for body in (b"[]", b"{", b'{"ttl": 1, "ttl": 2}', b"\xff"):
            check_equal(post(server, body)[0], 400, f"the answer to {body}")
        check_equal(post(server, {}, CREDENTIALS + "?format=xml")[0], 400, "the answer to a format that is none")
        check_equal(post(server, {}, "/v1/tenants/a%2Cb/credentials")[1].get("field"), "tenant", "the answer to a tenant that has no such name")
        check_equal(post(server, {"tag": "x" * 5000})[0] in (400, 413), True, "the answer to a large body")


@test
def a_tenant_must_be_there_and_active():
    with serving(tenants={"acme": ["status=active"], "shut": ["status=disabled"]}) as server:
        for tenant, wanted in (("acme", 201), ("shut", 403), ("nobody", 404)):
            check_equal(post(server, {}, f"/v1/tenants/{tenant}/credentials")[0], wanted, f"the answer for {tenant}")
        with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as database, database:
            database.execute("ALTER TABLE tenants RENAME TO gone")
        check_equal(post(server)[0], 201, "the answer when the database cannot be read")


@test
def rates_are_held_and_counted():
    with serving("mint-rate=5", tenants={"acme": ["max_mints=1000"], "small": ["max_mints=2"]}) as server, contextlib.closing(Connection(server.path("door"))) as door:
        answers = [post(server, {"key": "a"}, connection=door) for _ in range(20)]
        codes = [status for status, *_ in answers]
        check(5 <= codes.count(201) <= 8 and codes.count(429) == 20 - codes.count(201), f"the answers {codes}")
        refused = next(headers for status, _, headers in answers if status == 429)
        check_equal(refused["Retry-After"], "1", "Retry-After")
        check_equal(post(server, {"key": "b"}, connection=door)[0], 201, "another key")
        small = [post(server, {"key": str(i)}, "/v1/tenants/small/credentials", connection=door)[0] for i in range(6)]
        check(2 <= small.count(201) <= 3 and 429 in small, f"the tenant's own rate: {small}")
        scrape = Scrape(ask(server, "/metrics")[1])
        made = codes.count(201) + 1
        check_equal(scrape.values["relay_credentials_minted_total", frozenset({("tenant", "acme")})], made, "the counter")
        check_equal(scrape.values["relay_mint_refusals_total", frozenset({("reason", "rate")})], codes.count(429) + small.count(429), "the refusals")


@test
def who_asks_again_with_the_same_key_gets_the_same():
    with serving("mint-rate=3") as server, contextlib.closing(Connection(server.path("door"))) as door:
        first = post(server, {"tag": "ann"}, connection=door, Idempotency_Key="a1")[1]
        for _ in range(20):
            check_equal(post(server, b'{ "tag" : "ann" }', connection=door, Idempotency_Key="a1")[:2], (201, first), "the answer to the same")
        status, body, _ = post(server, {"tag": "bob"}, connection=door, Idempotency_Key="a1")
        check_equal((status, body["error"]), (422, "the Idempotency-Key was used for another body"), "the answer to another body")
        other = post(server, {"tag": "ann"}, "/v1/tenants/other/credentials", connection=door, Idempotency_Key="a1")[1]
        check(other["credentialId"] != first["credentialId"], "another tenant gets the same")
        check_equal(post(server, {}, connection=door, Idempotency_Key="x" * 256)[1].get("field"), "Idempotency-Key", "a key that is too long")


@test
def a_link_to_the_tester_is_good_once_and_its_credential_is_capped():
    with serving(tenants={"acme": ["status=active"], "shut": ["status=disabled"]}) as server:
        status, link, _ = post(server, {"ttl": 120}, "/v1/tenants/acme/test-links")
        check_equal((status, link["url"][:6]), (201, "/test#"), "the link")
        check(118 <= link["expiresAt"] - time.time() <= 120, f"it expires at {link['expiresAt']}")
        token = link["url"][6:]
        check_equal(post(server, {"token": token[:-1]}, "/v1/test-link")[0], 404, "the answer to another token")
        status, body, _ = post(server, {"token": token}, "/v1/test-link")
        (ice,) = body["iceServers"]
        check_equal((status, body["expiresAt"], len(ice["urls"])), (201, link["expiresAt"], 2), "the answer")
        check(ice["username"].endswith(":room=test:bps=20000000:n=16"), f"the name {ice['username']}")
        check_equal(enter(server, ice["username"], ice["credential"]), 0, "the answer to an Allocate")
        status, body, _ = post(server, {"token": token}, "/v1/test-link")
        check(status == 404 and "used" in body["error"], f"the answer to a second time: {status} {body}")
        check_equal([post(server, {}, f"/v1/tenants/{tenant}/test-links")[0] for tenant in ("shut", "nobody")], [403, 404], "links of others")
        check_equal([post(server, {"ttl": ttl}, "/v1/tenants/acme/test-links")[1].get("field") for ttl in (59, 86401)], ["ttl"] * 2, "times that are none")
        tokens = [post(server, {"ttl": 60}, "/v1/tenants/acme/test-links") for _ in range(65)]
        check_equal([status for status, *_ in tokens], [201] * 64 + [429], "how many there are at a time")
        check(token not in server.log(), "the token is in the log")


@test
def the_command_line_mints_by_the_server_and_from_the_file_of_secrets():
    with serving(tenants={"acme": ["status=active"]}, tls=True) as server:
        more = ("--tenant", "acme", "--ttl", "2m", "--tag", "ann", "--room", "red", "--max-bps", "1000000", "--max-allocations", "9", "--key", "k7")
        for where in (("--admin-socket", "door"), ("-c", server.config), ("--mint-secret-file", "mint.secret", "-c", server.config)):
            body = json.loads(server.relay("mint", *where, *more, "--json"))
            (ice,) = body["iceServers"]
            check(ice["username"].endswith(f":tacme.k7:ann:{body['credentialId']}:room=red:bps=1000000:n=9"), f"the name {ice['username']}")
            check(118 <= body["expiresAt"] - time.time() <= 120, f"it expires at {body['expiresAt']}")
            check_equal(len(ice["urls"]), 2, f"the URLs {ice['urls']}")
            check_equal(enter(server, ice["username"], ice["credential"]), 0, f"the answer to one of {where}")
            lines = dict(line.split(None, 1) for line in server.relay("mint", *where, *more[:2]).splitlines() if not line.startswith(" "))
            check_equal(enter(server, lines["username"], lines["password"]), 0, f"the answer to one of {where} for people")
            form = json.loads(server.relay("mint", *where, *more[:2], "--format", "uberti", "--transport", "tcp"))
            check_equal((form["ttl"], len(form["uris"]), form["uris"][0][-3:]), (3600, 1, "tcp"), f"the form of the draft of {where}")
        form = json.loads(server.relay("mint", "--mint-secret-file", "mint.secret", "--public-host", NAME, *more[:2], "--format", "uberti"))
        check_equal(form["uris"], [f"turn:{NAME}:3478?transport=udp"], "what is known without a configuration")
        for wrong, said in ((("--ttl", "49h"), "--ttl"), (("--max-bps", "x"), "--max-bps"), (("--max-allocations", "0"), "--max-allocations"), (("--transport", "sctp"), "--transport"),
                            (("--format", "xml"), "--format"), (("--tag", "a,b"), "tag"), (("-c", "nowhere.conf"), "nowhere.conf")):
            code, _, errors = run_relay("mint", "--mint-secret-file", "mint.secret", *more[:2], *wrong, cwd=server.directory)
            check(code in (1, 2) and said in errors and MASTER not in errors, f"{wrong}: {code} {errors}")
        code, _, errors = run_relay("mint", "--mint-secret-file", "nowhere", *more[:2], cwd=server.directory)
        check(code == 1 and "nowhere" in errors, f"no secrets: {errors}")
        code, _, errors = run_relay("mint", "--admin-socket", "door", "--tenant", "nobody", cwd=server.directory)
        check(code == 1 and "no such tenant" in errors, f"another tenant: {errors}")


@test
def a_key_mints_for_its_tenant_and_in_its_own_name():
    call = "/relay.v1.CredentialService/Mint"
    with serving(tenants={"acme": ["status=active"], "umbra": ["status=active"]}) as server:
        mint, usage, other, operator = (server.relay("key", "add", "--userdb", "relay.db", "--tenant", tenant, "--scope", scope).strip()
                                        for tenant, scope in (("acme", "mint"), ("acme", "usage:read"), ("umbra", "mint"), ("*", "mint")))

        def ask_with(key, body=None, path=CREDENTIALS, **headers):
            return post(server, body, path, Authorization=f"Bearer {key}", Content_Type="application/json", **headers)

        status, body, _ = ask_with(mint, {"tag": "ann"})
        (ice,) = body["iceServers"]
        check_equal((status, ice["username"].split(":")[1]), (201, f"tacme.{mint.partition('.')[0]}"), "in whose name it is")
        check_equal(enter(server, ice["username"], ice["credential"]), 0, "the answer to an Allocate")
        for key, path, wanted in ((usage, CREDENTIALS, 403), (other, CREDENTIALS, 404), (mint[:-1], CREDENTIALS, 401), (mint, "/v1/tenants/umbra/credentials", 404),
                                  (other, "/v1/tenants/acme/test-links", 404), (usage, call, 403), (operator, "/v1/tenants/umbra/credentials", 201)):
            check_equal(ask_with(key, {}, path)[0], wanted, f"the answer of {path} to {key[:15]}")
        check_equal(ask_with(mint, {"key": "k7"})[1].get("field"), "key", "another name")
        check_equal(ask_with(other, {"tenant": "acme"}, call)[:2], (404, {"code": "not_found", "message": "no such tenant"}), "a call for another tenant")
        check(":tumbra." in ask_with(other, {}, call)[1]["iceServers"][0]["username"], "a call that names no tenant")
        first, second = (ask_with(key, {}, "/v1/tenants/umbra/credentials", Idempotency_Key="a")[1]["credentialId"] for key in (other, operator))
        check(first != second, "two callers share an Idempotency-Key")


@test
def a_studio_mints_by_itself_with_its_own_key():
    with serving() as server:
        key = server.relay("key", "secret", "--mint-secret-file", "mint.secret", "--tenant", "acme", "k7").strip()
        check_equal(key, minted.key_of(MASTER, "acme", "k7"), "K")
        username = f"{int(time.time()) + 600}:tacme.k7:ann:mine1:room=red"
        password = base64.b64encode(hmac.new(key.encode(), username.encode(), hashlib.sha1).digest()).decode()
        check_equal(enter(server, username, password), 0, "what it minted")
        other = username.replace("tacme.", "tevil.")
        check_equal(enter(server, other, base64.b64encode(hmac.new(key.encode(), other.encode(), hashlib.sha1).digest()).decode()), 401, "in the name of another tenant")


@test
def the_command_line_prints_a_link_to_the_tester():
    port = free_port()
    with serving(f"admin-listen=127.0.0.1:{port}") as server:
        for base, wanted in (((), f"http://127.0.0.1:{port}/test#"), (("--url", "https://relay.example:8443/"), "https://relay.example:8443/test#")):
            link = server.relay("test-link", "--admin-socket", "door", "--tenant", "acme", "--ttl", "15m", *base).strip()
            check_equal(link.partition("#")[0] + "#", wanted, "the link")
            status, body, _ = post(server, {"token": link.partition("#")[2]}, "/v1/test-link")
            check(status == 201 and 895 <= body["expiresAt"] - time.time() <= 900, f"the answer {status} {body}")


@test
def nothing_secret_is_in_the_log():
    with serving("verbose") as server:
        credential = post(server, {"tag": "ann"})[1]["iceServers"][0]
        enter(server, credential["username"], credential["credential"])
        enter(server, credential["username"], "wrong")
        for secret in (MASTER, minted.key_of(MASTER, "acme", "op"), credential["credential"]):
            check(secret not in server.log(), "a secret is in the log")


@test
def without_a_master_secret_nothing_is_minted_and_it_is_said_why():
    with Server("admin-socket=door") as server:
        status, body, _ = post(server)
        check(status == 503 and "mint-secret-file" in body["error"], f"the answer {status} {body}")
    code, _, errors = run_relay("--public-host=a b", "--check-config")
    check(code == 1 and "public-host" in errors, f"a host that is none: {errors}")


@test
def a_browser_takes_the_answer_as_it_is():
    with tempfile.TemporaryDirectory() as directory:
        secret, door = f"{directory}/secret", f"{directory}/door"
        with open(secret, "w", encoding="ascii") as file:
            file.write(MASTER)
        minted.narrow(secret)
        with stage(Chromium, lines=[f"mint-secret-file={secret}", f"admin-socket={door}"]) as (server, browser):
            def ice_servers(tag, **more):
                with contextlib.closing(Connection(door)) as connection:
                    return post(server, {"tag": tag, "room": "red", **more}, connection=connection)[1]["iceServers"]

            blank = "file://" + server.write("blank.html", "<!DOCTYPE html><title>blank</title>")
            alice, bob = browser.open(blank), browser.open(blank)
            offer = alice.run(OFFER, ice_servers("alice"))
            answer = bob.run(ANSWER, ice_servers("bob", transports=["udp"]), offer)
            check_equal(alice.run(TALK, answer, 100), list(range(100)), "what came back to alice")
            check_equal(alice.run("return pair()")["local"], "relay", "her candidate")


if __name__ == "__main__":
    main(limit_s=90)
