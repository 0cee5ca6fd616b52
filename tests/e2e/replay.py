"""relay replay over what a real server recorded: the same policy decides the same, another differs exactly where it was made to."""
import json

from support.client import Peer
from support.server import POLICIES, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

POLICY = """
local tries = relay.ratelimit("tries", {rate = 0.001, burst = 3})
local LIMITS, SLOW = relay.allow{user_quota = 9, max_lifetime = 900, tags = {plan = "x"}}, relay.deny(486, "too many tries")
local keys = {ann = "hush", eve = "hush", bob = "hush", joe = "hush"}
return {
  route = function(req) return relay.tenant("acme") end,
  authenticate = function(req)
    if req.username == "joe" then return relay.deny(401, "no joe") end
    if keys[req.username] then return relay.key{user = req.username, password = keys[req.username]} end
  end,
  authorize = function(req)
    if req.software == "slow" then relay.sleep(0.05) end
    if req.software == "broken" then error("odd") end
    if not tries:take(req.user) then return SLOW end
    return LIMITS
  end,
  permission = function(alloc, peer, kind) if peer.ip == "127.0.0.9" then return relay.deny(403, "not that one") end end,
  refresh = function(alloc, req) if req.lifetime == 901 then return relay.deny(403, "no 901") end end,
}
"""
# (what B has in place of what, whose records are another then)
SEEDS = [
    ('req.username == "joe"', 'req.username == "bob"', lambda line: line["phase"] == "authenticate" and line["input"]["username"] in ("joe", "bob")),
    ("if not tries:take(req.user) then return SLOW end", 'if req.user == "eve" then return relay.deny(403, "no eve") end if not tries:take(req.user) then return SLOW end',
     lambda line: line["phase"] == "authorize" and line["input"]["user"] == "eve"),
    ('"127.0.0.9"', '"127.0.0.8"', lambda line: line["phase"] == "permission" and line["input"]["peer"].startswith("127.0.0.9")),
    ("req.lifetime == 901", "req.lifetime == 777", lambda line: line["phase"] == "refresh" and line["input"]["req"].get("lifetime") == 901),
]


def traffic(server):
    """Everybody asks for something, some of it too often."""
    def who(username, software=None):
        return server.client(username=username, password="hush", software=software)

    with who("ann") as ann, who("eve") as eve, who("bob") as bob, who("joe") as joe, Peer() as peer:
        for client in (ann, eve, bob, joe):
            client.allocate()
        for address in (peer.address, ("127.0.0.9", 9), ("10.0.0.5", 9)):
            ann.permit(address)
        ann.bind(0x4000, peer.address)
        for lifetime in (600, 901):
            ann.refresh(lifetime)
        for software in ("slow", "broken"):
            with who("bob", software) as other:
                other.allocate()
        for _ in range(4):
            with who("eve") as again:
                again.allocate()


def records(server):
    """Every record, once the last client's are there."""
    def read():
        with open(server.path("decisions"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    wait_for(lambda: sum(line["phase"] == "authorize" and line["input"]["user"] == "eve" for line in read()) >= 5, what="the records")
    return read()


def replay(server, *arguments):
    """(exit code, {(decision, phase)}, the whole)"""
    code, output, errors = run_relay("replay", *arguments, "decisions", "--json", cwd=server.directory)
    check(code in (0, 1), f"exit code {code}: {errors}")
    result = json.loads(output)
    found = [(line["decision_id"], line["phase"]) for line in result["differences"]]
    return code, found, result


@smoke
def of_what_a_server_recorded_exactly_the_seeded_differences_are_found():
    other = POLICY
    for before, after, _ in SEEDS:
        check(before in other, before)
        other = other.replace(before, after)
    with Server("decision-log=decisions", auth=("lt-cred-mech",), files={"a.lua": POLICY, "b.lua": other}, policies=["a.lua"]) as server:
        traffic(server)
        lines = records(server)
        code, found, whole = replay(server, "--policy", "a.lua")
        check_equal((code, found, whole["unsaid"], whole["bad_lines"]), (0, [], 0, 0), f"the same policy: {whole}")
        check(whole["same"] + whole["core"] == len(lines) and set(whole["phases"]) == {"route", "authenticate", "authorize", "permission", "refresh"}, f"{whole}")
        code, found, whole = replay(server, "--policy", "b.lua")
        expected = [(line["decision_id"], line["phase"]) for line in lines if any(is_other(line) for _, _, is_other in SEEDS)]
        check_equal((code, sorted(found)), (1, sorted(expected)), "the differences")
        check(len(expected) >= 10, f"{expected}")


@test
def shipped_policies_decide_the_same_again():
    names = ("quota.lua", "peers.lua", "audit.lua", "fair_use.lua")
    policies = [f"{POLICIES}/{name}" for name in names]
    with Server("decision-log=decisions", auth=("lt-cred-mech", "user=ann:hush", "user=eve:hush", "user=bob:hush", "user=joe:hush"), policies=policies) as server:
        traffic(server)
        records(server)
        chain = [word for policy in policies for word in ("--policy", policy)]
        code, found, whole = replay(server, *chain)
        check_equal((code, found), (0, []), f"{whole}")
        code, found, _ = replay(server, *chain, "--set", "quota.user=1")
        check(code == 1 and {phase for _, phase in found} == {"authorize"}, f"another limit: {found}")


if __name__ == "__main__":
    main()
