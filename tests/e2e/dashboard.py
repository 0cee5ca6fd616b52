"""The dashboard at `/` of the admin door, in Chromium: every control works on live data; both themes; 400 pixels are enough.

RELAY_SCREENSHOTS names a directory for pictures of it.
"""
import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request

from support.chromium import Chromium
from support.server import BINARY, Server, free_port
from support.tap import check, check_equal, main, test, wait_for

PATIENT = True

SHOTS = os.environ.get("RELAY_SCREENSHOTS")
ROOMS = """
return {authorize = function(req) return relay.allow{tags = {tag = req.user, room = "match-" .. req.user:sub(-1)}} end}"""
USERS = [f"user=u{number}:secret" for number in range(4)]
TENANT = "example.org"

# until a condition holds, within ten seconds
UNTIL = """
const until = async (what, condition) => {
  for (let i = 0; i < 200; i++) { const found = condition(); if (found) return found; await new Promise(done => setTimeout(done, 50)); }
  throw new Error('waited in vain for ' + what);
};
const text = id => document.getElementById(id).textContent;
const button = (words, within) => [...(within || document).querySelectorAll('button')].find(one => one.textContent === words && one.getClientRects().length);
"""


class Stage:
    """A relay whose door is open at an address, two players in it, and the dashboard of the operator."""

    def __init__(self, browser):
        self.browser, self.stack = browser, contextlib.ExitStack()

    def __enter__(self):
        port = free_port()
        self.server = self.stack.enter_context(Server(f"admin-listen=127.0.0.1:{port}", "admin-socket=door", "userdb=db", *USERS, threads=2, auth=["lt-cred-mech"],
                                                      files={"rooms.lua": ROOMS}, policies=["rooms.lua"]))
        self.url = f"http://127.0.0.1:{port}/"
        for tenant in (TENANT, "beta"):
            self.server.relay("tenant", "set", "--userdb", "db", tenant, "max_allocations=8", "tenant_bps=8000000", "month_bytes=100000000")
        self.key = self.new_key("*", "mint,usage:read,admin")
        self.player = self.stack.enter_context(playing(self.server, "u1"))
        return self

    def __exit__(self, *how):
        return self.stack.__exit__(*how)

    def new_key(self, tenant, scopes):
        return self.server.relay("key", "add", "--userdb", "db", "--tenant", tenant, "--scope", scopes).strip()

    def open(self, key=None):
        window = self.browser.open(f"{self.url}#key={key or self.key}")
        window.run(UNTIL + f"await until('the tenants', () => document.querySelector('tr[data-tenant=\"{TENANT}\"]')); await until('the stream', () => text('state') === 'live');")
        return window

    def ask(self, path, method="GET", key=None):
        request = urllib.request.Request(self.url + path, method=method, headers={"Authorization": f"Bearer {key or self.key}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextlib.contextmanager
def playing(server, user):
    """Somebody plays for as long as the test takes."""
    process = subprocess.Popen([BINARY, "test", f"turn:{server.host}:{server.port}", "--user", user, "--password-stdin", "--seconds", "60"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    process.stdin.write("secret\n")
    process.stdin.close()
    try:
        wait_for(lambda: len(json.loads(server.relay("allocations", "-c", "turnserver.conf", "--json", "--user", user))) == 2, 10, f"the allocations of {user}")
        yield process
    finally:
        process.terminate()
        process.wait(10)


def choose(window):
    window.run(UNTIL + f"document.querySelector('tr[data-tenant=\"{TENANT}\"] button').click(); "
               "await until('the limits', () => document.querySelector('#tenant .limits')); await until('the players', () => document.querySelectorAll('#tenant tbody code').length);")


def press(window, words, inside="document"):
    """Presses a button, and `yes` of the dialog that asks."""
    window.run(UNTIL + f"button({json.dumps(words)}, {inside}).click(); await until('the question', () => document.getElementById('ask').open); "
               "document.getElementById('ask-yes').click(); await until('its end', () => !document.getElementById('ask').open);")


def said(window, words):
    return window.run(UNTIL + f"return await until({json.dumps(words)}, () => text('said').includes({json.dumps(words)}) && text('said'));")


def shoot(window, name):
    if SHOTS:
        window.screenshot(os.path.join(SHOTS, name))


@test
def it_shows_nothing_without_a_key():
    with Chromium() as browser, Stage(browser) as stage:
        window = stage.browser.open(stage.url)
        check_equal(window.run("return [document.getElementById('door').hidden, document.getElementById('board').hidden]"), [False, True], "before the key")
        found = window.run(UNTIL + "document.getElementById('key').value = 'rk_000000000000.wrong'; button('Sign in').click(); "
                           "return await until('the refusal', () => text('refused'));")
        check("not known" in found, f"a wrong key is told: {found}")
        window.run(UNTIL + f"document.getElementById('key').value = {json.dumps(stage.key)}; button('Sign in').click(); "
                   "await until('the board', () => !document.getElementById('board').hidden);")
        window.run(UNTIL + "button('Sign out').click(); await until('the door', () => !document.getElementById('door').hidden && document.getElementById('board').hidden);")
        check_equal(window.run("return [sessionStorage.length, location.hash]"), [0, ""], "what is left of the key")


@test
def it_is_live_and_every_control_works():
    with Chromium() as browser, Stage(browser) as stage:
        window = stage.open()
        window.run(UNTIL + "await until('traffic', () => /[kM]bit/.test(document.querySelectorAll('.card b')[1].textContent)); "
                   "await until('a line', () => document.querySelector('#chart path.in').getAttribute('d').includes('L'));")
        choose(window)
        for span in ("hour", "day", "live"):
            window.run(UNTIL + f"const select = document.getElementById('chart-span'); select.value = '{span}'; select.dispatchEvent(new Event('change')); "
                       "await until('the axis', () => document.querySelectorAll('#chart text').length >= 6);")
        rooms = window.run(UNTIL + "return await until('rooms', () => [...document.querySelectorAll('#tenant .columns td')].some(cell => cell.textContent === 'match-1') && 'there');")
        check_equal(rooms, "there", "the room of the player")
        change_a_limit(stage, window)
        explain_a_refusal(stage, window)
        kick_a_player(stage, window)
        make_and_revoke_a_key(stage, window)
        make_a_tenant(stage, window)
        revoke_a_player_and_then_all(stage, window)
        news = window.run(UNTIL + "return await until('the news', () => ['allocation.closed', 'credential.revoked', 'key.revoked'].every(one => text('news').includes(one)) && text('news'));")
        check("u1" in news, f"what happened is told without names: {news}")


def change_a_limit(stage, window):
    window.run(UNTIL + "document.querySelector('#tenant input[name=max_allocations]').value = 2; button('Save limits').click();")
    said(window, "max_allocations saved")
    status, tenant = stage.ask(f"v1/tenants/{TENANT}")
    check_equal((status, tenant["max_allocations"]), (200, 2), "the limit after it was saved")
    window.run(UNTIL + "document.querySelector('#tenant input[name=max_allocations]').value = -1; button('Save limits').click();")


def explain_a_refusal(stage, window):
    with stage.server.client(username="u2", password="secret") as client:
        check_equal(client.allocate().code, 486, "an Allocate over the limit")
    with stage.server.client(username="u3", password="wrong") as client:
        check_equal(client.allocate().code, 401, "a wrong password")
    found = window.run(UNTIL + "document.getElementById('who').value = 'u2'; button('Search').click(); "
                       "return await until('the refusal', () => text('refusals').includes('486') && text('refusals'));")
    check("2 of 2" in found or "2/2" in found, f"the limit and its value are not told: {found}")
    found = window.run(UNTIL + "document.getElementById('who').value = '127.0.0.1'; button('Search').click(); "
                       "return await until('the refusal', () => text('refusals').includes('401') && text('refusals'));")
    check("password of u3" in found, f"why u3 was refused is not told: {found}")


def kick_a_player(stage, window):
    before = stage.ask(f"v1/allocations?tenant={TENANT}")[1]["allocations"]
    press(window, "Kick")
    said(window, "It has ended")
    after = stage.ask(f"v1/allocations?tenant={TENANT}")[1]["allocations"]
    check_equal(len(after), len(before) - 1, "allocations after the kick")


def make_and_revoke_a_key(stage, window):
    token = window.run(UNTIL + "button('New key').click(); await until('the form', () => document.querySelector('#ask input[name=scope]')); "
                       "document.querySelector('#ask input[value=admin]').checked = true; document.querySelector('#ask input[name=name]').value = 'lobby'; "
                       "document.getElementById('ask-yes').click(); const made = await until('the key', () => document.getElementById('made-key')); "
                       "const token = made.textContent; document.getElementById('ask-yes').click(); return token;")
    status, tenants = stage.ask("v1/tenants", key=token)
    check_equal((status, [tenant["name"] for tenant in tenants["tenants"]]), (200, [TENANT]), "what the new key sees")
    window.run(UNTIL + "await until('the key in the list', () => document.querySelector('#tenant').textContent.includes('lobby'));")
    press(window, "Revoke", "[...document.querySelectorAll('#tenant tr')].find(row => row.textContent.includes('lobby'))")
    said(window, "revoked")
    wait_for(lambda: stage.ask("v1/tenants", key=token)[0] == 401, 3, "the end of the key")


def make_a_tenant(stage, window):
    window.run(UNTIL + "button('New tenant').click(); await until('the form', () => document.querySelector('#ask input[name=most]')); "
               "document.querySelector('#ask input[name=name]').value = 'gamma'; document.getElementById('ask-yes').click(); "
               "await until('the tenant', () => document.querySelector('tr[data-tenant=gamma]'));")
    check_equal(stage.ask("v1/tenants/gamma")[1]["max_allocations"], 100, "the limit of the new tenant")
    choose(window)


def revoke_a_player_and_then_all(stage, window):
    """A player is shut out with all that he has; then everybody whose credential was minted until now."""
    window.run(UNTIL + "document.querySelector('#tenant input[name=max_allocations]').value = 8; button('Save limits').click();")
    said(window, "max_allocations saved")
    with stage.server.client(username="u2", password="secret") as second, stage.server.client(username="u3", password="secret") as third:
        second.relayed(), third.relayed()
        choose(window)
        press(window, "Revoke", "await until('u2', () => [...document.querySelectorAll('#tenant tr')].find(row => row.textContent.startsWith('u2')))")
        said(window, "u2 is revoked")
        check_equal((second.refresh().code, third.refresh().code), (401, 0), "Refresh of who was revoked, and of another")
        press(window, "Revoke all credentials")
        said(window, "Revoked:")
        check_equal(third.refresh().code, 401, "Refresh when all of the tenant are revoked")


@test
def a_tenants_key_shows_the_tenant_alone():
    with Chromium() as browser, Stage(browser) as stage:
        window = stage.open(stage.new_key(TENANT, "usage:read,admin"))
        check_equal(window.run("return [...document.querySelectorAll('tr[data-tenant]')].map(row => row.dataset.tenant)"), [TENANT], "the tenants")


@test
def both_themes_and_a_narrow_screen_are_enough():
    with Chromium() as browser, Stage(browser) as stage:
        papers = {}
        for theme in ("light", "dark"):
            for width in (1280, 400):
                window = stage.open()
                browser.emulate(window, width, 900, theme)
                choose(window)
                window.run("scrollTo(0, 0);")
                wide = window.run("return [document.documentElement.scrollWidth, innerWidth]")
                check(wide[0] <= wide[1], f"at {width} pixels it is {wide[0]} wide")
                papers[theme] = window.run("return getComputedStyle(document.body).backgroundColor")
                shoot(window, f"dashboard-{theme}-{width}.png")
        check(papers["light"] != papers["dark"], f"both themes are on {papers['light']}")
        window.run(UNTIL + "const theme = document.getElementById('theme'); theme.click(); theme.click();")
        check_equal(window.run("return [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]"), ["light", papers["light"]], "light, said by the button")


@test
def the_keyboard_reaches_every_control_and_each_has_a_name():
    with Chromium() as browser, Stage(browser) as stage:
        window = stage.open()
        choose(window)
        nameless = window.run("return [...document.querySelectorAll('button, input, select, a')].filter(one => one.getClientRects().length && "
                              "!(one.textContent.trim() || one.labels?.length || one.getAttribute('aria-label'))).map(one => one.outerHTML)")
        check_equal(nameless, [], "controls without a name")
        check_equal(window.run("return [...document.querySelectorAll('[tabindex]')].filter(one => one.tabIndex > 0).length"), 0, "controls out of their order")


if __name__ == "__main__":
    main(limit_s=180)
