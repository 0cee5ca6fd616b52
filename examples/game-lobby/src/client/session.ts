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
const SIGNAL_RETRY_MS = 15_000;
const FINAL = [Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument];
const pause = (ms: number) => new Promise<void>(done => setTimeout(done, ms));

export class Session {
  readonly instance = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly client: Client<typeof Lobby>;
  token = '';
  transports: Transport[];
  private epoch = 0;
  private seq = 0;
  private over = false;
  private stream: AbortController | null = null;
  private readonly sending = new Map<string, Promise<void>>();
  private readonly numbers = new Map<string, number>();

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
      for await (const event of this.client.join({...who, hostKey: wish.hostKey ?? '', native: wish.native ?? false, instance, epoch, afterSeq: seq, transports}, {signal: stream.signal})) {
        heard();
        if (event.seq) {
          if (event.seq <= this.seq) continue;
          this.seq = event.seq;
        }
        this.take(event.event);
        if (this.over) break;
      }
      return null;
    } catch (error) {
      return ConnectError.from(error);
    } finally {
      clearTimeout(watch);
    }
  }

  private take(event: {case?: string; value?: unknown}): void {
    switch (event.case) {
      case 'welcome': {
        const welcome = event.value as Welcome;
        this.token = welcome.session;
        this.epoch = welcome.epoch;
        this.seq = welcome.seq;
        this.listener.welcome(welcome);
        this.listener.state('joined', '');
        break;
      }
      case 'peerJoined': return this.listener.peerJoined(event.value as Peer);
      case 'peerLeft': return this.listener.peerLeft((event.value as {peerId: string}).peerId, (event.value as {reason: number}).reason);
      case 'signal': return this.listener.signal(event.value as Signal);
      case 'iceRefresh': return this.listener.iceRefresh(event.value as IceRefresh);
      case 'closed':
        this.end();
        return this.listener.closed(event.value as Closed);
    }
  }

  private async beat(): Promise<void> {
    if (!this.token || this.over) return;
    const seq = this.seq;
    try {
      await this.client.beat({session: this.token, seq, epoch: this.epoch}, {timeoutMs: BEAT_MS});
    } catch (error) {
      if (ConnectError.from(error).code === Code.FailedPrecondition) this.stream?.abort(); // the seat is lost: join again
    }
  }

  // In order for each player, each once; over a restart of the lobby too.
  signal(to: string, toInstance: number, generation: number, body: SignalBody): void {
    const number = (this.numbers.get(to) ?? 0) + 1;
    this.numbers.set(to, number);
    const send = async () => {
      const until = Date.now() + SIGNAL_RETRY_MS;
      for (let tries = 0; !this.over; tries++) {
        try {
          await this.client.sendSignal({session: this.token, to, toInstance, number, signal: {generation, body}}, {timeoutMs: 5000});
          return;
        } catch (error) {
          const {code} = ConnectError.from(error);
          if ([Code.NotFound, Code.InvalidArgument, ...FINAL].includes(code) || Date.now() > until) return;
          await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]!);
        }
      }
    };
    this.sending.set(to, (this.sending.get(to) ?? Promise.resolve()).then(send));
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
