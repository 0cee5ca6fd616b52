"""Who is shut out: credentials, tags, keys, users and tenants are revoked on all workers at once, and stay so; allocations are ended by the same names."""
import contextlib
import json
import os
import socket
import sqlite3
import time

from support import minted, stun
from support.client import Peer
from support.door import ask_json
from support.server import SANITIZED, Server, run_relay
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True

MASTER = "m" * 40
WITHIN_S = 4.0 if SANITIZED else 1.0


def serving(*lines, **how):
    files = {"mint.secret": MASTER + "\n", **how.pop("files", {})}
    server = Server("admin-socket=door", "userdb=relay.db", *lines, auth=["mint-secret-file=mint.secret", *how.pop("auth", [])], files=files, **how)
    minted.narrow(server.path("mint.secret"))
    server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
    return server


def cid_of(issued_s=None):
    """An id as the relay makes it: when it was minted, and something of its own."""
    return f"{int((issued_s or time.time()) * 1000):012x}" + os.urandom(6).hex()


def mint(tag="ann", tenant="acme", kid="k1", **how):
    return minted.mint(MASTER, tenant, kid, tag=tag, cid=how.pop("cid", None) or cid_of(), **how)


def enter(server, pair, transport="udp"):
    with server.client(transport, username=pair[0], password=pair[1]) as client:
        return client.allocate().code


def reason_of(server):
    """Of the last 401; what has ended is told too, and by another worker perhaps in the same moment."""
    return next(row["reason"] for row in ask_json(server, "/v1/explain")[1]["refusals"] if row["code"] == 401)


def revoke(server, path, **query):
    """The answer, which must say that it is done."""
    status, body = ask_json(server, path, "DELETE", **query)
    check_equal((status, body.get("stored")), (200, True), f"the answer ({body})")
    return body


def connect(server, client, listener):
    """A connection with a peer (RFC 6062): the client's end and the peer's."""
    message = client.connect_peer(listener.getsockname())
    check_equal(message.code, 0, "the answer to Connect")
    there, _ = listener.accept()
    there.settimeout(5)
    return client.data_connection(server, message.get(stun.CONNECTION_ID)), there


def has_stopped(client):
    """Whether what comes to its relayed address does not reach it any more, and its connection, if it has one, is closed."""
    return client.transport == "udp" or client.is_closed(WITHIN_S)


