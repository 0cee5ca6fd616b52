"""Credentials that were minted for a tenant: what lets in, what does not and why, and what they are called once they are in."""
import contextlib
import os
import sqlite3
import stat
import time

from support import minted, stun
from support.client import Peer
from support.door import ask_json
from support.minted import MASTER, enter, serving
from support.server import run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

OLDER = "o" * 40


def refusal(server, **query):
    return ask_json(server, "/v1/explain", **query)[1]["refusals"][0]


@smoke
def it_lets_in_and_the_allocation_is_called_by_it():
    username, password = minted.mint(MASTER, "acme", "k7", tag="ann", cid="c42", room="red")
    with serving() as server, server.client(username=username, password=password) as client:
        check_equal(client.allocate().code, 0, "the answer")
        row = ask_json(server, "/v1/allocations", tenant="acme")[1]["allocations"][0]
        check_equal((row["tenant"], row["user"], row["realm"]), ("acme", "ann", "example.org"), "whose it is")
        check_equal(row["tags"], {"tag": "ann", "room": "red", "credential": "c42", "key": "k7"}, "what it is called")
        with server.client(username=username, password=password, transport="tcp") as other:
            check_equal(other.allocate().code, 0, "the answer over TCP")


@test
def names_with_everything_in_them_are_whole():
    tenant, kid, tag, room = "studio.example: 50%", "a.b", "Jos\u00e9:1 %41", "r=1:n=2"
    with serving() as server:
        with server.client(**dict(zip(("username", "password"), minted.mint(MASTER, tenant, kid, tag=tag, room=room)))) as client:
            check_equal(client.allocate().code, 0, "the answer")
            row = ask_json(server, "/v1/allocations")[1]["allocations"][0]
            check_equal((row["tenant"], row["user"], row["tags"]["key"], row["tags"]["room"]), (tenant, tag, kid, room), "the names")


@test
def it_needs_no_database_and_no_realm_of_its_own():
    pair = minted.mint(MASTER, "acme", tag="ann")
    with serving("userdb=relay.db", realm="other.example") as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
        check_equal(enter(server, *pair), 0, "the answer under another realm")
        with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as database, database:
            for table in ("tenants", "users", "secrets"):
                database.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
        check_equal(enter(server, *pair), 0, "the answer when the database cannot be read")
        check("tenants_unreadable" in server.log(), "nothing is said of it")


@test
def every_master_verifies_and_the_file_is_read_anew():
    with serving(secrets=(MASTER, OLDER)) as server:
        check_equal([enter(server, *minted.mint(master, "acme")) for master in (MASTER, OLDER, "x" * 40)], [0, 0, 401], "the answers")
        server.relay("secret", "new", "mint.secret")
        with open(server.path("mint.secret"), encoding="ascii") as file:
            newest = file.readline().strip()
        check_equal(enter(server, *minted.mint(newest, "acme")), 401, "the answer before SIGHUP")
        server.process.send_signal(1)
        wait_for(lambda: enter(server, *minted.mint(newest, "acme")) == 0, 5, "the new secret to be read")
        check_equal([enter(server, *minted.mint(master, "acme")) for master in (MASTER, OLDER)], [0, 0], "the answers under the older ones")
        server.write("mint.secret", "short\n")
        server.process.send_signal(1)
        wait_for(lambda: "mint_secrets_kept" in server.log(), 5, "the log to say that the file is wrong")
        check_equal(enter(server, *minted.mint(newest, "acme")), 0, "the answer after a file that is wrong")


