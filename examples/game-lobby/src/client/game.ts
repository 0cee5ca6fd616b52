// game.ts: the game: a square, a paddle on each player's side, one ball. Each player says where his paddle is, 60 times a second; the one with the lowest seat moves the
// ball, and says where it is. What is lost is not sent again: the next packet is newer.
//
//      0               1               2               3
//     +---------------+---------------+---------------+---------------+
//     | version       | flags: 1 ball | seat          | -             |
//     | packet number                                                 |
//     | time of sending, ms                                           |
//     | time of the last packet that came from you, as it said        |
//     | for how long I have had it, ms                                |
//     | paddle (float)                                                |
//     | ball: x, y, vx, vy (floats), rally, misses of seats 0 to 3 (16 bits each)
//     +---------------------------------------------------------------+

const VERSION = 1, HEAD = 24, WHOLE = HEAD + 16 + 10;
export const HZ = 60;
const WINDOW = 256; // packets of which loss is told
const PADDLE = 0.22; // half of it
const SPEED = 0.9, FASTER = 1.04, FASTEST = 2.4; // a side is 2 long
const GONE_MS = 3000; // nothing came from a player

export interface Ball {
  x: number;
  y: number;
  vx: number;
  vy: number;
  rally: number;
  misses: number[];
}

export interface Player {
  seat: number;
  paddle: number; // -1 to 1, along his side
  rttMs: number;
  jitterMs: number;
  received: number;
  lost: number; // of the last packets, 0 to 1
  heardMs: number;
}

interface Track extends Player {
  lastNumber: number;
  theirTime: number;
  numbers: Uint32Array;
}

export class Game {
  paddle = 0;
  sent = 0;
  readonly ball: Ball = {x: 0, y: 0, vx: 0, vy: 0, rally: 0, misses: [0, 0, 0, 0]};
  private readonly others = new Map<string, Track>();
  private serveMs = 0;
  private direction = 1;

  constructor(readonly seat: number) {}

  get players(): ReadonlyMap<string, Player> {
    return this.others;
  }

  join(id: string, seat: number): void {
    const numbers = new Uint32Array(WINDOW);
    this.others.set(id, {seat, paddle: 0, rttMs: NaN, jitterMs: 0, received: 0, lost: 0, heardMs: 0, lastNumber: 0, theirTime: 0, numbers});
  }

  leave(id: string): void {
    this.others.delete(id);
  }

  // The seats that have a paddle now.
  seats(nowMs: number): number[] {
    return [this.seat, ...[...this.others.values()].filter(one => nowMs - one.heardMs < GONE_MS).map(one => one.seat)].sort();
  }

  movesBall(nowMs: number): boolean {
    return this.seats(nowMs)[0] === this.seat;
  }

  packet(to: string, nowMs: number): ArrayBuffer {
    const track = this.others.get(to), moves = this.movesBall(nowMs);
    const view = new DataView(new ArrayBuffer(moves ? WHOLE : HEAD));
    view.setUint8(0, VERSION);
    view.setUint8(1, moves ? 1 : 0);
    view.setUint8(2, this.seat);
    view.setUint32(4, this.sent);
    view.setUint32(8, nowMs >>> 0);
    view.setUint32(12, track?.theirTime ?? 0);
    view.setUint32(16, track?.heardMs ? nowMs - track.heardMs : 0);
    view.setFloat32(20, this.paddle);
    if (moves) {
      const {x, y, vx, vy, rally, misses} = this.ball;
      [x, y, vx, vy].forEach((value, i) => view.setFloat32(HEAD + 4 * i, value));
      [rally, ...misses].forEach((value, i) => view.setUint16(HEAD + 16 + 2 * i, value));
    }
    return view.buffer;
  }

  // From others comes anything.
  take(from: string, data: ArrayBuffer, nowMs: number): void {
    const track = this.others.get(from);
    if (!track || data.byteLength < HEAD) return;
    const view = new DataView(data), number = view.getUint32(4), echo = view.getUint32(12), paddle = view.getFloat32(20);
    if (view.getUint8(0) !== VERSION || !(Math.abs(paddle) <= 1)) return;
    this.count(track, number);
    if (echo) this.time(track, ((nowMs >>> 0) - echo - view.getUint32(16)) | 0);
    if (number < track.lastNumber && track.lastNumber - number < WINDOW) return; // an older one
    track.lastNumber = number;
    track.theirTime = view.getUint32(8);
    track.heardMs = nowMs;
    track.paddle = paddle;
    if ((view.getUint8(1) & 1) && data.byteLength >= WHOLE && !this.movesBall(nowMs)) this.follow(view);
  }

