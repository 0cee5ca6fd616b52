"""relay console: Lua that looks at a running relay, and can do nothing to it."""
import re
import subprocess

from support.client import Peer
from support.pace import check_steady, packets_going_on
from support.server import BINARY, SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

POLICY = """
local cache = relay.shared("auth.cache", {max_entries = 2, evict = "lru"})
local plain = relay.shared("plain", {max_entries = 10})
local month = relay.meter("month", {period = "month"})
return {authorize = function(req)
  plain:incr(req.user, 1, {ttl = false}) plain:set("text", "x\\27[31m\\255", 60) plain:set("half", 0.5, 60) plain:set("yes", true, 60)
  for _, key in ipairs {"a", "b"} do cache:add(key, 1, false) end
  return relay.allow{tags = {room = "7"}, meter = {month, "all"}}
end}
"""


def look(server, line):
    """What a line shows, its last newline aside."""
    return server.relay("console", "-c", server.config, "-e", line).removesuffix("\n")


def refused(server, line, limit_s=20.0):
    """Why a line failed."""
    code, said, why = run_relay("console", "-c", server.config, "-e", line, cwd=server.directory, limit_s=limit_s)
    check_equal((code, said), (1, ""), f"the exit code of {line}, and what it shows")
    return why.removesuffix("\n").removeprefix("relay console: ")


@smoke
def it_shows_who_is_there_what_is_shared_and_what_is_counted():
    with Server("admin-socket=door", "user=bob:secret", threads=2, files={"p.lua": POLICY}, policies=["p.lua"]) as server, server.client() as ann, \
            server.client("tcp", username="bob") as bob:
        ann.relayed()
        bob.relayed()
        check_equal(look(server, "#alloc.list()"), "2", "how many")
        check_equal(look(server, "alloc.list{user = 'bob'}[1].transport"), "tcp", "bob's transport")
        check_equal(look(server, "#alloc.list{tag = 'room=7', limit = 1}"), "1", "a limit")
        check(re.search(rf"^ +src = \"127.0.0.1:{ann.local[1]}\",$", look(server, "alloc.list{user = 'ann'}"), re.M), "a row")
        check_equal([look(server, f"shared.plain:get('{key}')") for key in ("ann", "text", "half", "yes", "none")], ["1", r"x\x1b[31mÿ", "0.5", "true", "nil"], "values")
        check_equal(look(server, "shared['auth.cache']:get('a')"), "1", "a name that is no word")
        check_equal(look(server, "for _, t in ipairs(shared.list()) do print(t.kind .. ' ' .. t.name .. ' ' .. t.entries) end").splitlines(),
                    ["relay.meter month 0", "relay.shared plain 5", "relay.shared auth.cache 2"], "what there is")
        check_equal(look(server, "policy.info().workers[2].worker"), "2", "a worker")
        check_equal(look(server, "trace{user = 'ann'}.allocations[1].user"), "ann", "a trace")
        check_equal(look(server, "metrics('relay_workers')"), "{relay_workers = 2}", "a metric")
        check("shared.NAME:get(key)" in look(server, "help()"), "the help")
        check_equal(look(server, "local n = 0 for _, a in ipairs(alloc.list()) do n = n + a.channels end return n, 'and', {}, nil"), "0\nand\n{}\nnil", "several values")


@smoke
def it_can_write_nothing_and_every_error_is_told():
    with Server("admin-socket=door", threads=2, files={"p.lua": POLICY}, policies=["p.lua"]) as server, server.client() as client:
        client.relayed()
        for line, why in (("shared.plain:set('ann', 7)", "line:1: what is shared can be asked for with get alone: 'set'"),
                          ("alloc.list = nil", "line:1: alloc is read-only"),
                          ("shared.plain.get = 1", "line:1: what is shared is read-only"),
                          ("alloc.lst()", "line:1: alloc has no field 'lst'; did you mean 'list'?"),
                          ("alloc.list{usr = 'ann'}", "line:1: alloc.list: unknown field 'usr'; did you mean 'user'?"),
                          ("relay.audit{}", "line:1: unknown global 'relay'"),
                          ("io.open('/etc/passwd')", "line:1: unknown global 'io'"),
                          ("shared.nowhere:get('a')", "line:1: /v1/shared: no policy shares a table or meter of that name"),
                          ("trace{}", 'line:1: trace: {user = "..."} expected'),
                          ("1 +", "line:1: unexpected symbol near '1'"),
                          ("error({})", "error object of type table"),
                          ("(" * 300, "C stack overflow")):
            check(why in refused(server, line), f"{line}: {refused(server, line)}")
        check_equal(look(server, "shared.plain:get('ann')"), "1", "what was not written")
        check_equal(run_relay("console", "--admin-socket", server.path("nowhere"), "-e", "alloc.list()")[::2],
                    (1, f"relay console: line:1: {server.path('nowhere')}: No such file or directory\n"), "no relay")
        check_equal(run_relay("console", "-e", "1")[0], 2, "no socket is named")


@test
def looking_does_not_count_as_use():
    with Server("admin-socket=door", files={"p.lua": POLICY + "-- b is younger than a"}, policies=["p.lua"]) as server, server.client() as client:
        client.relayed()
        for _ in range(5):
            check_equal(look(server, "shared['auth.cache']:get('a')"), "1", "the older one")
        server.write("p.lua", POLICY.replace('{"a", "b"}', '{"c"}'))
        server.relay("reload", "-c", server.config)
        with server.client() as other:
            other.relayed()
        check_equal([look(server, f"shared['auth.cache']:get('{key}')") for key in "abc"], ["nil", "1", "1"], "who had to go")


@test
def what_runs_away_ends_alone_while_packets_go_on():
    with Server("admin-socket=door", threads=2, files={"p.lua": POLICY}, policies=["p.lua"]) as server, server.client() as client, Peer() as peer:
        client.relayed()
        before = server.resident_kb()
        with packets_going_on(client, peer) as took:
            check_equal(refused(server, "while true do end"), "killed: too many instructions", "an endless loop")
            check("killed" in refused(server, "while true do pcall(function() while true do end end) end"), "one that catches")
            check("too many steps" in refused(server, "('a'):rep(513):find(('.-'):rep(20) .. 'b')"), "an evil pattern")
            check_equal(refused(server, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"), "not enough memory: what was set is gone", "a memory bomb")
            check_equal(look(server, "for i = 1, 1000 do alloc.list() end for i = 1, 300 do metrics() shared.list() end return 'done'"), "done", "a thousand questions")
            lines = [subprocess.Popen([BINARY, "console", "-c", server.config, "-e", "for i = 1, 50 do alloc.list() end"], cwd=server.directory) for _ in range(20)]
            check_equal([line.wait(60) for line in lines], [0] * 20, "twenty at a time")
        check_steady(took)
        check(SANITIZED or server.resident_kb() - before < 16384, f"{server.resident_kb() - before} KiB more")


@smoke
def lines_are_read_one_after_the_other():
    with Server("admin-socket=door") as server:
        said = server.relay("console", "-c", server.config, stdin="""
x = 20
x + 1
for i = 1, 2 do
  print(i)
end
nowhere
x = (

local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end
x
2 + 2
""")
        check_equal(said.splitlines(), ["21", "1", "2", "line:1: unknown global 'nowhere'", "line:3: unexpected symbol near <eof>",
                                        "not enough memory: what was set is gone", "line:1: unknown global 'x'", "4"], "what is shown")


if __name__ == "__main__":
    main()
