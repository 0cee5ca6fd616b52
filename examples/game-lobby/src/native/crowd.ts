// crowd.ts: many rooms at a time on one lobby, by gRPC: two players in each, who tell each other numbers, and notice which do not come, come twice or out of order.
import {createClient, type Transport as Wire} from '@connectrpc/connect';
import {createGrpcTransport, Http2SessionManager} from '@connectrpc/connect-node';
import {Lobby, type Peer, type Signal, type Welcome} from '../gen/lobby/v1/lobby_pb.js';
import {Session, type Listener} from '../client/session.js';

const AT_ONCE = 25; // rooms that are being opened

// As long as those of browsers.
const candidate = (number: number) => `candidate:${number} 1 udp 2122260223 192.0.2.17 54400 typ host generation 0 ufrag 4ZcD network-id 1 network-cost 10`;

// With a connection of his own.
class Player implements Listener {
  session!: Session;
  readonly ids = new Set<string>();
  other: Peer | null = null;
  joined = false;
  sent = 0;
  heard = 0;
  wrong = 0;
  private readonly connection: Http2SessionManager;
  private readonly wire: Wire;
  private ready = () => {};

  constructor(url: string) {
    this.connection = new Http2SessionManager(url);
    this.wire = createGrpcTransport({baseUrl: url, sessionManager: this.connection});
  }
  async create(): Promise<string> {
    return (await createClient(Lobby, this.wire).createRoom({name: 'crowd'})).code;
  }
  async join(code: string): Promise<void> {
    const ready = new Promise<void>(done => { this.ready = done; });
    this.session = new Session(this.wire, {code, name: 'crowd', native: true}, this);
    void this.session.run();
    await ready;
  }
  async leave(): Promise<void> {
    await this.session.leave();
    this.connection.abort();
  }
  say(): void {
    const {id, instance} = this.other!;
    this.session.signal(id, instance, 1, {case: 'candidate', value: {$typeName: 'lobby.v1.Candidate', candidate: candidate(++this.sent), sdpMid: '0', sdpMLineIndex: 0, usernameFragment: '4ZcD'}});
  }

  welcome({you, peers}: Welcome): void {
    this.ids.add(you!.id);
    this.joined = true;
    for (const peer of peers) this.peerJoined(peer);
    this.ready();
  }
  peerJoined(peer: Peer): void { this.other = peer; }
  peerLeft(): void { this.other = null; }
  signal({body}: Signal): void {
    if (body.case === 'candidate' && body.value.candidate === candidate(this.heard + 1)) this.heard++;
    else this.wrong++;
  }
  iceRefresh(): void {}
  closed(): void { this.joined = false; }
  refused(): void { this.joined = false; }
  state(state: string): void { this.joined &&= state !== 'away'; }
}

export class Crowd {
  readonly players: Player[] = [];
  constructor(private readonly url: string) {}

  async open(rooms: number): Promise<void> {
    const next = async () => {
      while (rooms-- > 0) {
        const [ann, bob] = [new Player(this.url), new Player(this.url)];
        this.players.push(ann, bob);
        const code = await ann.create();
        await ann.join(code);
        await bob.join(code);
      }
    };
    await Promise.all(Array.from({length: AT_ONCE}, next));
  }

  // Everybody tells his other player one thing more.
  say(): void {
    for (const player of this.players) if (player.other) player.say();
  }
  // Everybody says what he has seen.
  async beat(): Promise<void> {
    await Promise.all(this.players.map(player => player.session.beat()));
  }
  async leave(): Promise<void> {
    await Promise.all(this.players.splice(0).map(player => player.leave()));
  }

  // here: who is in the lobby, and knows the other one. changed: who came back as somebody else. wrong: what came twice, or before what it follows.
  get told() {
    const count = (of: (player: Player) => number | boolean) => this.players.reduce((sum, player) => sum + Number(of(player)), 0);
    return {here: count(one => one.joined && one.other !== null), changed: count(one => one.ids.size > 1), sent: count(one => one.sent), heard: count(one => one.heard), wrong: count(one => one.wrong)};
  }
}