@test
def what_is_wrong_is_401_and_said_in_words():
    expired = minted.mint(MASTER, "acme", tag="late", ttl=-63)
    good = minted.mint(MASTER, "acme", tag="forger")
    with serving() as server:
        check_equal(enter(server, *expired), 401, "the answer to one that has expired")
        row = refusal(server, user="late")
        check_equal((row["rule"], row["tenant"], row["code"]), ("credential_expired", "acme", 401), "the refusal")
        check(row["why"] in [f"the credential expired {s} s ago" for s in range(63, 73)], f"it says {row['why']!r}")
        text = server.relay("explain", "--admin-socket", "door", "--user", "late")
        check("the credential expired 6" in text and "compare clocks" in text, f"relay explain says {text}")
        for name, pair in (("another password", (good[0], good[1][::-1])), ("another tenant", (good[0].replace("tacme.", "tevil."), good[1])),
                           ("another key", (good[0].replace(".k1:", ".k2:"), good[1])), ("a longer time", (f"{int(good[0][:10]) + 60}{good[0][10:]}", good[1])),
                           ("no room", (good[0] + ":room=x", good[1])), ("fewer limits", minted.mint("n" * 40, "acme", n=9))):
            check_equal(enter(server, *pair), 401, f"the answer to {name}")
            check_equal(refusal(server)["rule"], "bad_integrity", f"the refusal of {name}")
        username = good[0] + ":from=10.0.0.0/8"
        check_equal(enter(server, *(username, minted.sign(minted.key_of(MASTER, "acme", "k1"), username))), 401, "the answer to a field that nobody knows")
        check_equal(refusal(server)["rule"], "malformed_credential", "its refusal")
        check_equal(enter(server, *minted.mint(MASTER, "acme", tag="forever", ttl=48 * 3600 + 600)), 401, "the answer to one that would outlive what revokes it")
        check_equal(refusal(server, user="forever")["rule"], "malformed_credential", "its refusal")
        check_equal(enter(server, *minted.mint(MASTER, "acme", tag="longest", ttl=48 * 3600 + 5)), 0, "the answer to the longest, by another clock")
        check_equal(refusal(server, credential="c1", tenant="evil")["user"], "forger", "what is found by the id and the tenant")


@test
def the_form_of_coturn_stays_its_own_and_neither_secret_signs_for_the_other():
    both = ["mint-secret-file=mint.secret", "static-auth-secret=shared"]
    with serving(auth=both) as server:
        expires = int(time.time()) + 600
        for name in ("ann", "tom.smith", "t.1:x"):
            check_equal(enter(server, *stun.rest_credential("shared", expires, name)), 0, f"the answer to {name}")
        check_equal(enter(server, *stun.rest_credential("shared", expires, "tacme.k1:ann:c1")), 401, "a minted name under the shared secret")
        check_equal(enter(server, *stun.rest_credential(minted.key_of(MASTER, "acme", "k1"), expires, "ann")), 401, "a plain name under K")
        with server.client(**dict(zip(("username", "password"), stun.rest_credential("shared", expires, "ann")))) as client:
            client.allocate()
            check_equal(ask_json(server, "/v1/allocations", user="ann")[1]["allocations"][0]["tags"], {}, "its tags")


@test
def tenants_that_are_disabled_or_unknown_are_403():
    with serving("userdb=relay.db") as server:
        check_equal(enter(server, *minted.mint(MASTER, "acme")), 403, "a tenant that is not there")
        check_equal(refusal(server)["rule"], "unknown_tenant", "its refusal")
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
        check_equal(enter(server, *minted.mint(MASTER, "acme")), 0, "one that is there")
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=disabled")
        check_equal(enter(server, *minted.mint(MASTER, "acme")), 403, "one that is disabled")


@test
def the_allocations_of_a_tag_are_limited_and_those_of_a_credential_without_one():
    with serving(threads=2) as server:
        held = []
        for how, wanted in ((dict(tag="ann", n=2, cid="a"), 0), (dict(tag="ann", n=2, cid="b"), 0), (dict(tag="ann", n=2, cid="c"), 486),
                            (dict(tag="bob", n=2, cid="d"), 0), (dict(n=1, cid="e"), 0), (dict(n=1, cid="e"), 486), (dict(n=1, cid="f"), 0),
                            (dict(tag="ann", cid="g"), 0)):
            username, password = minted.mint(MASTER, "acme", **how)
            held.append(server.client(username=username, password=password))
            check_equal(held[-1].allocate().code, wanted, f"the answer to {how}")
        check_equal(refusal(server, user="e")["why"], "user e of acme 1/1 held", "the refusal")
        for client in held:
            client.close()