@measuring
@smoke
def all_allocations_of_a_tag_end_on_all_workers_within_a_second():
    with serving(threads=4, tls=True) as server, contextlib.ExitStack() as stack, Peer() as peer, socket.create_server(("127.0.0.1", 0)) as listener:
        pairs = {tag: mint(tag) for tag in ("ann", "bob")}
        clients = [stack.enter_context(server.client(transport, username=pairs[tag][0], password=pairs[tag][1]))
                   for tag in pairs for transport in ("udp", "tcp", "tls") for _ in range(4)]
        relays = {client: client.relayed() for client in clients}
        for client in clients:
            client.bind(0x4000, peer.address)
        over_tcp = stack.enter_context(server.client("tcp", username=pairs["ann"][0], password=pairs["ann"][1]))
        over_tcp.relayed(protocol=stun.TCP)
        data, there = connect(server, over_tcp, listener)
        rows = ask_json(server, "/v1/allocations", tag="ann")[1]["allocations"]
        check_equal(len(rows), 13, "ann's allocations")
        check(len({row["worker"] for row in rows}) > 1, "they are on several workers")
        begin = time.monotonic()
        body = revoke(server, "/v1/tenants/acme/tags/ann")
        took = time.monotonic() - begin
        check_equal((body["ended"], body["kind"], body["tenant"], body["name"]), (13, "tag", "acme", "ann"), "what it says")
        check(47.9 * 3600 < body["until"] - time.time() <= 48 * 3600, f"until when it stands: {body['until']}")
        check(took < WITHIN_S, f"it took {took:.3f} s")
        for client in clients:
            peer.send(b"x" * 40, relays[client])
        got = [client for client in clients if client.username == pairs["bob"][0] and client.receive_data(2)]
        check_equal(len(got), 12, "bob's that go on")
        ended = [client for client in clients if client.username == pairs["ann"][0]]
        check(all(has_stopped(client) for client in ended), "their connections are closed")
        check_equal([client.receive(0) for client in ended if client.transport == "udp"], [None] * 4, "what came all the same")
        check(not there.recv(1), "the peer's connection is closed")
        check(data.is_closed(), "so is the client's")
        check(time.monotonic() - begin < 3 * WITHIN_S, "all of it took long")
        udp = next(client for client in ended if client.transport == "udp")
        for what, code in (("Refresh", udp.refresh(600).code), ("CreatePermission", udp.permit(peer.address).code),
                           ("ChannelBind", udp.bind(0x4001, peer.address).code), ("Allocate", udp.allocate().code)):
            check_equal(code, 401, f"the answer to {what}")
        check_equal(reason_of(server), "credential_revoked", "why")
        check_equal([enter(server, pairs["ann"], transport) for transport in ("udp", "tcp", "tls")], [401] * 3, "new ones")
        check_equal(enter(server, pairs["bob"]), 0, "another tag's")
        check_equal(enter(server, mint("ann")), 0, "a credential that was minted since")
        wait_for(lambda: server.query("select count(*) from sessions where reason = 'revoked'") == [(13,)], what="the sessions")
        ((who, detail),) = server.query("select who, detail from audit where type = 'revoke'")
        check_equal((who, json.loads(detail)), ("socket", {"tag": "ann"}), "the audit")
        check_equal([client.refresh(0).code for client in clients if client.username == pairs["bob"][0]], [0] * 12, "the others' ends")


@test
def each_kind_shuts_out_what_it_names():
    with serving("user=dora:secret", auth=["lt-cred-mech"], threads=2) as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "other", "status=active")
        cid = cid_of()
        pairs = {"credential": mint(cid=cid), "same tag": mint(), "key": mint(kid="k2"), "tag": mint("carl"), "tenant": mint(tenant="other")}
        pairs["user"] = ("dora", "secret")
        check_equal([enter(server, pair) for pair in pairs.values()], [0] * 6, "before")
        for path, query, gone in ((f"/v1/credentials/{cid}", {"tenant": "other"}, None), (f"/v1/credentials/{cid}", {}, "credential"),
                                  ("/v1/keys/k2/credentials", {"tenant": "acme"}, "key"), ("/v1/tenants/acme/tags/carl", {}, "tag"),
                                  ("/v1/tenants/example.org/users/dora/credentials", {}, "user"), ("/v1/tenants/other/credentials", {}, "tenant")):
            revoke(server, path, **query)
            if gone:
                check_equal(enter(server, pairs.pop(gone)), 401, f"{gone}: who was shut out")
                check_equal(reason_of(server), "credential_revoked", "why")
            check_equal([enter(server, pair) for pair in pairs.values()], [0] * len(pairs), f"{path}: the others")
        check_equal(enter(server, mint(kid="k2")), 401, "a new one of the same key")
        check_equal(enter(server, mint(tenant="other")), 0, "a new one of the tenant")
        rows = ask_json(server, "/v1/revocations")[1]["revocations"]
        check_equal([(row["kind"], row["tenant"], row["name"]) for row in rows],
                    [("credential", "other", cid), ("credential", "*", cid), ("key", "acme", "k2"), ("tag", "acme", "carl"),
                     ("user", "example.org", "dora"), ("tenant", "other", "")], "what stands")
        check_equal([row["kind"] for row in rows if row["until"] is None], ["key"], "what stands for good")
        check_equal(len(ask_json(server, "/v1/revocations", tenant="acme")[1]["revocations"]), 2, "of one tenant")
        page = ask_json(server, "/v1/revocations", limit=4)[1]
        check_equal(len(ask_json(server, "/v1/revocations", after=page["next"])[1]["revocations"]), 2, "the second page")


