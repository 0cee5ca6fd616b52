// Players behind NATs, two of them at one home: where these let them through they meet directly, and where not through the relay; the HUD says which.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {test} from 'node:test';
import {NO_CHROMIUM, pace, startChromium} from './support/browser.mjs';
import {PATIENT, Player, until} from './support/stage.mjs';
import {HERE, startLobby} from '../tools/lobby.mjs';
import {startRelay} from '../tools/relay.mjs';

async function homes(...kinds) {
  const child = spawn('/usr/bin/python3', [join(HERE, 'test/support/nats.py'), ...kinds], {stdio: ['pipe', 'pipe', 'inherit']});
  const ended = new Promise(done => child.once('exit', done));
  const line = await new Promise(done => { createInterface(child.stdout).once('line', done); ended.then(() => done('')); });
  if (!line.startsWith('{')) return {lack: `${line || 'no namespaces'}: NATs were NOT tried`};
  return {...JSON.parse(line), stop: async () => { child.stdin.end(); await ended; }};
}
const inside = name => ['ip', 'netns', 'exec', name];

for (const [kind, path] of [['symmetric', 'relayed'], ['port restricted cone', 'direct']]) {
  test(`behind ${kind} NATs two browsers and a terminal meet: ${path}`, {timeout: 90_000, skip: NO_CHROMIUM}, async t => {
    const nats = await homes(kind, kind);
    if (nats.lack) return t.skip(nats.lack);
    const endings = [nats];
    t.after(async () => { for (const one of endings.reverse()) await one.stop(); });
    const within = thing => (endings.push(thing), thing);
    const relay = within(await startRelay({host: nats.server, inside: inside(nats.public)}));
    const lobby = within(await startLobby({relays: [relay], listen: `${nats.server}:8090`, inside: inside(nats.public), env: PATIENT}));
    const [one, other] = [within(await startChromium({inside: inside(nats.alice)})), within(await startChromium({inside: inside(nats.bob)}))];
    const query = {transport: 'udp'};
    const ann = await one.open(lobby, {query, name: 'ann'}), code = await ann.create({seats: 3}), bob = await other.open(lobby, {query, name: 'bob'});
    await bob.join(code);
    const cid = within(new Player(lobby, ['--room', code, '--name', 'cid'], inside(nats.bob)));
    for (const row of await ann.plays(2, found => found.kind === path, 40_000)) assert.match(row.text, new RegExp(`${path} · UDP`));
    await bob.plays(2, found => found.kind === (found.name === 'cid' ? 'direct' : path));
    await cid.plays(2, found => found.path === (found.name === 'bob' ? 'direct' : path) && found.generation === 1);
    for (const rate of await pace(ann)) assert.ok(rate > 20, `${rate} packets a second`);
    await ann.say('through it');
    await bob.hears('ann', 'through it');
    await until('the chat', () => cid.has('chat', {from: 'ann', text: 'through it'}));
  });
}
