"""Limits of tenants: under load at once none exceeds its own nor disturbs another, all numbers agree at rest, and what is changed counts within a second."""
import collections
import contextlib
import json
import sqlite3
import time

from support.client import Peer
from support.door import ask, ask_json
from support.follow import Follower
from support.prometheus import scrape
from support.server import SANITIZED, Server
from support.tap import check, check_equal, main, smoke, test, wait_for

POLICY = """return {authenticate = function(req)
  local user, tenant = req.username:match("^(.+)@(.+)$")
  if tenant then return relay.key{user = user, tenant = tenant, password = "secret"} end
end}"""
LINES = ("admin-socket=door", "userdb=relay.db")
SIZE = 1000
SOON_S = 4.0 if SANITIZED else 1.0


def start(*lines, **how):
    return Server(*LINES, *lines, files={"p.lua": POLICY}, policies=["p.lua"], auth=(), **how)


def tenant(server, name, *fields):
    server.relay("tenant", "set", "--userdb", "relay.db", name, *fields)


def explain(server, *arguments):
    return json.loads(server.relay("explain", "-c", "turnserver.conf", "--json", *arguments))


class Player:
    """A client of a tenant with a channel to a peer of its own; counts what it sent and what arrived there."""

    def __init__(self, stack, server, name, transport="udp"):
        self.client = stack.enter_context(server.client(transport, username=name))
        self.peer = stack.enter_context(Peer())
        self.relayed = self.client.relayed()
        check_equal(self.client.bind(0x4000, self.peer.address).code, 0, "the answer to ChannelBind")
        self.sent = self.got = 0

    def send(self, packets=1):
        for _ in range(packets):
            self.client.send_channel(0x4000, bytes(SIZE))
        self.sent += packets

    def take(self, limit_s=0.0):
        """What has arrived meanwhile."""
        before = self.got
        self.peer.socket.settimeout(limit_s or 0.000001)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            while True:
                self.peer.socket.recv(2048)
                self.got += 1
        return self.got - before


def load(players, seconds, packets_a_second):
    """All of them send as many, evenly; returns how long it took."""
    begin, done = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        due = int(now * packets_a_second)
        for player in players:
            player.send(due - done)
            player.take()
        done = due
        time.sleep(0.004)
    for player in players:
        player.take(0.3)
    return time.monotonic() - begin


def by_tenant(players, what):
    sums = collections.Counter()
    for name, player in players:
        sums[name] += getattr(player, what)
    return sums


def agree(server, players):
    """What clients sent and peers got is what metrics, API and database say, to the byte."""
    sent, got = by_tenant(players, "sent"), by_tenant(players, "got")
    for name in sent:
        def metrics():
            now = scrape(server)
            return (now("relay_tenant_bytes_total", tenant=name, direction="in"), now("relay_tenant_packets_total", tenant=name, direction="in"),
                    now("relay_tenant_drops_total", tenant=name), now("relay_tenant_month_bytes", tenant=name))
        wanted = (SIZE * got[name], got[name], sent[name] - got[name], SIZE * got[name])
        wait_for(lambda: metrics() == wanted, what=f"the metrics of {name}: {wanted}")
        wait_for(lambda: server.query("SELECT sum(bytes_in), sum(packets_in) FROM usage WHERE tenant = ?", name) == [wanted[:2]], what="usage")
        check_equal(server.query("SELECT sum(bytes_in), sum(packets_in) FROM sessions WHERE tenant = ?", name), [wanted[:2]], "sessions")
        check_equal(server.query("SELECT bytes FROM months WHERE tenant = ?", name), [(wanted[0],)], "months")
        _, body = ask_json(server, f"/v1/allocations?tenant={name}")
        check_equal((sum(row["bytes_in"] for row in body["allocations"]), sum(sum(row["dropped"].values()) for row in body["allocations"])),
                    (wanted[0], wanted[2]), f"/v1/allocations of {name}")
    now = scrape(server)
    held = now("relay_tenant_allocations")
    check_equal((held, now("relay_quota_allocations"), now("relay_allocations")), (len(players),) * 3, "units taken are allocations that live")


