"""The tester at `/test` of the admin door, in Chromium: what works is measured, and each fault is told in its own words, with the server's.

RELAY_SCREENSHOTS names a directory for pictures of it.
"""
import contextlib
import json
import os
import re
import socket
import time
import urllib.parse

from support import stun
from support.chromium import Chromium
from support.server import ROOT, Server, free_port, run_relay
from support.tap import check, check_equal, main, test

PATIENT = True

SHOTS = os.environ.get("RELAY_SCREENSHOTS")
SECRET = "the secret"
REPORT = """
for (let i = 0; i < 1000; i++) {
  if (['works', 'doubtful', 'fails'].includes(document.getElementById('verdict').dataset.state)) break;
  await new Promise(done => setTimeout(done, 50));
}
return [document.getElementById('verdict').textContent, document.getElementById('report').textContent, document.documentElement.lang];
"""


@contextlib.contextmanager
def stage(*lines, auth=("lt-cred-mech", "user=ann:secret", f"static-auth-secret={SECRET}"), **how):
    """A relay with its door at an address, and Chromium that trusts its certificate."""
    port = free_port()
    server = Server(f"admin-listen=127.0.0.1:{port}", "admin-socket=door", *lines, auth=auth, tls=True, threads=2, **how)
    check_equal(run_relay("secret", "new", "mint.secret", cwd=server.directory)[0], 0, "a master secret")
    with server, Chromium(trust=server, loopback=True) as browser:
        server.page = f"http://127.0.0.1:{port}/test"
        yield server, browser


def urls(server, *names):
    known = {"udp": f"turn:{server.host}:{server.port}?transport=udp", "tcp": f"turn:{server.host}:{server.port}?transport=tcp",
             "tls": f"turns:{server.host}:{server.tls_port}?transport=tcp"}
    return [known[name] for name in names]


def run(browser, server, addresses, user="ann", credential="secret", language="en"):
    values = [*(("urls", one) for one in addresses), ("user", user), ("credential", credential), ("lang", language), ("seconds", "1"), ("run", "")]
    return report_of(browser.open(server.page + "#" + urllib.parse.urlencode(values)))


def report_of(window):
    verdict, report, language = window.run(REPORT)
    return window, verdict, json.loads(report)["results"], language


def shoot(window, name):
    if SHOTS:
        window.screenshot(os.path.join(SHOTS, name))


def fault(result, step):
    """What is said of the step that failed, and the server's record."""
    check_equal(result["steps"][step]["state"], "fails", f"the step {step} of {result}")
    return result["steps"][step]["text"], result["steps"][step].get("server")


@test
def it_measures_what_works():
    with stage() as (server, browser):
        window, verdict, results, _ = run(browser, server, urls(server, "udp", "tls"))
        shoot(window, "tester-works.png")
        check_equal(verdict, "It works: 2 of 2 addresses.", "the verdict")
        for result, name in zip(results, ("UDP", "TLS"), strict=True):
            steps = result["steps"]
            check_equal((list(steps), steps["connect"]["pair"]["protocol"], steps["connect"]["pair"]["types"]),
                        (["gather", "connect", "game", "bulk"], name, ["relay", "relay"]), "the steps and the pair")
            check(steps["game"]["sent"] >= 50 and steps["game"]["came"] > 0, f"the game: {steps['game']}")
            check(0 <= float(steps["game"]["p50"]) <= float(steps["game"]["p95"]) <= float(steps["game"]["p99"]), f"round trips: {steps['game']}")
            check(steps["bulk"]["mbit"] > 0, f"the throughput: {steps['bulk']}")
        check(window.run("return document.querySelectorAll('.trips path').length") == 2, "the charts are not there")


@test
def a_wrong_secret_and_an_expired_credential_are_told_apart():
    fresh, _ = stun.rest_credential(SECRET, int(time.time()) + 600, "zoe")
    expired = int(time.time()) - 63
    old, password = stun.rest_credential(SECRET, expired, "zoe")
    with stage() as (server, browser):
        window, verdict, (result,), _ = run(browser, server, urls(server, "udp"), fresh, "made with another secret")
        said, record = fault(result, "gather")
        check_equal(verdict, "It does not work.", "the verdict")
        check("401" in said and "secret" in said and record["rule"] == "bad_integrity", f"a wrong secret is told: {said} {record}")
        window, _, (result,), _ = run(browser, server, urls(server, "udp"), old, password)
        shoot(window, "tester-expired.png")
        said, record = fault(result, "gather")
        (ago, of_record), most = (re.findall(r"expired (\d+) s ago", text) for text in (said, record["why"])), time.time() - expired
        check(record["rule"] == "expired" and len(ago) == len(of_record) == 1, f"an expired credential is told: {said} {record}")
        check(all(63 <= int(each) <= most for each in ago + of_record), f"so long ago, by the page and by the server: {said} {record}")


