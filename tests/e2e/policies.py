"""Policies against the running server: what they decide, and that a bad one refuses within its budget while others' relaying goes on."""
import select
import time

from support import stun
from support.client import Peer, transport
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test

ATTACKS = 10
DISTURBANCE_S = 0.1 if not SANITIZED else 1.0
BUDGET_S = 0.5 if not SANITIZED else 5.0

# what authorize does when eve asks: name of the test's row, Lua
HOSTILE = {
    "loops": "while true do end",
    "loops in pcall": "while true do pcall(function() while true do end end) end",
    "loops in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "loops in a metamethod": "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    "recurses": "local function f() return 1 + f() end return f()",
    "bombs memory with a table": "local t = {} for i = 1, 1e9 do t[i] = {i} end",
    "bombs memory with a string": "local s = 'x' while true do s = s .. s end",
    "bombs memory with rep": "return ('x'):rep(1e9)",
    "bombs memory in pcall": "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
    "matches a pathological pattern": "return ('a'):rep(513):find('.-.-.-.-.-.-.-b')",
    "moves a huge table": "table.move({}, 1, 1e8, 2)",
    "sorts with a mad order": "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return true end) while true do end",
    "hides in close": "local x <close> = setmetatable({}, {__close = function() while true do end end}) error('now')",
    "raises a string": "error('boom')",
    "raises nil": "error(nil)",
    "raises a table": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "calls what is not there": "return relay.dney(403)",
    "reads what is not there": "return req.usrname",
    "writes a global that is not there": "counter = 1",
    "returns a number": "return 42",
    "returns a string": "return 'allow'",
    "returns a table": "return {allow = true}",
    "returns true": "return true",
    "returns a function": "return function() end",
    "yields": "coroutine.yield()",
}

POLICY = """
return {{
  name = "hostile",
  authorize = function(req)
    if req.user ~= "eve" then return nil end
    {}
  end,
}}
"""

USERS = ("lt-cred-mech", "user=ann:secret", "user=eve:secret")


def worst_round_trip(server, attack):
    """Relays ann's packets every 2 ms while eve asks; returns eve's codes, her slowest answer and ann's slowest round trip."""
    with server.client() as ann, Peer() as peer, server.client(username="eve") as eve:
        relayed = ann.relayed()
        ann.bind(0x4000, peer.address)
        eve.challenge()
        codes, slowest, worst = [], 0.0, 0.0
        for _ in range(attack):
            request = eve.signed(stun.ALLOCATE, [transport(stun.UDP)])
            asked = time.monotonic()
            eve.send(request)
            answer = None
            while answer is None:
                check(time.monotonic() < asked + 3, "eve got no answer")
                sent = time.monotonic()
                ann.send_channel(0x4000, b"ping")
                check_equal(peer.receive(), (b"ping", relayed), "what the peer received")
                peer.send(b"pong", relayed)
                check_equal(ann.receive_data(), (0x4000, b"pong"), "what ann received")
                worst = max(worst, time.monotonic() - sent)
                if select.select([eve.socket], [], [], 0.002)[0]:
                    answer = eve.answer(request[8:20], 0.01)
            codes.append(answer.code)
            slowest = max(slowest, time.monotonic() - asked)
        check_equal(ann.refresh(600).code, 0, "ann's Refresh afterwards")
        return codes, slowest, worst


def refuses(names):
    for name in names:
        with Server(auth=USERS, files={"hostile.lua": POLICY.format(HOSTILE[name])}, policies=["hostile.lua"]) as server:
            codes, slowest, worst = worst_round_trip(server, ATTACKS)
            check_equal(set(codes), {500}, f"the answers to eve when the policy {name}")
            check(slowest < BUDGET_S, f"eve waited {slowest:.3f} s when the policy {name}")
            check(worst < DISTURBANCE_S, f"ann's packets took {worst * 1000:.0f} ms when the policy {name}")
            check(server.resident_kb() < 300000 or SANITIZED, f"the server holds {server.resident_kb()} kB after the policy {name}")
            check("hostile.lua" in server.log(), f"the log does not name the policy that {name}")


@smoke
def a_policy_that_loops_is_refused_and_disturbs_nobody():
    refuses(name for name in HOSTILE if "loops" in name or name in ("recurses", "hides in close", "sorts with a mad order"))


@smoke
def a_policy_that_bombs_memory_is_refused_and_disturbs_nobody():
    refuses(name for name in HOSTILE if "bombs" in name)


@test
def a_policy_that_hides_in_the_library_is_refused_and_disturbs_nobody():
    refuses(["matches a pathological pattern", "moves a huge table"])


@smoke
def a_policy_that_raises_is_refused():
    refuses(name for name in HOSTILE if "raises" in name or "not there" in name or name == "yields")


@test
def a_policy_that_returns_nonsense_is_refused():
    refuses(name for name in HOSTILE if "returns" in name)


@test
def a_refusal_by_a_broken_policy_takes_no_quota():
    with Server("total-quota=1", auth=USERS, files={"hostile.lua": POLICY.format("error('boom')")}, policies=["hostile.lua"]) as server:
        for _ in range(3):
            with server.client(username="eve") as eve:
                check_equal(eve.allocate().code, 500, "eve's Allocate")
        with server.client() as ann:
            check_equal(ann.allocate().code, 0, "ann's Allocate")