@test
def it_stands_over_a_restart_and_without_a_database():
    with serving() as server:
        pair = mint()
        check_equal(enter(server, pair), 0, "before")
        revoke(server, "/v1/tenants/acme/tags/ann")
        check_equal(enter(server, pair), 401, "after")
        server.kill()
        server.start()
        check_equal(enter(server, pair), 401, "after the restart")
        with contextlib.closing(sqlite3.connect(server.path("relay.db"))) as database:
            database.execute("begin exclusive")
            status, body = ask_json(server, "/v1/tenants/acme/tags/bob", "DELETE")
            check_equal((status, body["stored"], "locked" in body["reason"]), (200, False, True), f"a row that cannot be written ({body})")
            check_equal(enter(server, mint("bob", cid=cid_of(time.time() - 60))), 401, "all the same")
            check_equal([row["stored"] for row in ask_json(server, "/v1/revocations")[1]["revocations"]], [True, False], "what stands")
        wait_for(lambda: server.query("select name from revocations order by id") == [("ann",), ("bob",)], what="the row that was missing")
        with contextlib.closing(sqlite3.connect(server.path("relay.db"))) as database:
            database.execute("alter table revocations rename to gone")
            check(not ask_json(server, "/v1/tenants/acme/tags/carl", "DELETE")[1]["stored"], "a row without a table")
            check_equal([enter(server, one) for one in (pair, mint("carl", cid=cid_of(time.time() - 60)))], [401, 401], "without the table")
            database.execute("alter table gone rename to revocations")
        wait_for(lambda: server.query("select name from revocations where name = 'carl'"), what="the row that was missing")
        check_equal(enter(server, pair), 401, "all the same")


@measuring
@test
def the_command_line_writes_into_the_file_of_a_running_server():
    with serving(threads=2, auth=["use-auth-secret", "static-auth-secret=shh"]) as server:
        pair = mint()
        with server.client(username=pair[0], password=pair[1]) as client:
            client.relayed()
            begin = time.monotonic()
            said = server.relay("revoke", "--userdb", "relay.db", "--tenant", "acme", "--tag", "ann")
            check(said.startswith("revoked: tag ann of acme"), said)
            wait_for(lambda: client.refresh().code == 401, limit_s=2 + WITHIN_S, what="it is refused")
            check(time.monotonic() - begin < 1 + WITHIN_S, "it took long")
        check_equal(ask_json(server, "/v1/allocations")[1]["allocations"], [], "what lives")
        ((who,),) = server.query("select who from audit where type = 'revoke'")
        check(who.startswith("cli:"), f"who: {who}")
        ((row,),) = server.query("select id from revocations")
        check_equal(run_relay("revocation", "lift", "--userdb", server.path("relay.db"), "999")[0], 1, "one that is not there")
        server.relay("revocation", "lift", "--userdb", "relay.db", str(row))
        wait_for(lambda: enter(server, pair) == 0, limit_s=2 + WITHIN_S, what="it is let in again")
        with sqlite3.connect(server.path("relay.db")) as database:  # ends in a second
            database.execute("insert into revocations (kind, tenant, name, at_ms, until_ms) values ('tag', 'acme', 'ann', ?, ?)",
                             (int(time.time() * 1000), int(time.time() * 1000) + 1800))
        wait_for(lambda: enter(server, pair) == 401, limit_s=1 + WITHIN_S, what="it is refused again")
        wait_for(lambda: server.query("select count(*) from revocations") == [(0,)], what="it has vanished")
        check_equal(enter(server, pair), 0, "when its time is over")
        check_equal(ask_json(server, "/v1/revocations")[1]["revocations"], [], "what stands")


