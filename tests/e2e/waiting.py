"""Hooks that wait: a slow backend is asked over HTTP, and nobody else notices."""
import time

from support import stun
from support.backend import Backend
from support.client import transport
from support.pace import check_undisturbed
from support.server import POLICIES, SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

ASKS = """
local cache = relay.shared("cache", {{max_entries = 100, evict = "lru"}})
local NO = relay.deny(401)
return {{
  name = "asks",
  authenticate = function(req)
    if req.username == "ann" then return nil end
    if cache:get(req.username) == "-" then return NO end
    local src = req.src
    local res, why = relay.http.post("{url}/auth",
      {{json = {{username = req.username, ip = req.src.ip}}, timeout = {timeout}, single_flight = {single_flight}}})
    if not res then return relay.fail("backend: " .. why) end
    if res.status == 404 then cache:set(req.username, "-", 5) return NO end
    if res.status ~= 200 then return relay.fail("backend " .. res.status) end
    assert(src.ip == "127.0.0.1" and req.username and req.src == src)
    return relay.key{{user = req.username, password = res:json().password}}
  end,
}}"""


def asking(backend, *lines, timeout=2.5, single_flight="nil", **how):
    text = ASKS.format(url=backend.url, timeout=timeout, single_flight=single_flight)
    return Server(f"policy-http=127.0.0.1:{backend.port}", *lines, files={"asks.lua": text}, policies=["asks.lua"], **how)


def users(count):
    return {f"bob{number}": f"secret{number}" for number in range(count)}


@smoke
def a_login_waits_for_the_backend():
    with Backend(delay_s=0.05, users=users(1)) as backend, asking(backend) as server:
        with server.client(username="bob0", password="secret0") as bob:
            check_equal(bob.allocate().code, 0, "bob's Allocate")
            check_equal(bob.refresh(600).code, 0, "bob's Refresh")
        with server.client(username="eve", password="x") as eve:
            check_equal((eve.allocate().code, eve.allocate().code), (401, 401), "eve's Allocates")
        with server.client(username="bob0", password="wrong") as bob:
            check_equal(bob.allocate().code, 401, "an Allocate with a wrong password")
        check_equal(backend.asked, ["bob0", "eve", "bob0"], "what the backend was asked")


@test
def retransmissions_of_a_request_that_waits_ask_once():
    with Backend(delay_s=0.5, users=users(1)) as backend, asking(backend) as server:
        with server.client(username="bob0", password="secret0") as bob:
            bob.challenge()
            request = bob.signed(stun.ALLOCATE, [transport(stun.UDP)])
            for _ in range(5):
                bob.send(request)
                check(bob.answer(request[8:20], 0.02) is None, "an answer came before the backend's")
            check_equal(bob.answer(request[8:20]).code, 0, "the answer")
            check_equal(backend.asked, ["bob0"], "what the backend was asked")
            check(bob.answer(request[8:20], 0.1) is None, "a second answer came")


@test
def who_waits_for_the_same_shares_one_exchange():
    with Backend(delay_s=0.4, users=users(1)) as backend, asking(backend, single_flight="req.username") as server:
        clients = [server.client(username="bob0", password="secret0") for _ in range(8)]
        requests = []
        for client in clients:
            client.challenge()
            requests.append(client.signed(stun.ALLOCATE, [transport(stun.UDP)]))
        for client, request in zip(clients, requests):
            client.send(request)
        codes = [client.answer(request[8:20]).code for client, request in zip(clients, requests)]
        check_equal(codes, [0] * 8, "the answers")
        check_equal(backend.asked, ["bob0"], "what the backend was asked")
        for client in clients:
            client.close()


@test
def a_client_that_goes_away_gives_up_its_exchange():
    with Backend(delay_s=2.5, users=users(1)) as backend, asking(backend) as server:
        bob = server.client("tcp", username="bob0", password="secret0")
        bob.challenge()
        bob.send(bob.signed(stun.ALLOCATE, [transport(stun.UDP)]))
        wait_for(lambda: backend.asked, 2, "a question to the backend")
        bob.close()
        wait_for(lambda: backend.gone == 1, 1, "the end of the exchange")


@test
def a_backend_that_is_down_is_500_and_heals():
    backend = Backend(users=users(1))
    with asking(backend) as server:
        with server.client(username="bob0", password="secret0") as bob:
            check_equal(bob.allocate().code, 500, "an Allocate while the backend is down")
            check("backend: connect" in server.log(), "the log does not say why")
            backend.start()
            check_equal(bob.allocate().code, 0, "an Allocate when it is up")
        backend.stop()
        with server.client(username="bob0", password="secret0") as bob:
            check_equal(bob.allocate().code, 500, "an Allocate when it is down again")
        with server.client() as ann:
            check_equal(ann.allocate().code, 0, "ann's Allocate")