@test
def the_rate_of_a_credential_is_held():
    username, password = minted.mint(MASTER, "acme", tag="ann", bps=80_000)
    with serving("max-bps=1000000") as server, server.client(username=username, password=password) as client, Peer() as peer:
        check_equal(client.allocate().code, 0, "the answer")
        client.permit(peer.address)
        for _ in range(60):
            client.send_to(peer.address, b"x" * 1000)
        got = 0
        while peer.receive(0.3):
            got += 1000
        check(9_000 <= got <= 25_000, f"of 60,000 bytes at 80 kbit/s {got} came")


@test
def a_policy_sees_what_it_says_and_may_say_more():
    policy = """return {
      authenticate = function(req) if req.minted or req.tag then return relay.deny(403, "too early") end end,
      authorize = function(req)
        if not req.minted then return relay.deny(403, "not minted") end
        return relay.allow{tags = {seen = table.concat({req.tenant, req.user, req.tag, req.room, req.credential, req.key}, "/"), room = "blue"}, group = req.room}
      end,
    }"""
    with serving(files={"look.lua": policy}, policies=["look.lua"], auth=["mint-secret-file=mint.secret", "user=ann:secret"]) as server:
        username, password = minted.mint(MASTER, "acme", tag="ann", cid="c9", room="red")
        with server.client(username=username, password=password) as client:
            check_equal(client.allocate().code, 0, "the answer")
            row = ask_json(server, "/v1/allocations")[1]["allocations"][0]
            check_equal(row["tags"], {"seen": "acme/ann/ann/red/c9/k1", "room": "blue", "tag": "ann", "credential": "c9", "key": "k1"}, "the tags")
            check_equal(row["group"], "red", "the group")
        check_equal(enter(server, "ann", "secret"), 403, "the answer to a user of the configuration")


@test
def the_file_of_secrets_is_for_its_owner_and_has_secrets_in_it():
    with serving() as server:
        pass
    code, _, errors = run_relay("--mint-secret-file=/nowhere/secret", "--check-config")
    check(code == 1 and "/nowhere/secret" in errors, f"a file that is not there: {errors}")
    server = serving()
    try:
        for text, mode, said in ((MASTER, 0o640, "chmod 600"), ("", 0o600, "relay secret new"), ("short", 0o600, "32 bytes"), (f"{MASTER}\n" * 9, 0o600, "more than 8")):
            os.chmod(server.write("mint.secret", text), mode)
            code, _, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
            check(code == 1 and "mint-secret-file" in errors and said in errors and MASTER not in errors, f"{said}: {errors}")
        os.unlink(server.path("mint.secret"))
        check_equal(server.relay("secret", "new", "mint.secret"), "", "what it prints")
        check_equal(stat.S_IMODE(os.stat(server.path("mint.secret")).st_mode), 0o600, "the mode")
        server.start()
        with open(server.path("mint.secret"), encoding="ascii") as file:
            master = file.read().strip()
        check_equal(enter(server, *minted.mint(master, "acme")), 0, "the answer")
        check(master not in server.log(), "the secret is in the log")
        server.stop()
        for _ in range(7):
            server.relay("secret", "new", "mint.secret")
        code, _, errors = run_relay("secret", "new", server.path("mint.secret"))
        check(code == 1 and "take the oldest away" in errors, f"a ninth secret: {errors}")
    finally:
        server.temporary.cleanup()


@test
def names_that_are_hashed_do_not_go_with_it():
    code, _, errors = run_relay("--mint-secret-file=/dev/null", "--offer-userhash", "--check-config")
    check(code == 1 and "offer-userhash" in errors, f"it says {errors}")


if __name__ == "__main__":
    main()
