"""The whole way of a credential: minted, used by a browser, seen in usage, revoked, written down and told of."""
import tempfile
import time

from support import minted
from support.chromium import Chromium
from support.door import ask_json, tell
from support.pages import ANSWER, OFFER, TALK, stage
from support.receiver import Receiver, check_letter
from support.server import SANITIZED, free_port
from support.tap import check, check_equal, main, test, wait_for

MASTER = "m" * 40
WITHIN_MS = 4000 if SANITIZED else 1000

PING = """
window.heard = 0;
channel.onmessage = () => heard++;
setInterval(() => channel.readyState === 'open' && channel.send('ping'), 10);
await new Promise(done => setTimeout(done, 500));
return heard;
"""

AFTER = """
await new Promise(done => setTimeout(done, given[0]));
const before = heard;
await new Promise(done => setTimeout(done, 1000));
return heard - before;
"""


def shut_out(server, alice, credential):
    """Alice's data channel is dead within a second of the answer, and her credential refused."""
    begin = time.monotonic()
    status, body = ask_json(server, f"/v1/credentials/{credential}", "DELETE", tenant="acme")
    check_equal((status, body["stored"], body["ended"] >= 1), (200, True, True), f"the answer {body}")
    left_ms = WITHIN_MS - (time.monotonic() - begin) * 1000
    check(left_ms > 0, "the answer took long")
    check_equal(alice.run(AFTER, left_ms), 0, "what came through the channel later")
    check_equal(ask_json(server, "/v1/allocations", tenant="acme", tag="alice")[1]["allocations"], [], "what alice has")


@test
def minted_used_counted_revoked_audited_and_told():
    port, receivers = free_port(), []

    def receiver():
        receivers.append(Receiver(port, status=503))
        return receivers[0]

    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/secret", "w", encoding="ascii") as file:
            file.write(MASTER)
        minted.narrow(f"{directory}/secret")
        lines = [f"mint-secret-file={directory}/secret", "admin-socket=door", "userdb=relay.db", f"webhook-allow=127.0.0.1:{port}"]
        with stage(Chromium, lines=lines, beside=receiver) as (server, browser):
            check_equal(tell(server, "POST", "/v1/tenants", {"name": "acme"})[0], 201, "the tenant")
            status, hook = tell(server, "POST", "/v1/webhooks", {"url": receivers[0].url, "tenant": "acme", "types": ["credential.revoked"]})
            check_equal(status, 201, f"the webhook {hook}")
            made = {tag: tell(server, "POST", "/v1/tenants/acme/credentials", {"tag": tag, "room": "red", "transports": ["udp"]})[1] for tag in ("alice", "bob")}
            blank = "file://" + server.write("blank.html", "<!DOCTYPE html><title>blank</title>")
            alice, bob = browser.open(blank), browser.open(blank)
            offer = alice.run(OFFER, made["alice"]["iceServers"])
            answer = bob.run(ANSWER, made["bob"]["iceServers"], offer)
            check_equal(alice.run(TALK, answer, 100), list(range(100)), "what came back to alice")
            check(alice.run(PING) > 10, "the channel carries nothing")

            def usage():
                rows = ask_json(server, "/v1/tenants/acme/usage", group_by="room,tag")[1]["rows"]
                return {(row["room"], row["tag"]) for row in rows if row["bytes_in"] and row["bytes_out"]} == {("red", "alice"), ("red", "bob")}

            wait_for(usage, 10, "usage with room and tag")
            shut_out(server, alice, made["alice"]["credentialId"])
            (row,) = [row for row in ask_json(server, "/v1/audit", tenant="acme")[1]["audit"] if row["action"] == "revoke"]
            check_equal((row["who"], row["detail"]), ("socket", {"credential": made["alice"]["credentialId"]}), "the audit")
            wait_for(lambda: receivers[0].letters, 10, "the first attempt")
            receivers[0].status = 204
            wait_for(lambda: len(receivers[0].letters) > 1, 15, "another attempt")
            told = check_letter(receivers[0].letters[-1], hook["secret"])
            check_equal((told["type"], told["tenant"], told["data"]["what"], told["data"]["name"]),
                        ("credential.revoked", "acme", "credential", made["alice"]["credentialId"]), f"what is told: {told}")


if __name__ == "__main__":
    main(limit_s=90)
