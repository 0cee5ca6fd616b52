// 500 rooms on one lobby, with two players in each who have their own connections, over gRPC: every signal comes once, memory is flat, and a lobby that is killed loses nothing.
import assert from 'node:assert/strict';
import {join} from 'node:path';
import {test} from 'node:test';
import {Stage, until} from './support/stage.mjs';
import {Crowd} from '../dist/native/crowd.js';
import {HERE} from '../tools/lobby.mjs';

const ROOMS = 500, PLAYERS = 2 * ROOMS, PASSING = 25, ROUNDS = 4, WARM = 2;
const HELD_MORE = 1.5 * 1024 * 1024; // of 57 MiB: no more than a few hundred bytes of a call or an event are kept
const RESIDENT_MORE = 32 * 1024 * 1024; // of 200 MiB
const LATE_MS = 90_000; // on a machine that has much else to do
const stage = new Stage();

async function metrics(lobby) {
  const text = await (await fetch(`${lobby.url}/metrics`)).text();
  return Object.fromEntries(text.trim().split('\n').map(line => [line.split(' ')[0].replace('lobby_', ''), Number(line.split(' ')[1])]));
}

let collections = 0;
async function collected(lobby) {
  const said = new RegExp(`collected ${++collections} (.*)\n`);
  process.kill(lobby.pid, 'SIGUSR2');
  return JSON.parse((await until('garbage is collected', () => said.exec(lobby.log())))[1]);
}

// What is left when nothing is under way any more.
async function rest(lobby) {
  for (let last = await collected(lobby); ; ) {
    const now = await collected(lobby);
    if (now.held > last.held - 50_000) return now;
    last = now;
  }
}

const isAs = (before, now) => now.held < before.held + HELD_MORE && now.resident < before.resident + RESIDENT_MORE;
const heard = crowd => until('all is heard', () => crowd.told.heard === crowd.told.sent && crowd.told, LATE_MS);

test('500 rooms: no signal is lost, memory is flat, and all players resume after the lobby was killed', {timeout: 220_000}, async t => {
  const relay = await stage.relay();
  let lobby = await stage.lobby([relay], {env: {NODE_OPTIONS: `--import=${join(HERE, 'test/support/collect.mjs')}`}});
  const crowd = new Crowd(lobby.url), from = Date.now();
  const say = (what, figures = {}) => t.diagnostic(`${what} after ${Date.now() - from} ms ${JSON.stringify(figures)}`);
  await crowd.open(ROOMS);
  await until('all are here', () => crowd.told.here === PLAYERS);
  say(`${PLAYERS} players are here`);

  let before;
  for (let round = 0; round < ROUNDS; round++) {
    const passing = new Crowd(lobby.url);
    await passing.open(PASSING);
    for (const one of [crowd, passing]) one.say();
    for (const one of [crowd, passing]) assert.equal((await heard(one)).wrong, 0);
    await passing.leave();
    await crowd.beat();
    await until('who has left is gone', async () => { const {players, streams} = await metrics(lobby); return players === PLAYERS && streams === PLAYERS; });
    const now = await rest(lobby);
    say('all is heard', now);
    if (round < WARM) before = now;
    else await until(`no more is held than ${JSON.stringify(before)}`, async () => isAs(before, now) || isAs(before, await rest(lobby)));
  }

  // what the lobby has taken and not told, and what nobody takes
  crowd.say();
  await until('some is heard', () => crowd.told.heard > ROUNDS * PLAYERS);
  await lobby.kill();
  const lost = crowd.told.sent - crowd.told.heard;
  crowd.say();
  const again = lobby.again();
  await until('all have noticed', () => crowd.told.here === 0);
  lobby = stage.ends(await again);
  await until('all are back', () => crowd.told.here === PLAYERS, LATE_MS);
  say('all are back', {lost});
  const sent = (ROUNDS + 2) * PLAYERS;
  assert.deepEqual(await heard(crowd), {here: PLAYERS, changed: 0, sent, heard: sent, wrong: 0});
  assert.equal((await metrics(lobby)).rooms, ROOMS);
  say('all is heard');
});
