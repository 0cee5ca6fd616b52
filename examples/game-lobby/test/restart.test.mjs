// A lobby that is killed and started again in the middle of a match.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {NO_CHROMIUM, startChromium} from './support/browser.mjs';
import {PATIENT, Stage, until} from './support/stage.mjs';
import {startLobby} from '../tools/lobby.mjs';

const stage = new Stage();
const relay = await stage.relay();

test('the lobby is killed in the middle of a match: it goes on, and players come back to the next one', {timeout: 60_000, skip: NO_CHROMIUM}, async t => {
  let lobby = stage.ends(await startLobby({relays: [relay], env: PATIENT}));
  const chromium = stage.ends(await startChromium());
  const people = [];
  t.after(() => Promise.all(people.map(person => person.stop())));
  const query = {force: '', transport: 'udp'};
  const ann = await chromium.open(lobby, {query, name: 'ann'}), code = await ann.create({seats: 3}), bob = await chromium.open(lobby, {query, name: 'bob'});
  people.push(ann, bob);
  await bob.join(code);
  await Promise.all([ann.plays(), bob.plays()]);
  const seat = (await bob.self()).peer;
  await lobby.kill();
  await until('the page knows', async () => (await ann.self()).lobby !== 'joined');
  const received = Number((await ann.rows())[0].received);
  await until('the match goes on', async () => Number((await ann.rows())[0].received) > received + 60);
  await ann.say('still here');
  await bob.hears('ann', 'still here');
  lobby = stage.ends(await lobby.again());
  for (const person of people) {
    await until('back in the lobby', async () => (await person.self()).lobby === 'joined');
    assert.equal((await person.rows())[0].generation, '1', 'the connection was not touched');
    assert.equal((await person.rows())[0].state, 'connected');
  }
  assert.equal((await bob.self()).peer, seat);
  const cid = await chromium.open(lobby, {query, name: 'cid'});
  people.push(cid);
  await cid.join(code);
  await cid.plays(2);
  for (const person of [ann, bob]) await person.plays(2);
});
