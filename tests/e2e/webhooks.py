"""Webhooks: what is told by HTTP, signed, until it is taken: through refusals, a receiver that is down, kill -9."""
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys

from support.door import ask, ask_json, call_once, make_key, tell
from support.follow import Follower
from support.receiver import Receiver, check_letter
from support.server import ROOT, Server, free_port, make_certificate, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

HOSTED = ("admin-socket=door", "userdb=relay.db")


def add(server, url, **body):
    status, hook = tell(server, "POST", "/v1/webhooks", {"url": url, **body})
    check_equal(status, 201, f"{hook}")
    return hook


def hooks(server, **query):
    status, body = ask_json(server, "/v1/webhooks", **query)
    check_equal(status, 200, f"{body}")
    return body["webhooks"]


def ring(server, hook):
    """The id of a test event for it."""
    status, body = ask_json(server, f"/v1/webhooks/{hook['id']}/test", "POST")
    check_equal(status, 202, f"{body}")
    return body["event"]


def serving(receiver, *lines, **how):
    return Server(*HOSTED, f"webhook-allow=127.0.0.1:{receiver.port}", *lines, **how)


@smoke
def an_event_is_told_signed_and_its_secret_is_shown_once():
    with Receiver() as receiver, serving(receiver) as server:
        hook = add(server, receiver.url)
        check_equal((hook["tenant"], hook["types"], hook["enabled"]), ("*", [], True), f"{hook}")
        event = ring(server, hook)
        wait_for(lambda: receiver.letters, what="the letter")
        told = check_letter(receiver.letters[0], hook["secret"])
        check_equal((told["id"], told["type"], told["tenant"], told["data"]["webhook"]), (event, "webhook.test", "*", hook["id"]), f"{told}")
        wait_for(lambda: hooks(server)[0]["waiting"] == 0, what="it is done")
        check("secret" not in hooks(server)[0] and hook["secret"] not in server.log(), "the secret is shown again")
        check(hook["secret"] not in json.dumps(server.query("SELECT detail FROM audit")), "the secret in the audit")
        check_equal([row[0] for row in server.query("SELECT type FROM audit WHERE type LIKE 'webhook%'")], ["webhook_add"], "the audit")


@test
def a_certificate_that_ends_soon_is_told_at_the_start_and_when_it_is_read_anew():
    door = [f"admin-listen=127.0.0.1:{free_port()}", "admin-cert=cert.pem", "admin-pkey=key.pem"]
    with Receiver() as receiver, serving(receiver, *door, tls=True) as server:
        hook = add(server, receiver.url, types=["certificate.expiring"])
        other = add(server, receiver.url, types=["key.revoked"])
        with Follower(server, last="0-0", type="certificate") as events:
            at_start = events.next("certificate.expiring")
            check_equal((at_start["data"]["file"], at_start["tenant"]), (server.certificate, ""), f"{at_start}")
            check(1 <= at_start["data"]["days"] <= 2, f"{at_start}")
            check_equal(events.next("certificate.expiring")["data"]["file"], "cert.pem", "that of the door")
        server.process.send_signal(12)  # SIGUSR2
        letters = wait_for(lambda: [letter for letter in receiver.letters if json.loads(letter[2])["data"]["file"] == server.certificate], what="the letter")
        told = check_letter(letters[0], hook["secret"])
        check_equal((told["type"], told["data"]), ("certificate.expiring", {**at_start["data"], "days": told["data"]["days"]}), f"{told}")
        wait_for(lambda: hooks(server)[0]["waiting"] == 0, what="it is done")
        check_equal({json.loads(body)["type"] for _, _, body in receiver.letters}, {"certificate.expiring"}, "what it is told")
        check_equal(server.query("SELECT count(*) FROM outbox WHERE webhook = ?", other["id"]), [(0,)], "the other wants none of that")
        server.relay("webhook", "remove", "-c", "turnserver.conf", other["id"])
        check_equal([row["id"] for row in hooks(server)], [hook["id"]], "who is left")


@test
def a_receiver_that_is_down_is_told_when_it_is_up():
    port = free_port()
    with Server(*HOSTED, f"webhook-allow=127.0.0.1:{port}") as server:
        hook = add(server, f"http://127.0.0.1:{port}/")
        event = ring(server, hook)
        wait_for(lambda: hooks(server)[0]["error"] == "connect", what="a failure")
        with Receiver(port, status=500) as receiver:
            wait_for(lambda: receiver.letters, 10, what="another attempt")
            wait_for(lambda: hooks(server)[0]["error"] == "answered 500", what="the reason")
            receiver.status = 200
            wait_for(lambda: hooks(server)[0]["waiting"] == 0, 12, what="it is taken")
            check_equal(set(receiver.ids()), {event}, "one id")
            for letter in receiver.letters:
                check_letter(letter, hook["secret"])
        text = ask(server, "/metrics")[1]
        check('relay_webhook_deliveries_total{result="delivered"} 1' in text, "delivered")
        check(int(re.search(r'relay_webhook_deliveries_total\{result="failed"\} (\d+)', text)[1]) >= 2, "failed")


