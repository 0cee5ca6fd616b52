"""Policies are exchanged while the relay runs: everywhere or nowhere, and nobody is disturbed."""
import json
import os
import re
import signal
import stat
import threading
import time

from support import stun
from support.client import Peer, number, transport
from support.server import SANITIZED, Server, free_port, run_relay
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True


def version(n, more=""):
    """A policy that marks what it grants: LIFETIME is 1000 + n."""
    return f"local n = {n} {more}\nreturn {{authorize = function() return relay.allow{{max_lifetime = 1000 + n}} end}}\n"


def lifetime_of(server):
    """What a new allocation is granted, by whichever worker gets it."""
    with server.client() as client:
        message = client.allocate(lifetime=3600)
        check_equal(message.kind, stun.SUCCESS, f"the answer ({message.code})")
        client.refresh(0)
        return int.from_bytes(message.get(stun.LIFETIME), "big")


def told(server, event):
    return re.findall(rf" {event} (.*)", server.log())


def hang_up(server, event):
    """SIGHUP, and what the log then says."""
    before = len(told(server, event))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(told(server, event)) > before, what=event)
    return told(server, event)[-1]


@smoke
def sighup_exchanges_the_policies_of_all_workers_and_running_calls_go_on():
    with Server(threads=3, files={"p.lua": version(1)}, policies=["p.lua"]) as server, server.client() as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        check_equal(lifetime_of(server), 1001, "the lifetime")
        server.write("p.lua", version(2))
        said = hang_up(server, "policies_loaded")
        check("workers=3" in said, said)
        check_equal({lifetime_of(server) for _ in range(20)}, {1002}, "the lifetimes")
        client.send_channel(0x4000, b"still here")
        check_equal(peer.receive()[0], b"still here", "what the peer got")


@test
def a_mistake_on_one_worker_alone_keeps_the_old_policies_on_all():
    with Server(threads=3, files={"p.lua": version(1)}, policies=["p.lua"]) as server:
        server.write("p.lua", "return {init = function(ctx)\n  if ctx.worker == 2 then error('not here') end\nend}")
        said = hang_up(server, "policies_kept")
        check("p.lua:2: not here" in said, said)
        check_equal({lifetime_of(server) for _ in range(20)}, {1001}, "the lifetimes")
        os.unlink(server.path("p.lua"))
        check("No such file" in hang_up(server, "policies_kept"), "a missing file")
        check_equal(lifetime_of(server), 1001, "the lifetime")


@test
def with_policy_watch_a_file_that_was_written_is_enough():
    files = {"p.lua": version("require 'm'"), "m.lua": "return 1"}
    with Server("policy-watch", threads=2, files=files, policies=["p.lua"]) as server:
        check_equal(lifetime_of(server), 1001, "the lifetime")
        server.write("m.lua.new", "return 2")
        os.rename(server.path("m.lua.new"), server.path("m.lua"))
        wait_for(lambda: told(server, "policies_loaded"), what="a reload")
        check_equal({lifetime_of(server) for _ in range(10)}, {1002}, "the lifetimes")
        server.write("p.lua", "nonsense")
        wait_for(lambda: told(server, "policies_kept"), what="a refusal")
        server.write("p.lua", version(3))
        wait_for(lambda: len(told(server, "policies_loaded")) == 2, what="a reload")
        check_equal(len(told(server, "policies_kept")), 1, "refusals of one broken file")
        check_equal(lifetime_of(server), 1003, "the lifetime")


@test
def hooks_may_come_and_go():
    deny = "return {permission = function() return relay.deny(403) end}"
    with Server(threads=2, files={"p.lua": "return {}"}, policies=["p.lua"]) as server, server.client() as client, Peer() as peer:
        client.relayed()
        for text, code in ((deny, 403), ("return {}", 0), (deny, 403)):
            server.write("p.lua", text)
            hang_up(server, "policies_loaded")
            with server.client() as other:
                other.relayed()
                check_equal(other.permit(peer.address).code or 0, code, "the code")
        check_equal(client.refresh(700).kind, stun.SUCCESS, "a Refresh of an older allocation")


@smoke
def what_waits_in_the_old_policy_ends_there():
    slow = "return {authorize = function() relay.sleep(1) return relay.allow{max_lifetime = 1001} end}"
    with Server(threads=1, files={"p.lua": slow}, policies=["p.lua"]) as server, server.client() as client:
        client.challenge()
        request = client.signed(stun.ALLOCATE, [transport(stun.UDP), number(stun.LIFETIME, 3600)])
        client.send(request)
        check(client.receive(0.2) is None, "the hook does not wait")
        server.write("p.lua", version(2))
        hang_up(server, "policies_loaded")
        check_equal(lifetime_of(server), 1002, "the lifetime of others")
        message = client.transact(request)
        check_equal(int.from_bytes(message.get(stun.LIFETIME), "big"), 1001, "the lifetime of who waited")


@measuring
@test
def an_init_that_waits_holds_up_nobody():
    slow = version(2)[:-2] + ", init = function(ctx) if ctx.reload then relay.sleep(1) end end}"
    with Server(threads=2, files={"p.lua": version(1)}, policies=["p.lua"]) as server, server.client() as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        server.write("p.lua", slow)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGHUP)
        while not told(server, "policies_loaded"):
            sent = time.monotonic()
            client.send_channel(0x4000, b"x")
            check(peer.receive(1.0), "a packet is lost")
            check(time.monotonic() - sent < 0.5, "a packet is late")
            check(time.monotonic() - begin < 5, "no reload")
        check(time.monotonic() - begin >= 1, "init did not wait")
        check_equal({lifetime_of(server) for _ in range(10)}, {1002}, "the lifetimes")
        server.write("p.lua", slow.replace("relay.sleep(1)", "relay.sleep(0.1) error('after all')"))
        check("p.lua:2: after all" in hang_up(server, "policies_kept"), "the reason")


