// match.ts: a player in a match: the session with the lobby, a link to each other player, and the game. Pages and the native client are views of it.
import type {ConnectError, Transport as Wire} from '@connectrpc/connect';
import {Access, LeaveReason, RefreshReason, type Closed, type ExplainResponse, type IceGrant, type IceRefresh, type Peer, type Signal, type Transport, type Welcome} from '../gen/lobby/v1/lobby_pb.js';
import {Game} from './game.js';
import {Link, type Kind} from './link.js';
import type {Path} from './path.js';
import {Session, type Listener, type Wish} from './session.js';

export type Notice = {tone: 'good' | 'info' | 'bad'; title: string; text: string; key: string; final?: boolean};

export interface View {
  changed(): void; // who is here, and how
  chat(from: string, text: string): void;
  notice(notice: Notice): void;
  track(peerId: string, track: MediaStreamTrack): void;
  session(token: string): void; // to be kept for a reload; '': to be forgotten
}

const ERROR_QUIET_MS = 2000; // between two questions of why
const UNREACHED = 701; // of icecandidateerror: the relay did not answer

export class Match implements Listener {
  readonly session: Session;
  readonly links = new Map<string, Link>();
  readonly names = new Map<string, string>();
  readonly paths = new Map<string, Path>();
  readonly candidateErrors: {code: number; text: string; url: string}[] = [];
  game: Game | null = null;
  me: Peer | null = null;
  welcome_: Welcome | null = null;
  lobbyState = 'joining';
  lobbyWhy = '';
  relay = '';
  refreshes = 0;
  access = Access.UNSPECIFIED;
  over = false;
  private iceServers: RTCIceServer[] = [];
  private policy: RTCIceTransportPolicy;
  private video: MediaStreamTrack | null = null;
  private asked = 0;
  private asking: ReturnType<typeof setTimeout> | undefined;

  constructor(wire: Wire, wish: Wish & {policy?: RTCIceTransportPolicy}, private readonly kind: Kind, private readonly view: View) {
    this.policy = wish.policy ?? 'all';
    this.session = new Session(wire, wish, this);
  }

  run(): Promise<void> {
    return this.session.run();
  }

  // ---- what the lobby says ----

  welcome(welcome: Welcome): void {
    this.welcome_ = welcome;
    this.view.session(welcome.session);
    if (welcome.ice) this.adopt(welcome.ice);
    if (!this.me || this.me.seat !== welcome.you!.seat) this.game = Object.assign(new Game(welcome.you!.seat), {paddle: this.game?.paddle ?? 0});
    this.me = welcome.you!;
    if (!welcome.resumed) {
      // after a restart of the lobby the others come back one by one: who is still connected stays
      const here = new Set(welcome.peers.map(peer => peer.id));
      for (const [id, link] of this.links) if (!here.has(id) && link.state !== 'connected') this.drop(id);
      for (const peer of welcome.peers) this.peerJoined(peer);
      for (const link of this.links.values()) if (!this.game!.players.has(link.peer.id)) this.game!.join(link.peer.id, link.peer.seat);
    }
    if (welcome.ice && !welcome.ice.iceServers.length) this.view.notice({tone: 'bad', key: 'relay', title: 'No relay', text: 'No relay serves now: only direct connections can be made.'});
    this.view.changed();
  }

  peerJoined(peer: Peer): void {
    this.names.set(peer.id, peer.name);
    const old = this.links.get(peer.id);
    if (old && old.peer.instance === peer.instance) return;
    if (old) this.drop(peer.id);
    this.game!.join(peer.id, peer.seat);
    this.links.set(peer.id, this.linkTo(peer));
    this.view.changed();
  }

  private linkTo(peer: Peer): Link {
    const link: Link = new Link(this.kind, this.me!, peer, {iceServers: this.iceServers, policy: this.policy}, {
      send: (body, generation) => this.session.signal(peer.id, peer.instance, generation, body),
      opened: () => this.view.changed(),
      state: state => this.onLink(peer, state),
      game: data => this.game!.take(peer.id, data, Math.round(performance.now()) + 1),
      chat: text => this.view.chat(peer.name, text),
      track: track => this.view.track(peer.id, track),
      candidateError: (code, text, url) => this.onCandidateError(code, text, url),
    });
    if (this.video) link.show(this.video);
    return link;
  }

  private drop(id: string): void {
    this.links.get(id)?.close();
    this.links.delete(id);
    this.paths.delete(id);
    this.game!.leave(id);
    this.view.changed();
  }

  peerLeft(id: string, reason: number): void {
    const link = this.links.get(id);
    // the lobby does not hear from him, but we do
    if (!link || (reason === LeaveReason.LOST && link.state === 'connected')) return;
    const why = {[LeaveReason.REMOVED]: 'was removed by the host', [LeaveReason.LOST]: 'is gone'}[reason] ?? 'has left';
    this.view.notice({tone: 'info', key: `left-${id}`, title: `${link.peer.name} ${why}`, text: ''});
    this.drop(id);
  }

  signal(signal: Signal): void {
    const link = this.links.get(signal.from);
    if (link && link.peer.instance === signal.instance) link.take(signal.body, signal.generation);
  }

  iceRefresh({ice, reason}: IceRefresh): void {
    this.refreshes++;
    if (!ice) return;
    this.view.notice(reason === RefreshReason.DRAINING ? {tone: 'info', key: 'relay', title: 'The relay is being serviced', text: 'The match moves to another one, and goes on.'}
      : {tone: 'info', key: 'relay', title: 'New relay credential', text: 'The old one ends soon.'});
    this.adopt(ice, true);
  }