@test
def every_event_is_told_at_least_once_through_kill_9():
    with Receiver() as receiver, serving(receiver) as server:
        receiver.status = 503
        hook = add(server, receiver.url)
        told = {ring(server, hook) for _ in range(20)}
        wait_for(lambda: len(receiver.letters) > 3, what="attempts")
        wait_for(lambda: "relay_webhook_waiting 20\n" in ask(server, "/metrics")[1], what="the metric")
        server.kill()
        receiver.status = 200
        receiver.letters.clear()
        server.start()
        wait_for(lambda: set(receiver.ids()) == told, 12, what="all of them")
        wait_for(lambda: hooks(server)[0]["waiting"] == 0, what="they are done")


@test
def what_follows_the_events_has_seen_is_told_after_kill_9():
    with Receiver() as receiver, serving(receiver, tls=True) as server:
        receiver.status = 503
        add(server, receiver.url)
        with Follower(server, type="certificate") as events:
            server.process.send_signal(12)
            seen = events.next("certificate.expiring")["id"]
            server.kill()
        receiver.status = 200
        receiver.letters.clear()
        server.start()
        wait_for(lambda: seen in receiver.ids(), 12, what="the event that was seen")


@test
def a_database_that_is_locked_delays_what_is_told_and_loses_nothing():
    with Receiver() as receiver, serving(receiver, tls=True) as server, Follower(server, limit_s=10, type="certificate.expiring") as events:
        hook = add(server, receiver.url)
        locker = sqlite3.connect(server.path("relay.db"), timeout=5, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        server.process.send_signal(12)
        wait_for(lambda: "certificates_loaded" in server.log(), what="the event")
        check_equal(tell(server, "POST", f"/v1/webhooks/{hook['id']}/test")[0], 503, "who asks behind it")
        locker.execute("ROLLBACK")
        locker.close()
        seen = events.next()["id"]
        while seen.endswith("_1"):  # of the start, before there was a webhook
            seen = events.next()["id"]
        wait_for(lambda: seen in receiver.ids(), 10, what="the letter")


@test
def a_tenant_has_its_own_and_is_told_of_itself_alone():
    with Receiver() as receiver, serving(receiver) as server:
        for tenant in ("acme", "beta"):
            server.relay("tenant", "set", "--userdb", "relay.db", tenant, "status=active")
        acme, beta, old = make_key(server, "acme"), make_key(server, "beta"), make_key(server, "acme", "mint")
        made = {key: call_once(server, "POST", "/v1/webhooks", key, {"url": f"{receiver.url}/{name}"})[1] for key, name in ((acme, "acme"), (beta, "beta"))}
        check_equal([made[key]["tenant"] for key in (acme, beta)], ["acme", "beta"], "whose they are")
        check_equal([row["id"] for row in call_once(server, "GET", "/v1/webhooks", beta)[1]["webhooks"]], [made[beta]["id"]], "what beta sees")
        for method, end, body in (("PATCH", "", {"enabled": False}), ("DELETE", "", None), ("POST", "/test", None)):
            check_equal(call_once(server, method, f"/v1/webhooks/{made[acme]['id']}{end}", beta, body)[0], 404, f"{method} of another's")
        for body in ({"url": receiver.url, "tenant": "acme"}, {"url": receiver.url, "tenant": "*"}):
            check_equal(call_once(server, "POST", "/v1/webhooks", beta, body)[0], 404, f"{body}")
        check_equal(call_once(server, "GET", "/v1/webhooks?tenant=acme", beta)[0], 404, "of another tenant")
        check_equal(call_once(server, "DELETE", "/v1/keys/" + old.split(".")[0], acme)[0], 200, "the end of a key")
        wait_for(lambda: receiver.letters, what="the letter")
        wait_for(lambda: hooks(server, tenant="acme")[0]["waiting"] == 0, what="it is done")
        told = [check_letter(letter, made[acme]["secret"]) for letter in receiver.letters]
        check(("key.revoked", "acme", {"key": old.split(".")[0], "by": "key:" + acme.split(".")[0]}) in [(one["type"], one["tenant"], one["data"]) for one in told], f"{told}")
        check_equal({path for path, _, _ in receiver.letters}, {"/hook/acme"}, "beta was told nothing")


@test
def a_tenant_takes_its_webhooks_with_it():
    with Receiver() as receiver, serving(receiver) as server:
        receiver.status = 503
        check_equal(tell(server, "POST", "/v1/tenants", {"name": "acme"})[0], 201, "the tenant")
        ring(server, add(server, receiver.url, tenant="acme"))
        status, refused = tell(server, "DELETE", "/v1/tenants/acme")
        check_equal((status, "1 events for webhooks, 1 webhooks" in refused["error"]), (409, True), refused)
        check_equal(tell(server, "DELETE", "/v1/tenants/acme", force="true")[0], 200, "by force")
        left = server.query("SELECT (SELECT count(*) FROM webhooks), (SELECT count(*) FROM outbox)")
        check_equal(left, [(0, 0)], "whom the next tenant of that name would be told to")


@test
def a_quota_that_is_used_up_is_told():
    with Receiver() as receiver, serving(receiver) as server:
        hook = add(server, receiver.url, types=["quota.warning", "quota.full"])
        server.relay("tenant", "set", "--userdb", "relay.db", "example.org", "max_allocations=1")
        with server.client() as ann:
            ann.relayed()
            wait_for(lambda: receiver.letters, what="the letter")
        told = [check_letter(letter, hook["secret"]) for letter in receiver.letters]
        check(any(event["type"] == "quota.full" and (event["tenant"], event["data"]["used"], event["data"]["most"]) == ("example.org", 1, 1) for event in told), f"{told}")


@test
def a_credential_that_is_revoked_is_told():
    with Receiver() as receiver, serving(receiver) as server:
        server.relay("tenant", "set", "--userdb", "relay.db", "acme", "status=active")
        hook = add(server, receiver.url, tenant="acme")
        with Follower(server, type="credential") as events:
            check_equal(call_once(server, "DELETE", "/v1/tenants/acme/tags/eve", None)[0], 200, "the revocation")
            seen = events.next()
        wait_for(lambda: receiver.letters, what="the letter")
        told = check_letter(receiver.letters[0], hook["secret"])
        check_equal((told["type"], told["id"], told["tenant"], told["data"]["what"], told["data"]["name"]), ("credential.revoked", seen["id"], "acme", "tag", "eve"), f"{told}")


@test
def a_node_that_drains_says_so_before_it_ends():
    with Receiver() as receiver, serving(receiver) as server:
        hook = add(server, receiver.url)
        server.relay("drain", "-c", "turnserver.conf", "--deadline", "5")
        process, server.process = server.process, None
        check_equal(process.wait(5), 0, "how it ended")
        check_equal([check_letter(letter, hook["secret"])["type"] for letter in receiver.letters], ["node.draining"], "what was told")
        server.start()
        check_equal((hooks(server)[0]["waiting"], len(receiver.letters)), (0, 1), "it was taken")


@test
def a_redirect_is_not_followed_and_410_ends_it():
    with Receiver() as aim, Receiver(status=302, headers=[("Location", aim.url)]) as receiver, serving(receiver, f"webhook-allow={aim.url}") as server:
        hook = add(server, receiver.url)
        ring(server, hook)
        wait_for(lambda: hooks(server)[0]["error"] == "answered 302", what="the refusal of a redirect")
        check_equal(aim.letters, [], "who was not asked")
        receiver.status = 410
        wait_for(lambda: not hooks(server)[0]["enabled"], 10, what="it is disabled")
        row = hooks(server)[0]
        check_equal((row["reason"], row["waiting"]), ("answered 410", 0), f"{row}")
        check_equal(ask_json(server, f"/v1/webhooks/{hook['id']}/test", "POST")[0], 409, "a test of it")
        status, row = tell(server, "PATCH", f"/v1/webhooks/{hook['id']}", {"enabled": True, "url": aim.url, "types": ["key.revoked"]})
        check_equal((status, row["enabled"], row["reason"], row["types"]), (200, True, "", ["key.revoked"]), f"{row}")
        ring(server, hook)
        wait_for(lambda: aim.letters, what="the new URL")
        check_letter(aim.letters[0], hook["secret"])


@test
def private_addresses_are_refused_unless_they_are_allowed():
    with Receiver() as receiver, Server(*HOSTED) as server:
        for url in (receiver.url, "https://127.0.0.1/", "https://10.0.0.1/x", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest",
                    "https://localhost:8443/", "http://example.com/", "https://2130706433/", "ftp://example.com/", "https://me:pw@example.com/", "hello", "https://"):
            status, body = tell(server, "POST", "/v1/webhooks", {"url": url})
            check_equal((status, body.get("field")), (400, "url"), f"{url} {body}")
        check_equal(hooks(server), [], "who is told")
    with Server(*HOSTED, "webhook-allow=nowhere.test", "no-public-webhooks") as server:
        check_equal(tell(server, "POST", "/v1/webhooks", {"url": "https://example.com/"})[0], 400, "a public one")
        check_equal(add(server, "http://nowhere.test/")["url"], "http://nowhere.test/", "one that is allowed")


@test
def a_name_that_leads_to_a_private_address_is_not_asked():
    with Server(*HOSTED) as server:
        certificate = make_certificate(server.directory)
        with Receiver(certificate=certificate) as receiver:
            with open("/etc/hosts", encoding="ascii") as file:
                names = [word for line in file if line.startswith("127.") for word in line.split()[1:] if word != "localhost"]
            name = names[0] if names else "localhost.localdomain"
            hook = add(server, f"https://{name}:{receiver.port}/")
            ring(server, hook)
            wait_for(lambda: hooks(server)[0]["error"] in ("private", "resolve"), 10, what="it is refused")
            check(not names or hooks(server)[0]["error"] == "private", hooks(server)[0])
            check_equal(receiver.letters, [], "who was asked")


@test
def a_certificate_that_nobody_vouches_for_is_not_trusted():
    with Receiver() as plain, serving(plain) as server:
        with Receiver(certificate=make_certificate(server.directory)) as receiver:
            status, body = tell(server, "POST", "/v1/webhooks", {"url": f"https://127.0.0.1:{receiver.port}/"})
            check_equal(status, 400, f"{body}")
    with contextlib.ExitStack() as stack:
        port = free_port()
        server = stack.enter_context(Server(*HOSTED, f"webhook-allow=127.0.0.1:{port}"))
        receiver = stack.enter_context(Receiver(port, certificate=make_certificate(server.directory)))
        ring(server, add(server, f"https://127.0.0.1:{port}/"))
        wait_for(lambda: hooks(server)[0]["error"] == "tls", what="the refusal")
        check_equal(receiver.letters, [], "what it was told")


@test
def wrong_bodies_are_refused_by_their_fields_and_there_are_16_of_a_tenant():
    with Receiver() as receiver, serving(receiver) as server:
        for body, field in (({}, "url"), ({"url": receiver.url, "types": ["allocation.opened"]}, "types"), ({"url": receiver.url, "secret": "x"}, "secret"),
                            ({"url": 7}, "url")):
            status, answer = tell(server, "POST", "/v1/webhooks", body)
            check_equal((status, answer.get("field")), (400, field), f"{body} {answer}")
        for method, path in (("DELETE", ""), ("PATCH", ""), ("POST", "/test")):
            check_equal(ask_json(server, "/v1/webhooks/wh_0" + path, method)[0], 404, method)
        for _ in range(16):
            add(server, receiver.url, tenant="acme")
        check_equal(tell(server, "POST", "/v1/webhooks", {"url": receiver.url, "tenant": "acme"})[0], 409, "one more")
        check_equal((len(hooks(server, tenant="acme")), len(hooks(server, tenant="beta"))), (16, 0), "of a tenant")


@test
def the_example_takes_what_is_genuine_and_nothing_else():
    port = free_port()
    with Server(*HOSTED, f"webhook-allow=127.0.0.1:{port}") as server:
        good, other = (add(server, f"http://127.0.0.1:{port}/") for _ in range(2))
        receiver = subprocess.Popen([sys.executable, os.path.join(ROOT, "examples", "webhook.py"), str(port)], stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, "WEBHOOK_SECRET": good["secret"]})
        try:
            ring(server, good)
            check_equal(receiver.stdout.readline().split()[:2], ["webhook.test", "*"], "what it prints")
            ring(server, other)
            wait_for(lambda: hooks(server)[1]["error"] == "answered 401", what="the refusal of another's signature")
        finally:
            receiver.terminate()
            receiver.communicate()


