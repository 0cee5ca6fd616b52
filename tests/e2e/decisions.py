"""The decision log: what was asked and answered, one JSON object a line, joined to the log by ids; nothing secret is in it."""
import hashlib
import hmac
import json
import os
import re
import signal

from support import stun
from support.client import Peer, transport
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

POLICY = """
local LIMITS = relay.allow{user_quota = 2, max_lifetime = 900, tags = {plan = "x", cc = "de"}}
local NO = relay.deny(403, "no eve")
local keys = {ann = "hush-ann", eve = "hush-eve"}
return {
  route = function(req) return relay.tenant("acme") end,
  authenticate = function(req)
    if req.username == "joe" then return relay.deny(401, "no joe") end
    if keys[req.username] then return relay.key{user = req.username, password = keys[req.username]} end
  end,
  authorize = function(req)
    if req.user == "eve" then return NO end
    if req.software == "slow" then relay.sleep(0.05) end
    if req.software == "broken" then error("odd") end
    return LIMITS
  end,
  permission = function(alloc, peer, kind)
    if peer.ip == "127.0.0.9" then return relay.deny(403, "not that one") end
  end,
  refresh = function(alloc, req) if req.lifetime == 901 then return relay.deny(403, "no 901") end end,
}
"""
FIELDS = {"decision_id", "policy_rev", "time", "worker", "phase", "by", "input", "result", "ns", "instructions"}
PHASES = {"route", "authenticate", "authorize", "permission", "channel", "refresh", "usage", "core"}


def records(server, name="decisions"):
    """Every line of the decision log; each is whole."""
    with open(server.path(name), encoding="utf-8") as file:
        text = file.read()
    check(not text or text.endswith("\n"), "the last line is not whole")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        check_equal(set(line) - {"final", "waited"}, FIELDS, f"the members of {line}")
        check(line["phase"] in PHASES and re.fullmatch(r"\d+", line["decision_id"]), f"{line}")
    return lines


def kept(server, count, **which):
    """The records with these members, when there are so many: a worker writes at the end of its turn."""
    def found():
        return [line for line in records(server) if all(line[name] == value for name, value in which.items())]
    wait_for(lambda: len(found()) >= count, what=f"{count} records of {which}")
    return found()


def refused(server):
    """{decision: (code, by)} of the lines of the log that say a refusal."""
    return {line[0]: (int(line[1]), line[2])
            for line in re.findall(r" (?:denied|auth_failed) decision=(\d+) .* code=(\d+) .* by=(\S+) ", server.log())}


def who(server, username, password, software=None):
    return server.client(username=username, password=password, software=software)


def short_run(server):
    """Everybody asks for something."""
    with who(server, "ann", "hush-ann") as ann, who(server, "eve", "hush-eve") as eve, who(server, "joe", "x") as joe, Peer() as peer:
        check_equal(ann.allocate().code or 0, 0, "ann")
        check_equal(eve.allocate().code, 403, "eve")
        check_equal(joe.allocate().code, 401, "joe")
        check_equal(ann.permit(peer.address).code or 0, 0, "a peer")
        check_equal(ann.permit(("127.0.0.9", 9)).code, 403, "a peer that the policy refuses")
        check_equal(ann.permit(("10.0.0.5", 9)).code, 403, "a peer that the core refuses")
        check_equal(ann.bind(0x4000, peer.address).code or 0, 0, "a channel")
        check_equal(ann.refresh(600).code or 0, 0, "a Refresh")
        check_equal(ann.refresh(901).code, 403, "a Refresh that is refused")
        with who(server, "ann", "wrong") as liar:
            check_equal(liar.allocate().code, 401, "a wrong password")
        with who(server, "ann", "hush-ann", "slow") as slow, who(server, "ann", "hush-ann", "broken") as broken:
            check_equal(slow.allocate().code or 0, 0, "a hook that waits")
            check_equal(broken.allocate().code, 500, "a hook that raises")
            with who(server, "ann", "hush-ann") as third:
                check_equal(third.allocate().code, 486, "a third allocation")


