// lobby.ts: the service of lobby.proto.
import {create} from '@bufbuild/protobuf';
import {Code, ConnectError, createContextKey, type HandlerContext, type ServiceImpl} from '@connectrpc/connect';
import {
  Access, IceGrantSchema, LeaveReason, Lobby as LobbyService, RefreshReason, RoomEventSchema, WelcomeSchema,
  type JoinRequest, type RoomEvent, type SendSignalRequest,
} from '../gen/lobby/v1/lobby_pb.js';
import type {Config} from './config.js';
import {Holds, RateLimit} from './limits.js';
import {NoRelay, Relays, type Grant} from './relays.js';
import {Removed} from './removed.js';
import {Member, Room, Rooms, type Body} from './room.js';
import {CODE_LENGTH, newId, Signer, type Session} from './token.js';

export const ADDRESS = createContextKey('', {description: 'who asks: an address, of IPv6 its /56'});

const NAME_MAX = 24, ROOM_NAME_MAX = 40, LISTED_MAX = 50;
const SIGNALS_PER_S = 50; // of a session; four players' candidates and a restart fit in the burst
const SDP_MAX = 32_768, CANDIDATE_MAX = 1024;
const LOOK_MS = 3000; // at relays: whether they drain
const MINTS_AT_ONCE = 16;
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2066-\u2069]/g;

const fail = (code: Code, text: string) => new ConnectError(text, code);
const clean = (text: string, most: number) => [...text.normalize('NFC').replace(UNPRINTABLE, '').trim()].slice(0, most).join('');

interface Seat {
  room: Room;
  member: Member;
}

export class Lobby {
  readonly rooms: Rooms;
  readonly relays: Relays;
  streams = 0;
  events = 0;
  private readonly signer: Signer;
  private readonly removed: Removed;
  private readonly calls: RateLimit;
  private readonly creates: RateLimit;
  private readonly joins: RateLimit;
  private readonly mints: RateLimit;
  private readonly signals = new RateLimit(SIGNALS_PER_S, SIGNALS_PER_S * 6);
  private readonly held: Holds;
  private readonly timers: NodeJS.Timeout[] = [];
  private minting = 0;
  private readonly mintQueue: (() => void)[] = [];

  constructor(private readonly config: Config, private readonly log: (event: string, fields?: Record<string, unknown>) => void) {
    const silentMs = config.LOBBY_HEARTBEAT * 3000;
    this.rooms = new Rooms(config.LOBBY_MAX_ROOMS, config.LOBBY_ROOM_TTL * 1000, silentMs, (member, reason) => this.onGone(member, reason));
    this.relays = new Relays(config);
    this.signer = new Signer(config.LOBBY_SECRET);
    this.removed = new Removed(config.LOBBY_STATE, Date.now());
    this.calls = new RateLimit(config.LOBBY_CALL_RATE, config.LOBBY_CALL_RATE * 4);
    this.creates = new RateLimit(config.LOBBY_CREATE_RATE / 60, config.LOBBY_CREATE_RATE);
    this.joins = new RateLimit(config.LOBBY_JOIN_RATE / 60, config.LOBBY_JOIN_RATE);
    this.mints = new RateLimit(config.LOBBY_MINT_RATE / 60, config.LOBBY_MINT_RATE);
    this.held = new Holds(config.LOBBY_STREAMS);
    this.every(1000, () => this.sweep());
    this.every(LOOK_MS, () => void this.look());
  }

  stop(): void {
    this.timers.forEach(clearInterval);
    for (const room of this.rooms.byCode.values()) for (const member of room.members.values()) member.listener?.end('lost');
  }

