// firefox.mjs: Firefox by its own port for WebDriver's commands (Marionette): JSON behind its length, over TCP. A command is [0, number, name, parameters], its answer
// [1, number, error, result].
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {freePort} from '../../tools/relay.mjs';
import {until} from './stage.mjs';

export const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
export const NO_FIREFOX = existsSync(FIREFOX) ? false : `${FIREFOX} is not installed: Firefox was NOT tried`;
const PREFERENCES = {
  'browser.shell.checkDefaultBrowser': false, 'browser.startup.page': 0, 'datareporting.policy.dataSubmissionEnabled': false, 'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false, 'browser.safebrowsing.update.enabled': false, 'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false, 'media.navigator.permission.disabled': true, 'media.navigator.streams.fake': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false, 'media.peerconnection.ice.loopback': true,
};

export class Firefox {
  static async start() {
    const firefox = new Firefox(), port = await freePort();
    firefox.directory = await mkdtemp(join(tmpdir(), 'game-lobby-firefox-'));
    await writeFile(join(firefox.directory, 'user.js'), Object.entries({...PREFERENCES, 'marionette.port': port}).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`).join(''));
    firefox.child = spawn(FIREFOX, ['--headless', '--no-remote', '--marionette', '--profile', firefox.directory], {stdio: 'ignore', env: {...process.env, HOME: firefox.directory}, detached: true});
    firefox.ended = new Promise(done => firefox.child.once('exit', done));
    try {
      firefox.socket = await until('Marionette', () => new Promise(done => { const socket = connect(port, '127.0.0.1', () => done(socket)); socket.once('error', () => done(null)); }), 30_000);
      firefox.socket.on('data', data => firefox.take(data));
      await firefox.ask('WebDriver:NewSession', {capabilities: {alwaysMatch: {timeouts: {script: 30000, pageLoad: 20000}}}});
    } catch (error) {
      await firefox.stop();
      throw error;
    }
    return firefox;
  }
  waiting = new Map();
  buffer = Buffer.alloc(0);
  count = 0;

  take(data) {
    this.buffer = Buffer.concat([this.buffer, data]);
    for (let colon; (colon = this.buffer.indexOf(':')) > 0; ) {
      const end = colon + 1 + Number(this.buffer.subarray(0, colon));
      if (this.buffer.length < end) return;
      const message = JSON.parse(this.buffer.subarray(colon + 1, end));
      this.buffer = this.buffer.subarray(end);
      if (Array.isArray(message)) this.waiting.get(message[1])?.(message);
    }
  }
  async ask(name, parameters = {}) {
    const number = ++this.count, text = JSON.stringify([0, number, name, parameters]);
    const answer = new Promise(done => this.waiting.set(number, done));
    this.socket.write(`${Buffer.byteLength(text)}:${text}`);
    const [, , error, value] = await answer;
    this.waiting.delete(number);
    if (error) throw new Error(`${name}: ${error.message}`);
    return value;
  }
  go(url) {
    return this.ask('WebDriver:Navigate', {url});
  }
  async run(script, ...args) {
    return (await this.ask('WebDriver:ExecuteScript', {script, args})).value;
  }
  rows() {
    return this.run('return [...document.querySelectorAll("#players li[data-peer]")].map(item => ({...item.dataset}))');
  }
  async stop() {
    if (this.socket) await this.ask('Marionette:Quit', {flags: ['eForceQuit']}).catch(() => {});
    const late = setTimeout(() => process.kill(-this.child.pid, 'SIGKILL'), 5000);
    await this.ended;
    clearTimeout(late);
    this.socket?.destroy();
    await rm(this.directory, {recursive: true, force: true, maxRetries: 5});
  }
}
