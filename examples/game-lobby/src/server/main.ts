// main.ts: one process, one port: Connect, gRPC-Web and gRPC, over HTTP/1.1 and HTTP/2, and the page.
//
// With a certificate ALPN tells HTTP/2 from 1.1. Without one, who begins with HTTP/2's preface ("PRI * HTTP/2.0") speaks HTTP/2, as gRPC does over plain TCP (h2c with prior
// knowledge), and everybody else HTTP/1.1, as browsers do.
import {readFileSync} from 'node:fs';
import {createServer as createHttp1, type IncomingMessage, type ServerResponse} from 'node:http';
import {createSecureServer, createServer as createHttp2, type Http2ServerRequest} from 'node:http2';
import {createServer as createTcp, type Server, type Socket} from 'node:net';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {cors, createContextValues} from '@connectrpc/connect';
import {connectNodeAdapter} from '@connectrpc/connect-node';
import {Lobby as LobbyService} from '../gen/lobby/v1/lobby_pb.js';
import {ConfigError, configOf, help, type Config} from './config.js';
import {household} from './limits.js';
import {ADDRESS, Lobby} from './lobby.js';
import {servePage} from './page.js';

// Node's two kinds are used as far as they are alike
type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse;
type Handler = (request: Request, response: Response) => void;

const PREFACE = 'PRI * HTTP/2.0';
const MESSAGE_MAX = 64 * 1024;
const HELLO_MS = 10_000; // until who connects says something
const STOP_MS = 500;

function log(event: string, fields: Record<string, unknown> = {}): void {
  console.log([new Date().toISOString(), event, ...Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`)].join(' '));
}

// The address that asks: behind trusted proxies the one that the outermost of them saw.
function addressOf(request: Request, proxies: number): string {
  const direct = request.socket.remoteAddress ?? '';
  if (!proxies) return household(direct);
  const said = String(request.headers['x-forwarded-for'] ?? '').split(',').map(part => part.trim()).filter(Boolean);
  return household(said[said.length - proxies] ?? direct);
}

// null: no page of another host asks. false: one asks that may not.
function originOf(request: Request, allowed: string[]): string | null | false {
  const {origin} = request.headers;
  if (!origin) return null;
  const host = request.headers[':authority'] ?? request.headers.host;
  if (URL.canParse(origin) && new URL(origin).host === host) return null;
  return allowed.includes(origin) && origin;
}

function allow(response: Response, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'origin');
  response.setHeader('access-control-allow-methods', cors.allowedMethods.join());
  response.setHeader('access-control-allow-headers', cors.allowedHeaders.join());
  response.setHeader('access-control-expose-headers', cors.exposedHeaders.join());
  response.setHeader('access-control-max-age', '7200');
}

function say(response: Response, status: number, text: string): void {
  response.writeHead(status, {'content-type': 'text/plain; charset=utf-8'});
  response.end(text);
}

function numbers(lobby: Lobby): string {
  const memory = process.memoryUsage();
  return Object.entries({rooms: lobby.rooms.byCode.size, players: lobby.rooms.members, streams: lobby.streams, events_total: lobby.events,
    heap_bytes: memory.heapUsed, resident_bytes: memory.rss}).map(([name, value]) => `lobby_${name} ${value}\n`).join('');
}

function handlerOf(config: Config, lobby: Lobby): Handler {
  const rpc = connectNodeAdapter({
    routes: router => void router.service(LobbyService, lobby.service()),
    readMaxBytes: MESSAGE_MAX,
    compressMinBytes: MESSAGE_MAX, // no answer is worth it
    contextValues: request => createContextValues().set(ADDRESS, addressOf(request, config.LOBBY_TRUST_PROXY)),
    fallback: (request, reply) => {
      const response = reply as Response;
      const path = (request.url ?? '/').split('?')[0]!;
      if (request.method !== 'GET' && request.method !== 'HEAD') return say(response, 405, 'GET expected\n');
      if (path === '/livez') return say(response, 200, 'ok\n');
      if (path === '/metrics' && /^(::ffff:)?127\.|^::1$/.test(request.socket.remoteAddress ?? '') && !config.LOBBY_TRUST_PROXY) return say(response, 200, numbers(lobby));
      return servePage(path, response, join(dirname(fileURLToPath(import.meta.url)), '../page'));
    },
  });
  return (request, response) => {
    const origin = originOf(request, config.LOBBY_ORIGINS);
    if (origin === false) return say(response, 403, 'pages of this origin may not ask: LOBBY_ORIGINS\n');
    if (origin) {
      allow(response, origin);
      if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    }
    // Connect waits until a slow reader has taken what was written, even if he is gone: his Join would never end
    response.once('close', () => response.emit('drain'));
    rpc(request, response);
  };
}

// One port without TLS: the first bytes tell.
function plain(handler: Handler): Server {
  const http1 = createHttp1(handler), http2 = createHttp2(handler as never);
  return createTcp((socket: Socket) => {
    socket.setNoDelay(true);
    const late = setTimeout(() => socket.destroy(), HELLO_MS);
    let hello = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clearTimeout(late));
    const look = () => {
      for (let chunk; (chunk = socket.read() as Buffer | null); ) hello = Buffer.concat([hello, chunk]);
      if (!hello.length || (hello.length < PREFACE.length && PREFACE.startsWith(hello.toString('latin1')))) return;
      clearTimeout(late);
      socket.off('readable', look);
      socket.unshift(hello);
      (hello.toString('latin1').startsWith(PREFACE) ? http2 : http1).emit('connection', socket);
    };
    socket.on('readable', look);
  });
}

function listen(config: Config, handler: Handler): Server {
  const server = config.LOBBY_CERT
    ? createSecureServer({cert: readFileSync(config.LOBBY_CERT), key: readFileSync(config.LOBBY_PKEY), allowHTTP1: true}, handler as never)
    : plain(handler);
  const colon = config.LOBBY_LISTEN.lastIndexOf(':');
  const host = config.LOBBY_LISTEN.slice(0, colon).replace(/^\[|\]$/g, ''), port = Number(config.LOBBY_LISTEN.slice(colon + 1));
  server.on('error', error => { console.error(`lobby: LOBBY_LISTEN: ${error.message}`); process.exit(1); });
  server.listen(port, host, () => {
    const at = server.address() as {port: number};
    log('serving', {url: `${config.LOBBY_CERT ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${at.port}`});
  });
  return server;
}

function main(): void {
  if (process.argv.includes('--help')) {
    console.log(help());
    return;
  }
  const config = configOf(process.env);
  const lobby = new Lobby(config, log);
  const server = listen(config, handlerOf(config, lobby));
  // sessions are signed, so that whoever is here comes back to the next process: there is nothing to wait for
  const stop = () => {
    lobby.stop();
    server.close();
    setTimeout(() => process.exit(0), STOP_MS);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

try {
  main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`lobby: ${error.message}`);
  process.exit(1);
}
