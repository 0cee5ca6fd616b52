"""Alice and Bob: two pages in Chromium that may use nothing but the relay exchange messages and video through it; the test page of `examples/`."""
import os
import urllib.parse

from support.chromium import Chromium
from support.pages import alice_and_bob, alice_without_bob, credential, reflexive_addresses, stage, url
from support.server import ROOT
from support.tap import check, check_equal, main, test
from support.web import Network

PATIENT = True

PAGE = "file://" + os.path.join(ROOT, "examples", "webrtc-test.html")
SHOTS = os.environ.get("RELAY_SCREENSHOTS")

ROWS = """
for (let i = 0; i < 600; i++) {
  if (['works', 'fails'].includes(document.getElementById('verdict').dataset.state)) break;
  await new Promise(done => setTimeout(done, 100));
}
return [...document.querySelectorAll('#rows tr')].map(row => Object.fromEntries([...row.cells].map(cell => [cell.className, cell.textContent])));
"""


@test
def alice_and_bob_over_udp():
    alice_and_bob("udp", Chromium)


@test
def alice_and_bob_over_tcp():
    alice_and_bob("tcp", Chromium)


@test
def alice_and_bob_over_tls():
    alice_and_bob("tls", Chromium)


@test
def alice_and_bob_in_one_room():
    """policies/room.lua: the relay serves no peers but theirs."""
    alice_and_bob("udp", Chromium, names=("red:alice", "red:bob"), rooms=True)


@test
def alice_and_bob_in_two_rooms():
    alice_without_bob("udp", Chromium, names=("red:alice", "blue:bob"), rooms=True)


@test
def a_page_that_only_asks_a_stun_server_learns_its_public_address():
    with stage(Chromium, need_network=True) as (server, browser):
        check_equal(reflexive_addresses(browser, server), [Network.OUTSIDE], "the reflexive addresses")
        _, rows = test_page(browser, [f"stun:{server.host}:{server.port}"], "", "")
        check(rows[0]["state"] == "works" and Network.OUTSIDE in rows[0]["pair"], f"the test page says {rows}")


def test_page(browser, urls, username, password, **more):
    values = [("url", one) for one in urls] + [("username", username), ("credential", password), *more.items(), ("run", "")]
    page = browser.open(PAGE + "#" + urllib.parse.urlencode(values))
    return page, page.run(ROWS)


def shoot(page, name):
    if SHOTS:
        page.screenshot(os.path.join(SHOTS, name))


@test
def the_test_page_shows_every_transport_at_work():
    with stage(Chromium) as (server, browser):
        urls = [url(server, transport, browser) for transport in ("udp", "tcp", "tls")]
        page, rows = test_page(browser, urls, *credential("carol"), messages=300, video="picture")
        shoot(page, "works.png")
        for row, transport in zip(rows, ("udp", "tcp", "tls"), strict=True):
            check_equal((row["state"], row["messages"]), ("works", "300 of 300"), f"the row of {transport}")
            check(f"over {transport}" in row["pair"] and row["pair"].count("relay ") == 2, f"the pair {row['pair']!r}")
            check("frames" in row["video"] and "median" in row["trip"], f"the row {row}")


@test
def the_test_page_says_what_is_wrong_in_words():
    with stage(Chromium) as (server, browser):
        username, password = credential("carol", -60)
        page, rows = test_page(browser, [url(server, "udp", browser)], username, password, messages=10)
        shoot(page, "expired.png")
        check("401" in rows[0]["state"] and "expired" in rows[0]["state"], f"the result {rows[0]['state']!r}")
    with stage(Chromium, lines=["user-quota=1"]) as (server, browser):
        _, rows = test_page(browser, [url(server, "tcp", browser)], *credential("carol"), messages=10)
        check("486" in rows[0]["state"] and "quota" in rows[0]["state"], f"the result {rows[0]['state']!r}")


if __name__ == "__main__":
    main(limit_s=90)
