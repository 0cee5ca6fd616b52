// The path of a match changes under it, between browsers: credentials are renewed, and the relay drains. The connection and its channels stay, and nothing that is said is lost.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {NO_CHROMIUM, startChromium} from './support/browser.mjs';
import {Stage, until} from './support/stage.mjs';

const how = {timeout: 60_000, skip: NO_CHROMIUM};
const TTL_S = 8; // a new credential comes when a fifth is left
const SILENT_MS = 1500; // the longest time without a packet of the game, of which 60 come a second

// In the page: what channels are made, and what comes through them.
const WATCH = () => {
  window.channels = [];
  const {createDataChannel} = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.createDataChannel = function (label, options) {
    const channel = createDataChannel.call(this, label, options), watched = {pc: this, channel, label, heard: [], lastMs: 0, silentMs: 0};
    channel.addEventListener('message', ({data}) => {
      const now = performance.now();
      if (watched.lastMs) watched.silentMs = Math.max(watched.silentMs, now - watched.lastMs);
      watched.lastMs = now;
      if (label === 'chat') watched.heard.push(data);
    });
    window.channels.push(watched);
    return channel;
  };
};
const TALK = () => {
  const form = document.querySelector('#chat');
  window.said = 0;
  setInterval(() => {
    form.querySelector('input').value = `line ${window.said++}`;
    form.requestSubmit();
  }, 50);
};
const LOOK = () => window.channels.map(({pc, channel, label, heard, silentMs}) => ({label, state: channel.readyState, first: pc === window.channels[0].pc, heard, silentMs}));

const stage = new Stage();
let old, next, people;
if (!NO_CHROMIUM) {
  [old, next] = await Promise.all([stage.relay({lines: ['drain-deadline=60']}), stage.relay()]);
  const [lobby, chromium] = await Promise.all([stage.lobby([old, next], {env: {RELAY_CREDENTIAL_TTL: String(TTL_S)}}), startChromium()]);
  stage.ends(chromium);
  const one = {query: {force: '', transport: 'udp'}, first: WATCH};
  people = await Promise.all(['ann', 'bob'].map(name => chromium.open(lobby, {...one, name})));
  await people[1].join(await people[0].create());
  for (const person of people) {
    await person.plays();
    await person.bot();
    await person.page.evaluate(TALK);
  }
}

// The allocation at the relay that the player's packets go through, by the address in his HUD; undefined: it is not there.
async function allocationOf(person, relay) {
  const [{pair = ''} = {}] = await person.rows(), {peer} = await person.self();
  const {body: {allocations}} = await relay.ask('GET', `/v1/allocations?tag=${peer}`);
  return allocations.find(one => pair.startsWith(`relay ${one.relay} `));
}

// Both players are at the two ends of one path, whose allocations at the relay `more` is true of, and packets come.
async function move(what, relay, more) {
  const found = await until(what, async () => {
    const there = await Promise.all(people.map(person => allocationOf(person, relay)));
    const [[mine], [his]] = await Promise.all(people.map(person => person.rows()));
    return there.every((one, i) => one && more(one, i)) && mine.pair.split(' – ').reverse().join(' – ') === his.pair && there;
  }, 30_000);
  for (const person of people) await person.plays();
  return found;
}

// One connection from the beginning on, its two channels, the game never silent, and what was said in its order.
async function isUnbroken() {
  const rows = (await Promise.all(people.map(person => person.rows()))).flat();
  assert.deepEqual(rows.map(row => row.generation), ['1', '1']);
  const said = await Promise.all(people.map(person => person.page.evaluate(() => window.said)));
  for (const [i, person] of people.entries()) {
    const heard = await until('all that was said before', async () => {
      const channels = await person.page.evaluate(LOOK);
      return channels[1].heard.length >= said[1 - i] && channels;
    });
    assert.deepEqual(heard.map(({label, state, first}) => [label, state, first]), [['game', 'open', true], ['chat', 'open', true]]);
    assert.deepEqual(heard[1].heard, heard[1].heard.map((_, number) => `line ${number}`));
    assert.ok(heard[0].silentMs < SILENT_MS, `the game was silent for ${heard[0].silentMs} ms`);
  }
}

test('credentials are renewed: the players go on over new allocations, by a restart of ICE', how, async () => {
  const before = await move('allocations', old, () => true);
  const after = await move('allocations of new credentials', old, (one, i) => one.tags.credential !== before[i].tags.credential);
  assert.deepEqual(after.map(one => one.tags.tag), before.map(one => one.tags.tag));
  await isUnbroken();
});

test('the relay drains: the match moves to the other one, says so, and goes on', how, async () => {
  process.kill(old.pid, 'SIGTERM');
  await Promise.all(people.map(person => person.said(/The relay is being serviced/)));
  await move('allocations at the other relay', next, () => true);
  for (const person of people) assert.equal(await person.page.textContent('#relay'), new URL(next.api).host);
  await isUnbroken();
});
