// swarm.ts: many rooms at a time on one lobby, by gRPC: two players in each tell each other something again and again, and count what comes. For tests and for sizing.
//
//     npm run -s swarm -- --lobby URL --rooms 500 --seconds 10       prints {"rooms", "joined", "sent", "heard", "lost", "doubled", "resumed"} at the end
//     On SIGUSR1 the counting begins anew: what was on its way while a lobby was killed is not counted.
import {parseArgs} from 'node:util';
import {createClient, type Transport} from '@connectrpc/connect';
import {Lobby, type Closed, type IceRefresh, type Peer, type Signal, type Welcome} from '../gen/lobby/v1/lobby_pb.js';
import {Session, type Listener} from '../client/session.js';
import {wireTo} from './wire.js';

const {values} = parseArgs({options: {lobby: {type: 'string', default: 'http://127.0.0.1:8090'}, rooms: {type: 'string', default: '500'}, seconds: {type: 'string', default: '10'}}});
let round = 1;
const rooms = Number(values.rooms), AT_ONCE = 50, PER_WIRE = 100;

class Player implements Listener {
  session!: Session;
  other: Peer | null = null;
  ids = new Set<string>();
  sent = 0;
  heard = 0;
  doubled = 0;
  joined = false;
  welcomes = 0;
  readonly ready: Promise<void>;
  private done!: () => void;
  private readonly got = new Set<number>();

  constructor(wire: Transport, readonly code: string) {
    this.ready = new Promise(done => { this.done = done; });
    this.session = new Session(wire, {code, name: 'swarm', native: true}, this);
    void this.session.run();
  }
  welcome(welcome: Welcome): void {
    this.welcomes++;
    this.ids.add(welcome.you!.id);
    for (const peer of welcome.peers) this.peerJoined(peer);
    this.joined = true;
    this.done();
  }
  peerJoined(peer: Peer): void { this.other = peer; }
  peerLeft(): void { this.other = null; }
  signal({body}: Signal): void {
    if (body.case !== 'candidate') return;
    const [of, number] = body.value.candidate.split(':').map(Number) as [number, number];
    if (of !== round) return;
    if (this.got.has(number)) this.doubled++;
    this.got.add(number);
    this.heard++;
  }
  iceRefresh(_: IceRefresh): void {}
  closed(_: Closed): void { this.joined = false; }
  state(state: string): void { if (state === 'away') this.joined = false; }
  refused(): void { this.joined = false; }
  tell(): void {
    if (!this.other || !this.joined) return;
    this.session.signal(this.other.id, this.other.instance, 1, {case: 'candidate', value: {$typeName: 'lobby.v1.Candidate', candidate: `${round}:${this.sent++}`, sdpMid: '', sdpMLineIndex: 0, usernameFragment: ''}});
  }
  anew(): void {
    this.heard = this.doubled = 0;
    this.sent = 0;
    this.got.clear();
  }
}

const wires = Array.from({length: Math.ceil((rooms * 2) / PER_WIRE)}, () => wireTo(values.lobby, 'grpc'));
const players: Player[] = [];
async function make(number: number): Promise<void> {
  const wire = wires[number % wires.length]!;
  const {code} = await createClient(Lobby, wire).createRoom({name: `room ${number}`});
  const ann = new Player(wire, code);
  await ann.ready;
  const bob = new Player(wires[(number + 1) % wires.length]!, code);
  await bob.ready;
  players.push(ann, bob);
}
for (let first = 0; first < rooms; first += AT_ONCE) await Promise.all(Array.from({length: Math.min(AT_ONCE, rooms - first)}, (_, i) => make(first + i)));
console.log(JSON.stringify({event: 'all', rooms, players: players.length}));

process.on('SIGUSR1', () => {
  round++;
  for (const player of players) player.anew();
  console.log(JSON.stringify({event: 'anew', joined: players.filter(player => player.joined && player.other).length}));
});
const talk = setInterval(() => players.forEach(player => player.tell()), 2000);
const tell = setInterval(() => console.log(JSON.stringify({event: 'state', joined: players.filter(player => player.joined && player.other).length})), 500);
const end = async () => {
  clearInterval(talk);
  clearInterval(tell);
  const sum = (of: (player: Player) => number) => players.reduce((total, player) => total + of(player), 0);
  // what is on its way may come
  for (let i = 0; i < 100 && sum(one => one.heard - one.doubled) < sum(one => one.sent); i++) await new Promise(done => setTimeout(done, 100));
  const sent = sum(one => one.sent), heard = sum(one => one.heard), doubled = sum(one => one.doubled);
  console.log(JSON.stringify({event: 'end', rooms, joined: players.filter(player => player.joined && player.other).length, sent, heard, doubled, lost: sent - (heard - doubled),
    resumed: sum(one => (one.welcomes > 1 ? 1 : 0)), changed: sum(one => (one.ids.size > 1 ? 1 : 0))}));
  process.exit(0);
};
process.once('SIGTERM', end);
setTimeout(end, Number(values.seconds) * 1000);
