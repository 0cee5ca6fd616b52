"""pages: what Alice's and Bob's pages do, in whichever browser: they may use nothing but the relay, and exchange messages and video through it."""
import contextlib
import os
import time

from support import stun
from support.server import POLICIES, Server
from support.tap import Skip, check, check_equal
from support.web import Network

SECRET = "YOUR_SECRET_KEY_HERE"
MESSAGES = 1000

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
  const chosen = [...stats.values()].find(row => row.type === 'candidate-pair' && row.nominated && row.state === 'succeeded');
  const local = stats.get(chosen.localCandidateId);
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

LISTEN = """
await pc.setRemoteDescription(given[0]);
return await Promise.race([open_.then(() => 'open'), new Promise(done => setTimeout(() => done('shut'), given[1]))]);
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


@contextlib.contextmanager
def stage(*kinds, lines=(), need_network=False, rooms=False, beside=None):
    """A relay and a browser of each kind that trusts its certificate: in a network of their own, or on loopback where that cannot be made. With `rooms` it
    serves players alone: no peer is opened. `beside` makes what is to run where the relay does, before it starts."""
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
            if beside:
                stack.enter_context(beside())
            server = Server(*lines, "fingerprint", "total-quota=100", auth=["lt-cred-mech", "use-auth-secret", f"static-auth-secret={SECRET}"],
                            peers=[] if rooms else [f"allowed-peer-ip={host}", "allow-loopback-peers"], host=host, tls=True, threads=2,
                            policies=[os.path.join(POLICIES, "room.lua")] if rooms else [])
            stack.enter_context(server)
        stack.enter_context(at("browser"))
        yield server, *(stack.enter_context(kind(server, loopback=not network)) for kind in kinds)


def credential(user, for_s=600):
    return stun.rest_credential(SECRET, int(time.time()) + for_s, user)


def url(server, transport, browser):
    if transport == "tls":
        return f"turns:{browser.TLS_HOST or server.host}:{server.tls_port}?transport=tcp"
    return f"turn:{server.host}:{server.port}?transport={transport}"


@contextlib.contextmanager
def call(transport, *kinds, names=("alice", "bob"), **staged):
    """Alice is in a browser of the first kind, Bob in one of the last: their pages, and Bob's answer to her offer."""
    with stage(*kinds, **staged) as (server, *browsers):
        blank = "file://" + server.write("blank.html", "<!DOCTYPE html><title>blank</title>")
        alice, bob = browsers[0].open(blank), browsers[-1].open(blank)

        def ice_servers(name, page):
            username, password = credential(name)
            return [{"urls": [url(server, transport, page.browser)], "username": username, "credential": password}]

        offer = alice.run(OFFER, ice_servers(names[0], alice))
        check("typ relay" in offer["sdp"], f"alice gathered no relay candidate: {alice.run('return errors')}")
        check("typ host" not in offer["sdp"] and "typ srflx" not in offer["sdp"], "alice gathered more than relay candidates")
        yield alice, bob, bob.run(ANSWER, ice_servers(names[1], bob), offer)


def alice_and_bob(transport, *kinds, **how):
    with call(transport, *kinds, **how) as (alice, bob, answer):
        heard = alice.run(TALK, answer, MESSAGES)
        check_equal(heard, list(range(MESSAGES)), "what came back to alice")
        check(bob.run(FRAMES, 30) >= 30, "bob did not decode 30 frames of video")
        for name, page in (("alice", alice), ("bob", bob)):
            pair = page.run("return pair()")
            check_equal((pair["local"], pair["remote"], pair["protocol"]), ("relay", "relay", transport), f"the selected pair of {name}")


def alice_without_bob(transport, *kinds, wait_s=6, **how):
    """They are told of each other, and do not meet."""
    with call(transport, *kinds, **how) as (alice, _, answer):
        check_equal(alice.run(LISTEN, answer, wait_s * 1000), "shut", "alice's channel to bob")


def reflexive_addresses(browser, server):
    """The addresses of the reflexive candidates that a page gathers from a STUN server alone."""
    found = browser.open("about:blank").run(REFLEXIVE, f"stun:{server.host}:{server.port}")
    return [address for kind, address, _ in found if kind == "srflx"]
