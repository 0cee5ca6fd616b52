// page.ts: the page of the lobby: a view of client/match.ts.
import {Code, ConnectError, createClient} from '@connectrpc/connect';
import {createConnectTransport, createGrpcWebTransport} from '@connectrpc/connect-web';
import {Match, type Notice, type View} from '../client/match.js';
import type {Kind} from '../client/link.js';
import {Lobby, Transport} from '../gen/lobby/v1/lobby_pb.js';
import {along, draw, seatColor} from './draw.js';

const TRANSPORTS: Record<string, Transport[]> = {auto: [], udp: [Transport.UDP], tcp: [Transport.TCP], tls: [Transport.TLS]};
const STEP = 0.05; // of a paddle, in a sixtieth of a second
const MEASURE_MS = 500;
const NOTICE_MS = 5000;
const CHAT_MAX = 200;

const $ = <E extends HTMLElement>(selector: string) => document.querySelector<E>(selector)!;
const home = $('#home'), place = $('#match'), arena = $<HTMLCanvasElement>('#arena'), notices = $('#notices');
const createForm = $<HTMLFormElement>('#create'), joinForm = $<HTMLFormElement>('#join'), chatForm = $<HTMLFormElement>('#chat');
const kept = {get: (name: string) => sessionStorage.getItem(name) ?? '', set: (name: string, value: string) => (value ? sessionStorage.setItem(name, value) : sessionStorage.removeItem(name))};
const field = (form: HTMLFormElement, name: string) => form.elements.namedItem(name) as HTMLInputElement;

const browser: Kind = {make: config => new RTCPeerConnection(config), trickles: true};

let match: Match | null = null;
let bot = false;
let camera: MediaStreamTrack | null = null;
const keys = new Set<string>();
const videos = new Map<string, HTMLVideoElement>();

const wireOf = (protocol: string) => (protocol === 'grpc-web' ? createGrpcWebTransport({baseUrl: location.origin}) : createConnectTransport({baseUrl: location.origin}));
const lobby = () => createClient(Lobby, wireOf(field(joinForm, 'protocol').value));

