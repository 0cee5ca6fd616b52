"""relay explain: why clients were refused, in words, with limits and values; what a flood leaves of that."""
import json
import re
import time

from support import stun
from support.client import transport
from support.door import ask_json
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

POLICY = """
local NO = relay.deny(403, "no eve")
local keys = {ann = "a", eve = "e", bob = "b", old = "o"}
return {
  route = function(req)
    if req.origin == "https://evil" then return relay.deny(403, "not from there") end
    return relay.tenant("acme")
  end,
  authenticate = function(req)
    local ends = req.username == "old" and req.now - 63 or nil
    if keys[req.username] then return relay.key{user = req.username, password = keys[req.username], expires = ends} end
  end,
  authorize = function(req)
    if req.user == "eve" then return NO end
    if req.software == "broken" then error("odd") end
    return relay.allow{user_quota = 1, max_permissions = 2}
  end,
  refresh = function(alloc, req) if req.lifetime == 901 then return relay.reauth() end end,
}
"""
DOOR = "admin-socket=door"


def explain(server, *arguments):
    """What relay explain knows, the last one first."""
    return json.loads(server.relay("explain", "-c", "turnserver.conf", "--json", *arguments))


def last(server, *arguments):
    wait_for(lambda: explain(server, *arguments), what=f"a refusal of {arguments}")
    return explain(server, *arguments)[0]


def last_why(server, client):
    return last(server, "--client", "%s:%d" % client.local)["why"]


def expect(server, client, code, why, **members):
    """The last refusal of this client."""
    row = last(server, "--client", "%s:%d" % client.local)
    check_equal((row["code"], row["why"]), (code, why), f"{row}")
    for name, value in members.items():
        check_equal(row[name], value, f"{name} of {row}")
    check(row["advice"] and abs(row["time"] - time.time()) < 60 and re.fullmatch(r"\d+", row["decision"]), f"{row}")
    return row


def who(server, name, password=None, **how):
    return server.client(username=name, password=password or name[0], **how)


