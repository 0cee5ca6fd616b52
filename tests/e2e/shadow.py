"""A shadow is asked what the policies are and decides nothing: what it would do otherwise is told; whatever it does, nobody notices."""
import json
import os
import re
import signal

from support.prometheus import scrape
from support.server import POLICIES, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

DECIDING = """
local tries = relay.ratelimit("tries", {rate = 0.001, burst = 4})
local LIMITS = relay.allow{user_quota = 9, max_lifetime = 900}
return {
  authorize = function(req)
    if not tries:take(req.user) then return relay.deny(486, "too many tries") end
    return LIMITS
  end,
}
"""
STRICTER = """
local tries = relay.ratelimit("tries", {rate = 0.001, burst = 2})
local LIMITS = relay.allow{user_quota = 9, max_lifetime = 900}
return {
  authorize = function(req)
    relay.log.info("the shadow speaks")
    relay.audit{type = "shadow", user = req.user}
    if not tries:take(req.user) then return relay.deny(486, "too many tries") end
    return LIMITS
  end,
  permission = function(alloc, peer) if peer.ip == "127.0.0.9" then return relay.deny(403, "not that one") end end,
}
"""
HOSTILE = {
    "a loop": "while true do end",
    "a loop in pcall": "while true do pcall(function() while true do end end) end",
    "a bomb": "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end",
    "an error": "error('odd')",
    "junk": "return 5",
    "a wait": "relay.sleep(2)",
    "HTTP": "relay.http.get('https://example.org/')",
    "HTTP in pcall": "pcall(relay.http.get, 'https://example.org/')",
}


def shadowed(*lines, deciding=DECIDING, shadow=STRICTER, **more):
    return Server("decision-log=decisions", "shadow=new.lua", *lines, policies=["old.lua"], files={"old.lua": deciding, "new.lua": shadow, **more.pop("files", {})}, **more)


def allocations(server, count):
    """What `count` clients, one after the other, are answered: 0 or a code."""
    codes = []
    for _ in range(count):
        with server.client() as client:
            codes.append(client.allocate().code or 0)
    return codes


def differences(server):
    """(hook, what was decided, what the shadow says, where) of the lines of the log."""
    return re.findall(r' shadow_differs decision=\d+ hook=(\S+) decided=("(?:[^"\\]|\\.)*"|\S+) by=\S+ shadow=("(?:[^"\\]|\\.)*"|\S+) shadow_by=(\S+)', server.log())


def kept(server, phase):
    """The records of a hook."""
    with open(server.path("decisions"), encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["phase"] == phase]


@smoke
def what_a_shadow_would_decide_is_told_and_not_done():
    with shadowed("decision-log-sample=0", "admin-socket=door") as server:
        check_equal(allocations(server, 5), [0, 0, 0, 0, 486], "its counts are its own")
        with server.client(username="ann") as stranger:
            check_equal(stranger.allocate().code, 486, "once more")
        wait_for(lambda: len(differences(server)) >= 2, what="what differs")
        check_equal([(hook, by) for hook, _, _, by in differences(server)], [("authorize", "new.lua:8")] * 2, f"the differences: {differences(server)}")
        decided, other = differences(server)[0][1:3]
        check("allow" in decided and "user_quota=9" in decided and "deny" in other and "too many tries" in other, f"{decided} {other}")
        check("the shadow speaks" not in server.log() and "type=shadow" not in server.log(), "it has been heard")
        lines = [line for line in kept(server, "authorize") if line["result"]["decision"] == "allow"]
        check_equal([(line["shadow"]["by"], line["shadow"]["result"]["code"]) for line in lines], [("new.lua:8", 486)] * 2, "the records, in no sample")
        for result, count in (("same", 4), ("differs", 2), ("undecided", 0)):
            wait_for(lambda: scrape(server)("relay_shadow_answers_total", phase="authorize", result=result) == count, what=f"{count} {result} in the metrics")
        check(not any("shadow" in line for line in kept(server, "authorize") if line["result"]["decision"] == "deny"), "where both say the same")


@test
def a_hook_that_only_the_shadow_has_decides_nothing():
    deciding = "local LIMITS = relay.allow{permission_acl = relay.cidr{'127.0.0.1'}} return {authorize = function() return LIMITS end}"
    shadow = """local LIMITS = relay.allow{permission_acl = relay.cidr{'127.0.0.1'}}
        return {authorize = function() return LIMITS end,
        permission = function(alloc, peer) if peer.ip == '127.0.0.7' then return relay.deny(403, 'no') end end}"""
    with shadowed(deciding=deciding, shadow=shadow) as server, server.client() as ann:
        check_equal(ann.allocate().code or 0, 0, "ann")
        answers = [ann.permit((ip, 9)).code or 0 for ip in ("127.0.0.1", "127.0.0.7", "127.0.0.8")]
        check_equal(answers, [0, 403, 403], "peers that are in the list, and those that are not")
        check('reason="permission_acl"' in server.log(), "who refuses")
    with shadowed(deciding="return {}", shadow=shadow) as server, server.client() as ann:
        check_equal(ann.allocate().code or 0, 0, "ann")
        check_equal([ann.permit((ip, 9)).code or 0 for ip in ("127.0.0.7", "127.0.0.8")], [0, 0], "without a list")
        wait_for(lambda: [line[0] for line in differences(server)] == ["authorize", "permission"], what="what differs")


