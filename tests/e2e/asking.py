"""Hooks that ask the database, and name servers: what they are told, and that nobody else notices."""
import contextlib
import signal
import sqlite3
import time

from support import stun
from support.client import transport
from support.nameserver import NameServer
from support.pace import check_undisturbed
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PLANS = """
return {
  authorize = function(req)
    local rows, why = relay.db:query("SELECT plan, bps FROM plans WHERE user = ? AND active = ?", req.user, true)
    if not rows then return relay.fail("plans: " .. why) end
    if #rows == 0 then return relay.deny(403, "no plan") end
    return relay.allow{max_bps = rows[1].bps, tags = {plan = rows[1].plan}}
  end,
}"""

ENDLESS = """
local ENDLESS = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c"
return {
  authorize = function(req)
    if req.user ~= "bob" then return nil end
    local rows, why = relay.db:query(ENDLESS)
    return relay.deny(403, why)
  end,
}"""

WHY = """
return {authorize = function(req) local ok, why = pcall(function() %s end) return relay.deny(403, tostring(why):sub(1, 94)) end}"""


def database(text, *lines, **how):
    return Server("userdb=relay.db", *lines, files={"p.lua": text}, policies=["p.lua"], **how)


def change(server, sql):
    with contextlib.closing(sqlite3.connect(server.path("relay.db"), timeout=5)) as file, file:
        file.execute(sql)


def reason(server, **how):
    """What the policy said when it denied an Allocate."""
    with server.client(**how) as client:
        check_equal(client.allocate().code, 403, "the Allocate")
    return [line for line in server.log().splitlines() if " denied " in line][-1].split("reason=")[1]


@smoke
def a_policy_reads_tables_of_the_operator():
    with database(PLANS, threads=2) as server:
        change(server, "CREATE TABLE plans (user TEXT, plan TEXT, bps INTEGER, active INTEGER)")
        check("no plan" in reason(server), "without a row")
        change(server, "INSERT INTO plans VALUES ('ann', 'gold', 500000, 1)")
        with server.client() as ann:
            check_equal(ann.allocate().code, 0, "ann's Allocate")
        wait_for(lambda: server.query("SELECT tags FROM sessions WHERE tags = 'plan=gold'"), 3, "a session with a plan")


@test
def the_users_of_the_database_are_found():
    text = """
    return {authorize = function(req)
      local bob, eve = relay.users:get(nil, "bob"), relay.users:get("acme", "bob")
      return relay.deny(403, tostring(bob and bob.user) .. " " .. tostring(eve))
    end}"""
    with database(text) as server:
        server.relay("user", "add", "--userdb", "relay.db", "--realm", server.realm, "bob", "--password-stdin", stdin="secret\n")
        check("bob nil" in reason(server), "what was found")
    with Server(files={"p.lua": text}, policies=["p.lua"]) as server:
        check("nil nil" in reason(server), "what was found without a database")


@test
def writing_and_keys_are_refused():
    for sql, why in (("DELETE FROM users", "not authorized"), ("PRAGMA user_version", "not authorized"), ("ATTACH '/etc/passwd' AS x", "not authorized"),
                     ("SELECT key FROM users", "access to users.key is prohibited"), ("SELECT secret FROM secrets", "prohibited")):
        with database(WHY % f'relay.db:query("{sql}")') as server:
            check(why in reason(server), f"{sql}: {server.log()}")
    with Server(files={"p.lua": WHY % 'relay.db:query("SELECT 1")'}, policies=["p.lua"]) as server:
        check("userdb=FILE" in reason(server), "without a database")


@smoke
def a_slow_database_disturbs_nobody_else():
    with database(ENDLESS, auth=["user=ann:secret", "user=bob:secret", "lt-cred-mech"]) as server:
        begun = time.monotonic() + 0.3
        codes = check_undisturbed(server, [("bob", "secret")] * 6, lambda: time.monotonic() > begun)
        check_equal(codes, {403}, "the codes of those that asked")
        check('reason="timeout"' in server.log(), "the reason is not a timeout")


@test
def a_query_that_nobody_waits_for_any_more_ends():
    text = ENDLESS.replace('if req.user ~= "bob" then return nil end',
                           'if req.user ~= "bob" then return relay.deny(403, "rows " .. #assert(relay.db:query("SELECT 1"))) end')
    with database(text, auth=["user=ann:secret", "user=bob:secret", "lt-cred-mech"]) as server:
        bobs = [server.client("tcp", username="bob", password="secret") for _ in range(4)]
        for bob in bobs:
            bob.challenge()
            bob.send(bob.signed(stun.ALLOCATE, [transport(stun.UDP)]))
        for bob in bobs:
            bob.close()
        asked = time.monotonic()
        check("rows 1" in reason(server), "an answer of the database")
        check(time.monotonic() - asked < 1.5, "who left is still asked for")


