// room.ts: rooms and their players, in memory; nothing here knows of HTTP or of relays' APIs, and time is an argument.
import {LeaveReason, type Heard, type Peer, type RoomEvent, type Transport} from '../gen/lobby/v1/lobby_pb.js';
import type {Grant, Relay} from './relays.js';
import {newCode, newId, type Session} from './token.js';

export type Body = RoomEvent['event'];
export interface Kept {
  seq: number;
  event: Body;
  bytes: number;
}

const KEPT_EVENTS = 256; // of a player who does not say what he has seen
const KEPT_BYTES = 512 * 1024;
const AWAY_MS = 30_000; // without a stream
const EMPTY_MS = 120_000; // a room without players
const REMOVED_MAX = 64; // of a room
const TOLD_MAX = 64; // other players, of whom one knows the last signal

export class Member {
  seq = 0; // of the last event
  kept: Kept[] = []; // what he has not said that he has seen, without gaps
  private keptBytes = 0;
  overflowed = false; // what he has not seen is gone
  listener: {wake(): void; end(why: 'replaced' | 'removed' | 'slow' | 'lost'): void} | null = null;
  heardMs: number;
  awaySinceMs: number;
  grant: Grant | null = null;
  refreshMs = Infinity;
  transports: Transport[] = [];
  private told = new Map<string, {instance: number; number: number}>(); // of each other player the last signal
  revoked = false;

  constructor(readonly session: Session, public instance: number, nowMs: number) {
    this.heardMs = this.awaySinceMs = nowMs;
  }

  get peer(): Omit<Peer, '$typeName'> {
    const {peer: id, name, seat, native} = this.session;
    return {id, name, seat, native, instance: this.instance};
  }

  get joined(): Body {
    return {case: 'peerJoined', value: {$typeName: 'lobby.v1.Peer', ...this.peer}};
  }

  push(event: Body, bytes = 200): void {
    this.kept.push({seq: ++this.seq, event, bytes});
    this.keptBytes += bytes;
    if (this.kept.length > KEPT_EVENTS || this.keptBytes > KEPT_BYTES) {
      this.seen(this.seq);
      this.overflowed = true;
      this.listener?.end('slow');
    }
    this.listener?.wake();
  }

  // He has seen everything up to here.
  seen(seq: number): void {
    const rest = this.after(seq);
    for (const {bytes} of this.kept.splice(0, this.kept.length - rest.length)) this.keptBytes -= bytes;
  }

  after(seq: number): Kept[] {
    return this.kept.slice(Math.max(0, this.kept.length - Math.max(0, this.seq - seq)));
  }

  // Whether all after `seq` can be told again.
  hasAfter(seq: number): boolean {
    return !this.overflowed && seq <= this.seq && (this.kept.length ? this.kept[0]!.seq <= seq + 1 : seq === this.seq);
  }

  // Begins anew: he is told the whole state, and the signals after those that he has heard.
  forget(heard: Heard[]): void {
    this.seen(this.seq);
    this.overflowed = false;
    this.told = new Map(heard.slice(-TOLD_MAX).map(({peerId, instance, number}) => [peerId, {instance, number}]));
  }

  // The number of the last signal that was told him of this player's page.
  toldOf({session, instance}: Member): number {
    const told = this.told.get(session.peer);
    return told?.instance === instance ? told.number : 0;
  }

  tell({session, instance}: Member, number: number, event: Body, bytes: number): void {
    if (number) {
      this.told.set(session.peer, {instance, number});
      if (this.told.size > TOLD_MAX) this.told.delete(this.told.keys().next().value!);
    }
    this.push(event, bytes);
  }
}

export class Room {
  readonly members = new Map<string, Member>();
  readonly removed: string[] = [];
  readonly epoch = (Math.random() * 0xffffffff) >>> 0 || 1;
  relay: Relay | null = null;
  emptySinceMs: number;

  constructor(readonly code: string, readonly match: string, readonly name: string, readonly seats: number, readonly listed: boolean, readonly createdMs: number,
    readonly expiresMs: number, nowMs: number) {
    this.emptySinceMs = nowMs;
  }

  freeSeat(): number {
    const taken = new Set([...this.members.values()].map(member => member.session.seat));
    for (let seat = 0; seat < this.seats; seat++) if (!taken.has(seat)) return seat;
    return -1;
  }

  tell(event: Body, but?: Member): void {
    for (const member of this.members.values()) if (member !== but) member.push(event);
  }
}

export class Rooms {
  readonly byCode = new Map<string, Room>();
  members = 0;
  constructor(private readonly most: number, private readonly ttlMs: number, private readonly silentMs: number, readonly gone: (member: Member, reason: LeaveReason) => void) {}

  // null: there are too many.
  create(name: string, seats: number, listed: boolean, nowMs: number): Room | null {
    if (this.byCode.size >= this.most) return null;
    let code = newCode();
    while (this.byCode.has(code)) code = newCode();
    return this.add(new Room(code, newId(), name, seats, listed, nowMs, nowMs + this.ttlMs, nowMs));
  }

  // The room of a session: as it is, or made anew after a restart. null: the code is another room's, or there are too many.
  of(session: Session, nowMs: number): Room | null {
    const room = this.byCode.get(session.code);
    if (room) return room.match === session.match ? room : null;
    if (this.byCode.size >= this.most) return null;
    return this.add(new Room(session.code, session.match, session.roomName, session.seats, session.listed, session.createdMs, session.expiresMs, nowMs));
  }

  private add(room: Room): Room {
    this.byCode.set(room.code, room);
    return room;
  }

  enter(room: Room, member: Member): void {
    room.members.set(member.session.peer, member);
    room.tell(member.joined, member);
    this.members++;
  }

  // The member goes, and everybody is told.
  leave(room: Room, member: Member, reason: LeaveReason, nowMs: number): void {
    if (!room.members.delete(member.session.peer)) return;
    this.members--;
    if (reason === LeaveReason.REMOVED) {
      room.removed.push(member.session.peer);
      if (room.removed.length > REMOVED_MAX) room.removed.shift();
    }
    room.tell({case: 'peerLeft', value: {$typeName: 'lobby.v1.PeerLeft', peerId: member.session.peer, reason}});
    member.push({case: 'closed', value: {$typeName: 'lobby.v1.Closed', reason}});
    member.listener?.end(reason === LeaveReason.REMOVED ? 'removed' : 'lost');
    if (!room.members.size) room.emptySinceMs = nowMs;
    this.gone(member, reason);
  }

  sweep(nowMs: number): void {
    for (const room of this.byCode.values()) {
      const isOver = nowMs >= room.expiresMs;
      for (const member of room.members.values()) {
        const isLost = nowMs - member.heardMs > this.silentMs || (!member.listener && nowMs - member.awaySinceMs > AWAY_MS);
        if (isOver || isLost) this.leave(room, member, isOver ? LeaveReason.EXPIRED : LeaveReason.LOST, nowMs);
      }
      if (isOver || (!room.members.size && nowMs - room.emptySinceMs > EMPTY_MS)) this.byCode.delete(room.code);
    }
  }
}
