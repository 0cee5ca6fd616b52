// browser.mjs: Chromium, and what a player does on the page.
import {createHash, X509Certificate} from 'node:crypto';
import {existsSync} from 'node:fs';
import {readFile, writeFile, chmod, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {chromium} from 'playwright-core';
import {until} from './stage.mjs';

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const NO_CHROMIUM = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed: the page was NOT tried in it`;
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding', '--disable-background-timer-throttling'];

// By the hash of its key Chromium is told to trust a certificate that nobody has signed, for TURN over TLS too.
const pinOf = async certificate => createHash('sha256').update(new X509Certificate(await readFile(certificate)).publicKey.export({type: 'spki', format: 'der'})).digest('base64');

// inside: words before the command, such as ip netns exec NAME.
export async function startChromium({certificates = [], inside = []} = {}) {
  const pins = await Promise.all(certificates.map(pinOf));
  let executablePath = CHROMIUM, directory;
  if (inside.length) {
    directory = await mkdtemp(join(tmpdir(), 'game-lobby-chromium-'));
    executablePath = join(directory, 'chromium');
    await writeFile(executablePath, `#!/bin/sh\nexec ${inside.join(' ')} ${CHROMIUM} "$@"\n`);
    await chmod(executablePath, 0o755);
  }
  const browser = await chromium.launch({executablePath, args: [...ARGS, ...(inside.length ? [] : ['--allow-loopback-in-peer-connection']), ...(pins.length ? [`--ignore-certificate-errors-spki-list=${pins.join()}`] : [])], ignoreDefaultArgs: ['--mute-audio', '--hide-scrollbars']});
  return {
    browser,
    stop: async () => {
      await browser.close();
      if (directory) await rm(directory, {recursive: true, force: true});
    },
    // a player in a context of his own, so that he has his own storage and connections; first: what is run in the page before its own scripts
    open: async (lobby, {query = {}, name = 'ann', size = {width: 1280, height: 900}, theme = 'light', code = '', first} = {}) => {
      const context = await browser.newContext({viewport: size, colorScheme: theme, ignoreHTTPSErrors: true});
      if (first) await context.addInitScript(first);
      const page = await context.newPage();
      const person = new Person(page, context);
      page.on('console', message => person.console.push(message.text()));
      page.on('pageerror', error => person.console.push(`error: ${error.message}`));
      await page.goto(`${lobby.url ?? lobby}/?${new URLSearchParams({name, ...query})}${code ? `#${code}` : ''}`);
      return person;
    },
  };
}

export class Person {
  console = [];

  constructor(page, context) {
    Object.assign(this, {page, context});
  }
  async create({seats = 2, name = 'A test', listed = false} = {}) {
    await this.page.fill('#create [name=room]', name);
    await this.page.check(`#create [name=seats][value="${seats}"]`, {force: true});
    if (listed) await this.page.check('#create [name=listed]');
    await this.page.click('#create button.primary');
    return until('a code', () => this.page.textContent('#code'));
  }
  async join(code) {
    await this.page.fill('#join [name=code]', code);
    await this.page.click('#join button.primary');
  }
  // The rows of the other players, as the HUD has them.
  rows() {
    return this.page.$$eval('#players li[data-peer]', items => items.map(item => ({...item.dataset, text: item.textContent})));
  }
  self() {
    return this.page.$eval('#match', main => ({...main.dataset, ball: JSON.parse(main.dataset.ball ?? 'null')}));
  }
  // So many others are connected, packets of the game come at 60 Hz, and `more` is true of each.
  async plays(others = 1, more = () => true, limitMs = 20_000) {
    const state = {};
    try {
      return await until('', async () => {
        state.rows = await this.rows();
        const good = state.rows.filter(row => row.state === 'connected' && row.kind !== 'none' && Number(row.received) > 60 && more(row));
        return good.length >= others && good;
      }, limitMs);
    } catch {
      throw new Error(`not ${others} connected within ${limitMs} ms: ${JSON.stringify({...state, notices: await this.notices(), console: this.console.slice(-8)})}`);
    }
  }
  notices() {
    return this.page.$$eval('.notice', items => items.map(item => item.textContent));
  }
  said(pattern, limitMs = 20_000) {
    return until(`a notice ${pattern}`, async () => (await this.notices()).find(text => pattern.test(text)), limitMs);
  }
  async say(text) {
    await this.page.fill('#chat input', text);
    await this.page.press('#chat input', 'Enter');
  }
  hears(from, text) {
    return until(`"${text}" of ${from}`, async () => (await this.page.$$eval('#chat li', items => items.map(item => item.textContent))).includes(`${from}: ${text}`));
  }
  bot() {
    return this.page.click('#bot');
  }
  stop() {
    return this.context.close();
  }
}

// The packets of each other player grow by about 60 a second.
export async function pace(person, ms = 1000) {
  const count = async () => Object.fromEntries((await person.rows()).map(row => [row.peer, Number(row.received)]));
  const before = await count(), begin = Date.now();
  await new Promise(done => setTimeout(done, ms));
  const after = await count(), seconds = (Date.now() - begin) / 1000;
  return Object.keys(after).map(peer => (after[peer] - (before[peer] ?? 0)) / seconds);
}
