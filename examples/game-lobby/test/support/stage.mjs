// stage.mjs: what tests stand on: relays, lobbies and players that end with the test, and waiting for what must come.
import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {after} from 'node:test';
import {HERE, startLobby} from '../../tools/lobby.mjs';
import {startRelay} from '../../tools/relay.mjs';

// Tests come quickly one after the other, from one address.
export const PATIENT = {LOBBY_CALL_RATE: '100000', LOBBY_CREATE_RATE: '100000', LOBBY_JOIN_RATE: '100000', LOBBY_STREAMS: '5000', LOBBY_MINT_RATE: '1000'};

export async function until(what, look, limitMs = 15_000) {
  const end = Date.now() + limitMs;
  for (let last; ;) {
    last = await look();
    if (last) return last;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms (${JSON.stringify(last)})`);
    await new Promise(done => setTimeout(done, 50));
  }
}

// Ends everything that was started, the last first, whatever happened.
export class Stage {
  endings = [];

  constructor() {
    after(() => this.close());
  }
  async close() {
    for (const end of this.endings.splice(0).reverse()) await end();
  }
  ends(thing) {
    this.endings.push(() => thing.stop());
    return thing;
  }
  async relay(options) {
    return this.ends(await startRelay(options));
  }
  async lobby(relays, options = {}) {
    const {env, ...rest} = options;
    return this.ends(await startLobby({relays, ...rest, env: {...PATIENT, ...env}}));
  }
  player(lobby, ...words) {
    return this.ends(new Player(lobby, words));
  }
}

// The command-line player, which tells what happens in lines of JSON.
export class Player {
  events = [];
  errors = '';

  constructor(lobby, words, inside = []) {
    const command = [...inside, process.execPath, join(HERE, 'dist/native/player.js'), '--lobby', lobby.url ?? lobby, '--json', '--bot', ...words];
    this.child = spawn(command[0], command.slice(1), {stdio: ['pipe', 'pipe', 'pipe'], env: {...process.env, PLAYER_STDIN: '1'}});
    createInterface(this.child.stdout).on('line', line => {
      this.events.push(JSON.parse(line));
      if (this.events.length > 2000) this.events.splice(0, 1000);
    });
    this.child.stderr.on('data', data => { this.errors = (this.errors + data).slice(-4000); });
    this.ended = new Promise(done => this.child.once('exit', (code, signal) => done(code ?? signal)));
  }
  last(event) {
    return this.events.findLast(one => one.event === event);
  }
  has(event, fields) {
    return this.events.find(one => one.event === event && Object.entries(fields).every(([name, value]) => one[name] === value));
  }
  async code() {
    return (await until('a room', () => this.last('room'))).code;
  }
  async session() {
    return until('a session', () => this.last('session'));
  }
  // The other players are connected, and packets of each have come.
  async plays(others = 1, more = () => true) {
    return until(`${others} connected`, () => {
      const state = this.last('state');
      const good = (state?.players ?? []).filter(one => one.state === 'connected' && one.received > 30 && more(one));
      return good.length >= others && state;
    }, 20_000).catch(error => { throw new Error(`${error.message}\n${JSON.stringify(this.events.slice(-3))}\n${this.errors}`); });
  }
  say(text) {
    this.child.stdin.write(`${text}\n`);
  }
  async stop() {
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 4000);
    const code = await this.ended;
    clearTimeout(late);
    return code;
  }
}

// One call, as from the command line: {answer, error, events}.
export async function call(lobby, method, message = {}, {protocol = 'grpc', count} = {}) {
  const words = [join(HERE, 'dist/native/call.js'), '--lobby', lobby.url, '--protocol', protocol, ...(count ? ['--count', String(count)] : []), `lobby.v1.Lobby/${method}`, JSON.stringify(message)];
  const child = spawn(process.execPath, words, {stdio: ['ignore', 'pipe', 'pipe']});
  let output = '', errors = '';
  child.stdout.on('data', data => { output += data; });
  child.stderr.on('data', data => { errors += data; });
  const code = await new Promise(done => child.once('exit', done));
  const events = output.split('\n').filter(Boolean).map(line => JSON.parse(line));
  return {code, answer: events[0], events, error: code ? JSON.parse(errors) : null};
}