@test
def relay_webhook_does_the_same():
    with Receiver() as receiver, serving(receiver) as server:
        name, secret = server.relay("webhook", "add", "-c", "turnserver.conf", "--tenant", "acme", "--type", "quota.full,quota.warning", receiver.url).split()
        check_equal(hooks(server)[0]["types"], ["quota.full", "quota.warning"], "the types")
        event = server.relay("webhook", "test", "-c", "turnserver.conf", name).strip()
        wait_for(lambda: receiver.letters, what="the letter")
        check_equal(check_letter(receiver.letters[0], secret)["id"], event, "the event")
        wait_for(lambda: hooks(server)[0]["waiting"] == 0, what="it is done")
        table = server.relay("webhook", "list", "-c", "turnserver.conf", "--tenant", "acme")
        check(re.search(rf"^{name} +acme +{re.escape(receiver.url)} +quota.full,quota.warning +enabled +0 +0 +20", table, re.M), table)
        check_equal(json.loads(server.relay("webhook", "list", "-c", "turnserver.conf", "--json"))[0]["id"], name, "as JSON")
        server.relay("webhook", "remove", "-c", "turnserver.conf", name)
        check_equal(hooks(server), [], "who is left")
        code, _, errors = run_relay("webhook", "remove", "-c", "turnserver.conf", name, cwd=server.directory)
        check(code == 1 and "no such webhook" in errors, errors)


if __name__ == "__main__":
    main()