@test
def the_commands_say_what_they_did():
    with serving(threads=2) as server:
        pair = mint()
        with server.client(username=pair[0], password=pair[1]) as client, server.client(username=pair[0], password=pair[1]) as second:
            client.relayed()
            second.relayed()
            said = server.relay("kick", "-c", server.config, "--tenant", "acme", "--tag", "ann")
            check_equal(said, "ended: 2\n", "what kick says")
            check_equal(client.refresh().code, 437, "a Refresh")
            check_equal(client.allocate().code, 0, "who was kicked may come again")
            said = server.relay("revoke", "-c", server.config, "--credential", pair[0].split(":")[3])
            check(said.startswith("revoked: credential ") and "1 allocation ended" in said, said)
            check_equal(client.refresh().code, 401, "a Refresh under what was revoked")
        said = server.relay("revocation", "list", "-c", server.config)
        check(" credential " in said and pair[0].split(":")[3] in said, said)
        (row,) = json.loads(server.relay("revocation", "list", "--userdb", "relay.db", "--json"))
        check_equal((row["kind"], row["name"]), ("credential", pair[0].split(":")[3]), "the list of the file")
        server.relay("revocation", "lift", "-c", server.config, str(row["id"]))
        wait_for(lambda: enter(server, pair) == 0, limit_s=2 + WITHIN_S, what="it is let in again")
        for wrong in ((), ("--tag", "ann"), ("--user", "ann"), ("--tag", "a", "--tenant", "acme", "--key", "k1")):
            check_equal(run_relay("revoke", "-c", server.config, *wrong)[0], 2, f"the exit code for {wrong}")
        check_equal(run_relay("kick", "-c", server.config)[0], 2, "kick without anybody")
        check_equal(ask_json(server, "/v1/allocations", "DELETE")[0], 400, "the same at the door")
        kicks = [json.loads(detail) for (detail,) in server.query("select detail from audit where type = 'kick'")]
        check_equal(kicks, [{"user": None, "tag": "ann", "credential": None, "ended": 2}], "the audit of kicks")
        types = [row[0] for row in server.query("select type from audit where type like 'rev%' order by id")]
        check_equal(types, ["revoke", "revocation_lift"], "the audit of revocations")


@measuring
@test
def a_key_that_is_removed_takes_with_it_what_was_minted_under_it():
    with serving(threads=2) as server:
        server.relay("key", "add", "--userdb", "relay.db", "--tenant", "acme", "--scope", "mint")
        ((kid,),) = server.query("select id from keys")
        pairs = [mint(kid=kid), mint()]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.client("tcp", username=name, password=password)) for name, password in pairs]
            for client in clients:
                client.relayed()
            begin = time.monotonic()
            check_equal(ask_json(server, f"/v1/keys/{kid}", "DELETE")[0], 200, "the status")
            check(clients[0].is_closed(WITHIN_S) and time.monotonic() - begin < WITHIN_S, "what was minted under it goes on")
            check_equal(clients[1].refresh().code, 0, "another key's")
        check_equal([enter(server, pair) for pair in pairs], [401, 0], "new ones")


@test
def coturns_names_are_shut_out_by_player_and_whole():
    with serving(auth=["use-auth-secret", "static-auth-secret=shh"]) as server:
        def timed(user, ttl=600):
            name = f"{int(time.time()) + ttl}:{user}"
            return name, minted.sign("shh", name)
        carl, dora = timed("carl"), timed("dora")
        revoke(server, "/v1/tenants/example.org/tags/carl")
        check_equal([enter(server, carl), enter(server, timed("carl", 700)), enter(server, dora)], [401, 401, 0], "by player")
        body = revoke(server, f"/v1/credentials/{dora[0]}")
        check_equal(body["until"], int(dora[0].split(":")[0]), "until it expires")
        check_equal([enter(server, dora), enter(server, timed("dora", 700))], [401, 0], "by name")


if __name__ == "__main__":
    main()