@smoke
def a_broken_shadow_harms_nobody():
    for name, body in HOSTILE.items():
        shadow = f"return {{authorize = function(req) {body} end, log = function(ev) {body} end, usage = function() {body} end}}"
        with shadowed(deciding="return {}", shadow=shadow) as server:
            check_equal(allocations(server, 6), [0] * 6, name)
            wait_for(lambda: len(kept(server, "authorize")) >= 6, what="the records")
            undecided = [line["shadow"]["result"]["decision"] for line in kept(server, "authorize")]
            allowed = {"undecided"} if "wait" in name or "HTTP" in name else {"fail", "undecided"}
            check(set(undecided) <= allowed and len(undecided) == 6, f"{name}: {undecided}")
            check(("fail" in undecided) == ("fail" in allowed), f"{name}: {undecided}")


@test
def parameters_of_a_shadow_are_those_of_the_policies_or_its_own():
    quota = f"{POLICIES}/quota.lua"
    with Server(f"shadow={quota}", "set=quota.user=8", "shadow-set=quota.user=1", "set=quota.rate=100", policies=[quota]) as server:
        check_equal(allocations(server, 1), [0], "ann")
        wait_for(lambda: differences(server), what="what differs")
        check("user_quota=8" in differences(server)[0][1] and "user_quota=1" in differences(server)[0][2], f"{differences(server)}")
    with Server(f"shadow={quota}", "set=quota.user=8", policies=[quota]) as server:
        check_equal(allocations(server, 2), [0, 0], "ann")
        check(not differences(server), f"the same policy with the same values: {differences(server)}")


@smoke
def a_shadow_is_exchanged_with_the_policies_or_nothing_is():
    with shadowed(deciding="return {}", shadow="return {}", threads=2) as server:
        allocations(server, 2)
        check(not differences(server), "nothing differs yet")
        server.write("new.lua", "return {authorize = function(req)\nreturn relay.deny(403, 'another') end}")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "policies_loaded" in server.log(), what="the reload")
        check_equal(allocations(server, 4), [0] * 4, "nobody is refused")
        wait_for(lambda: len(differences(server)) == 4, what="what differs")
        server.write("new.lua", "return {autorize = function(req) end}")
        server.write("old.lua", "return {authorize = function(req) return relay.deny(403, 'all') end}")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "policies_kept" in server.log(), what="the reload that fails")
        check("new.lua:1: unknown hook 'autorize'; did you mean 'authorize'?" in server.log(), "the reason")
        check_equal(allocations(server, 2), [0] * 2, "the old policies stay too")


@test
def what_is_wrong_with_a_shadow_ends_the_start():
    def start(shadow, *lines):
        with open("new.lua", "w", encoding="utf-8") as file:
            file.write(shadow)
        return run_relay("--user", "a:b", "--realm", "r", "--listening-ip", "127.0.0.1", "--check-config", *lines)

    server = shadowed()
    os.chdir(server.directory)
    code, _, errors = start("return {\nautorize = function() end}", "--policy", "old.lua", "--shadow", "new.lua")
    check(code == 1 and "command line: shadow: new.lua:2: unknown hook 'autorize'; did you mean 'authorize'?" in errors, errors)
    code, _, errors = start("return {init = function() relay.sleep(1) end}", "--policy", "old.lua", "--shadow", "new.lua")
    check(code == 1 and "shadow: new.lua:1: relay.sleep: not here" in errors, errors)
    code, _, errors = start("return {}", "--policy", "old.lua", "--shadow", "new.lua", "--shadow-set", "p.x=1")
    check(code == 1 and "p.x: no policy has such a parameter" in errors, errors)
    code, _, errors = start("return {}", "--shadow", "new.lua")
    check(code == 1 and "shadow: is of no use without a policy: add policy=FILE" in errors, errors)
    code, _, errors = start("return {}", "--policy", "old.lua", "--shadow-set", "p.x=1")
    check(code == 1 and "shadow-set: is of no use without a shadow: add shadow=FILE" in errors, errors)
    code, output, errors = start("return {}", "--policy", "old.lua", "--shadow", "new.lua")
    check(code == 0 and re.search(r"shadow +new.lua", output), output + errors)
    server.temporary.cleanup()


if __name__ == "__main__":
    main()
