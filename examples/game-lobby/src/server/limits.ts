// limits.ts: token buckets by name, of which only so many are kept.

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimit {
  private readonly buckets = new Map<string, Bucket>();

  // So many a second, and `burst` at once.
  constructor(private readonly perSecond: number, private readonly burst: number, private readonly most = 50_000) {}

  // Whether there is one more for this name.
  take(name: string, nowMs: number): boolean {
    let bucket = this.buckets.get(name);
    if (bucket) this.buckets.delete(name); // the map keeps the order of last use
    else bucket = {tokens: this.burst, atMs: nowMs};
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.perSecond);
    bucket.atMs = nowMs;
    const has = bucket.tokens >= 1;
    if (has) bucket.tokens -= 1;
    this.buckets.set(name, bucket);
    if (this.buckets.size > this.most) this.buckets.delete(this.buckets.keys().next().value!);
    return has;
  }

  // What is full again says nothing.
  sweep(nowMs: number): void {
    for (const [name, bucket] of this.buckets) {
      if (bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.perSecond < this.burst) continue;
      this.buckets.delete(name);
    }
  }

  get size(): number {
    return this.buckets.size;
  }
}

// How many are held at a time by a name.
export class Holds {
  private readonly held = new Map<string, number>();
  constructor(private readonly most: number) {}

  take(name: string): boolean {
    const count = this.held.get(name) ?? 0;
    if (count >= this.most) return false;
    this.held.set(name, count + 1);
    return true;
  }

  give(name: string): void {
    const count = this.held.get(name)! - 1;
    if (count) this.held.set(name, count);
    else this.held.delete(name);
  }
}

// 2001:db8:1::/56 is one household, as the relay counts it; ::ffff:192.0.2.1 is 192.0.2.1.
export function household(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = address.split('%')[0]!.split('::');
  const left = head ? head.split(':') : [], right = tail ? tail.split(':') : [];
  const words = [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${words.slice(0, 3).map(word => Number.parseInt(word, 16).toString(16)).join(':')}:${(Number.parseInt(words[3] ?? '0', 16) >> 8).toString(16)}::/56`;
}
