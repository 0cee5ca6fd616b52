// session.ts: a player's side of the lobby, in a browser or not: listens, comes back by himself, and says what he is told to say in order.
import {Code, ConnectError, createClient, type Client, type Transport as Wire} from '@connectrpc/connect';
import {
  Lobby, type Closed, type ExplainResponse, type IceGrant, type IceRefresh, type Peer, type Signal, type Transport, type Welcome,
} from '../gen/lobby/v1/lobby_pb.js';

export interface Listener {
  welcome(welcome: Welcome): void;
  peerJoined(peer: Peer): void;
  peerLeft(peerId: string, reason: number): void;
  signal(signal: Signal): void;
  iceRefresh(refresh: IceRefresh): void;
  closed(closed: Closed): void;
  state(state: 'joining' | 'joined' | 'away', why: string): void;
  refused(error: ConnectError): void; // for good
}

export interface Wish {
  code?: string;
  session?: string;
  name?: string;
  hostKey?: string;
  native?: boolean;
  transports?: Transport[];
}

export type SignalBody = Signal['body'];

const BEAT_MS = 10_000;
const SILENT_MS = 40_000; // the lobby's heartbeat comes every 15 s
const RETRY_MS = [250, 500, 1000, 2000, 4000];
const SIGNAL_MS = 10_000;
const BEAT_EVENTS = 64; // or after so many: the lobby keeps a few hundred
const FINAL = [Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument];
const pause = (ms: number) => new Promise<void>(done => setTimeout(done, ms));

interface Said {
  generation: number;
  body: SignalBody;
}

// What is said to one page of another player: in order, each once. It is kept, as a lobby that is killed loses what it has taken.
class Outbox {
  private readonly said: Said[] = []; // numbered from 1
  private told = 0; // so many the lobby has taken
  private meetings = 0;
  private sending = false;

  constructor(readonly instance: number, private readonly send: (said: Said, number: number) => Promise<number | 'never' | 'later'>) {}

  say(said: Said): void {
    this.said.push(said);
    void this.pump();
  }

  // He is here again: the last one is sent again, as the answer tells what is missing.
  meet(): void {
    this.meetings++;
    this.told = Math.max(0, Math.min(this.told, this.said.length - 1));
    void this.pump();
  }

  private async pump(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    while (this.told < this.said.length) {
      const {meetings, told} = this;
      const answer = await this.send(this.said[told]!, told + 1);
      if (answer === 'never') this.said.splice(told, 1);
      else if (meetings !== this.meetings) continue; // he came back meanwhile: it may have been lost
      else if (answer === 'later') break;
      else this.told = answer;
    }
    this.sending = false;
  }
}

export class Session {
  readonly instance = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly client: Client<typeof Lobby>;
  token = '';
  transports: Transport[];
  private epoch = 0;
  private seq = 0;
  private over = false;
  private stream: AbortController | null = null;
  private joined: AbortController | null = null; // the stream, once it has its welcome
  private seen = 0; // so far the lobby knows
  private readonly outboxes = new Map<string, Outbox>();
  private readonly heard = new Map<string, {peerId: string; instance: number; number: number}>();

  constructor(wire: Wire, private readonly wish: Wish, private readonly listener: Listener) {
    this.client = createClient(Lobby, wire);
    this.token = wish.session ?? '';
    this.transports = wish.transports ?? [];
  }