@smoke
def three_tenants_under_load_keep_to_their_limits_and_all_numbers_agree():
    limits = {"red": 50000, "green": 200000, "blue": 10 ** 9}  # bytes a second
    with start("bps-capacity=900000", threads=2, tls=True) as server, contextlib.ExitStack() as stack:
        for name, rate in limits.items():
            tenant(server, name, f"tenant_bps={8 * rate}", "tenant_pps=100000")
        players = [(name, Player(stack, server, f"{user}@{name}", transport)) for name in limits for user, transport in (("ann", "udp"), ("bob", "tcp"), ("cy", "tls"))]
        took = load([player for _, player in players], 1.5, 200)
        got, sent = by_tenant(players, "got"), by_tenant(players, "sent")
        for name in ("red", "green"):
            check(got[name] * SIZE <= limits[name] * (took + 1) + SIZE, f"{name} got {got[name]} packets in {took:.2f} s")
            check(got[name] * SIZE >= limits[name] * 1.5, f"{name} got {got[name]} packets only")
        check_equal(got["blue"], sent["blue"], "who is within its limits loses nothing")
        agree(server, players)
        reasons = {row["rule"] for row in explain(server, "--tenant", "red")}
        check_equal(reasons, {"tenant_bps"}, "why packets of red were dropped")
        check("all of red more than 400000 bit/s" in explain(server, "--tenant", "red")[0]["why"], "in words")


@smoke
def the_capacity_of_the_server_holds_for_all_tenants_together():
    with start("bps-capacity=200000", threads=2) as server, contextlib.ExitStack() as stack:
        players = [(name, Player(stack, server, f"ann@{name}", transport)) for name, transport in (("red", "udp"), ("green", "tcp"), ("blue", "udp"))]
        took = load([player for _, player in players], 1.5, 300)
        total = sum(by_tenant(players, "got").values()) * SIZE
        check(200000 * 1.5 <= total <= 200000 * (took + 1) + SIZE, f"{total} bytes in {took:.2f} s")
        agree(server, players)
        wait_for(lambda: scrape(server)("relay_drops_total", reason="server_rate") == sum(p.sent - p.got for _, p in players), what="the metric")


def rate_of(player, seconds=0.25):
    before, begin = player.got, time.monotonic()
    while time.monotonic() - begin < seconds:
        player.send(10)
        player.take(0.01)
    return (player.got - before) / (time.monotonic() - begin)


@test
def a_limit_that_changes_counts_for_live_allocations_within_a_second_up_and_down():
    with start(threads=2) as server, contextlib.ExitStack() as stack:
        player = Player(stack, server, "ann@red")
        other = Player(stack, server, "ann@green", "tcp")
        for fields, most in ((("tenant_pps=50",), 50), (("tenant_pps=0", "max_pps=20"), 20), (("max_pps=0", "tenant_bps=80000"), 10)):
            free = rate_of(player)
            check(free > 3 * most, f"{free} packets a second without a limit")
            tenant(server, "red", *fields)
            changed = time.monotonic()
            wait_for(lambda: rate_of(player) <= 1.5 * most, 1 + SOON_S, what=f"{fields} to hold") # what a second holds goes first
            check(rate_of(other) > 3 * most, "another tenant")
            tenant(server, "red", fields[-1].split("=")[0] + "=0")
            changed = time.monotonic()
            wait_for(lambda: rate_of(player, 0.1) > 3 * most, SOON_S, what="the limit to go")
            check(time.monotonic() - changed < SOON_S + 0.5, "within a second")


@test
def allocations_of_a_disabled_tenant_end_within_a_second_and_others_go_on():
    with start(threads=2) as server, contextlib.ExitStack() as stack:
        tenant(server, "red", "max_allocations=5")
        for transport in ("udp", "tcp", "udp"):
            Player(stack, server, "ann@red", transport)
        stays = Player(stack, server, "ann@green")
        wait_for(lambda: scrape(server)("relay_tenant_allocations", tenant="red") == 3, what="three")
        tenant(server, "red", "status=disabled")
        wait_for(lambda: scrape(server)("relay_tenant_allocations", tenant="red") == 0, SOON_S, what="the end of all")
        wait_for(lambda: scrape(server)("relay_allocations_closed_total", reason="tenant_disabled") == 3, what="the reason")
        with server.client(username="bob@red") as client:
            check_equal(client.allocate().code, 403, "another Allocate")
            tenant(server, "red", "status=active")
            check_equal(client.allocate().code, 0, "when it is active again")
        stays.send(5)
        check_equal(stays.take(0.3), 5, "another tenant's packets")