@test
def a_broken_hook_fails_as_its_phase_says():
    """POLICY.md: authenticate 500, permission and channel 403, refresh granted."""
    def broken(hook):
        return f"return {{name = 'broken', {hook} = function() error('boom') end}}"

    phases = {"authenticate": {"allocate": 500}, "permission": {"allocate": 0, "permit": 403}, "channel": {"allocate": 0, "bind": 403},
              "refresh": {"allocate": 0, "refresh": 0}, "log": {"allocate": 0, "refresh": 0}}
    for hook, expected in phases.items():
        with Server(files={"broken.lua": broken(hook)}, policies=["broken.lua"]) as server, server.client() as client, Peer() as peer:
            got = {"allocate": client.allocate().code}
            if not got["allocate"]:
                got["permit"] = client.permit(peer.address).code
                got["bind"] = client.bind(0x4000, peer.address).code
                got["refresh"] = client.refresh(700).code
            check_equal({key: got.get(key) for key in expected}, expected, f"the codes when {hook} is broken")


@test
def decisions_reach_the_client():
    text = """
    return {
      name = "decides",
      route = function(req) return nil end,
      authorize = function(req)
        if req.user == "eve" then return relay.deny(403, "not eve") end
        return relay.allow{max_lifetime = 700}
      end,
      permission = function(alloc, peer) if peer.ip == "127.0.0.2" then return relay.deny(403) end end,
      channel = function(alloc, peer, number) if number == 0x4005 then return relay.deny(403) end end,
      refresh = function(alloc, req) if req.lifetime == 601 then return relay.deny(486) end end,
    }"""
    with Server(auth=USERS, files={"decides.lua": text}, policies=["decides.lua"]) as server, \
            server.client() as ann, server.client(username="eve") as eve:
        check_equal(eve.allocate().code, 403, "eve's Allocate")
        check_equal(ann.allocate(lifetime=3000).number(stun.LIFETIME), 700, "ann's lifetime")
        check_equal(ann.permit(("127.0.0.2", 9)).code, 403, "a permission for 127.0.0.2")
        check_equal(ann.permit(("127.0.0.1", 9)).code, 0, "a permission for 127.0.0.1")
        check_equal(ann.bind(0x4005, ("127.0.0.1", 9)).code, 403, "channel 0x4005")
        check_equal(ann.bind(0x4006, ("127.0.0.1", 9)).code, 0, "channel 0x4006")
        check_equal(ann.refresh(601).code, 486, "a Refresh to 601")
        check_equal(ann.refresh(600).code, 0, "a Refresh to 600")
        check_equal(ann.refresh(0).code, 0, "the release, which is never asked about")


@test
def a_policy_alone_can_authenticate():
    text = """
    return {name = "keys", authenticate = function(req)
      if req.username == "zoe" then return relay.key{user = "zoe", password = "open"} end
      return relay.deny(401)
    end}"""
    with Server(auth=[], files={"keys.lua": text}, policies=["keys.lua"]) as server:
        with server.client(username="zoe", password="open") as zoe, server.client() as ann:
            check_equal((zoe.allocate().code, ann.allocate().code), (0, 401), "the codes of zoe and ann")


@test
def a_bad_policy_stops_the_start():
    bad = {
        "does not parse": "return {",
        "returns nothing": "local x = 1",
        "has an unknown hook": "return {name = 'x', authorise = function() end}",
        "raises at load": "error('at load')",
        "raises in init": "return {name = 'x', init = function() error('in init') end}",
        "loops at load": "while true do end",
        "loops in init": "return {name = 'x', init = function() while true do end end}",
        "uses io": "local f = io.open('/etc/passwd') return {}",
        "uses os.execute": "os.execute('true') return {}",
        "loads code": "load('return 1')() return {}",
        "names an unknown code": "local d = relay.deny(487) return {}",
        "is bytecode": "\x1bLua",
    }
    for what, text in bad.items():
        server = Server(files={"bad.lua": text}, policies=["bad.lua"])
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and "bad.lua" in errors, f"a policy that {what} was answered {code}: {errors}")


@test
def an_unknown_parameter_stops_the_start():
    text = "local P = relay.params('p', {n = {default = 1, min = 1, max = 9}}) return {name = 'p'}"
    for value in ("p.m=1", "p.n=10", "p.n=x", "q.n=1"):
        server = Server(f"set={value}", files={"p.lua": text}, policies=["p.lua"])
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and value.split("=")[0].split(".")[1] in errors, f"set={value} was answered {code}: {errors}")


@test
def a_pool_gives_a_tenant_its_own_relay_address_on_every_worker():
    text = """return {authorize = function(req) if req.user == "ann" then return relay.allow{pool = "red"} end end}"""
    with Server("relay-ip=127.0.0.1", "relay-ip=127.0.0.2", "relay-pool=red=127.0.0.2", auth=USERS, threads=2,
                files={"pools.lua": text}, policies=["pools.lua"]) as server, Peer() as peer:
        for name, password, address in [("ann", "secret", "127.0.0.2"), ("eve", "secret", "127.0.0.1")] * 4:
            with server.client(username=name, password=password) as client:
                check_equal(client.relayed()[0], address, f"what {name} relays from")
                check_equal(client.permit(peer.address).code, 0, "CreatePermission")
                client.send_to(peer.address, b"hello")
                data, source = peer.receive()
                check_equal((data, source[0]), (b"hello", address), "what the peer got, and from where")


if __name__ == "__main__":
    main(limit_s=120)
