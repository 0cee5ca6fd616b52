// The page in Chromium: two and four players, through the relay and directly, over each transport and both protocols of browsers; and a browser with a terminal.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {NO_CHROMIUM, pace, startChromium} from './support/browser.mjs';
import {Stage, until} from './support/stage.mjs';

const how = {timeout: 60_000, skip: NO_CHROMIUM};
const stage = new Stage();
const relay = NO_CHROMIUM ? null : await stage.relay();
const lobby = NO_CHROMIUM ? null : await stage.lobby([relay]);
const chromium = NO_CHROMIUM ? null : stage.ends(await startChromium({certificates: [relay.certificate]}));

async function match(t, queries, options = {}) {
  const people = [];
  t.after(() => Promise.all(people.map(person => person.stop())));
  let code;
  for (const [i, query] of queries.entries()) {
    const person = await chromium.open(lobby, {query, name: ['ann', 'bob', 'cid', 'dan'][i]});
    people.push(person);
    if (i) await person.join(code);
    else code = await person.create({seats: Math.max(2, queries.length), ...options});
  }
  return people;
}

for (const [transport, protocol] of [['udp', 'connect'], ['tcp', 'grpc-web'], ['tls', 'connect']]) {
  test(`two players over ${protocol} and through the relay alone over ${transport}: game, chat and video`, how, async t => {
    const people = await match(t, Array(2).fill({protocol, transport, force: ''}));
    const [ann, bob] = people;
    const calls = [];
    bob.page.on('request', request => calls.push(request.headers()['content-type']));
    for (const person of people) {
      const [row] = await person.plays(1, one => one.kind === 'relayed');
      assert.equal(row.transport, transport);
      assert.match(row.pair, /^relay .* relay /);
      assert.ok(Number(row.bytesIn) > 1000);
      assert.match(row.text, new RegExp(`relayed · ${transport.toUpperCase()}`));
    }
    await ann.bot();
    await bob.bot();
    await ann.say('good luck');
    await bob.hears('ann', 'good luck');
    await bob.say('ünd dir ✓');
    await ann.hears('bob', 'ünd dir ✓');
    const before = (await bob.self()).ball;
    await until('the ball moves at bob\'s, who does not move it', async () => Math.hypot((await bob.self()).ball.x - before.x, (await bob.self()).ball.y - before.y) > 0.05);
    for (const rate of await pace(bob)) assert.ok(rate > 45 && rate < 75, `${rate} packets a second`);
    await ann.page.click('#camera');
    await until('20 frames of video', async () => Number((await bob.rows())[0].frames) >= 20);
    assert.ok((await bob.page.$eval('#videos video', video => video.videoWidth)) > 0, 'bob sees it');
    assert.ok(calls.some(type => (protocol === 'connect' ? /^application\/(connect\+)?json/ : /^application\/grpc-web/).test(type)), `${calls}`);
    const there = (await relay.ask('GET', '/v1/allocations')).body.allocations;
    const ids = await Promise.all(people.map(async person => (await person.self()).peer));
    assert.deepEqual([...new Set(there.filter(one => one.active && ids.includes(one.tags.tag)).map(one => one.transport))], [transport]);
    });
}

test('two players directly; the switch sends them through the relay, and back', how, async t => {
  const people = await match(t, [{}, {}]);
  for (const person of people) {
    const [row] = await person.plays(1, one => one.kind === 'direct');
    assert.match(row.text, /direct · UDP/);
  }
  await people[0].page.check('#force');
  for (const person of people) await person.plays(1, one => one.kind === 'relayed' && one.generation === '2');
  await people[0].page.uncheck('#force');
  for (const person of people) await person.plays(1, one => one.kind === 'direct' && one.generation === '3');
});

test('four players, each with each other', how, async t => {
  const people = await match(t, Array(4).fill({force: '', transport: 'udp'}));
  for (const person of people) await person.plays(3, row => row.kind === 'relayed', 30_000);
  for (const person of people) await person.bot();
  await people[3].say('hello all');
  for (const person of people.slice(0, 3)) await person.hears('dan', 'hello all');
  await people[0].page.click('#camera');
  for (const person of people.slice(1)) await until('video', async () => (await person.rows()).some(row => row.name === 'ann' && Number(row.frames) >= 10));
  assert.deepEqual((await Promise.all(people.map(person => person.self()))).map(self => self.seat), ['0', '1', '2', '3']);
});

test('who reloads the page comes back to his match', how, async t => {
  const people = await match(t, [{force: '', transport: 'udp'}, {force: '', transport: 'udp'}]);
  const [ann, bob] = people;
  await Promise.all(people.map(person => person.plays()));
  const was = await bob.self();
  await bob.page.reload();
  await bob.plays();
  await ann.plays();
  const is = await bob.self();
  assert.deepEqual([is.peer, is.seat], [was.peer, was.seat]);
  assert.equal((await ann.rows()).length, 1);
  await ann.say('welcome back');
  await bob.hears('ann', 'welcome back');
});

test('a browser and a terminal that is behind the relay play together: over a new transport, and after a kick', how, async t => {
  const ann = await chromium.open(lobby, {name: 'ann'});
  t.after(() => ann.stop());
  const code = await ann.create();
  const bob = stage.player(lobby, '--room', code, '--name', 'bob', '--relay', '--transport', 'tcp');
  await ann.plays(1, row => row.kind === 'relayed').catch(error => { throw new Error(`${error.message}\n${JSON.stringify(bob.events.slice(-2))}\n${bob.errors}`); });
  await bob.plays(1, one => one.path === 'relayed');
  bob.say('from the terminal');
  await ann.hears('bob', 'from the terminal');
  await ann.say('from the browser');
  await until('the chat', () => bob.has('chat', {from: 'ann', text: 'from the browser'}));
  assert.equal(bob.last('state').players[0].generation, 1);
  await ann.page.selectOption('#transport', 'tls');
  await ann.plays(1, row => row.kind === 'relayed' && row.transport === 'tls' && row.generation === '2');
  await bob.plays(1, one => one.generation === 2);
  await relay.ask('DELETE', `/v1/allocations?tag=${(await bob.session()).peer}`);
  await bob.plays(1, one => one.generation > 2);
  await ann.plays(1, row => Number(row.generation) > 2);
  bob.say('here again');
  await ann.hears('bob', 'here again');
  await bob.stop();
  await ann.said(/bob has left/);
});