@test
def a_full_quota_is_told_with_its_numbers():
    with stage("user-quota=1") as (server, browser):
        _, _, (result,), _ = run(browser, server, urls(server, "udp"))
        said, record = fault(result, "gather")
        check("486" in said and "quota" in said, f"a full quota is told: {said}")
        check_equal((record["code"], record["held"], record["limit"]), (486, 1, 1), "what the server says")


@test
def a_refused_peer_is_told_by_the_server():
    with stage(peers=()) as (server, browser):
        _, _, (result,), _ = run(browser, server, urls(server, "udp"))
        said, record = fault(result, "connect")
        check("403" in said, f"a refused peer is told: {said}")
        check_equal((record["code"], record["rule"]), (403, "peer_not_allowed"), "what the server says")
        check("loopback" in record["why"], record["why"])


@test
def a_blocked_port_is_told_within_seconds():
    with stage() as (server, browser), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        begun = time.monotonic()
        _, _, (result,), _ = run(browser, server, [f"turn:127.0.0.1:{silent.getsockname()[1]}?transport=udp"])
        said, record = fault(result, "gather")
        check("UDP to this port is blocked" in said and record is None, f"a blocked port is told: {said} {record}")
        check(time.monotonic() - begun < 15, "that took as long as the browser needs by itself")


@test
def one_file_does_the_same_from_anywhere():
    pages, one = os.path.join(ROOT, "core", "admin", "pages"), os.path.join(ROOT, "examples", "tester.html")
    with open(one, encoding="utf-8") as file:
        whole = file.read()
    for name in ("test.css", "test.words.js", "test.js"):
        with open(os.path.join(pages, name), encoding="utf-8") as file:
            check(file.read() in whole, f"examples/tester.html has another {name}: make reference")
    with stage() as (server, browser):
        server.page = "file://" + one
        _, verdict, _, _ = run(browser, server, urls(server, "udp"))
        check_equal(verdict, "It works: 1 of 1 addresses.", "the verdict of the file")


@test
def it_speaks_three_languages():
    words = {"ko": ("테스트", "만료"), "ja": ("テスト", "期限切れ")}
    old, password = stun.rest_credential(SECRET, int(time.time()) - 63, "zoe")
    with stage() as (server, browser):
        for language, (title, expired) in words.items():
            window, _, (result,), shown = run(browser, server, urls(server, "udp"), old, password, language)
            shoot(window, f"tester-{language}.png")
            check_equal(shown, language, "the language of the page")
            check(title in window.run("return document.querySelector('h1').textContent"), "the title")
            check(expired in fault(result, "gather")[0], f"in {language} it says {result}")
        found = window.run("const select = document.getElementById('language'); select.value = 'en'; select.dispatchEvent(new Event('change')); return document.querySelector('h1').textContent;")
        check_equal(found, "relay test", "the title after another language was chosen")
        missing = window.run("const names = Object.keys(WORDS.en); return Object.entries(WORDS).flatMap(([name, all]) => names.filter(one => !all[one]).map(one => name + '.' + one));")
        check_equal(missing, [], "words that a language lacks")


@test
def a_link_is_good_once():
    with stage("userdb=db", "mint-secret-file=mint.secret") as (server, browser):
        server.relay("tenant", "add", "--userdb", "db", "acme")
        link = server.relay("test-link", "-c", "turnserver.conf", "--tenant", "acme", "--url", server.page.removesuffix("/test")).split()[0]
        window, verdict, results, _ = report_of(browser.open(link.replace("#", "#seconds=1&link=")))
        check(verdict.startswith("It works") and all(result["works"] for result in results), f"the link is told: {verdict} {results}")
        check_equal(window.run("return location.hash"), "", "the token in the address")
        again = browser.open(link)
        found = again.run("for (let i = 0; i < 200 && !document.getElementById('link-said').textContent; i++) await new Promise(done => setTimeout(done, 50)); "
                          "return document.getElementById('link-said').textContent;")
        check("used or has expired" in found, f"the used link says {found}")


if __name__ == "__main__":
    main(limit_s=240)