@test
def a_tenant_may_have_so_many_active_and_idle_ones_wait():
    with start() as server, contextlib.ExitStack() as stack:
        tenant(server, "red", "max_active=1")
        first, second = Player(stack, server, "ann@red"), Player(stack, server, "bob@red", "tcp")
        first.send(3)
        check_equal(first.take(0.3), 3, "packets of the first")
        second.send(3)
        check_equal(second.take(0.3), 0, "packets of the second")
        with server.client(username="cleo@red") as third:
            check_equal(third.allocate().code, 486, "a third")
        row = explain(server, "--user", "cleo")[0]
        check_equal((row["rule"], row["held"], row["limit"]), ("max_active", 1, 1), f"{row}")
        row = wait_for(lambda: explain(server, "--user", "bob"), what="a remark")[0]
        check_equal((row["rule"], row["limit"]), ("max_active_woken", 1), f"{row}")
        wait_for(lambda: scrape(server)("relay_tenant_active_allocations", tenant="red") == 1, what="the gauge")
        check_equal(first.client.refresh(0).code, 0, "the end of the first")
        second.send(3)
        check_equal(second.take(0.3), 3, "packets of the second when there is room")


@smoke
def bytes_of_the_month_are_exact_over_a_crash_and_end_as_was_said():
    server = start()
    with server, contextlib.ExitStack() as stack:
        tenant(server, "red", "month_bytes=40000", "month_action=disable")
        player = Player(stack, server, "ann@red")
        player.send(25)
        player.peer.send(bytes(500), player.relayed)
        check_equal(player.take(0.3), 25, "packets")
        wait_for(lambda: server.query("SELECT bytes FROM months") == [(25500,)], what="the sum")
        server.kill()
        server.start()
        check_equal(scrape(server)("relay_tenant_month_bytes", tenant="red"), 25500, "after a crash")
        again = Player(stack, server, "ann@red")
        again.send(15)
        wait_for(lambda: scrape(server)("relay_tenant_allocations", tenant="red") == 0, SOON_S + 1, what="the end")
        wait_for(lambda: scrape(server)("relay_allocations_closed_total", reason="month_bytes") == 1, what="the reason")
        with server.client(username="bob@red") as client:
            check_equal(client.allocate().code, 486, "another Allocate")
            row = explain(server, "--user", "bob")[0]
            check_equal((row["rule"], row["held"], row["limit"]), ("month_bytes", 40500, 40000), f"{row}")
            check_equal(row["why"], "tenant red: 40500/40000 bytes this month", "in words")
            tenant(server, "red", "month_action=throttle")
            check_equal(client.allocate().code, 0, "throttled")
            check_equal(client.refresh(0).code, 0, "its end")
        slow = Player(stack, server, "cy@red")
        slow.send(60)
        check(8 <= slow.take(0.5) <= 14, f"{slow.got} packets at 64 kbit/s")
        tenant(server, "red", "month_bytes=0")
        wait_for(lambda: rate_of(slow, 0.1) > 100, 2 * SOON_S, what="no limit")
        wait_for(lambda: server.query("SELECT bytes FROM months")[0][0] == 40500 + 1000 * slow.got, what="the sum")
        check_equal(scrape(server)("relay_tenant_month_bytes", tenant="red"), 40500 + 1000 * slow.got, "the metric")


@test
def eighty_and_a_hundred_per_cent_are_told_once():
    with start() as server, contextlib.ExitStack() as stack, Follower(server) as events:
        tenant(server, "red", "month_bytes=10000", "max_allocations=2")
        player = Player(stack, server, "ann@red")
        other = stack.enter_context(server.client(username="bob@red"))
        other.relayed()
        check_equal(data_of(events.next("quota.full")), ("red", "max_allocations", 2, 2, "refuse"), "what is held")
        player.send(8)
        player.take(0.2)
        check_equal(data_of(events.next("quota.warning")), ("red", "month_bytes", 8000, 10000, "notify"), "80 % of the month")
        player.send(2)
        check_equal(data_of(events.next("quota.full")), ("red", "month_bytes", 10000, 10000, "notify"), "100 % of the month")
        player.send(5)
        check_equal(player.take(0.3), 7, "packets go on")


def data_of(event):
    return event["tenant"], *(event["data"][name] for name in ("limit", "used", "most", "action"))


@test
def a_scrape_with_a_thousand_tenants_takes_little_time():
    with start() as server:
        with contextlib.closing(sqlite3.connect(server.path("relay.db"))) as database, database:
            database.executemany("INSERT INTO tenants (name, max_allocations, created_ms) VALUES (?, 10, 0)", [(f"studio {i}",) for i in range(1000)])
        wait_for(lambda: len(scrape(server).family("relay_tenant_allocations")) == 1001, what="all of them, and the rest")

        def took():
            begin = time.monotonic()
            ask(server, "/metrics")
            return time.monotonic() - begin

        wait_for(lambda: took() < (0.5 if SANITIZED else 0.05), what="a scrape in 50 ms")


if __name__ == "__main__":
    main()
