// What the relay refuses is shown to the player as what it is; and strangers do not get through.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {RTCPeerConnection} from 'werift';
import {NO_CHROMIUM, startChromium} from './support/browser.mjs';
import {Stage, call, until} from './support/stage.mjs';
import {TENANT} from '../tools/relay.mjs';

const how = {timeout: 60_000, skip: NO_CHROMIUM};
const stage = new Stage();
const relay = NO_CHROMIUM ? null : await stage.relay();
const lobby = NO_CHROMIUM ? null : await stage.lobby([relay]);
const chromium = NO_CHROMIUM ? null : stage.ends(await startChromium({certificates: [relay.certificate]}));
const RELAYED = {force: '', transport: 'udp'};

async function pair(t, query = RELAYED) {
  const people = [];
  t.after(() => Promise.all(people.map(person => person.stop())));
  const ann = await chromium.open(lobby, {query, name: 'ann'}), code = await ann.create();
  const bob = await chromium.open(lobby, {query, name: 'bob'});
  people.push(ann, bob);
  await bob.join(code);
  return people;
}

test('a kick at the relay is shown as such, and the match goes on over a new allocation', how, async t => {
  const [ann, bob] = await pair(t, {force: '', transport: 'tcp'});
  await Promise.all([ann.plays(), bob.plays()]);
  const {peer} = await bob.self();
  const {status, body} = await relay.ask('DELETE', `/v1/allocations?tag=${peer}`);
  assert.deepEqual([status, body.ended >= 1], [200, true]);
  await bob.said(/You were kicked from the relay.*relay kick/);
  await ann.plays(1, () => true, 30_000);
  await bob.plays();
});

test('a revoked credential is shown as such, and there is no new one', how, async t => {
  const [ann, bob] = await pair(t);
  await Promise.all([ann.plays(), bob.plays()]);
  const {peer} = await bob.self();
  const {body: {allocations: [one]}} = await relay.ask('GET', `/v1/allocations?tag=${peer}`);
  assert.equal((await relay.ask('DELETE', `/v1/credentials/${one.tags.credential}`)).status, 200);
  await bob.said(/Your relay credential was revoked/, 30_000);
  const session = await bob.page.evaluate(() => sessionStorage.getItem('session'));
  const {error} = await call(lobby, 'GetIceServers', {session});
  assert.deepEqual([error.code, /revoked/.test(error.message)], ['PermissionDenied', true]);
});

test('a full quota is shown as such, with the relay\'s own words', how, async t => {
  await relay.command('tenant', 'set', '--userdb', 'relay.db', TENANT, 'max_allocations=1');
  t.after(() => relay.command('tenant', 'set', '--userdb', 'relay.db', TENANT, 'max_allocations=0'));
  const [ann, bob] = await pair(t);
  const said = await until('486', async () => [...await ann.notices(), ...await bob.notices()].find(text => /relay is full/.test(text)), 30_000);
  assert.match(said, new RegExp(`486: tenant ${TENANT} \\d+/1 held`));
});

test('the host removes a player, who is told, is cut off at the relay, and cannot come back', how, async t => {
  const [ann, bob] = await pair(t);
  await Promise.all([ann.plays(), bob.plays()]);
  const {peer} = await bob.self();
  const session = await bob.page.evaluate(() => sessionStorage.getItem('session'));
  await ann.page.click('#players button');
  await bob.said(/You were removed/);
  await ann.said(/bob was removed by the host/);
  await until('his allocations end', async () => (await relay.ask('GET', `/v1/allocations?tag=${peer}`)).body.allocations.length === 0);
  const {error} = await call(lobby, 'Join', {session, instance: 7}, {count: 1});
  assert.deepEqual([error.code, /removed you/.test(error.message)], ['PermissionDenied', true]);
  assert.equal(await bob.page.isVisible('#home'), true);
});

// The victim's browser, and a stranger who has a valid credential of another match and is even told the victim's address.
const VICTIM = async ({iceServers}) => {
  const pc = new RTCPeerConnection({iceServers, iceTransportPolicy: 'relay'});
  const got = [], channel = pc.createDataChannel('talk');
  channel.onmessage = ({data}) => got.push(data);
  window.victim = {pc, channel, got};
  await pc.setLocalDescription();
  await new Promise(done => { pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done(); setTimeout(done, 5000); });
  return pc.localDescription.toJSON();
};
const MEET = async answer => {
  const {pc, channel} = window.victim;
  await pc.setRemoteDescription(answer);
  for (let i = 0; i < 50 && channel.readyState !== 'open'; i++) await new Promise(done => setTimeout(done, 100));
  return channel.readyState;
};

test('a stranger with a valid credential of another match does not reach these players: 403, explained', how, async t => {
  const page = await chromium.open(lobby, {name: 'nobody'});
  t.after(() => page.stop());
  const mint = async (tag, room) => (await relay.ask('POST', `/v1/tenants/${TENANT}/credentials`, {ttl: 600, tag, room, transports: ['udp']})).body;
  const meet = async (room, otherRoom) => {
    const ann = await mint('ann', room), eve = await mint('eve', otherRoom);
    const offer = await page.page.evaluate(VICTIM, {iceServers: ann.iceServers});
    assert.match(offer.sdp, /typ relay/);
    const [{username, credential}] = eve.iceServers, at = `${relay.host}:${relay.port}`;
    const pc = new RTCPeerConnection({iceServers: [{urls: `stun:${at}`}, {urls: `turn:${at}`, username, credential}], iceTransportPolicy: 'relay', iceUseIpv6: false});
    t.after(() => pc.close());
    await pc.setRemoteDescription(offer);
    await pc.setLocalDescription();
    const sdp = pc.localDescription.sdp.replace(/^a=candidate:.* typ (?!relay).*\r\n/gm, '');
    assert.match(sdp, /typ relay/, 'the stranger\'s credential is good for a relayed address');
    return {state: await page.page.evaluate(MEET, {type: 'answer', sdp}), eve};
  };
  assert.equal((await meet('red', 'red')).state, 'open', 'in one match they meet');
  const {state, eve} = await meet('red', 'blue');
  assert.notEqual(state, 'open');
  const {refusals} = (await relay.ask('GET', `/v1/explain?credential=${eve.credentialId}`)).body;
  const row = refusals.find(one => one.code === 403);
  assert.deepEqual([row?.method, row?.rule], ['CHANNEL_BIND', 'not_in_group'], JSON.stringify(refusals));
});
