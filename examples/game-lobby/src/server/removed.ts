// removed.ts: who was removed by a host stays out over a restart of the lobby: a line of a file for each, until his room ends.
import {appendFileSync, existsSync, readFileSync, writeFileSync} from 'node:fs';

const MOST = 100_000;

export class Removed {
  private readonly until = new Map<string, number>();

  constructor(private readonly file: string, nowMs: number) {
    if (!file || !existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const [peer, ms] = line.split(' ');
      if (peer && Number(ms) > nowMs) this.until.set(peer, Number(ms));
    }
    writeFileSync(file, [...this.until].map(([peer, ms]) => `${peer} ${ms}\n`).join(''), {mode: 0o600});
  }

  add(peer: string, untilMs: number): void {
    this.until.set(peer, untilMs);
    if (this.until.size > MOST) this.until.delete(this.until.keys().next().value!);
    if (this.file) appendFileSync(this.file, `${peer} ${untilMs}\n`, {mode: 0o600});
  }

  has(peer: string): boolean {
    return this.until.has(peer);
  }

  sweep(nowMs: number): void {
    for (const [peer, ms] of this.until) if (ms <= nowMs) this.until.delete(peer);
  }
}