@test
def a_backend_that_hangs_is_500_at_the_deadline():
    with Backend(delay_s=30, users=users(1)) as backend:
        for timeout, least, most, why in ((0.3, 0.25, 1.0, "backend: timeout"), (9, 2.9, 3.3, "asks.lua:10")):
            with asking(backend, timeout=timeout) as server, server.client("tcp", username="bob0", password="secret0") as bob:
                bob.challenge()
                request = bob.signed(stun.ALLOCATE, [transport(stun.UDP)])
                asked = time.monotonic()
                bob.send(request)
                check_equal(bob.answer(request[8:20], 5).code, 500, "the answer")
                took = time.monotonic() - asked
                check(least < took and (took < most or SANITIZED), f"the answer took {took:.2f} s")
                check(why in server.log(), f"the log does not say {why}")


@test
def a_hook_may_ask_only_what_the_configuration_allows():
    text = """
    return {
      name = "curious",
      authorize = function(req)
        local ok, why = pcall(relay.http.get, req.origin, {timeout = 0.5})
        return relay.deny(403, ok and "asked" or (why:match("not allowed") or why:match("not an http") or why))
      end,
    }"""
    with Backend() as backend:
        backend.bodies = {"/api/x": (200, b"", ()), "/there": (302, b"", [("Location", f"{backend.url}/other")])}
        port = backend.port
        allowed = {f"http://127.0.0.1:{port}/api", f"http://127.0.0.1:{port}/api/x", f"http://127.0.0.1:{port}/api?q=1",
                   f"http://127.0.0.1:{port}/api/../api/x"}
        refused = {f"http://127.0.0.1:{port}/apis", f"http://127.0.0.1:{port}/api/../x", f"http://127.0.0.1:{port}/api/%2e%2e/x",
                   f"http://localhost:{port}/api", f"https://127.0.0.1:{port}/api", "http://127.0.0.1/api"}
        broken = {"file:///etc/passwd", f"http://127.0.0.1:{port}@example.org/api", f"gopher://127.0.0.1:{port}/api", "nonsense", f"http://a:b@127.0.0.1:{port}/api"}
        with Server(f"policy-http={backend.url}/api", files={"curious.lua": text}, policies=["curious.lua"]) as server:
            for urls, reason in ((allowed, "asked"), (refused, "not allowed"), (broken, "not a")):
                for url in urls:
                    with server.client(origin=url) as ann:
                        check_equal(ann.allocate().code, 403, url)
                    line = [line for line in server.log().splitlines() if "denied" in line][-1]
                    check(f"reason={reason}" in line or f'reason="{reason}' in line, f"{url}: {line}")


@test
def the_shipped_policy_asks_a_backend():
    with Backend(delay_s=0.05, users=users(1)) as backend:
        with Server(f"policy-http={backend.url}/auth", f"set=auth.url={backend.url}/auth", policies=[f"{POLICIES}/auth_http.lua"], auth=[]) as server:
            for name, password, code in (("bob0", "secret0", 0), ("bob0", "secret0", 0), ("bob0", "x", 401), ("eve", "x", 401), ("eve", "x", 401)):
                with server.client(username=name, password=password) as client:
                    check_equal(client.allocate().code, code, f"{name}'s Allocate with {password}")
            check_equal(backend.asked, ["bob0", "eve"], "what the backend was asked")


@test
def a_wrong_host_stops_the_start():
    for value in ("ftp://example.org/", "http://", "a/b", "example.org:x", "http://example.org/?q", "user@example.org"):
        server = Server(f"policy-http={value}", files={"p.lua": "return {}"}, policies=["p.lua"])
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and "policy-http" in errors, f"policy-http={value} was answered {code}: {errors}")


@test
def init_and_timers_may_wait_too():
    text = """
    local S = relay.shared("s", {{max_entries = 10}})
    relay.timer.every(0.2, function()
      local res = relay.http.get("{url}/fleet")
      if res then S:set("fleet", res.body, false) end
    end, {{on = "all"}})
    return {{
      name = "fetches",
      init = function() S:set("first", assert(relay.http.get("{url}/first")).body, false) relay.sleep(0.05) end,
      authorize = function(req) if S:get("first") ~= "one" or S:get("fleet") ~= "two" then return relay.deny(403) end end,
    }}"""
    with Backend() as backend:
        backend.bodies = {"/first": (200, b"one", ()), "/fleet": (200, b"two", ())}
        with Server(f"policy-http={backend.url}", files={"f.lua": text.format(url=backend.url)}, policies=["f.lua"], threads=2) as server:
            def has_both():
                with server.client() as ann:
                    return ann.allocate().code == 0
            wait_for(has_both, 5, "what init and the timer fetched")
        server = Server(files={"f.lua": text.format(url=backend.url)}, policies=["f.lua"])
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and "policy-http=HOST" in errors, f"without policy-http the start was answered {code}: {errors}")


@smoke
def a_slow_backend_disturbs_nobody_else():
    with Backend(delay_s=0.2, users=users(50)) as backend, asking(backend) as server:
        check_equal(check_undisturbed(server, list(users(50).items()), lambda: backend.asked), {0}, "the codes of the logins")


if __name__ == "__main__":
    main(limit_s=60)
