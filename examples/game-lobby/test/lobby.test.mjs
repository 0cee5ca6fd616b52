// The lobby by itself: its rules, what it survives, and the walk-through of the README.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {request} from 'node:http';
import {connect, constants} from 'node:http2';
import {join} from 'node:path';
import {test} from 'node:test';
import {promisify} from 'node:util';
import {configOf, ConfigError, OPTIONS} from '../dist/server/config.js';
import {Game} from '../dist/client/game.js';
import {household, RateLimit} from '../dist/server/limits.js';
import {Member} from '../dist/server/room.js';
import {newCode, Signer} from '../dist/server/token.js';
import {HERE, startLobby} from '../tools/lobby.mjs';
import {PATIENT, Stage, call, until} from './support/stage.mjs';

const stage = new Stage();
const relay = await stage.relay();
const lobby = await stage.lobby([relay]);
const how = {timeout: 60_000};

test('the README\'s walk-through does what it says', how, async () => {
  const text = await readFile(join(HERE, 'README.md'), 'utf8');
  const [, script] = /<!-- walk-through -->\n```sh\n([\s\S]*?)```/.exec(text);
  const {stdout} = await promisify(execFile)('bash', ['-euc', script], {cwd: HERE, env: {...process.env, LOBBY: lobby.url}, timeout: 50_000});
  const lines = stdout.trim().split('\n').map(line => JSON.parse(line));
  assert.match(lines[0].code, /^[A-Z2-9]{6}$/);
  const welcomes = lines.filter(line => line.welcome).map(line => line.welcome);
  assert.deepEqual(welcomes.map(one => [one.you.name, one.resumed ?? false]), [['ann', false], ['bob', false], ['ann', true]]);
  assert.ok(lines.some(line => line.peerJoined?.name === 'bob'), 'ann is told of bob');
  assert.ok(lines.some(line => line.signal?.candidate?.candidate === 'candidate:1 1 udp 1 198.51.100.7 9 typ host'), 'the signal arrives');
  assert.ok(lines.some(line => line.ice?.iceServers.some(server => server.credential)), 'a credential');
});

test('all three protocols are answered at one port, and say no alike', how, async () => {
  for (const protocol of ['grpc', 'grpc-web', 'connect']) {
    const {answer: room} = await call(lobby, 'CreateRoom', {seats: 3, name: protocol, listed: true}, {protocol});
    const {answer: {rooms}} = await call(lobby, 'ListRooms', {}, {protocol});
    assert.ok(rooms.some(one => one.code === room.code && one.seats === 3));
    const {events: [welcome]} = await call(lobby, 'Join', {code: room.code.toLowerCase(), name: 'ann', instance: 1}, {protocol, count: 1});
    assert.equal(welcome.welcome.you.name, 'ann');
    assert.notEqual(welcome.welcome.session, welcome.welcome.you.id);
    assert.equal((await call(lobby, 'Join', {code: 'AAAAAA', instance: 1}, {protocol, count: 1})).error.code, 'NotFound');
    assert.equal((await call(lobby, 'CreateRoom', {seats: 5}, {protocol})).error.code, 'InvalidArgument');
    assert.equal((await call(lobby, 'Beat', {session: 'x.y'}, {protocol})).error.code, 'Unauthenticated');
  }
});

const ask = (path, {method = 'GET', headers = {}, body} = {}) => new Promise((done, failed) => {
  const sent = request(lobby.url + path, {method, headers}, answer => {
    answer.resume();
    answer.once('end', () => done({status: answer.statusCode, headers: answer.headers}));
  });
  sent.once('error', failed);
  sent.end(body);
});

test('pages of other hosts may ask only if they are allowed', how, async () => {
  const list = '/lobby.v1.Lobby/ListRooms', json = {'content-type': 'application/json'};
  const post = origin => ask(list, {method: 'POST', headers: {...json, ...(origin ? {origin} : {})}, body: '{}'});
  assert.equal((await post()).status, 200);
  assert.equal((await post(lobby.url)).status, 200);
  assert.equal((await post('https://evil.example')).status, 403);
  const open = await stage.lobby([relay], {env: {LOBBY_ORIGINS: 'https://game.example'}});
  const {headers, status} = await fetch(open.url + list, {method: 'OPTIONS', headers: {origin: 'https://game.example', 'access-control-request-method': 'POST'}});
  assert.deepEqual([status, headers.get('access-control-allow-origin')], [204, 'https://game.example']);
  assert.match(headers.get('access-control-allow-headers'), /connect-protocol-version/i);
});

