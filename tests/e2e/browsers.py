"""Alice and Bob: two pages in Chromium that may use nothing but the relay exchange messages and video through it."""
import contextlib
import os
import time
import urllib.parse

from support import stun
from support.server import ROOT, Server
from support.tap import Skip, check, check_equal, main, test
from support.web import Browser, Network, pin_of

SECRET = "YOUR_SECRET_KEY_HERE"
MESSAGES = 1000
PAGE = "file://" + os.path.join(ROOT, "examples", "webrtc-test.html")
SHOTS = os.environ.get("RELAY_SCREENSHOTS")

LIBRARY = """
window.gathered = pc => new Promise(done => {
  const look = () => pc.iceGatheringState === 'complete' && done(pc.localDescription.toJSON());
  pc.onicegatheringstatechange = look; look();
});
window.make = iceServers => {
  window.errors = [];
  const pc = window.pc = new RTCPeerConnection({iceServers, iceTransportPolicy: 'relay'});
  pc.onicecandidateerror = e => errors.push(e.errorCode + ' ' + e.errorText + ' ' + e.url);
  return pc;
};
window.pair = async () => {
  const stats = await pc.getStats();
  const transport = [...stats.values()].find(row => row.type === 'transport');
  const chosen = stats.get(transport.selectedCandidatePairId), local = stats.get(chosen.localCandidateId);
  return {local: local.candidateType, remote: stats.get(chosen.remoteCandidateId).candidateType, protocol: local.relayProtocol};
};
"""

OFFER = LIBRARY + """
const pc = make(given[0]);
window.channel = pc.createDataChannel('talk');
window.open_ = new Promise(done => { channel.onopen = done; });
const stream = await navigator.mediaDevices.getUserMedia({video: {width: 320, height: 180}});
stream.getTracks().forEach(track => pc.addTrack(track, stream));
await pc.setLocalDescription();
return await gathered(pc);
"""

ANSWER = LIBRARY + """
const pc = make(given[0]);
pc.ondatachannel = ({channel}) => { channel.onmessage = ({data}) => channel.send(data); };
pc.ontrack = ({track}) => {
  const video = document.body.appendChild(document.createElement('video'));
  Object.assign(video, {muted: true, autoplay: true, srcObject: new MediaStream([track])});
};
await pc.setRemoteDescription(given[1]);
await pc.setLocalDescription();
return await gathered(pc);
"""

TALK = """
await pc.setRemoteDescription(given[0]);
const late = new Promise((_, failed) => setTimeout(() => failed(new Error('the channel did not open: ' + errors)), 15000));
await Promise.race([open_, late]);
const heard = [];
const all = new Promise(done => { channel.onmessage = ({data}) => { heard.push(Number(data)); if (heard.length === given[1]) done(); }; });
for (let i = 0; i < given[1]; i++) channel.send(String(i));
await Promise.race([all, new Promise(done => setTimeout(done, 20000))]);
return heard;
"""

FRAMES = """
for (let i = 0; i < 150; i++) {
  const row = [...(await pc.getStats()).values()].find(row => row.type === 'inbound-rtp' && row.kind === 'video');
  if (row && row.framesDecoded >= given[0]) return row.framesDecoded;
  await new Promise(done => setTimeout(done, 100));
}
return 0;
"""

REFLEXIVE = """
const pc = new RTCPeerConnection({iceServers: [{urls: given[0]}]}), found = [];
pc.onicecandidate = ({candidate}) => { if (candidate && candidate.candidate) found.push([candidate.type, candidate.address, candidate.port]); };
pc.createDataChannel('x');
await pc.setLocalDescription();
await new Promise(done => { pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done(); setTimeout(done, 8000); });
return found;
"""

ROWS = """
for (let i = 0; i < 600; i++) {
  if (['works', 'fails'].includes(document.getElementById('verdict').dataset.state)) break;
  await new Promise(done => setTimeout(done, 100));
}
return [...document.querySelectorAll('#rows tr')].map(row => Object.fromEntries([...row.cells].map(cell => [cell.className, cell.textContent])));
"""


