// relay.mjs: a relay for players alone, in a temporary directory: policies/room.lua, a tenant, a key for the lobby, and a certificate made on the spot.
import {execFile, spawn} from 'node:child_process';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import {createSocket} from 'node:dgram';
import {tmpdir} from 'node:os';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';

const run = promisify(execFile);
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const BINARY = resolve(ROOT, process.env.RELAY ?? join(process.env.B ?? 'build', 'relay'));
export const TENANT = 'studio';

const listens = (host, port) => new Promise(done => {
  const tcp = createServer().once('error', () => done(false)).listen(port, host, () => {
    const udp = createSocket('udp4').once('error', () => tcp.close(() => done(false)));
    udp.bind(port, host, () => udp.close(() => tcp.close(() => done(true))));
  });
});

// Free for TCP and UDP, below those that the kernel gives to clients.
export async function freePort(host = '127.0.0.1') {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000);
    if (await listens(host, port)) return port;
  }
}

// host: where it listens and relays. lines: more of its configuration. tenant: fields of the tenant. inside: words before the command, such as ip netns exec NAME.
export async function startRelay({host = '127.0.0.1', lines = [], tenant = [], port, tlsPort, adminPort, secret, keep, log, inside = []} = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'game-lobby-relay-'));
  const at = name => join(directory, name);
  const relay = (...words) => run(BINARY, words, {cwd: directory});
  const port_ = async (usual, at) => (inside.length ? usual : freePort(at)); // in a network of its own all are free
  port ??= await port_(3478, host);
  tlsPort ??= await port_(5349, host);
  adminPort ??= await port_(8080, '127.0.0.1');
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${host}`, '-addext', `subjectAltName=IP:${host}`,
    '-keyout', at('key.pem'), '-out', at('cert.pem')]);
  await relay('tenant', 'set', '--userdb', 'relay.db', TENANT, 'status=active', ...tenant);
  const key = (await relay('key', 'add', '--userdb', 'relay.db', '--tenant', TENANT, '--scope', 'mint,admin', '--name', 'lobby')).stdout.trim();
  await relay('secret', 'new', 'mint.secret');
  const policies = secret ? ['rest_secret.lua', 'room.lua'] : ['room.lua'];
  if (secret) await writeFile(at('rest'), `${secret}\n`, {mode: 0o600});
  await writeFile(at('relay.conf'), [
    `listening-ip=${host}`, `relay-ip=${host}`, `listening-port=${port}`, `tls-listening-port=${tlsPort}`, 'realm=game.example', `public-host=${host}`,
    'userdb=relay.db', 'mint-secret-file=mint.secret', `admin-listen=127.0.0.1:${adminPort}`, 'admin-socket=door', 'cert=cert.pem', 'pkey=key.pem', 'fingerprint',
    `lua-dir=${ROOT}/lua`, ...policies.map(name => `policy=${ROOT}/policies/${name}`), `set=room.from=${secret ? 'user' : 'credential'}`, ...(secret ? ['secret=rest=rest'] : []),
    'log-file=stderr', ...lines, ''].join('\n'));
  let said = '';
  const words = [...inside, BINARY, '-c', 'relay.conf', '--pidfile', 'relay.pid'];
  const child = spawn(words[0], words.slice(1), {cwd: directory, stdio: ['ignore', 'ignore', 'pipe']});
  child.stderr.on('data', data => { if (log) log(String(data)); said = (said + data).slice(-200_000); });
  const ended = new Promise(done => child.once('exit', (code, signal) => done(code ?? signal)));
  let over = false;
  ended.then(() => { over = true; });
  for (let i = 0; !(await readFile(at('relay.pid'), 'utf8').catch(() => '')); i++) {
    if (over || i > 400) throw new Error(`the relay does not serve:\n${said}`);
    await new Promise(done => setTimeout(done, 25));
  }
  const api = `http://127.0.0.1:${adminPort}`;
  return {
    host, port, tlsPort, api, key, directory, pid: child.pid, ended,
    certificate: at('cert.pem'),
    urls: [`turn:${host}:${port}?transport=udp`, `turn:${host}:${port}?transport=tcp`, `turns:${host}:${tlsPort}?transport=tcp`],
    log: () => said,
    command: async (...words) => (await relay(...words)).stdout,
    // what the operator asks of the door
    ask: async (method, path, body) => {
      const answer = await fetch(api + path, {method, headers: {authorization: `Bearer ${key}`, 'content-type': 'application/json'}, ...(body ? {body: JSON.stringify(body)} : {})});
      return {status: answer.status, body: await answer.json().catch(() => null)};
    },
    stop: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      const code = await ended;
      clearTimeout(late);
      if (!keep) await rm(directory, {recursive: true, force: true});
      return code;
    },
  };
}
