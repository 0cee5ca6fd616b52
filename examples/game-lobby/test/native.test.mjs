// Players without a browser: over each protocol, through the relay and directly; and what is made up for in werift.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Link} from '../dist/client/link.js';
import {Match} from '../dist/client/match.js';
import {werift} from '../dist/native/werift.js';
import {wireTo} from '../dist/native/wire.js';
import {Stage, call, until} from './support/stage.mjs';

const stage = new Stage();
const relay = await stage.relay();
const lobby = await stage.lobby([relay]);

// Two whose permissions end after PERMISSION_S if they do not ask for them again. They play while the other tests do.
const PERMISSION_S = 5;
const brief = await stage.relay({lines: [`permission-lifetime=${PERMISSION_S}`]});
const patient = await stage.lobby([brief]);
const view = {changed() {}, chat() {}, notice() {}, track() {}, session() {}};
const {answer: {code}} = await call(patient, 'CreateRoom');
const long = ['ann', 'bob'].map(name => new Match(wireTo(patient.url, 'grpc', {}), {code, name, native: true, policy: 'relay'}, werift('udp', 2), view));
for (const match of long) void match.run();
const begun = Date.now(), ticker = setInterval(() => long.forEach(match => match.tick()), 1000 / 60);
stage.ends({stop: async () => { clearInterval(ticker); await Promise.all(long.map(match => match.leave())); }});

async function pair(first, second) {
  const ann = stage.player(lobby, '--create', '2', '--name', 'ann', ...first);
  const bob = stage.player(lobby, '--room', await ann.code(), '--name', 'bob', ...second);
  await Promise.all([ann.plays(), bob.plays()]);
  return [ann, bob];
}

for (const [protocol, transport] of [['grpc', 'udp'], ['grpc-web', 'tcp'], ['connect', 'udp']]) {
  test(`two players meet over ${protocol}, through the relay over ${transport}`, {timeout: 40_000}, async () => {
    const how = ['--protocol', protocol, '--relay', '--transport', transport];
    const [ann, bob] = await pair(how, how);
    ann.say('good game');
    await until('the chat', () => bob.has('chat', {from: 'ann', text: 'good game'}));
    const {players: [path]} = await bob.plays(1, player => player.path === 'relayed');
    assert.match(path.pair, /^relay .* relay /);
    const there = (await relay.ask('GET', '/v1/allocations')).body.allocations;
    assert.deepEqual([...new Set(there.map(one => one.transport))], [transport]);
    assert.equal(new Set(there.map(one => one.group)).size, 1, 'both are in the group of their match');
    assert.ok(there.every(one => one.bytes_in > 0 && one.bytes_out > 0), 'the relay carried it');
    await until('a ball that moves', () => Math.abs(bob.last('state').ball.x) > 0.05);
    await Promise.all([ann.stop(), bob.stop()]);
    await until('the allocations are given back', async () => (await relay.ask('GET', '/v1/allocations')).body.allocations.length === 0);
  });
}

test('two players meet directly', {timeout: 40_000}, async () => {
  const [ann, bob] = await pair([], []);
  await Promise.all([ann, bob].map(one => one.plays(1, player => player.path === 'direct')));
  await Promise.all([ann.stop(), bob.stop()]);
});

test('what werift says of a relay that does not answer is no event', {timeout: 40_000}, async () => {
  const shut = await stage.lobby(null, {env: {RELAY_SECRET: 'a secret', RELAY_URLS: 'turn:127.0.0.1:1?transport=tcp'}}), how = ['--relay', '--transport', 'tcp'];
  const ann = stage.player(shut, '--create', '2', ...how), bob = stage.player(shut, '--room', await ann.code(), ...how);
  await until('the error', () => [ann, bob].some(one => /ECONNREFUSED/.test(one.errors)));
  await Promise.all([ann.stop(), bob.stop()]);
});

test('what was permitted for a time is permitted again before it ends', {timeout: 40_000}, async () => {
  const received = ({game}) => [...game.players.values()][0]?.received ?? 0;
  await until('two lifetimes', () => Date.now() > begun + 2000 * PERMISSION_S);
  const before = long.map(received);
  await until('packets of both', () => long.every((match, i) => received(match) > before[i] + 30));
  for (const match of long) assert.deepEqual([...match.links.values()].map(link => [link.state, link.generation]), [['connected', 1]]);
});

test('a ServerHello that comes again is not heard again, a ClientHello is', async t => {
  const pc = werift('udp').make({iceServers: [{urls: 'stun:127.0.0.1:9'}]});
  t.after(() => pc.close());
  pc.createDataChannel('game');
  void pc.setLocalDescription(await pc.createOffer());
  const [{connection: {onData}}] = pc.iceTransports, heard = [];
  onData.subscribe(data => heard.push(data));
  // a record of DTLS: type, version, epoch, number, length; of a handshake: its type, length, number, and what fragment of it
  const record = (number, body, {type = 22, epoch = 0} = {}) => Buffer.from([type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, number, 0, body.length, ...body]);
  const message = (type, number) => [type, 0, 0, 2, 0, number, 0, 0, 0, 0, 0, 2, 7, 7];
  const flight = at => Buffer.concat([record(at, message(2, 1)), record(at + 1, message(14, 2))]);
  const said = [flight(0), flight(2), Buffer.concat([record(4, message(2, 1)), record(5, message(12, 3))]), record(1, message(1, 0)), record(2, message(1, 0)),
    record(6, message(20, 4), {epoch: 1}), record(6, message(20, 4), {epoch: 1}), record(7, [1], {type: 20}), Buffer.from([22, 254, 253]), record(8, message(2, 1)).subarray(0, 20)];
  said.forEach(one => onData.execute(one));
  assert.deepEqual(heard, said.filter((_, i) => i !== 1));
});

test('a connection that does not come about is made anew, by the one who waits too', t => {
  t.mock.timers.enable({apis: ['setTimeout']});
  const made = [], sent = [];
  const kind = {make: () => { const pc = {connectionState: 'new', createDataChannel: () => ({}), close() {}}; made.push(pc); return pc; }, trickles: true};
  const listener = {send: (body, generation) => sent.push([body.case, generation]), state() {}};
  const link = new Link(kind, {id: 'b', native: true}, {id: 'a', native: false}, {iceServers: [], policy: 'all'}, listener);
  const become = state => { made.at(-1).connectionState = state; made.at(-1).onconnectionstatechange(); };
  become('connecting');
  t.mock.timers.tick(13_900);
  assert.equal(made.length, 1);
  t.mock.timers.tick(200);
  assert.deepEqual([made.length, sent], [2, [['rebuild', 2]]]);
  become('connected');
  t.mock.timers.tick(60_000);
  assert.equal(made.length, 2);
  link.close();
});