test('addresses and sessions have a rate, messages a size', how, async () => {
  const strict = await startLobby({relays: [relay], env: {LOBBY_CREATE_RATE: '3', LOBBY_JOIN_RATE: '4'}});
  stage.ends(strict);
  const codes = [];
  for (let i = 0; i < 5; i++) codes.push((await call(strict, 'CreateRoom')).error?.code ?? 'ok');
  assert.deepEqual(codes, ['ok', 'ok', 'ok', 'ResourceExhausted', 'ResourceExhausted']);
  const joins = [];
  for (let i = 0; i < 6; i++) joins.push((await call(strict, 'Join', {code: 'AAAAAA', instance: 1}, {count: 1})).error.code);
  assert.deepEqual(joins.slice(0, 4), Array(4).fill('NotFound'), 'guesses');
  assert.equal(joins[5], 'ResourceExhausted');
  const {error} = await call(lobby, 'CreateRoom', {name: 'x'.repeat(80_000)});
  assert.equal(error.code, 'ResourceExhausted');
});

test('what is bounded is bounded: buckets, households, codes', () => {
  const limit = new RateLimit(1, 2, 3);
  assert.deepEqual([limit.take('a', 0), limit.take('a', 0), limit.take('a', 0), limit.take('a', 1500)], [true, true, false, true]);
  for (let i = 0; i < 100; i++) limit.take(`n${i}`, 2000);
  assert.equal(limit.size, 3);
  limit.sweep(60_000);
  assert.equal(limit.size, 0);
  assert.equal(household('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(household('2001:db8:0:ab01::5'), household('2001:db8:0:abff:1::6'));
  assert.notEqual(household('2001:db8:0:ab01::5'), household('2001:db8:0:ac01::5'));
  assert.ok(Array.from({length: 200}, newCode).every(code => /^[A-HJKMNP-Z2-9]{6}$/.test(code)));
});

test('a player who says what he has seen, if late, misses nothing; one who says nothing is told so', () => {
  const ann = new Member({peer: 'ann'}, 1, 0), ended = [];
  ann.listener = {wake: () => {}, end: why => ended.push(why)};
  for (let seq = 1; seq <= 1000; seq++) {
    ann.push({}, 10_000);
    if (seq > 40) ann.seen(seq - 40);
  }
  assert.deepEqual([ann.hasAfter(960), ann.hasAfter(959), ann.after(998).map(one => one.seq), ended], [true, false, [999, 1000], []]);
  for (let i = 0; i < 20; i++) ann.push({}, 10_000);
  assert.deepEqual([ann.hasAfter(960), ann.after(0).length < 20, ended], [false, true, ['slow']]);
  ann.forget([]);
  assert.deepEqual([ann.hasAfter(1020), ann.after(0)], [true, []]);
});

test('a session is what the lobby signed, and nothing else', () => {
  const signer = new Signer('s'.repeat(32)), session = {code: 'ABCDEF', peer: 'p', expiresMs: 1};
  const token = signer.seal(session);
  assert.deepEqual(signer.open(token), session);
  const [body, mark] = token.split('.');
  for (const wrong of ['', '.', body, `${body}.`, `${body}x.${mark}`, `${body}.${mark.slice(1)}`, `${token}.x`, new Signer('t'.repeat(32)).seal(session)]) assert.equal(signer.open(wrong), null, wrong);
  assert.equal(signer.isHostKey('', 'm'), false);
  assert.equal(signer.isHostKey(signer.hostKey('m'), 'm'), true);
  assert.equal(signer.isHostKey(signer.hostKey('n'), 'm'), false);
});

test('what is wrong in the environment is said by name, and every variable is in the README', async () => {
  const good = {LOBBY_SECRET: 's'.repeat(32), RELAY_SECRET: 'x', RELAY_URLS: 'turn:192.0.2.1:3478?transport=udp'};
  assert.equal(configOf(good).LOBBY_MAX_ROOMS, 10000);
  for (const [env, said] of [[{LOBBY_SECRET: 'short'}, /LOBBY_SECRET/], [{LOBBY_MAX_ROOMS: '0'}, /LOBBY_MAX_ROOMS/], [{LOBBY_HEARBEAT: '3'}, /no such variable/], [{RELAY_URLS: 'http://x'}, /RELAY_URLS/],
    [{RELAY_SECRET: ''}, /RELAY_API/], [{LOBBY_CERT: '/nowhere'}, /LOBBY_CERT/], [{LOBBY_LISTEN: 'x'}, /LOBBY_LISTEN/], [{RELAY_API: 'http://127.0.0.1:1'}, /RELAY_TENANT/]])
    assert.throws(() => configOf({...good, ...env}), error => error instanceof ConfigError && said.test(error.message), JSON.stringify(env));
  const readme = await readFile(join(HERE, 'README.md'), 'utf8');
  for (const name of Object.keys(OPTIONS)) assert.ok(readme.includes(`\`${name}\``), `${name} is not in the README`);
});

test('the ball goes from paddle to paddle, a packet that is wrong changes nothing, loss is counted', () => {
  const ann = new Game(0), bob = new Game(1);
  ann.join('bob', 1);
  bob.join('ann', 0);
  for (let step = 1; step < 1200; step++) {
    const now = step * 17;
    for (const game of [ann, bob]) { game.bot(); game.step(now); }
    if (step % 10) bob.take('ann', ann.packet('bob', now), now);
    ann.take('bob', bob.packet('ann', now), now);
  }
  assert.ok(ann.ball.rally > 2 || ann.ball.misses.some(Boolean));
  assert.ok(Math.abs(ann.ball.x - bob.ball.x) < 0.1);
  const lost = bob.players.get('ann').lost;
  assert.ok(lost > 0.07 && lost < 0.13, `${lost}`);
  const before = JSON.stringify(bob.ball);
  for (const wrong of [new ArrayBuffer(0), new ArrayBuffer(24), new ArrayBuffer(50), new Uint8Array(50).fill(255).buffer]) bob.take('ann', wrong, 30_000);
  bob.take('eve', ann.packet('bob', 1), 30_000);
  assert.equal(JSON.stringify(bob.ball), before);
});

test('events come again after a lost stream, each once; and a lobby that was killed knows nothing but the session', how, async t => {
  const first = await startLobby({relays: [relay], env: PATIENT});
  stage.ends(first);
  const {answer: {code}} = await call(first, 'CreateRoom', {seats: 2});
  const join = async (who, count, on = first) => call(on, 'Join', {instance: who === 'ann' ? 1 : 2, ...(typeof who === 'object' ? who : {code, name: who})}, {count});
  const {events: [{welcome: ann}]} = await join('ann', 1), {events: [{welcome: bob}]} = await join('bob', 1);
  for (let i = 0; i < 3; i++) {
    const signal = {generation: 1, candidate: {candidate: String(i)}};
    assert.equal((await call(first, 'SendSignal', {session: bob.session, to: ann.you.id, toInstance: 1, signal})).code, 0);
  }
  const back = {session: ann.session, instance: 1, epoch: ann.epoch};
  const {events: all} = await join({...back, afterSeq: ann.seq ?? 0}, 5);
  assert.equal(all[0].welcome.resumed, true);
  assert.deepEqual(all.slice(1).map(event => Object.keys(event).find(key => key !== 'seq')), ['peerJoined', 'signal', 'signal', 'signal']);
  const {events: rest} = await join({...back, afterSeq: all[3].seq}, 2);
  assert.deepEqual(rest[1].signal.candidate.candidate, '2');
  await first.kill();
  const second = await first.again();
  t.after(() => second.stop());
  assert.equal((await call(second, 'Join', {code, instance: 3}, {count: 1})).error.code, 'NotFound', 'until somebody brings the room back');
  const {events: [{welcome: again}]} = await join({...back, afterSeq: all[3].seq}, 1, second);
  assert.deepEqual([again.you.id, again.code, again.resumed ?? false], [ann.you.id, code, false]);
  assert.notEqual(again.epoch, ann.epoch);
  const {events: [{welcome: late}]} = await join({session: bob.session, instance: 2, epoch: bob.epoch, afterSeq: 0}, 1, second);
  assert.deepEqual(late.peers.map(peer => peer.id), [ann.you.id]);
});

test('signals that went with a lobby are asked for again: each comes once, and in order', how, async t => {
  const first = await startLobby({relays: [relay], env: PATIENT});
  stage.ends(first);
  const {answer: {code}} = await call(first, 'CreateRoom', {seats: 2});
  const join = async (message, count, on = first) => (await call(on, 'Join', message, {count})).events;
  const [{welcome: ann}] = await join({code, instance: 1}, 1), [{welcome: bob}] = await join({code, instance: 2}, 1);
  const say = async (number, on = first) => {
    const signal = {generation: 1, number, candidate: {candidate: String(number)}};
    return (await call(on, 'SendSignal', {session: bob.session, to: ann.you.id, toInstance: 1, signal})).answer.told ?? 0;
  };
  const told = [];
  for (const number of [1, 2, 2, 4, 3]) told.push(await say(number));
  assert.deepEqual(told, [1, 2, 2, 2, 3], 'what comes again, and what comes early, is not told');
  await first.kill();
  const second = await first.again();
  t.after(() => second.stop());
  // ann has heard the first two only
  const heard = [{peerId: bob.you.id, instance: 2, number: 2}, {peerId: 'of before', instance: 2, number: 9}];
  await join({session: ann.session, instance: 1, epoch: ann.epoch, afterSeq: 3, heard}, 1, second);
  await join({session: bob.session, instance: 2, epoch: bob.epoch, afterSeq: 0}, 1, second);
  told.length = 0;
  for (const number of [4, 3, 4]) told.push(await say(number, second));
  assert.deepEqual(told, [2, 3, 4]);
  const events = await join({session: ann.session, instance: 1, epoch: 1, heard}, 1, second);
  assert.equal(events[0].welcome.resumed ?? false, false);
  assert.equal(await say(5, second), 2, 'she begins anew, and has not heard the last two');
});

test('who does not read what he is told, and goes, leaves nothing behind', how, async () => {
  const small = await stage.lobby([relay]);
  const numbers = async () => (await fetch(`${small.url}/metrics`)).text();
  for (const leave of [stream => stream.close(constants.NGHTTP2_CANCEL), stream => stream.session.destroy()]) {
    const {answer: {code}} = await call(small, 'CreateRoom', {seats: 2});
    const session = connect(small.url, {settings: {initialWindowSize: 1000}}), body = Buffer.from(JSON.stringify({code, instance: 1}));
    const stream = session.request({':method': 'POST', ':path': '/lobby.v1.Lobby/Join', 'content-type': 'application/connect+json'});
    stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]));
    await until('she is here', async () => /lobby_streams 1\n/.test(await numbers()));
    const {events: [{welcome: bob}]} = await call(small, 'Join', {code, instance: 2}, {count: 1});
    const signal = {generation: 1, description: {type: 'offer', sdp: 'x'.repeat(30_000)}};
    const before = Number(/lobby_events_total (\d+)/.exec(await numbers())[1]);
    assert.equal((await call(small, 'SendSignal', {session: bob.session, to: bob.peers[0].id, toInstance: 1, signal})).code, 0);
    await until('she is being told', async () => (await numbers()).includes(`lobby_events_total ${before + 1}\n`));
    leave(stream);
    await until('her stream has ended', async () => /lobby_streams 0\n/.test(await numbers()));
    session.destroy();
  }
});

