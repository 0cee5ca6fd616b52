// Firefox and Chromium in one match, whose ICE, TURN, DTLS and SCTP are not each other's.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {NO_CHROMIUM, startChromium} from './support/browser.mjs';
import {Firefox, NO_FIREFOX} from './support/firefox.mjs';
import {Stage, until} from './support/stage.mjs';

const stage = new Stage();

test('Firefox and Chromium play through the relay: game, chat and video', {timeout: 90_000, skip: NO_FIREFOX || NO_CHROMIUM}, async () => {
  const relay = await stage.relay(), lobby = await stage.lobby([relay]);
  const [chromium, firefox] = await Promise.all([startChromium(), Firefox.start()]);
  stage.ends(chromium);
  stage.ends(firefox);
  const ann = await chromium.open(lobby, {name: 'ann', query: {force: '', transport: 'udp'}}), code = await ann.create();
  await firefox.go(`${lobby.url}/?name=fox&force&transport=udp&protocol=grpc-web#${code}`);
  await firefox.run('document.querySelector("#join button.primary").click()');
  await ann.plays(1, row => row.kind === 'relayed' && row.name === 'fox', 40_000);
  const row = await until('Firefox plays', async () => (await firefox.rows()).find(one => one.state === 'connected' && one.kind === 'relayed' && Number(one.received) > 60));
  assert.match(row.pair, /^relay .* (relay|prflx) /); // prflx: his packet came before the word of him
  await firefox.run('const input = document.querySelector("#chat input"); input.value = "from Firefox"; document.querySelector("#chat").requestSubmit()');
  await ann.hears('fox', 'from Firefox');
  await ann.say('from Chromium');
  await until('the chat', async () => (await firefox.run('return document.querySelector("#chat ol").textContent')).includes('from Chromium'));
  await ann.page.click('#camera');
  await until('video in Firefox', async () => Number((await firefox.rows())[0]?.frames) >= 10, 20_000);
  await firefox.run('document.querySelector("#camera").click()');
  await until('video in Chromium', async () => Number((await ann.rows())[0]?.frames) >= 10, 20_000);
  await firefox.run('document.querySelector("#leave").click()');
  await ann.said(/fox has left/);
});