@contextlib.contextmanager
def stage(*lines, need_network=False):
    """A relay and a browser that trusts its certificate: in a network of their own, or on loopback where that cannot be made."""
    with contextlib.ExitStack() as stack:
        try:
            network = stack.enter_context(Network())
        except Skip:
            if need_network:
                raise
            network = None
        host = network.RELAY if network else "127.0.0.1"

        def at(name):
            return network.inside(getattr(network, name)) if network else contextlib.nullcontext()

        with at("relay"):
            server = Server(*lines, "fingerprint", "total-quota=100", auth=["lt-cred-mech", "use-auth-secret", f"static-auth-secret={SECRET}"],
                            peers=[f"allowed-peer-ip={host}", "allow-loopback-peers"], host=host, tls=True, threads=2)
            stack.enter_context(server)
        stack.enter_context(at("browser"))
        # with the switch Chromium would also ask from 127.0.0.1 in the network of its own, and wait 40 s for what cannot come
        more = [] if network else ["--allow-loopback-in-peer-connection"]
        yield server, stack.enter_context(Browser([pin_of(server.certificate)], more))


def credential(user, for_s=600):
    return stun.rest_credential(SECRET, int(time.time()) + for_s, user)


def url(server, transport):
    if transport == "tls":
        return f"turns:{server.host}:{server.tls_port}?transport=tcp"
    return f"turn:{server.host}:{server.port}?transport={transport}"


def alice_and_bob(transport):
    with stage() as (server, browser):
        blank = "file://" + server.write("blank.html", "<!DOCTYPE html><title>blank</title>")
        alice, bob = browser.open(blank), browser.open(blank)

        def ice_servers(name):
            username, password = credential(name)
            return [{"urls": [url(server, transport)], "username": username, "credential": password}]

        offer = alice.run(OFFER, ice_servers("alice"))
        check("typ relay" in offer["sdp"], f"alice gathered no relay candidate: {alice.run('return errors')}")
        check("typ host" not in offer["sdp"] and "typ srflx" not in offer["sdp"], "alice gathered more than relay candidates")
        answer = bob.run(ANSWER, ice_servers("bob"), offer)
        heard = alice.run(TALK, answer, MESSAGES)
        check_equal(heard, list(range(MESSAGES)), "what came back to alice")
        check(bob.run(FRAMES, 30) >= 30, "bob did not decode 30 frames of video")
        for name, page in (("alice", alice), ("bob", bob)):
            pair = page.run("return pair()")
            check_equal((pair["local"], pair["remote"], pair["protocol"]), ("relay", "relay", transport), f"the selected pair of {name}")


@test
def alice_and_bob_over_udp():
    alice_and_bob("udp")


@test
def alice_and_bob_over_tcp():
    alice_and_bob("tcp")


@test
def alice_and_bob_over_tls():
    alice_and_bob("tls")


@test
def a_page_that_only_asks_a_stun_server_learns_its_public_address():
    with stage(need_network=True) as (server, browser):
        page = browser.open("about:blank")
        found = page.run(REFLEXIVE, f"stun:{server.host}:{server.port}")
        reflexive = [candidate for candidate in found if candidate[0] == "srflx"]
        check(reflexive and reflexive[0][1] == Network.OUTSIDE, f"the candidates are {found}")
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
    with stage() as (server, browser):
        urls = [url(server, transport) for transport in ("udp", "tcp", "tls")]
        page, rows = test_page(browser, urls, *credential("carol"), messages=300, video="picture")
        shoot(page, "works.png")
        for row, transport in zip(rows, ("udp", "tcp", "tls"), strict=True):
            check_equal((row["state"], row["messages"]), ("works", "300 of 300"), f"the row of {transport}")
            check(f"over {transport}" in row["pair"] and row["pair"].count("relay ") == 2, f"the pair {row['pair']!r}")
            check("frames" in row["video"] and "median" in row["trip"], f"the row {row}")


@test
def the_test_page_says_what_is_wrong_in_words():
    with stage() as (server, browser):
        username, password = credential("carol", -60)
        page, rows = test_page(browser, [url(server, "udp")], username, password, messages=10)
        shoot(page, "expired.png")
        check("401" in rows[0]["state"] and "expired" in rows[0]["state"], f"the result {rows[0]['state']!r}")
    with stage("user-quota=1") as (server, browser):
        _, rows = test_page(browser, [url(server, "tcp")], *credential("carol"), messages=10)
        check("486" in rows[0]["state"] and "quota" in rows[0]["state"], f"the result {rows[0]['state']!r}")


if __name__ == "__main__":
    main(limit_s=90)
