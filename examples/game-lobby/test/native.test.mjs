// Players without a browser: over each protocol, through the relay and directly.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Stage, until} from './support/stage.mjs';

const stage = new Stage();
const relay = await stage.relay();
const lobby = await stage.lobby([relay]);

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