ASK_NAMES = """
return {authorize = function(req)
  local kind, name, expected = req.origin:match("(%u+) ([^ ]+) (.*)")
  local list, why = relay.dns.lookup(name, {type = kind, timeout = 0.6})
  for i, item in ipairs(list or {}) do list[i] = type(item) == "table" and item.target .. ":" .. item.port or item end
  local said = list and table.concat(list, ","):sub(-60) or why
  if said ~= expected then return relay.deny(403, said) end
end}"""


def asking_names(names):
    return Server(f"policy-dns=127.0.0.1:{names.port}", files={"p.lua": ASK_NAMES}, policies=["p.lua"])


def is_answered(server, asked, said):
    with server.client(origin=f"{asked} {said}") as client:
        return client.allocate().code == 0


def check_answer(server, asked, said):
    check(is_answered(server, asked, said), f"{asked} is not answered {said}")


@smoke
def names_are_looked_up():
    records = {
        ("A", "game.example"): ["192.0.2.1", "192.0.2.2"], ("AAAA", "game.example"): ["2001:db8::1"], ("TXT", "game.example"): ["v=game1"],
        ("SRV", "_turn._udp.example"): [(20, 0, 3479, "t2.example"), (10, 0, 3478, "t1.example")],
        ("A", "www.example"): [("CNAME", "game.example"), "192.0.2.9"], ("TXT", "long.example"): ["x" * 600 + "y" * 60],
    }
    with NameServer(records) as names, asking_names(names) as server:
        check_answer(server, "A game.example", "192.0.2.1,192.0.2.2")
        check_answer(server, "AAAA game.example", "2001:db8::1")
        check_answer(server, "TXT game.example", "v=game1")
        check_answer(server, "SRV _turn._udp.example", "t1.example:3478,t2.example:3479")
        check_answer(server, "A www.example", "192.0.2.9")
        check_answer(server, "A no.example", "not found")
        check_answer(server, "TXT long.example", "y" * 60)
        check(names.overflowed, "nothing was asked over TCP")


@test
def an_answer_is_kept_as_long_as_it_holds():
    with NameServer({("A", "game.example"): ["192.0.2.1"]}, ttl_s=1) as names, asking_names(names) as server:
        for _ in range(3):
            check_answer(server, "A game.example", "192.0.2.1")
        check_equal(names.asked, [("A", "game.example")], "what the server was asked")
        names.records[("A", "game.example")] = ["192.0.2.2"]
        wait_for(lambda: is_answered(server, "A game.example", "192.0.2.2"), 3, "the new answer")
        check_equal(len(names.asked), 2, "how often the server was asked")


@test
def a_server_that_is_mute_or_refuses_is_told_and_heals():
    with NameServer({("A", "game.example"): ["192.0.2.1"]}) as names, asking_names(names) as server:
        names.mute.add("game.example")
        asked = time.monotonic()
        check_answer(server, "A game.example", "timeout")
        check(0.5 < time.monotonic() - asked < 2 or SANITIZED, "it took another time than the timeout")
        names.mute.clear()
        names.refused = True
        wait_for(lambda: is_answered(server, "A game.example", "failed"), 5, "a refusal")
        names.refused = False
        check_answer(server, "A game.example", "192.0.2.1")


@test
def a_wrong_name_server_stops_the_start():
    for value in ("localhost", "127.0.0.1:x", "0.0.0.0", "127.0.0.1:70000"):
        server = Server(f"policy-dns={value}", files={"p.lua": "return {}"}, policies=["p.lua"])
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and "policy-dns" in errors, f"policy-dns={value} was answered {code}: {errors}")


@test
def init_and_timers_may_ask_too():
    text = """
    local S = relay.shared("s", {max_entries = 10})
    relay.timer.every(0.2, function() S:set("n", relay.db:query("SELECT count(*) AS n FROM tenants")[1].n, false) end, {on = "all"})
    return {
      init = function() S:set("a", relay.dns.lookup("game.example")[1] .. #relay.db:query("SELECT 1"), false) end,
      authorize = function(req) if S:get("a") ~= "192.0.2.11" or S:get("n") ~= 0 then return relay.deny(403) end end,
    }"""
    with NameServer({("A", "game.example"): ["192.0.2.1"]}) as names:
        with database(text, f"policy-dns=127.0.0.1:{names.port}", threads=2) as server:
            def has_both():
                with server.client() as ann:
                    return ann.allocate().code == 0
            wait_for(has_both, 5, "what init and the timer asked for")
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: len(names.asked) == 4, 5, "init of two workers, at the start and at a reload")
            wait_for(has_both, 5, "an answer after the reload")


if __name__ == "__main__":
    main(limit_s=60)
