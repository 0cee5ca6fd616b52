// player.ts: a player without a browser: the lobby over gRPC, the match over WebRTC in plain JavaScript (werift).
//
//     npm run -s player -- --room CODE [--name ann] [--lobby URL] [--protocol grpc|grpc-web|connect] [--create SEATS] [--bot] [--relay] [--transport udp|tcp] [--json] [--say TEXT]
//
// On a terminal it draws the match, and the arrow keys move the paddle (Enter: say something, q: leave); with --json, or without a terminal, it prints a line of JSON a second.
import {readFileSync} from 'node:fs';
import {createInterface, emitKeypressEvents} from 'node:readline';
import {parseArgs} from 'node:util';
import {createClient} from '@connectrpc/connect';
import {Lobby, Transport} from '../gen/lobby/v1/lobby_pb.js';
import {HZ} from '../client/game.js';
import {Match, type Notice, type View} from '../client/match.js';
import {draw} from './screen.js';
import {werift} from './werift.js';
import {PROTOCOLS, wireTo, type Protocol} from './wire.js';

const TRANSPORTS: Record<string, Transport> = {udp: Transport.UDP, tcp: Transport.TCP};

const {values} = parseArgs({options: {
  lobby: {type: 'string', default: process.env.LOBBY ?? 'http://127.0.0.1:8090'}, protocol: {type: 'string', default: 'grpc'}, ca: {type: 'string'},
  room: {type: 'string'}, session: {type: 'string'}, create: {type: 'string'}, name: {type: 'string', default: process.env.USER ?? 'terminal'},
  bot: {type: 'boolean', default: false}, relay: {type: 'boolean', default: false}, transport: {type: 'string', default: 'udp'}, json: {type: 'boolean', default: false},
  say: {type: 'string', multiple: true, default: []}, for: {type: 'string', default: '0'},
}});

function fail(text: string): never {
  console.error(`player: ${text}`);
  process.exit(2);
}
if (!(PROTOCOLS as readonly string[]).includes(values.protocol)) fail(`--protocol: one of ${PROTOCOLS.join(', ')} expected`);
if (!TRANSPORTS[values.transport]) fail('--transport: udp or tcp expected');
if (!values.room && !values.session && !values.create) fail('--room CODE, or --create SEATS, or --session TOKEN expected');

const wire = wireTo(values.lobby, values.protocol as Protocol, values.ca ? {ca: readFileSync(values.ca, 'utf8')} : {});
const isScreen = !values.json && process.stdout.isTTY === true;
const said: string[] = [];
const put = (event: string, fields: object) => { if (!isScreen) process.stdout.write(`${JSON.stringify({event, ...fields})}\n`); };
console.log = console.error; // what werift says is no event

const view: View = {
  changed: () => {},
  chat: (from, text) => { said.push(`${from}: ${text}`); put('chat', {from, text}); },
  notice: (notice: Notice) => {
    said.push(`* ${notice.title} ${notice.text}`);
    put('notice', {title: notice.title, text: notice.text, tone: notice.tone});
  },
  track: () => {},
  session: token => { if (token) put('session', {token, code: match.welcome_?.code, peer: match.welcome_?.you?.id, seat: match.welcome_?.you?.seat}); },
};

let code = values.room ?? '', hostKey = '';
if (values.create) {
  const room = await createClient(Lobby, wire).createRoom({name: `${values.name}'s match`, seats: Number(values.create)});
  ({code, hostKey} = room);
  put('room', {code});
}
const match = new Match(wire, {code, hostKey, name: values.name, native: true, transports: [TRANSPORTS[values.transport]!], policy: values.relay ? 'relay' : 'all',
  ...(values.session ? {session: values.session} : {})}, werift(values.transport), view);

const ticker = setInterval(() => {
  if (values.bot) match.game?.bot();
  match.tick();
}, 1000 / HZ);

const reporter = setInterval(async () => {
  await match.measure();
  if (match.lobbyState === 'joined' && match.over) return;
  put('state', {
    lobby: match.lobbyState, relay: match.relay, ball: match.game?.ball,
    players: [...match.links].map(([id, link]) => {
      const player = match.game?.players.get(id), path = match.paths.get(id);
      return {id, name: link.peer.name, state: link.state, generation: link.generation, received: player?.received ?? 0, lost: player?.lost ?? 0, rttMs: player?.rttMs ?? null, path: path?.kind, pair: path?.pair};
    }),
  });
}, isScreen ? 500 : 250);

const painter = isScreen ? setInterval(() => process.stdout.write(draw(match, said)), 66) : undefined;

let leaving: Promise<void> | undefined;
async function leave(): Promise<void> {
  for (const timer of [ticker, reporter, painter]) clearInterval(timer);
  if (isScreen) process.stdout.write('\x1b[?25h\x1b[?1049l');
  await (leaving ??= match.leave());
  process.exit(0);
}
process.once('SIGINT', leave);
process.once('SIGTERM', leave);
if (Number(values.for)) setTimeout(leave, Number(values.for) * 1000);
for (const text of values.say) match.say(text);
// what comes in at a pipe is said
if (!process.stdin.isTTY && process.env.PLAYER_STDIN) createInterface(process.stdin).on('line', text => (text === '/leave' ? void leave() : match.say(text)));

if (isScreen && process.stdin.isTTY) {
  let typed: string | null = null;
  process.stdout.write('\x1b[?1049h\x1b[?25l');
  emitKeypressEvents(process.stdin);
  process.stdin.setRawMode(true);
  process.stdin.on('keypress', (text: string | undefined, key: {name?: string; ctrl?: boolean}) => {
    if (key.ctrl && key.name === 'c') return void leave();
    if (key.name === 'return') {
      if (typed) { match.say(typed); said.push(`you: ${typed}`); }
      typed = typed === null ? '' : null;
    } else if (typed !== null) typed = key.name === 'backspace' ? typed.slice(0, -1) : typed + (text ?? '');
    else if (key.name === 'q') return void leave();
    else if (match.game && ['up', 'left'].includes(key.name ?? '')) match.game.paddle = Math.max(-1, match.game.paddle - 0.12);
    else if (match.game && ['down', 'right'].includes(key.name ?? '')) match.game.paddle = Math.min(1, match.game.paddle + 0.12);
  });
}

await match.run();
await leaving;
for (const timer of [ticker, reporter, painter]) clearInterval(timer);
if (isScreen) process.stdout.write(`\x1b[?25h\x1b[?1049l${said.at(-1) ?? ''}\n`);
process.exit(match.over && !said.at(-1)?.startsWith('* ') ? 0 : 1);