class Caller(threading.Thread):
    """Allocates and releases for as long as it may; keeps (the version of the answer, the last that was in force before, the last that was begun)."""

    def __init__(self, server, progress):
        super().__init__()
        self.server, self.progress, self.answers, self.ends = server, progress, [], threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.ends.is_set():
                before = self.progress["done"]
                granted = lifetime_of(self.server) - 1000
                self.answers.append((granted, before, self.progress["begun"]))
        except Exception as failure:  # told by the test
            self.failure = failure


class Traffic(Caller):
    """Relays both ways, a packet at a time; counts what is lost."""

    def run(self):
        try:
            with self.server.client() as client, Peer() as peer:
                client.relayed()
                client.bind(0x4000, peer.address)
                while not self.ends.is_set():
                    client.send_channel(0x4000, b"up")
                    _, relayed = peer.receive() or check(False, "a packet to the peer is lost")
                    peer.send(b"down", relayed)
                    check(client.receive_data(), "a packet to the client is lost")
                    self.answers.append(1)
        except Exception as failure:
            self.failure = failure


BROKEN = ("return {{authorize = function() return relay.allow{{max_lifetime = 1000 + {n}}} end,\n init = function(ctx) if ctx.worker == 2 then error('{n}') end end}}",
          "local n = {n}\nlocal t = relay.ratelimit('t', {{rate = 1, burst = 1}}) return {{}}",
          "return {{authorize = function() return relay.allow{{max_lifetime = 1000 + {n}}} end}} and")


def exchange_under_load(times, callers, threads):
    files = {"p.lua": version(0, "relay.shared('t', {max_entries = 100})"), "q.lua": "return {save = function() return {1} end}"}
    with Server("admin-socket=door", threads=threads, files=files, policies=["p.lua", "q.lua"]) as server:
        progress = {"done": 0, "begun": 0}
        load = [*(Caller(server, progress) for _ in range(callers)), Traffic(server, progress), Traffic(server, progress)]
        for thread in load:
            thread.start()
        settled = None
        try:
            for n in range(1, times + 1):
                is_broken = n % 3 == 0
                server.write("p.lua", BROKEN[n // 3 % 3].format(n=n) if is_broken else version(n, "relay.shared('t', {max_entries = 100})"))
                progress["begun"] = progress["begun"] if is_broken else n
                code, said, why = run_relay("reload", "--admin-socket", server.path("door"))
                check_equal(code, 1 if is_broken else 0, f"the exit code of reload {n} ({said}{why})")
                check(not is_broken or "p.lua:2: " in why or "near" in why, why)
                progress["done"] = progress["done"] if is_broken else n
                settled = server.resident_kb() if n == times // 3 else settled
            shown = json.loads(server.relay("policy", "-c", server.config, "--json"))
        finally:
            for thread in load:
                thread.ends.set()
            for thread in load:
                thread.join()
        for thread in load:
            check(not thread.failure, thread.failure)
            check(thread.answers, "a thread of the load has done nothing")
        for caller in load[:callers]:
            for granted, before, begun in caller.answers:
                check(before <= granted <= begun and (granted % 3 or not granted), f"{granted} was answered between {before} and {begun}")
        check_equal(len({worker["revision"] for worker in shown["workers"]}), 1, "the revisions of the workers")
        check_equal((shown["reloads"], shown["refused"]), (times - times // 3, times // 3), "how many")
        grown = server.resident_kb() - settled
        check(SANITIZED or grown < 4096, f"{grown} KiB more")


@test
def a_hundred_exchanges_under_load_of_which_every_third_is_broken():
    exchange_under_load(100, 3, 4)


@smoke
def exchanges_under_load():
    exchange_under_load(12, 2, 3)


@smoke
def the_door_answers_its_owner_and_the_commands_say_why_not():
    with Server("admin-socket=door", threads=2, files={"p.lua": version(1)}, policies=["p.lua"]) as server:
        check_equal(stat.S_IMODE(os.stat(server.path("door")).st_mode), 0o600, "the mode")
        check("on 2 workers" in server.relay("reload", "-c", server.config), "what reload says")
        said = server.relay("policy", "-c", server.config)
        check(re.search(r"^hooks +authorize$", said, re.M) and "1, and 0 refused" in said, said)
        server.write("p.lua", "\nreturn {authorise = print}")
        code, _, why = run_relay("reload", "--admin-socket", server.path("door"))
        check_equal((code, why), (1, "relay reload: p.lua:1: unknown hook 'authorise'; did you mean 'authorize'?\n"), "a broken reload")
        check_equal(run_relay("reload")[0], 2, "the exit code without a door")
        check("No such file" in run_relay("reload", "--admin-socket", server.path("nowhere"))[2], "no door there")
        check("no admin-socket" in run_relay("policy", "-c", server.write("other.conf", "listening-port=1\n"))[2], "a file without one")
        code, _, why = run_relay("-c", server.config, f"--listening-port={free_port()}", cwd=server.directory)
        check_equal(code, 1, "the exit code of a second relay")
        check("admin-socket: door: another program listens there" in why, why)
    with Server("admin-socket=door") as server:
        code, _, why = run_relay("reload", "--admin-socket", server.path("door"))
        check_equal((code, why), (1, "relay reload: there is no policy: the relay was started without one\n"), "without policies")


if __name__ == "__main__":
    main()
