// Many rooms on one lobby, and a lobby that is killed and started again in the middle of it.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {test} from 'node:test';
import {NO_CHROMIUM, startChromium} from './support/browser.mjs';
import {PATIENT, Stage, until} from './support/stage.mjs';
import {HERE, startLobby} from '../tools/lobby.mjs';

const stage = new Stage();
const relay = await stage.relay();
const ROOMS = 500;

class Swarm {
  events = [];
  constructor(lobby, rooms, seconds) {
    this.child = spawn(process.execPath, [join(HERE, 'dist/native/swarm.js'), '--lobby', lobby.url, '--rooms', String(rooms), '--seconds', String(seconds)], {stdio: ['ignore', 'pipe', 'inherit']});
    createInterface(this.child.stdout).on('line', line => this.events.push(JSON.parse(line)));
    this.ended = new Promise(done => this.child.once('exit', done));
  }
  last(event) {
    return this.events.findLast(one => one.event === event);
  }
  joined(count) {
    return until(`${count} players joined`, () => this.last('state')?.joined === count, 60_000);
  }
  async stop() {
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await this.ended;
    clearTimeout(late);
    return this.last('end');
  }
}

const numbers = async lobby => Object.fromEntries((await (await fetch(`${lobby.url}/metrics`)).text()).trim().split('\n').map(line => line.split(' ')).map(([name, value]) => [name, Number(value)]));
const residentKb = async pid => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]);

test(`${ROOMS} rooms of native players: none is lost, nothing is lost or doubled, memory stays`, {timeout: 120_000}, async () => {
  let lobby = stage.ends(await startLobby({relays: [relay], env: PATIENT}));
  const swarm = stage.ends(new Swarm(lobby, ROOMS, 110));
  await until('all rooms', () => swarm.last('all'), 60_000);
  await swarm.joined(2 * ROOMS);
  const begin = await numbers(lobby);
  assert.deepEqual([begin.lobby_rooms, begin.lobby_players, begin.lobby_streams], [ROOMS, 2 * ROOMS, 2 * ROOMS]);
  const firstKb = await residentKb(lobby.pid);
  await until('4,000 signals', async () => (await numbers(lobby)).lobby_events_total > begin.lobby_events_total + 4000, 60_000);
  const grown = (await residentKb(lobby.pid)) - firstKb;
  assert.ok(grown < 40_000, `memory grew by ${grown} KiB`);

  await lobby.kill();
  lobby = stage.ends(await lobby.again());
  await until('all are away, and come back', async () => (await numbers(lobby)).lobby_players === 2 * ROOMS && (await numbers(lobby)).lobby_streams === 2 * ROOMS, 60_000);
  await swarm.joined(2 * ROOMS);
  assert.equal((await numbers(lobby)).lobby_rooms, ROOMS);
  swarm.child.kill('SIGUSR1');
  await until('they talk again', async () => (await numbers(lobby)).lobby_events_total > 3000, 30_000);
  const end = await swarm.stop();
  assert.deepEqual({joined: end.joined, lost: end.lost, doubled: end.doubled, changed: end.changed, resumed: end.resumed}, {joined: 2 * ROOMS, lost: 0, doubled: 0, changed: 0, resumed: 2 * ROOMS});
  assert.ok(end.heard > 1000);
});

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