  service(): ServiceImpl<typeof LobbyService> {
    return {
      createRoom: (request, context) => {
        this.admit(context);
        if (!this.creates.take(context.values.get(ADDRESS), Date.now())) throw fail(Code.ResourceExhausted, 'too many rooms from this address: try again in a minute');
        const seats = request.seats || 2;
        if (seats < 2 || seats > 4) throw fail(Code.InvalidArgument, 'seats: 2 to 4 expected');
        const room = this.rooms.create(clean(request.name, ROOM_NAME_MAX) || 'A match', seats, request.listed, Date.now());
        if (!room) throw fail(Code.ResourceExhausted, 'the lobby is full');
        this.log('room_created', {room: room.match, seats});
        return {code: room.code, hostKey: this.signer.hostKey(room.match), expiresAtMs: BigInt(room.expiresMs)};
      },

      listRooms: (_, context) => {
        this.admit(context);
        const rooms = [...this.rooms.byCode.values()].filter(room => room.listed && room.members.size < room.seats).reverse().slice(0, LISTED_MAX);
        return {rooms: rooms.map(({code, name, seats, members}) => ({code, name, seats, players: members.size}))};
      },

      join: (request, context) => this.join(request, context),

      sendSignal: (request, context) => {
        const seat = this.seatOf(request.session, context);
        if (!this.signals.take(seat.member.session.peer, Date.now())) throw fail(Code.ResourceExhausted, 'too many signals');
        return {told: this.signal(request, seat)};
      },

      beat: (request, context) => {
        const {room, member} = this.seatOf(request.session, context);
        if (request.epoch === room.epoch) member.seen(request.seq);
        return {};
      },

      getIceServers: async (request, context) => {
        const {room, member} = this.seatOf(request.session, context);
        const {signal} = context;
        if (!this.mints.take(member.session.peer, Date.now())) throw fail(Code.ResourceExhausted, 'too many credentials: try again in a minute');
        await this.expectAccess(member);
        member.transports = request.transports;
        await this.mint(room, member);
        signal.throwIfAborted();
        return {ice: iceOf(member.grant!)};
      },

      explain: async (request, context) => {
        const {room, member} = this.seatOf(request.session, context);
        const told = await this.told(room, member);
        if (!told) return {asked: false, refusals: [], access: Access.UNSPECIFIED};
        if (told.access === Access.REVOKED) member.revoked = true;
        return {asked: true, ...told};
      },

      removePlayer: async (request, context) => {
        const {room, member} = this.seatOf(request.session, context);
        const other = room.members.get(request.peerId);
        if (!member.session.host) throw fail(Code.PermissionDenied, 'only the host removes players');
        if (!other || other === member) throw fail(Code.NotFound, 'there is no such other player');
        this.removed.add(other.session.peer, room.expiresMs);
        this.rooms.leave(room, other, LeaveReason.REMOVED, Date.now());
        return {};
      },

      leave: (request, context) => {
        const {room, member} = this.seatOf(request.session, context);
        this.rooms.leave(room, member, LeaveReason.LEFT, Date.now());
        return {};
      },
    };
  }

  // ---- who asks ----

  private admit(context: HandlerContext): void {
    if (!this.calls.take(context.values.get(ADDRESS), Date.now())) throw fail(Code.ResourceExhausted, 'too many calls from this address');
  }

  private sessionOf(token: string): Session {
    const session = this.signer.open(token);
    if (!session) throw fail(Code.Unauthenticated, 'this is no session of this lobby');
    if (session.expiresMs <= Date.now()) throw fail(Code.Unauthenticated, 'the session has ended with its room');
    if (this.removed.has(session.peer)) throw fail(Code.PermissionDenied, 'the host has removed you from this room');
    return session;
  }

  // Whoever has a seat; who has lost it must join again.
  private seatOf(token: string, context: HandlerContext): Seat {
    this.admit(context);
    const session = this.sessionOf(token);
    const room = this.rooms.byCode.get(session.code);
    const member = room?.match === session.match ? room.members.get(session.peer) : undefined;
    if (!room || !member) throw fail(Code.FailedPrecondition, 'join first: the lobby has no seat of this session now');
    member.heardMs = Date.now();
    return {room, member};
  }

  // ---- joining ----

  private async *join(request: JoinRequest, context: HandlerContext): AsyncGenerator<RoomEvent> {
    this.admit(context);
    const address = context.values.get(ADDRESS);
    if (!this.joins.take(address, Date.now())) throw fail(Code.ResourceExhausted, 'too many joins from this address: try again in a minute');
    if (!this.held.take(address)) throw fail(Code.ResourceExhausted, 'too many players from this address');
    try {
      this.streams++;
      const {room, member, isNew} = request.session ? this.comeBack(request) : this.enter(request);
      yield* this.listen(room, member, request, context.signal, isNew);
    } finally {
      this.streams--;
      this.held.give(address);
    }
  }

  private enter(request: JoinRequest): Seat & {isNew: boolean} {
    const code = request.code.toUpperCase().replace(/[^A-Z0-9]/g, '');
    if (code.length !== CODE_LENGTH) throw fail(Code.InvalidArgument, `code: ${CODE_LENGTH} letters and digits expected`);
    const room = this.rooms.byCode.get(code);
    if (!room) throw fail(Code.NotFound, 'there is no room with this code');
    const seat = room.freeSeat();
    if (seat < 0) throw fail(Code.ResourceExhausted, 'this room is full');
    const session: Session = {
      code, match: room.match, peer: newId(), name: clean(request.name, NAME_MAX) || `Player ${seat + 1}`, seat, host: this.signer.isHostKey(request.hostKey, room.match),
      native: request.native, roomName: room.name, seats: room.seats, listed: room.listed, createdMs: room.createdMs, expiresMs: room.expiresMs,
    };
    const member = new Member(session, request.instance, Date.now());
    this.rooms.enter(room, member);
    this.log('joined', {room: room.match, peer: session.peer});
    return {room, member, isNew: true};
  }