@smoke
def refusals_of_policies_have_hook_file_and_line():
    with Server(DOOR, auth=("lt-cred-mech",), files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        with who(server, "eve") as eve, who(server, "ann", software="broken") as broken, who(server, "ann", origin="https://evil") as evil:
            eve.allocate()
            row = expect(server, eve, 403, "no eve", rule="authorize", by="p.lua:2", tenant="acme", user="eve", method="ALLOCATE")
            check(f"decision={row['decision']} " in server.log(), "the line of that decision")
            check_equal(explain(server, "--decision", row["decision"]), [row], "by its id")
            broken.allocate()
            expect(server, broken, 500, "p.lua:15: odd", rule="authorize", by="p.lua:15")
            evil.transact(stun.build(stun.ALLOCATE, [transport(stun.UDP), (stun.ORIGIN, b"https://evil")]))
            expect(server, evil, 403, "not from there", rule="route", by="p.lua:6")
        check_equal({row["user"] for row in explain(server, "--user", "eve")}, {"eve"}, "of one user")
        check_equal(explain(server, "--tenant", "other"), [], "of another tenant")


@test
def refusals_of_the_core_have_limits_and_values():
    lines = (DOOR, "total-quota=3", "stale-nonce=1", "denied-peer-ip=198.18.7.0/24", "allowed-peer-ip=198.18.0.0/16")
    with Server(*lines, auth=("lt-cred-mech",), files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        with who(server, "ann") as ann, who(server, "bob") as bob, who(server, "old") as old, who(server, "zoe") as zoe, who(server, "ann", "x") as liar:
            check_equal(ann.allocate().code or 0, 0, "ann")
            ann.request(stun.ALLOCATE, [transport(stun.UDP)])
            check(re.fullmatch(r"its address and port have an allocation, made \d s ago", expect(server, ann, 437, last_why(server, ann))["why"]), "437")
            for address, why in (("10.0.0.5", "peer 10.0.0.5 is private"), ("169.254.169.254", "peer 169.254.169.254 is link-local"),
                                 ("198.18.7.1", "peer 198.18.7.1 is in denied-peer-ip"), ("224.0.0.1", "peer 224.0.0.1 is multicast")):
                check_equal(ann.permit((address, 9)).code, 403, address)
                expect(server, ann, 403, why, rule="peer_not_allowed", by="core")
            check_equal(ann.permit(("198.18.0.1", 9), ("198.18.0.2", 9), ("198.18.0.3", 9)).code, 508, "three permissions")
            expect(server, ann, 508, "the allocation 2/2 permissions", held=2, limit=2)
            check_equal(ann.refresh(901).code, 438, "a Refresh of which the hook wants the password again")
            check("refresh" in {row["rule"] for row in explain(server, "--client", "%s:%d" % ann.local) if row["code"] == 438}, "438 of the hook")
            with who(server, "ann") as second:
                check_equal(second.allocate().code, 486, "a second allocation")
                expect(server, second, 486, "user ann of acme 1/1 held", held=1, limit=1, rule="user_quota")
            old.allocate()
            row = expect(server, old, 401, last_why(server, old), rule="expired")
            check(re.fullmatch(r"expired 6[3-9] s ago", row["why"]), row["why"])
            zoe.allocate()
            expect(server, zoe, 401, "nobody knows zoe in acme", rule="unknown_user")
            liar.allocate()
            expect(server, liar, 401, "the password of ann in acme is wrong", rule="bad_integrity")
            bob.challenge()
            bob.request(stun.REFRESH)
            expect(server, bob, 437, "its address and port have no allocation", method="REFRESH")
            wait_for(lambda: bob.transact(bob.signed(stun.REFRESH)).code == 438, 4, what="a stale nonce")
            check(re.fullmatch(r"the nonce is \d s old, of 1 s", expect(server, bob, 438, last_why(server, bob), rule="stale_nonce")["why"]), "438")


@test
def to_the_client_himself_a_wrong_name_and_a_wrong_password_are_the_same():
    with Server(DOOR, auth=("lt-cred-mech", "user=ann:secret")) as server, who(server, "zoe") as zoe, who(server, "ann", "x") as liar:
        for client in (zoe, liar):
            check_equal(client.allocate().code, 401, client.username)
        told = []
        for name, rule in (("zoe", "unknown_user"), ("ann", "bad_integrity")):
            check_equal(last(server, "--user", name)["rule"], rule, "what the operator is told")
            (row,) = ask_json(server, "/v1/test-record", user=name)[1]["refusals"]
            told.append({key: value for key, value in row.items() if key != "time"})
        check_equal(told[0], told[1], "what they are told")
        check_equal((told[0]["code"], told[0]["why"]), (401, "the username or the password is wrong"), "what that is")


@test
def quotas_of_the_server_and_of_tenants_are_told():
    with Server(DOOR, "total-quota=2", "userdb=relay.db", "user=bob:b") as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_allocations=1")
        with server.client() as ann, who(server, "bob") as bob:
            ann.allocate()
            check_equal(bob.allocate().code, 486, "the second of the tenant")
            expect(server, bob, 486, "tenant example.org 1/1 held", rule="realm_quota")
            server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_allocations=0")
            with who(server, "bob") as other, who(server, "bob") as third:
                check_equal(other.allocate().code or 0, 0, "the second")
                check_equal(third.allocate().code, 486, "the third")
                expect(server, third, 486, "the server 2/2 held", rule="total_quota")


@test
def without_a_port_it_says_so():
    with Server(DOOR, ports=1) as server, server.client() as ann, server.client() as second:
        ann.allocate()
        check_equal(second.allocate().code, 508, "the second")
        expect(server, second, 508, "no port to relay from is free: 1 of 1 are held", rule="no_port")


@test
def credentials_with_a_time_are_found_by_their_user():
    with Server(DOOR, "use-auth-secret", "static-auth-secret=s", auth=()) as server:
        username, password = stun.rest_credential("s", int(time.time()) - 100, "tim")
        with server.client(username=username, password=password) as tim:
            tim.allocate()
            row = last(server, "--user", "tim")
            check_equal((row["code"], row["rule"], row["username"]), (401, "expired", username), f"{row}")
            check(re.fullmatch(r"expired 10\d s ago", row["why"]), row["why"])


@test
def a_table_for_people_says_what_to_do():
    with Server(DOOR, auth=("lt-cred-mech",), files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        check_equal(server.relay("explain", "--admin-socket", "door"), "nothing was refused, as far as is remembered\n", "at first")
        with who(server, "eve") as eve, who(server, "zoe") as zoe:
            for _ in range(2):
                eve.allocate()
            zoe.allocate()
        output = server.relay("explain", "--admin-socket", "door")
        check(re.search(r"127\.0\.0\.1:\d+ +eve +ALLOCATE +403  authorize +p\.lua:2 +\d+  no eve", output), output)
        check_equal(len(re.findall(r"^403 authorize: the policy forbids it: look there$", output, re.M)), 1, output)
        check("401 unknown_user: add the user" in output, output)


@test
def wrong_questions_are_refused_by_name():
    with Server(DOOR) as server:
        for arguments, said in ((("--client", "here"), "client: an address expected"), (("--decision", "x"), "decision: the number"),
                                (("--limit", "0"), "limit: a whole number from 1 to 1000")):
            code, _, errors = run_relay("explain", "--admin-socket", "door", *arguments, cwd=server.directory)
            check(code == 1 and said in errors, errors)
        code, output, _ = run_relay("explain", "--admin-socket", "door", "--client", "127.0.0.1", "--json", cwd=server.directory)
        check_equal((code, json.loads(output)), (0, []), "a good one")


@test
def challenges_are_no_refusals_and_one_source_has_its_share():
    with Server(DOOR, "user=zoe:z", "listening-ip=127.0.0.2", "relay-ip=127.0.0.2") as server:
        with server.client(local=("127.0.0.3", 0)) as victim:
            victim.password = "wrong"
            victim.allocate()
        with server.client() as flood:
            for _ in range(2000 if not SANITIZED else 300):
                flood.send(stun.build(stun.ALLOCATE, [transport(stun.UDP)]))
                flood.poll()
            check_equal(explain(server, "--client", flood.local[0]), [], "challenges")
            flood.password = "wrong"
            flood.challenge()
            for _ in range(6000 if not SANITIZED else 300):
                flood.send(flood.signed(stun.ALLOCATE, [transport(stun.UDP)]))
                flood.poll()
            check(1 <= len(explain(server, "--client", flood.local[0], "--limit", "1000")) <= 16, "the share of one source")
        check_equal(len(explain(server, "--client", "127.0.0.3")), 1, "the other's")


@test
def without_a_door_nothing_is_remembered_and_the_command_says_so():
    with Server() as server:
        code, _, errors = run_relay("explain", "-c", "turnserver.conf", cwd=server.directory)
        check(code == 1 and "admin-socket" in errors, errors)


if __name__ == "__main__":
    main()