@smoke
def what_is_decided_is_kept_and_joined_to_the_log():
    with Server("decision-log=decisions", auth=("lt-cred-mech", "user=bob:hush-bob"), files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        short_run(server)
        lines = kept(server, 1, phase="core", by="core")
        said = refused(server)
        check(len(said) >= 7, f"refusals in the log: {said}")
        wait_for(lambda: {line["decision_id"] for line in records(server)} >= set(said), what="the records of all refusals")
        lines = records(server)
        for decision, (code, by) in said.items():
            mine = [line for line in lines if line["decision_id"] == decision and line["result"].get("code")]
            check_equal([(line["result"]["code"], line["by"]) for line in mine], [(code, by)], f"the refusal of decision {decision}")
        revisions = {line["policy_rev"] for line in lines}
        check_equal(revisions, set(re.findall(r"policy_rev=(\w+)", server.log())), "the revisions")
        check_equal({line["worker"] for line in lines}, {1}, "the workers")


@test
def a_record_has_what_the_hook_was_shown_and_what_it_answered():
    with Server("decision-log=decisions", files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        short_run(server)
        first = kept(server, 1, phase="authorize", by="p.lua:2")[0]
        check_equal(first["result"], {"decision": "allow", "by": "p.lua:2", "max_lifetime": 900, "user_quota": 2, "tags": "cc=de,plan=x"}, "the answer")
        check_equal({name: first["input"][name] for name in ("user", "username", "tenant", "realm", "method", "transport", "requested_transport")},
                    {"user": "ann", "username": "ann", "tenant": "acme", "realm": "example.org", "method": "allocate", "transport": "udp",
                     "requested_transport": "udp"}, "what it saw")
        check(first["ns"] > 0 and "waited" not in first, f"{first}")
        check_equal([line["waited"] for line in kept(server, 3, phase="authorize") if line["input"].get("software") == "slow"], [True], "what waited")
        failed = kept(server, 1, phase="authorize", by="p.lua:14")[0]
        check_equal((failed["result"]["decision"], failed["result"]["reason"]), ("fail", "p.lua:14: odd"), "what failed")
        peers = [(line["input"]["peer"], line["input"]["kind"], line["result"]["decision"]) for line in kept(server, 2, phase="permission")]
        check(("127.0.0.9:9", "permission", "deny") in peers, f"{peers}")
        refresh = kept(server, 1, phase="refresh", by="p.lua:20")[0]
        check_equal((refresh["input"]["user"], refresh["input"]["req"]["lifetime"]), ("ann", 901), "of two arguments")
        core = {line["result"]["reason"]: line["input"] for line in kept(server, 3, phase="core")}
        check_equal(set(core), {"peer_not_allowed", "bad_integrity", "user_quota"}, "what the core refused by itself")
        check_equal(core["peer_not_allowed"]["peer"], "10.0.0.5:9", "the peer")


@test
def relay_eval_takes_what_was_kept_and_answers_the_same():
    with Server("decision-log=decisions", files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        short_run(server)
        lines = [line for line in kept(server, 5, policy_rev=records(server)[0]["policy_rev"]) if line["phase"] != "core"]
        seen = set()
        for line in lines:
            code, output, errors = run_relay("eval", "p.lua", line["phase"], json.dumps(line["input"]), "--json", cwd=server.directory)
            check(code in (0, 1), f"{line}: {errors}")
            again = json.loads(output)
            expected = line["result"] if line["by"] != "core" else {"decision": "nothing"}
            check_equal({name: value for name, value in again.items() if name not in ("ns", "instructions")}, expected, f"the answer to {line['input']}")
            seen.add(line["phase"])
        check(seen >= {"route", "authenticate", "authorize", "permission", "refresh"}, f"{seen}")


@test
def nothing_secret_is_kept():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
    policy = "return {authenticate = function(req) if req.username:find('eyJ') then return relay.key{user = 'ann', password = 'hush-jwt'} end end}"
    ha1 = hashlib.md5(b"bob:example.org:hush-bob").hexdigest()
    with Server("decision-log=decisions", "use-auth-secret", "static-auth-secret=hush-static", "user=bob:hush-bob", f"user=kim:0x{ha1}", "oauth", "userdb=relay.db",
                auth=("lt-cred-mech",), files={"p.lua": policy}, policies=["p.lua"]) as server:
        timed, password = stun.rest_credential("hush-static", 1999999999, "tim")
        for username, secret in (("bob", "hush-bob"), ("kim", "hush-bob"), (token, "hush-jwt"), (timed, password)):
            with who(server, username, secret) as client:
                client.allocate()
        with who(server, "bob", "hush-bob") as client:
            client.challenge()
            client.transact(client.signed(stun.ALLOCATE, [transport(stun.UDP), (stun.ACCESS_TOKEN, b"hush-token" * 9)]))
        kept(server, 4, phase="authenticate")
        wait_for(lambda: any("keys" in line["result"] for line in records(server)), what="a key")
        with open(server.path("decisions"), "rb") as file:
            text = file.read()
        for secret in (b"hush", ha1.encode(), b"c2lnbmF0dXJl", b"access_token", password.encode()):
            check(secret not in text, f"{secret} is in the decision log")
        check(token.rpartition(".")[0].encode() in text, "a name that is a token, without its signature")


@test
def with_a_key_names_are_told_apart_and_not_told():
    with Server("decision-log=decisions", "decision-log-key=pepper", files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        short_run(server)
        ann = "hmac:" + hmac.new(b"pepper", b"ann", "sha256").hexdigest()[:32]
        check_equal({line["input"]["user"] for line in kept(server, 1, phase="permission")}, {ann}, "whose permissions")
        keys = [line for line in kept(server, 1, phase="authenticate") if line["result"]["decision"] == "key"]
        check(ann in {line["result"]["user"] for line in keys}, f"{keys}")
        with open(server.path("decisions"), encoding="utf-8") as file:
            text = file.read()
        for name in ("ann", "eve", "joe", "pepper"):
            check(f'"{name}"' not in text, f"{name} is in the decision log")


@test
def a_sample_of_none_keeps_refusals_alone():
    with Server("decision-log=decisions", "decision-log-sample=0", files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        short_run(server)
        wait_for(lambda: {line["decision_id"] for line in records(server)} >= set(refused(server)), what="the refusals")
        check_equal({line["result"]["decision"] for line in records(server)}, {"deny", "fail"}, "what is kept")


@test
def without_a_policy_the_core_answers():
    with Server("decision-log=decisions", "userdb=relay.db", threads=2) as server:
        with server.client() as ann:
            check_equal(ann.allocate().code or 0, 0, "ann")
        line = kept(server, 1, phase="authenticate")[0]
        check_equal((line["by"], line["policy_rev"], line["result"]["decision"], line["result"]["user"]), ("core", "-", "key", "ann"), "the answer")


@test
def the_file_is_opened_anew_with_the_log():
    with Server("decision-log=decisions", files={"p.lua": POLICY}, policies=["p.lua"]) as server:
        with who(server, "ann", "hush-ann") as ann:
            ann.allocate()
        kept(server, 1, phase="authorize")
        os.rename(server.path("decisions"), server.path("old"))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: os.path.exists(server.path("decisions")), what="another file")
        with who(server, "eve", "hush-eve") as eve:
            eve.allocate()
        check_equal({line["input"]["user"] for line in kept(server, 1, phase="authorize")}, {"eve"}, "in the new file")
        check_equal({line["input"]["user"] for line in records(server, "old") if line["phase"] == "authorize"}, {"ann"}, "in the old one")


@test
def a_flood_of_wrong_passwords_fills_no_disk():
    with Server("decision-log=decisions", "decision-log-sample=0") as server, server.client(password="wrong") as liar:
        liar.challenge()
        for _ in range(1500 if not SANITIZED else 600):
            liar.send(liar.signed(stun.ALLOCATE, [transport(stun.UDP)]))
            liar.poll()
        wait_for(lambda: "decisions_lost" in server.log(), what="a line about those that were not kept")
        check(len(records(server)) < 1400, f"{len(records(server))} records")


@test
def a_file_that_cannot_be_opened_ends_the_start():
    code, _, errors = run_relay("--user", "a:b", "--realm", "r", "--decision-log", "/nowhere/log", "--listening-ip", "127.0.0.1")
    check_equal(code, 1, "the exit code")
    check("command line: decision-log: cannot open /nowhere/log: No such file or directory" in errors, errors)


if __name__ == "__main__":
    main()