test('a credential is renewed before it ends', how, async () => {
  const brief = await stage.lobby([relay], {env: {RELAY_CREDENTIAL_TTL: '5'}});
  const {answer: {code}} = await call(brief, 'CreateRoom', {seats: 2});
  const {events} = await call(brief, 'Join', {code, name: 'ann', instance: 1}, {count: 2});
  const first = events[0].welcome.ice, {ice: second, reason} = events[1].iceRefresh;
  assert.equal(reason, 'REFRESH_REASON_EXPIRY');
  assert.ok(Number(second.expiresAtMs) > Number(first.expiresAtMs));
});

test('a match moves to another relay when its own drains', how, async () => {
  const old = await stage.relay({lines: ['drain-deadline=60']}), two = await stage.lobby([old, relay]);
  const ann = stage.player(two, '--create', '2', '--name', 'ann', '--relay'), bob = stage.player(two, '--room', await ann.code(), '--name', 'bob', '--relay');
  const before = await ann.plays(1, player => player.path === 'relayed');
  await bob.plays();
  assert.equal(before.relay, new URL(old.api).host);
  process.kill(old.pid, 'SIGTERM');
  for (const one of [ann, bob]) {
    await until('the other relay', () => one.has('notice', {title: 'The relay is being serviced'}));
    const {relay: name} = await until('a path there', () => one.last('state').players.some(player => player.generation > 1 && player.state === 'connected' && player.path === 'relayed') && one.last('state'));
    assert.equal(name, new URL(relay.api).host);
  }
  await Promise.all([ann.stop(), bob.stop()]);
});