  private follow(view: DataView): void {
    const [x, y, vx, vy] = [0, 1, 2, 3].map(i => view.getFloat32(HEAD + 4 * i)) as [number, number, number, number];
    if (![x, y, vx, vy].every(value => Math.abs(value) <= 4)) return;
    const [rally = 0, ...misses] = [0, 1, 2, 3, 4].map(i => view.getUint16(HEAD + 16 + 2 * i));
    Object.assign(this.ball, {x, y, vx, vy, rally, misses});
  }

  private count(track: Track, number: number): void {
    track.received++;
    track.numbers[number % WINDOW] = number + 1;
    const last = Math.max(number, track.lastNumber), span = Math.min(WINDOW, track.received);
    let there = 0;
    for (let i = 0; i < span; i++) if (last >= i && track.numbers[(last - i) % WINDOW] === last - i + 1) there++;
    track.lost = 1 - there / span;
  }

  private time(track: Track, rttMs: number): void {
    if (rttMs < 0 || rttMs > 10_000) return;
    if (Number.isNaN(track.rttMs)) track.rttMs = rttMs;
    track.jitterMs += (Math.abs(rttMs - track.rttMs) - track.jitterMs) / 16;
    track.rttMs += (rttMs - track.rttMs) / 8;
  }

  // One step of 1/60 s. Everybody moves the ball, so that it is smooth; what the one who decides says of it comes over it.
  step(nowMs: number): void {
    this.sent++;
    const {ball} = this, dt = 1 / HZ, moves = this.movesBall(nowMs), seats = this.seats(nowMs);
    if (seats.length < 2) return;
    if (moves && ball.vx === 0 && ball.vy === 0) {
      if (nowMs >= this.serveMs) this.serve();
      return;
    }
    ball.x += ball.vx * dt;
    ball.y += ball.vy * dt;
    for (const [seat, axis, sign] of [[0, 'x', -1], [1, 'x', 1], [2, 'y', -1], [3, 'y', 1]] as const) this.bounce(seat, axis, sign, seats, moves, nowMs);
  }

  private serve(): void {
    const angle = (Math.random() - 0.5) * 0.9;
    this.direction = -this.direction;
    Object.assign(this.ball, {x: 0, y: 0, vx: this.direction * SPEED * Math.cos(angle), vy: SPEED * Math.sin(angle), rally: 0});
    if (this.ball.misses.some(one => one > 65_000)) this.ball.misses.fill(0);
  }

  private bounce(seat: number, axis: 'x' | 'y', sign: -1 | 1, seats: number[], moves: boolean, nowMs: number): void {
    const {ball} = this, along = axis === 'x' ? 'y' : 'x', speed = axis === 'x' ? 'vx' : 'vy', other = axis === 'x' ? 'vy' : 'vx';
    if (ball[axis] * sign < 1 || ball[speed] * sign <= 0) return;
    const paddle = seats.includes(seat) ? this.paddleOf(seat) : ball[along];
    const off = ball[along] - paddle;
    if (Math.abs(off) > PADDLE + 0.03) {
      if (!moves) return; // it is for the other to say
      ball.misses[seat]!++;
      Object.assign(ball, {x: 0, y: 0, vx: 0, vy: 0});
      this.serveMs = nowMs + 700;
      return;
    }
    ball[axis] = sign;
    ball[speed] = -ball[speed];
    if (!seats.includes(seat)) return;
    ball.rally++;
    ball[other] += off * 1.2;
    const fast = Math.hypot(ball.vx, ball.vy), want = Math.min(FASTEST, fast * FASTER);
    ball.vx *= want / fast;
    ball.vy *= want / fast;
  }

  paddleOf(seat: number): number {
    if (seat === this.seat) return this.paddle;
    for (const one of this.others.values()) if (one.seat === seat) return one.paddle;
    return 0;
  }

  // Plays by itself, not too well.
  bot(): void {
    const goal = this.seat < 2 ? this.ball.y : this.ball.x, step = 1.6 / HZ;
    this.paddle = Math.max(-1, Math.min(1, this.paddle + Math.max(-step, Math.min(step, goal - this.paddle))));
  }
}
