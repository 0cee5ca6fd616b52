"""Who is there, over all workers, and who is put out: the admin door and its commands."""
import contextlib
import json
import re
import threading
import time

from support import stun
from support.client import Peer
from support.door import ask_json
from support.pace import check_steady, packets_going_on
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

TAGS = """return {authorize = function(req)
  return relay.allow{tags = {room = req.user == "ann" and "7" or "8", cc = "KR"}}
end}"""


def listed(server, **query):
    """All rows that a question finds, page by page."""
    rows = []
    while True:
        status, body = ask_json(server, "/v1/allocations", **query)
        check_equal(status, 200, f"the status ({body})")
        rows += body["allocations"]
        check_equal(body["truncated"], body["next"] is not None, "truncated")
        if not body["truncated"]:
            return rows
        query["after"] = body["next"]


def ids(rows):
    return {row["id"] for row in rows}


@smoke
def a_row_says_what_its_client_knows():
    with Server("admin-socket=door", "user=bob:secret", threads=3, files={"p.lua": TAGS}, policies=["p.lua"]) as server, Peer() as peer, \
            server.client() as ann, server.client("tcp", username="bob") as bob:
        check_equal(listed(server), [], "nobody")
        begin = time.time()
        relays = {"ann": ann.relayed(lifetime=700), "bob": bob.relayed()}
        ann.bind(0x4000, peer.address)
        ann.permit(("127.0.0.2", 1))
        for _ in range(3):
            ann.send_channel(0x4000, b"12345")
            check(peer.receive(), "what ann sends")
        peer.send(b"1234567", relays["ann"])
        check(ann.receive_data(), "what the peer sends")
        rows = {row["user"]: row for row in listed(server)}
        for client, transport in ((ann, "udp"), (bob, "tcp")):
            row = rows[client.username]
            check_equal(row["src"], "{}:{}".format(*client.local), "the client's address")
            check_equal(row["relay"], "{}:{}".format(*relays[client.username]), "the relayed address")
            check_equal((row["transport"], row["realm"], row["relay2"]), (transport, "example.org", None), "transport and realm")
            check(1 <= row["worker"] <= 3, f"the worker {row['worker']}")
            check(begin - 2 < row["created"] < time.time() + 1, "when it was made")
        row = rows["ann"]
        check(698 <= row["expires"] - row["created"] <= 702, f"its life: {row}")
        check_equal([row[name] for name in ("bytes_in", "packets_in", "bytes_out", "packets_out", "permissions", "channels")], [15, 3, 7, 1, 2, 1], "its counts")
        check_equal(row["tags"], {"room": "7", "cc": "KR"}, "its tags")
        check(re.fullmatch(r"\d{16,19}", row["id"]), f"the id {row['id']}")
        for query, users in (({"user": "ann"}, {"ann"}), ({"tag": "room=8"}, {"bob"}), ({"tag": "cc"}, {"ann", "bob"}), ({"tag": "room=7", "user": "bob"}, set()),
                             ({"tenant": "example.org"}, {"ann", "bob"}), ({"tenant": "other"}, set()), ({"tag": "roo"}, set()), ({"tag": "oom=7"}, set())):
            check_equal({row["user"] for row in listed(server, **query)}, users, f"who is found by {query}")
        for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"limit": -1}, {"after": "9.0"}, {"after": "0.0"}, {"after": "1"}, {"tenat": "x"}):
            check_equal(ask_json(server, "/v1/allocations", **query)[0], 400, f"the status of {query}")
        said = server.relay("allocations", "-c", server.config, "--user", "ann")
        check(re.search(rf"^{row['id']} +example.org +ann +udp +127.0.0.1:{ann.local[1]} ", said, re.M) and " bob " not in said, said)
        bob.refresh(0)
        wait_for(lambda: len(listed(server)) == 1, what="bob's end")


@test
def hundreds_are_told_page_by_page_each_once_while_packets_go_on():
    with Server("admin-socket=door", threads=3) as server, contextlib.ExitStack() as open_clients, Peer() as peer:
        clients = [open_clients.enter_context(server.client()) for _ in range(900)]
        relays = {"{}:{}".format(*client.relayed()) for client in clients}
        with packets_going_on(clients[0], peer) as late:
            for limit in (1000, 100, 7):
                rows = listed(server, limit=limit)
                check_equal(len(rows), 900, f"the rows with limit {limit}")
                check_equal({row["relay"] for row in rows}, relays, "whose they are")
                check_equal(len(ids(rows)), 900, "the ids")
            check_equal({row["worker"] for row in rows}, {1, 2, 3}, "the workers")
            rows = json.loads(server.relay("allocations", "-c", server.config, "--json"))
            check_equal({row["relay"] for row in rows}, relays, "what the command tells")
            code, said, why = run_relay("allocations", "--admin-socket", server.path("door"), "--limit", "20")
            check_equal((code, len(said.splitlines()), why), (0, 21, "relay allocations: there are more than 20\n"), "a part")
            askers = [threading.Thread(target=listed, args=(server,), kwargs={"limit": 1000}) for _ in range(20)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
        check_steady(late)


@smoke
def who_is_kicked_is_gone_within_a_second_and_it_is_written_down():
    with Server("admin-socket=door", "userdb=relay.db", "verbose", threads=3) as server, contextlib.ExitStack() as open_clients, Peer() as peer:
        clients = [open_clients.enter_context(server.client()) for _ in range(12)]
        for client in clients:
            client.relayed()
            client.bind(0x4000, peer.address)
        rows = listed(server)
        for client in clients[:6]:
            row = next(row for row in rows if row["src"] == "{}:{}".format(*client.local))
            begin = time.monotonic()
            status, body = ask_json(server, f"/v1/allocations/{row['id']}", "DELETE")
            check_equal((status, body["id"], body["user"]), (200, row["id"], "ann"), "who went")
            check_equal(client.refresh().code, 437, "the answer to a Refresh")
            check(time.monotonic() - begin < 1, "it took long")
            client.send_channel(0x4000, b"x")
            check(re.search(rf" closed .*id={row['id']} .*reason=\"kicked\" by=core ", server.log()), "the log")
            check_equal(ask_json(server, f"/v1/allocations/{row['id']}", "DELETE"), (404, {"error": "no such allocation"}), "the second time")
        check_equal(peer.receive(0.2), None, "what the peer got")
        check_equal(ids(listed(server)), ids(row for row in rows if row["src"] in {"{}:{}".format(*client.local) for client in clients[6:]}), "who is left")
        for wrong in ("0", "1", "-1", "x", "9" * 30, "255", f"{rows[0]['id']}0"):
            check_equal(ask_json(server, f"/v1/allocations/{wrong}", "DELETE")[0], 404, f"the status for {wrong}")
        left = listed(server)[0]
        check(server.relay("kick", "-c", server.config, left["id"]).startswith(f"ended: {left['id']} of ann, {left['src']}"), "what the command says")
        check_equal(run_relay("kick", "--admin-socket", server.path("door"), left["id"])[::2], (1, "relay kick: no such allocation\n"), "the second time")
        check_equal(clients[0].allocate().kind, stun.SUCCESS, "a new allocation")
        wait_for(lambda: server.query("select count(*) from sessions where reason = 'kicked'") == [(7,)], what="the sessions")


if __name__ == "__main__":
    main()