test('static-auth-secret in place of the API: the relay takes what the lobby signs', how, async () => {
  const secret = 'a secret of this test', plain = await stage.relay({secret});
  const small = await stage.lobby(null, {env: {RELAY_SECRET: secret, RELAY_URLS: plain.urls.slice(0, 2).join()}});
  const ann = stage.player(small, '--create', '2', '--relay'), bob = stage.player(small, '--room', await ann.code(), '--relay');
  await Promise.all([ann, bob].map(one => one.plays(1, player => player.path === 'relayed')));
  const {session} = {session: (await bob.session()).token};
  assert.deepEqual((await call(small, 'Explain', {session})).answer, {});
  await Promise.all([ann.stop(), bob.stop()]);
});

test('a room that nobody is in is forgotten, an old one is closed', how, async () => {
  const brief = await stage.lobby([relay], {env: {LOBBY_ROOM_TTL: '3'}});
  const {answer: {code}} = await call(brief, 'CreateRoom');
  const {events} = await call(brief, 'Join', {code, name: 'ann', instance: 1});
  assert.deepEqual(events.at(-1).closed, {reason: 'LEAVE_REASON_EXPIRED'});
  const session = events[0].welcome.session;
  assert.equal((await call(brief, 'Join', {session, instance: 1}, {count: 1})).error.code, 'Unauthenticated');
  await until('the room is gone', async () => /lobby_rooms 0\n/.test(await (await fetch(`${brief.url}/metrics`)).text()));
});