  // Runs until the session ends.
  async run(): Promise<void> {
    const beat = setInterval(() => void this.beat(), BEAT_MS);
    for (let tries = 0; !this.over; tries++) {
      this.listener.state('joining', '');
      const before = this.epoch;
      const error = await this.listen();
      if (this.over) break;
      if (this.epoch !== before) tries = 0;
      if (error && (FINAL.includes(error.code) || (!this.token && [Code.NotFound, Code.ResourceExhausted].includes(error.code)) || (error.code === Code.Aborted && /joined anew/.test(error.rawMessage)))) {
        this.end();
        this.listener.refused(error);
        break;
      }
      this.listener.state('away', error?.rawMessage ?? 'the stream ended');
      await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]! * (0.5 + Math.random()));
    }
    clearInterval(beat);
  }

  // One stream, to its end.
  private async listen(): Promise<ConnectError | null> {
    const stream = (this.stream = new AbortController());
    let watch: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(() => stream.abort(), SILENT_MS);
    };
    try {
      heard();
      const {wish, token, instance, epoch, seq, transports} = this;
      const who = token ? {session: token} : {code: wish.code ?? '', name: wish.name ?? ''};
      const was = {instance, epoch, afterSeq: seq, heard: [...this.heard.values()]};
      for await (const event of this.client.join({...who, ...was, hostKey: wish.hostKey ?? '', native: wish.native ?? false, transports}, {signal: stream.signal})) {
        heard();
        if (event.seq) {
          if (event.seq <= this.seq) continue;
          this.seq = event.seq;
        }
        this.take(event.event);
        if (this.over) break;
        if (this.seq >= this.seen + BEAT_EVENTS) void this.beat();
      }
      return null;
    } catch (error) {
      return ConnectError.from(error);
    } finally {
      clearTimeout(watch);
      this.joined = null;
    }
  }

  private take(event: {case?: string; value?: unknown}): void {
    switch (event.case) {
      case 'welcome': {
        const welcome = event.value as Welcome;
        this.token = welcome.session;
        this.epoch = welcome.epoch;
        this.seq = this.seen = welcome.seq;
        this.joined = this.stream;
        for (const peer of welcome.peers) this.meet(peer);
        this.listener.welcome(welcome);
        this.listener.state('joined', '');
        break;
      }
      case 'peerJoined':
        this.meet(event.value as Peer);
        return this.listener.peerJoined(event.value as Peer);
      case 'peerLeft': return this.listener.peerLeft((event.value as {peerId: string}).peerId, (event.value as {reason: number}).reason);
      case 'signal': {
        const signal = event.value as Signal, {from: peerId, instance, number} = signal;
        this.heard.set(peerId, {peerId, instance, number});
        return this.listener.signal(signal);
      }
      case 'iceRefresh': return this.listener.iceRefresh(event.value as IceRefresh);
      case 'closed':
        this.end();
        return this.listener.closed(event.value as Closed);
    }
  }

  private meet({id, instance}: Peer): void {
    const outbox = this.outboxes.get(id);
    if (outbox?.instance === instance) outbox.meet();
  }

  // Says that we live, and what we have seen.
  async beat(): Promise<void> {
    const {joined} = this; // one that is only being joined has no seat yet
    if (!joined || this.over) return;
    const seq = (this.seen = this.seq);
    try {
      await this.client.beat({session: this.token, seq, epoch: this.epoch}, {timeoutMs: BEAT_MS});
    } catch (error) {
      if (ConnectError.from(error).code === Code.FailedPrecondition) joined.abort(); // the seat is lost: join again
    }
  }

  // In order for each player, each once; over a restart of the lobby too.
  signal(to: string, toInstance: number, generation: number, body: SignalBody): void {
    let outbox = this.outboxes.get(to);
    if (outbox?.instance !== toInstance) this.outboxes.set(to, (outbox = new Outbox(toInstance, (said, number) => this.pass(to, toInstance, said, number))));
    outbox.say({generation, body});
  }

  // The number up to which the lobby has taken them; 'never': it will not take this one; 'later': when both are here.
  private async pass(to: string, toInstance: number, said: Said, number: number): Promise<number | 'never' | 'later'> {
    for (let tries = 0; !this.over; tries++) {
      try {
        return (await this.client.sendSignal({session: this.token, to, toInstance, signal: {...said, number}}, {timeoutMs: SIGNAL_MS})).told;
      } catch (error) {
        const {code} = ConnectError.from(error);
        if (code === Code.InvalidArgument) return 'never';
        if (code === Code.NotFound || code === Code.FailedPrecondition || FINAL.includes(code)) return 'later';
        await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]!);
      }
    }
    return 'later';
  }

  async iceServers(transports: Transport[]): Promise<IceGrant | undefined> {
    this.transports = transports;
    return (await this.client.getIceServers({session: this.token, transports}, {timeoutMs: 8000})).ice;
  }

  explain(): Promise<ExplainResponse> {
    return this.client.explain({session: this.token}, {timeoutMs: 8000});
  }

  remove(peerId: string): Promise<unknown> {
    return this.client.removePlayer({session: this.token, peerId});
  }

  async leave(): Promise<void> {
    const {token} = this;
    this.end();
    if (token) await this.client.leave({session: token}, {timeoutMs: 3000}).catch(() => {});
  }

  // For a page that learns that its network changed.
  rejoin(): void {
    this.stream?.abort();
  }

  end(): void {
    this.over = true;
    this.stream?.abort();
  }
}