function element<K extends keyof HTMLElementTagNameMap>(name: K, properties: Partial<HTMLElementTagNameMap[K]> = {}, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// ---- notices ----

// One of a key at a time; what is bad stays until it is closed, or is good again.
function notice({tone, title, text, key}: Notice): void {
  notices.querySelector(`[data-key="${key}"]`)?.remove();
  if (tone === 'good') notices.querySelector('[data-key="relay"]')?.remove();
  const close = element('button', {textContent: '✕', title: 'Close'});
  const made = element('div', {className: `notice ${tone}`}, element('span', {}, element('b', {textContent: title}), text ? ` – ${text}` : ''), close);
  made.dataset.key = key;
  close.onclick = () => made.remove();
  notices.append(made);
  while (notices.children.length > 4) notices.firstElementChild!.remove();
  if (tone !== 'bad') setTimeout(() => made.remove(), NOTICE_MS);
}

const failed = (error: unknown) => notice({tone: 'bad', key: 'end', title: 'The lobby says no', text: ConnectError.from(error).rawMessage});

// ---- the match as it is seen ----

const view: View = {
  changed: show,
  notice: one => {
    notice(one);
    if (one.final) close();
  },
  chat: (from, text) => say(from, text),
  session: token => kept.set('session', token),
  track: (id, track) => {
    const video = videos.get(id) ?? element('video', {autoplay: true, muted: true, playsInline: true});
    video.srcObject = new MediaStream([track]);
    video.dataset.peer = id;
    videos.set(id, video);
    track.onmute = () => { video.closest('figure')?.remove(); videos.delete(id); showVideos(); };
    track.onunmute = () => { videos.set(id, video); showVideos(); };
    showVideos();
  },
};

function showVideos(): void {
  const box = $('#videos');
  for (const [id, video] of videos) {
    if (id !== 'me' && !match?.links.has(id)) {
      video.closest('figure')?.remove();
      videos.delete(id);
    } else if (!video.isConnected) {
      box.append(element('figure', {}, video, element('figcaption', {textContent: id === 'me' ? 'You' : match?.names.get(id) ?? ''})));
      void video.play().catch(() => {});
    }
  }
  for (const figure of box.querySelectorAll('figure')) if (![...videos.values()].includes(figure.querySelector('video')!)) figure.remove();
  box.hidden = !videos.size;
}

function say(from: string, text: string): void {
  const list = chatForm.querySelector('ol')!;
  list.append(element('li', {}, element('b', {textContent: `${from}: `}), text));
  while (list.children.length > CHAT_MAX) list.firstElementChild!.remove();
  list.scrollTop = list.scrollHeight;
}

const size = (bytes: number) => (bytes < 1e4 ? `${bytes} B` : bytes < 1e7 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

// The row of one player: the dataset is for programs, the rest for people.
function row(id: string): HTMLLIElement {
  const {links, game, paths, welcome_: welcome} = match!;
  const link = links.get(id)!, player = game?.players.get(id), path = paths.get(id), {seat, name} = link.peer;
  const isUp = link.state === 'connected' && path && path.kind !== 'none';
  const badge = element('span', {className: `badge ${isUp ? path.kind : link.state}`, textContent: isUp ? `${path.kind} · ${path.transport.toUpperCase()}` : link.state});
  const dot = element('span', {className: 'dot'});
  dot.style.background = seatColor(seat);
  const head = element('div', {className: 'who'}, dot, element('b', {textContent: name}), badge, element('span', {className: 'score', textContent: `${game?.ball.misses[seat] ?? 0} missed`}));
  if (welcome?.host) head.append(element('button', {textContent: 'Remove', onclick: () => void match?.session.remove(id).catch(failed)}));
  const numbers = element('dl', {className: 'numbers'});
  const rtt = player?.rttMs ?? NaN, loss = player?.lost ?? 0;
  for (const [title, value] of [['RTT', Number.isNaN(rtt) ? '–' : `${rtt.toFixed(0)} ms`], ['Loss', `${(loss * 100).toFixed(1)} %`], ['In', size(path?.bytesIn ?? 0)], ['Out', size(path?.bytesOut ?? 0)]] as const)
    numbers.append(element('dt', {textContent: title}), element('dd', {textContent: value}));
  const made = element('li', {}, head, numbers, element('p', {className: 'pair', textContent: path?.pair ?? ''}));
  Object.assign(made.dataset, {peer: id, name, state: link.state, kind: path?.kind ?? 'none', transport: path?.transport ?? '', pair: path?.pair ?? '', bytesIn: String(path?.bytesIn ?? 0),
    received: String(player?.received ?? 0), lost: String(loss), rtt: String(rtt), frames: String(path?.frames ?? 0), generation: String(link.generation), seat: String(seat)});
  return made;
}

function show(): void {
  if (!match) return;
  const {welcome_: welcome, me, game} = match;
  $('#where').hidden = !welcome;
  if (welcome) $('#code').textContent = welcome.code;
  $('#lobby').textContent = {joined: '', joining: 'joining …', away: 'lobby away: the match goes on'}[match.lobbyState] ?? '';
  $('#relay').textContent = match.relay || '–';
  $<HTMLInputElement>('#force').checked = match.forced;
  const dot = element('span', {className: 'dot'});
  dot.style.background = seatColor(me?.seat ?? 0);
  const mine = element('li', {}, element('div', {className: 'who'}, dot, element('b', {textContent: me?.name ?? '…'}), element('span', {className: 'badge', textContent: welcome?.host ? 'you, host' : 'you'}),
    element('span', {className: 'score', textContent: `${game?.ball.misses[me?.seat ?? 0] ?? 0} missed`})));
  if (!document.querySelector('#players button:active')) $('#players ul').replaceChildren(mine, ...[...match.links.keys()].map(row));
  const waiting = welcome && !match.links.size ? `Waiting for others: tell them the code ${welcome.code}` : '';
  $('#waiting').textContent = waiting;
  Object.assign(place.dataset, {seat: String(me?.seat ?? ''), peer: me?.id ?? '', lobby: match.lobbyState, relay: match.relay, refreshes: String(match.refreshes), ball: JSON.stringify(game?.ball ?? null), packets: String(game?.sent ?? 0)});
  showVideos();
}

// ---- coming and going ----

function open(wish: {code?: string; hostKey?: string; session?: string; name?: string}): void {
  const transport = field(joinForm, 'transport').value;
  kept.set('protocol', field(joinForm, 'protocol').value);
  match = new Match(wireOf(field(joinForm, 'protocol').value), {...wish, transports: TRANSPORTS[transport]!, policy: field(joinForm, 'force').checked ? 'relay' : 'all'}, browser, view);
  $<HTMLSelectElement>('#transport').value = transport;
  home.hidden = true;
  place.hidden = false;
  notices.replaceChildren();
  chatForm.querySelector('ol')!.replaceChildren();
  void match.run();
  arena.focus();
}

function close(): void {
  match = null;
  video(null);
  videos.clear();
  $('#videos').replaceChildren();
  $('#where').hidden = true;
  home.hidden = false;
  place.hidden = true;
  history.replaceState(null, '', location.pathname + location.search);
  void look();
}

async function look(): Promise<void> {
  const list = $('#rooms');
  try {
    const {rooms} = await lobby().listRooms({});
    list.replaceChildren(...rooms.map(room => {
      const button = element('button', {type: 'button', onclick: () => { field(joinForm, 'code').value = room.code; joinForm.requestSubmit(); }},
        element('span', {textContent: room.name}), element('span', {textContent: `${room.players}/${room.seats}`}));
      return element('li', {}, button);
    }));
    if (!rooms.length) list.append(element('li', {textContent: 'None just now.'}));
  } catch (error) {
    const {code} = ConnectError.from(error);
    list.replaceChildren(element('li', {textContent: code === Code.ResourceExhausted ? 'Slowly, please.' : 'The lobby does not answer.'}));
  }
}

function video(track: MediaStreamTrack | null): void {
  camera?.stop();
  camera = track;
  match?.show(track);
  const mine = videos.get('me');
  mine?.closest('figure')?.remove();
  videos.delete('me');
  if (track) videos.set('me', element('video', {autoplay: true, muted: true, playsInline: true, srcObject: new MediaStream([track])}));
  $('#camera').setAttribute('aria-pressed', String(Boolean(track)));
  $('#camera').textContent = track ? 'Video off' : 'Video on';
  showVideos();
}

// The camera; of who has none, or is not on https, the game as he sees it.
async function film(): Promise<MediaStreamTrack> {
  const stream = await navigator.mediaDevices?.getUserMedia({video: {width: 320, height: 180, frameRate: 15}}).catch(() => null);
  return (stream ?? arena.captureStream(15)).getVideoTracks()[0]!;
}

createForm.onsubmit = async event => {
  event.preventDefault();
  const name = field(createForm, 'name').value;
  const seats = Number(new FormData(createForm).get('seats'));
  try {
    const {code, hostKey} = await lobby().createRoom({name: field(createForm, 'room').value, seats, listed: field(createForm, 'listed').checked});
    localStorage.setItem('name', name);
    open({code, hostKey, name});
  } catch (error) {
    failed(error);
  }
};
joinForm.onsubmit = event => {
  event.preventDefault();
  const name = field(joinForm, 'name').value;
  localStorage.setItem('name', name);
  open({code: field(joinForm, 'code').value, name});
};
chatForm.onsubmit = event => {
  event.preventDefault();
  const input = chatForm.querySelector('input')!;
  if (!input.value || !match) return;
  match.say(input.value);
  say('You', input.value);
  input.value = '';
};
$('#look').onclick = () => void look();
$('#leave').onclick = () => { void match?.leave(); close(); };
$('#force').onchange = () => match?.force($<HTMLInputElement>('#force').checked);
$('#transport').onchange = () => void match?.choose(TRANSPORTS[$<HTMLSelectElement>('#transport').value]!).catch(failed);
$('#camera').onclick = async () => video(camera ? null : await film());
$('#bot').onclick = () => { bot = !bot; $('#bot').setAttribute('aria-pressed', String(bot)); };
$('#code').onclick = () => void navigator.clipboard?.writeText(`${location.origin}/#${match?.welcome_?.code ?? ''}`).then(() => notice({tone: 'info', key: 'copied', title: 'The link is copied', text: ''}));
arena.onpointermove = arena.onpointerdown = event => {
  if (match?.game) match.game.paddle = along(arena, event, match.game.seat);
};
addEventListener('keydown', event => {
  if (!match || (event.target as HTMLElement).closest('input, select')) return;
  if (event.key.startsWith('Arrow')) event.preventDefault();
  keys.add(event.key);
});
addEventListener('keyup', event => keys.delete(event.key));
addEventListener('online', () => match?.session.rejoin());

function move(): void {
  const {game} = match!;
  if (!game) return;
  if (bot) return game.bot();
  const back = keys.has('ArrowUp') || keys.has('ArrowLeft') || keys.has('w') || keys.has('a'), on = keys.has('ArrowDown') || keys.has('ArrowRight') || keys.has('s') || keys.has('d');
  game.paddle = Math.max(-1, Math.min(1, game.paddle + (on ? STEP : 0) - (back ? STEP : 0)));
}

new Worker('ticker.js', {type: 'module'}).onmessage = () => {
  if (!match) return;
  move();
  match.tick();
};
setInterval(() => {
  if (match) void match.measure().then(show);
}, MEASURE_MS);
function paint(): void {
  if (match?.game) draw(arena, match.game, Math.round(performance.now()) + 1);
  requestAnimationFrame(paint);
}
requestAnimationFrame(paint);

// who reloads comes back; who was given a link finds the code there
const given = new URLSearchParams(location.search);
for (const name of ['protocol', 'transport'] as const) if (given.get(name)) field(joinForm, name).value = given.get(name)!;
if (!given.get('protocol') && kept.get('protocol')) field(joinForm, 'protocol').value = kept.get('protocol');
field(joinForm, 'force').checked = given.has('force');
for (const form of [createForm, joinForm]) field(form, 'name').value = given.get('name') ?? localStorage.getItem('name') ?? '';
field(joinForm, 'code').value = location.hash.slice(1);
if (kept.get('session')) open({session: kept.get('session')});
else void look();