  private comeBack(request: JoinRequest): Seat & {isNew: boolean} {
    const session = this.sessionOf(request.session), now = Date.now();
    const room = this.rooms.of(session, now);
    if (!room) throw fail(Code.Unavailable, 'the lobby is full, or this code is another room\'s now');
    let member = room.members.get(session.peer);
    if (member) {
      member.instance = request.instance;
      return {room, member, isNew: false};
    }
    if ([...room.members.values()].some(other => other.session.seat === session.seat)) {
      const seat = room.freeSeat(); // somebody took it meanwhile
      if (seat < 0) throw fail(Code.ResourceExhausted, 'this room is full: your seat was given away');
      session.seat = seat;
    }
    member = new Member(session, request.instance, now);
    this.rooms.enter(room, member);
    this.log('came_back', {room: room.match, peer: session.peer});
    return {room, member, isNew: true};
  }

  private async *listen(room: Room, member: Member, request: JoinRequest, signal: AbortSignal, isNew: boolean): AsyncGenerator<RoomEvent> {
    member.listener?.end('replaced');
    let ended: string | null = null, wake = () => {};
    const listener = {wake: () => wake(), end: (why: string) => { ended ??= why; wake(); }};
    member.listener = listener;
    member.heardMs = Date.now();
    const onAbort = () => listener.end('lost');
    signal.addEventListener('abort', onAbort);
    let beatMs = Date.now() + this.config.LOBBY_HEARTBEAT * 1000;
    try {
      const resumed = !isNew && request.session !== '' && request.epoch === room.epoch && member.hasAfter(request.afterSeq);
      let seq = resumed ? request.afterSeq : member.seq;
      if (!resumed) {
        member.forget(request.heard);
        if (!isNew) room.tell(member.joined, member);
      }
      const welcome = await this.welcome(room, member, request, resumed, seq);
      yield event(0, {case: 'welcome', value: welcome});
      while (!signal.aborted) {
        for (const kept of member.after(seq)) {
          seq = kept.seq;
          this.events++;
          yield event(seq, kept.event);
        }
        if (ended === 'replaced') throw fail(Code.Aborted, 'this session has joined anew elsewhere');
        if (ended === 'slow') throw fail(Code.DataLoss, 'events were lost: join again');
        if (ended) return;
        if (Date.now() >= beatMs) {
          beatMs = Date.now() + this.config.LOBBY_HEARTBEAT * 1000;
          yield event(0, {case: 'heartbeat', value: {$typeName: 'lobby.v1.Heartbeat', timeMs: BigInt(Date.now())}});
        }
        if (member.seq > seq || ended) continue;
        await new Promise<void>(done => {
          const timer = setTimeout(done, beatMs - Date.now());
          wake = () => { clearTimeout(timer); done(); };
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (member.listener === listener) {
        member.listener = null;
        member.awaySinceMs = Date.now();
      }
    }
  }

  private async welcome(room: Room, member: Member, request: JoinRequest, resumed: boolean, seq: number) {
    const isSame = resumed || (request.epoch !== 0 && member.grant !== null && request.transports.join() === member.transports.join());
    member.transports = request.transports;
    if (!isSame) await this.mint(room, member).catch(error => this.log('no_credential', {peer: member.session.peer, error: String(error.rawMessage ?? error)}));
    return create(WelcomeSchema, {
      session: this.signer.seal(member.session), you: member.peer, peers: resumed ? [] : [...room.members.values()].filter(one => one !== member).map(one => one.peer),
      epoch: room.epoch, seq, resumed, host: member.session.host, code: room.code, roomName: room.name, seats: room.seats, expiresAtMs: BigInt(room.expiresMs),
      ...(isSame || !member.grant ? {} : {ice: iceOf(member.grant)}),
    });
  }

  // The number up to which the other player was told.
  private signal(request: SendSignalRequest, {room, member}: Seat): number {
    const other = room.members.get(request.to);
    if (!other || other === member || other.instance !== request.toInstance) throw fail(Code.NotFound, 'this player is not here, or has loaded his page anew');
    const body = request.signal?.body;
    if (!body?.case) throw fail(Code.InvalidArgument, 'signal: something expected');
    const length = body.case === 'description' ? body.value.sdp.length : body.case === 'candidate' ? body.value.candidate.length : 0;
    if (length > (body.case === 'description' ? SDP_MAX : CANDIDATE_MAX)) throw fail(Code.InvalidArgument, 'signal: too long');
    if (body.case === 'description' && !/^(offer|answer)$/.test(body.value.type)) throw fail(Code.InvalidArgument, 'signal.description.type: offer or answer expected');
    const {generation, number} = request.signal!, told = other.toldOf(member);
    if (number && number !== told + 1) return told; // it came before, and its answer was lost; or one before it went with a lobby that was killed
    other.tell(member, number, {case: 'signal', value: {$typeName: 'lobby.v1.Signal', from: member.session.peer, instance: member.instance, generation, body, number}}, length + 200);
    return number;
  }

  // ---- the relay ----

  // A new credential into member.grant; not too many at once, when all rooms go to another relay.
  private async mint(room: Room, member: Member): Promise<void> {
    if (this.minting >= MINTS_AT_ONCE) await new Promise<void>(done => this.mintQueue.push(done));
    this.minting++;
    try {
      const order = {player: member.session.peer, match: room.match, transports: member.transports};
      const {grant, relay} = await this.relays.mint(order, room.relay);
      member.grant = grant;
      member.refreshMs = Date.now() + (grant.expiresMs - Date.now()) * 0.8;
      if (room.relay !== relay) this.move(room, relay, member);
    } catch (error) {
      member.refreshMs = Math.min(member.refreshMs, Date.now() + LOOK_MS);
      if (!(error instanceof NoRelay)) throw error;
      this.log('mint_failed', {error: error.message});
      throw fail(Code.Unavailable, 'no relay serves now');
    } finally {
      this.minting--;
      this.mintQueue.shift()?.();
    }
  }

  // The players of a match are on one relay: all others are given credentials of it, too.
  private move(room: Room, relay: Room['relay'], first: Member): void {
    const was = room.relay;
    room.relay = relay;
    if (was) for (const member of room.members.values()) if (member !== first) void this.refresh(room, member, RefreshReason.DRAINING);
  }

  private async refresh(room: Room, member: Member, reason: RefreshReason): Promise<void> {
    member.refreshMs = Infinity;
    try {
      await this.expectAccess(member);
      await this.mint(room, member);
      member.push({case: 'iceRefresh', value: {$typeName: 'lobby.v1.IceRefresh', ice: iceOf(member.grant!), reason}}, 1000);
    } catch (error) {
      this.log('refresh_failed', {peer: member.session.peer, error: error instanceof ConnectError ? error.rawMessage : String(error)});
    }
  }

  private async told(room: Room, member: Member) {
    const relay = this.relays.all.find(one => one.name === member.grant?.relay) ?? room.relay;
    if (!relay || !member.grant?.credentialId) return null;
    return relay.explain(member.grant.credentialId).catch(error => {
      if (error instanceof NoRelay) return null;
      throw error;
    });
  }

  // Who was revoked at the relay is given no new credential by us.
  private async expectAccess(member: Member): Promise<void> {
    const room = this.rooms.byCode.get(member.session.code);
    if (room && (await this.told(room, member))?.access === Access.REVOKED) member.revoked = true;
    if (member.revoked) throw fail(Code.PermissionDenied, 'your credential was revoked at the relay');
  }

  private onGone(member: Member, reason: LeaveReason): void {
    this.log('left', {peer: member.session.peer, reason: LeaveReason[reason]});
    const relay = this.relays.all.find(one => one.name === member.grant?.relay);
    if (reason !== LeaveReason.LOST && member.grant?.credentialId)
      void relay?.revoke(member.grant.credentialId).catch(error => this.log('revoke_failed', {error: String(error)}));
  }

  // ---- the clock ----

  private every(ms: number, work: () => void): void {
    const timer = setInterval(work, ms);
    timer.unref();
    this.timers.push(timer);
  }

  private sweep(): void {
    const now = Date.now();
    this.rooms.sweep(now);
    this.removed.sweep(now);
    for (const limit of [this.calls, this.creates, this.joins, this.mints, this.signals]) limit.sweep(now);
    for (const room of this.rooms.byCode.values())
      for (const member of room.members.values()) if (member.listener && now >= member.refreshMs) void this.refresh(room, member, RefreshReason.EXPIRY);
  }

  // A relay that drains or is gone: its rooms go to another, if there is one.
  private async look(): Promise<void> {
    await this.relays.look();
    if (!this.relays.all.some(relay => relay.serves)) return;
    for (const room of this.rooms.byCode.values()) {
      if (!room.relay || room.relay.serves) continue;
      const [first] = room.members.values();
      if (first) void this.refresh(room, first, RefreshReason.DRAINING);
      else room.relay = null;
    }
  }
}

function iceOf(grant: Grant) {
  return create(IceGrantSchema, {iceServers: grant.iceServers, expiresAtMs: BigInt(grant.expiresMs), relay: grant.relay.replace(/^https?:\/\//, '')});
}

function event(seq: number, body: Body): RoomEvent {
  return create(RoomEventSchema, {seq, event: body});
}