  closed({reason}: Closed): void {
    const [title, text] = reason === LeaveReason.REMOVED ? ['You were removed', 'The host has put you out of this match.']
      : reason === LeaveReason.EXPIRED ? ['The room has ended', 'Its time is over. Create a new one to go on.'] : ['The match has ended', 'The lobby has let you go.'];
    this.finish({tone: 'bad', key: 'end', title, text, final: true});
  }

  refused(error: ConnectError): void {
    this.finish({tone: 'bad', key: 'end', title: 'The lobby says no', text: error.rawMessage, final: true});
  }

  state(state: 'joining' | 'joined' | 'away', why: string): void {
    this.lobbyState = state;
    this.lobbyWhy = why;
    this.view.changed();
  }

  private finish(notice: Notice): void {
    this.over = true;
    clearTimeout(this.asking);
    for (const id of [...this.links.keys()]) this.drop(id);
    this.session.end();
    this.view.session('');
    this.view.notice(notice);
    this.view.changed();
  }

  // ---- paths ----

  private adopt(grant: IceGrant, restart = false): void {
    const changed = this.relay !== '' && grant.relay !== this.relay;
    this.relay = grant.relay;
    this.iceServers = grant.iceServers.map(({urls, username, credential}) => (username ? {urls, username, credential} : {urls}));
    for (const link of this.links.values()) link.use({iceServers: this.iceServers, policy: this.policy}, restart || changed);
  }

  get forced(): boolean {
    return this.policy === 'relay';
  }

  force(relayOnly: boolean): void {
    this.policy = relayOnly ? 'relay' : 'all';
    this.renew();
  }

  // Old candidates outlive an ICE restart in browsers, and may be preferred: what is to be another path is another connection.
  private renew(): void {
    for (const link of this.links.values()) {
      link.use({iceServers: this.iceServers, policy: this.policy}, false);
      link.restart(true);
    }
  }

  async choose(transports: Transport[]): Promise<void> {
    const grant = await this.session.iceServers(transports);
    if (!grant) return;
    this.adopt(grant);
    this.renew();
  }

  show(track: MediaStreamTrack | null): void {
    this.video = track;
    for (const link of this.links.values()) link.show(track);
  }

  private onLink(peer: Peer, state: RTCPeerConnectionState): void {
    if (state === 'connected') {
      this.access = Access.GOOD;
      this.view.notice({tone: 'good', key: `link-${peer.id}`, title: `Connected to ${peer.name}`, text: ''});
    } else if (state === 'failed' || state === 'disconnected') {
      this.askWhy();
    }
    this.view.changed();
  }

  private onCandidateError(code: number, text: string, url: string): void {
    this.candidateErrors.push({code, text, url});
    if (this.candidateErrors.length > 50) this.candidateErrors.shift();
    if (code !== UNREACHED && code >= 300) this.askWhy();
    else if (![...this.links.values()].some(link => link.state === 'connected')) this.askWhy();
  }

  // The browser knows a number at most: the relay knows why, and tells the lobby.
  private askWhy(): void {
    if (this.asking || this.over) return;
    this.asking = setTimeout(async () => {
      this.asking = undefined;
      this.asked = Date.now();
      const told = await this.session.explain().catch(() => null);
      if (!this.over) this.explained(told);
    }, Math.max(200, this.asked + ERROR_QUIET_MS - Date.now()));
  }

  private explained(told: ExplainResponse | null): void {
    const first = told?.refusals[0], last = this.candidateErrors.at(-1);
    const detail = first ? `${first.code ? `${first.code}: ` : ''}${first.why}` : '';
    const isConnected = [...this.links.values()].some(link => link.state === 'connected');
    this.access = told?.access ?? Access.UNSPECIFIED;
    switch (told?.access) {
      case Access.REVOKED: return this.view.notice({tone: 'bad', key: 'relay', title: 'Your relay credential was revoked', text: `The operator has shut it out, and gives no new one. ${detail}`});
      case Access.KICKED: return this.view.notice({tone: 'bad', key: 'relay', title: 'You were kicked from the relay', text: `The operator ended your connection there. We try again. ${detail}`});
      case Access.QUOTA_FULL: return this.view.notice({tone: 'bad', key: 'relay', title: 'The relay is full', text: `The quota is used up. ${detail}`});
      case Access.EXPIRED: return this.view.notice({tone: 'bad', key: 'relay', title: 'Your relay credential has ended', text: detail});
    }
    if (isConnected || !last) return;
    const known: Record<number, [string, string]> = {
      401: ['The relay refuses the credential', 'It may have been revoked, or has ended.'], 486: ['The relay is full', 'The quota is used up.'],
      701: ['The relay does not answer', `${last.url} cannot be reached from here. Try another transport.`],
    };
    const [title, text] = known[last.code] ?? [`The relay says ${last.code}`, last.text];
    this.view.notice({tone: 'bad', key: 'relay', title, text: detail || text});
  }

  async measure(): Promise<void> {
    for (const [id, link] of this.links) {
      const path = await link.path().catch(() => null);
      if (path && this.links.get(id) === link) this.paths.set(id, path);
    }
  }

  // ---- the game ----

  // 60 times a second.
  tick(): void {
    if (!this.game) return;
    const now = Math.round(performance.now()) + 1;
    this.game.step(now);
    for (const [id, link] of this.links) link.play(this.game.packet(id, now));
  }

  say(text: string): void {
    for (const link of this.links.values()) link.say(text);
  }

  async leave(): Promise<void> {
    this.over = true;
    this.view.session('');
    await this.session.leave();
    for (const id of [...this.links.keys()]) this.drop(id);
  }
}
