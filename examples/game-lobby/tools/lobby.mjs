// lobby.mjs: starts the lobby of dist/ beside relays.
import {spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {TENANT} from './relay.mjs';

export const HERE = resolve(dirname(fileURLToPath(import.meta.url)), '..');

// The environment by which a lobby mints at these relays' API.
export const minting = (...relays) => ({RELAY_API: relays.map(relay => relay.api).join(), RELAY_API_KEY: relays.map(relay => relay.key).join(), RELAY_TENANT: TENANT});

// inside: words before the command, such as ip netns exec NAME.
export async function startLobby({relays, listen = '127.0.0.1:0', env = {}, inside = [], log}) {
  const settings = {LOBBY_SECRET: randomBytes(32).toString('hex'), ...(relays ? minting(...relays) : {}), ...env, LOBBY_LISTEN: listen};
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LOBBY|RELAY)/.test(name)));
  const words = [...inside, process.execPath, join(HERE, 'dist/server/main.js')];
  const child = spawn(words[0], words.slice(1), {env: {...clean, ...settings}, stdio: ['ignore', 'pipe', 'pipe']});
  let said = '';
  const ended = new Promise(done => child.once('exit', (code, signal) => done(code ?? signal)));
  const url = await new Promise((done, failed) => {
    const hear = data => {
      if (log) log(String(data));
      said = (said + data).slice(-100_000);
      const found = / serving url="([^"]*)"/.exec(said);
      if (found) done(found[1]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    ended.then(code => failed(new Error(`the lobby ended with ${code}:\n${said}`)));
  });
  const end = async signal => {
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    const code = await ended;
    clearTimeout(late);
    return code;
  };
  return {
    url, pid: child.pid, settings, ended, log: () => said,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    // another process at the same address, with the same secret
    again: async () => startLobby({listen: new URL(url).host, env: settings, inside, log}),
  };
}
