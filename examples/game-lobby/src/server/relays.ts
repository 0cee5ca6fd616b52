// relays.ts: credentials for players: minted by the relay's API, or made of its static-auth-secret; and what the relay says of them.
import {createHmac} from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import {Access, Transport, type IceGrant, type Refusal} from '../gen/lobby/v1/lobby_pb.js';
import {keysOf, type Config} from './config.js';

export type Grant = Omit<IceGrant, '$typeName' | 'iceServers' | 'expiresAtMs'> & {
  iceServers: {urls: string[]; username: string; credential: string}[];
  expiresMs: number;
  credentialId: string; // for revoking and explaining; '' if it cannot be
};

export interface Order {
  player: string;
  match: string;
  transports: Transport[];
}

export type Told = {access: Access; refusals: Omit<Refusal, '$typeName'>[]};

export class NoRelay extends Error {}

export interface Relay {
  readonly name: string;
  serves: boolean; // as it was last seen
  mint(order: Order): Promise<Grant>; // NoRelay: not now
  revoke(credentialId: string): Promise<void>;
  explain(credentialId: string): Promise<Told | null>; // null: it cannot be asked
  look(): Promise<void>; // whether it serves
}

const WORDS: Record<number, string> = {[Transport.UDP]: 'udp', [Transport.TCP]: 'tcp', [Transport.TLS]: 'tls'};
const ASK_MS = 5000; // the relay lets a connection go that is silent for 10 s
const ASKED_AT_ONCE = 32; // of one relay

// Players learn their public address from a STUN server; every relay is one, at its port for UDP and TCP.
const stunOf = (urls: string[]): string | undefined => urls.find(url => url.startsWith('turn:'))?.replace(/^turn:([^?]*).*/, 'stun:$1');

function grantOf(relay: {name: string; stun?: string}, servers: Grant['iceServers'], expiresMs: number, credentialId: string): Grant {
  relay.stun = stunOf(servers.flatMap(server => server.urls)) ?? relay.stun;
  return {relay: relay.name, expiresMs, credentialId, iceServers: [...(relay.stun ? [{urls: [relay.stun], username: '', credential: ''}] : []), ...servers]};
}

interface Row {
  time: number;
  event: string;
  code: number;
  method: string;
  rule: string;
  reason: string;
  why: string;
  advice: string | null;
}

function accessOf(rows: Row[]): Access {
  for (const row of rows) {
    if (row.rule === 'credential_revoked' || row.reason === 'revoked') return Access.REVOKED;
    if (row.reason === 'kicked') return Access.KICKED;
    if (row.code === 486) return Access.QUOTA_FULL;
    if (row.rule === 'expired') return Access.EXPIRED;
  }
  return Access.GOOD;
}

interface Answer {
  status: number;
  text: string;
}

export class ApiRelay implements Relay {
  serves = true;
  stun?: string;
  private readonly http: typeof http | typeof https; // fetch() would take more of the lobby's time than all else of a Join
  private readonly agent: http.Agent;
  constructor(readonly name: string, private readonly key: string, private readonly config: Config) {
    this.http = name.startsWith('https:') ? https : http;
    this.agent = new this.http.Agent({keepAlive: true, maxSockets: ASKED_AT_ONCE, timeout: ASK_MS});
  }

  async mint({player, match, transports}: Order): Promise<Grant> {
    const {RELAY_TENANT: tenant, RELAY_CREDENTIAL_TTL: ttl, RELAY_MAX_ALLOCATIONS: most} = this.config;
    const body = {ttl, tag: player, room: match, max_allocations: most, ...(transports.length ? {transports: transports.map(one => WORDS[one])} : {})};
    const answer = await this.ask('POST', `/v1/tenants/${encodeURIComponent(tenant)}/credentials`, body);
    if (answer.status !== 201) {
      this.serves = answer.status !== 503;
      throw new NoRelay(`${this.name} answers ${answer.status}: ${answer.text}`);
    }
    this.serves = true;
    const {iceServers, credentialId, expiresAt} = JSON.parse(answer.text) as {iceServers: Grant['iceServers']; credentialId: string; expiresAt: number};
    return grantOf(this, iceServers, expiresAt * 1000, credentialId);
  }

  async revoke(credentialId: string): Promise<void> {
    await this.ask('DELETE', `/v1/credentials/${credentialId}`);
  }

  async explain(credentialId: string): Promise<Told | null> {
    const answer = await this.ask('GET', `/v1/explain?credential=${credentialId}&limit=10`);
    if (answer.status !== 200) return null;
    const {refusals: rows} = JSON.parse(answer.text) as {refusals: Row[]};
    const refusals = rows.map(row => ({timeMs: BigInt(Math.round(row.time * 1000)), code: row.code, method: row.method, rule: row.rule, why: row.why, advice: row.advice ?? ''}));
    return {access: accessOf(rows), refusals};
  }

  async look(): Promise<void> {
    try {
      this.serves = (await this.ask('GET', '/readyz')).status === 200;
    } catch {
      this.serves = false;
    }
  }

  private async ask(method: string, path: string, body?: object): Promise<Answer> {
    try {
      return await new Promise<Answer>((done, failed) => {
        const headers = {authorization: `Bearer ${this.key}`, ...(body ? {'content-type': 'application/json'} : {})};
        const asked = this.http.request(this.name + path, {method, agent: this.agent, headers}, answer => {
          let text = '';
          answer.setEncoding('utf8').on('data', part => { text += part; }).on('error', failed).on('end', () => done({status: answer.statusCode!, text}));
        });
        asked.on('timeout', () => asked.destroy(new Error('no answer'))).on('error', failed).end(body ? JSON.stringify(body) : undefined);
      });
    } catch (error) {
      this.serves = false;
      throw new NoRelay(`${this.name}: ${(error as Error).message}`);
    }
  }
}

// The name is "<expiry>:<match>:<player>", of which policies/rest_secret.lua makes the user "<match>:<player>", and policies/room.lua the group.
export class SecretRelay implements Relay {
  readonly serves = true;
  readonly name = 'relay';
  stun?: string;
  constructor(private readonly config: Config) {
    this.stun = stunOf(config.RELAY_URLS);
  }

  async mint({player, match, transports}: Order): Promise<Grant> {
    const expires = Math.floor(Date.now() / 1000) + this.config.RELAY_CREDENTIAL_TTL;
    const username = `${expires}:${match}:${player}`;
    const credential = createHmac('sha1', this.config.RELAY_SECRET).update(username).digest('base64');
    const wanted = transports.length ? transports.map(one => WORDS[one]) : null;
    const urls = this.config.RELAY_URLS.filter(url => !wanted || wanted.includes(url.startsWith('turns:') ? 'tls' : (/transport=(\w+)/.exec(url)?.[1] ?? 'udp')));
    if (!urls.length) throw new NoRelay('RELAY_URLS has none over that transport');
    return grantOf(this, [{urls, username, credential}], expires * 1000, '');
  }

  async revoke(): Promise<void> {}
  async explain(): Promise<null> {
    return null;
  }
  async look(): Promise<void> {}
}

export class Relays {
  readonly all: Relay[];
  constructor(config: Config) {
    const keys = keysOf(config);
    this.all = config.RELAY_API.length ? config.RELAY_API.map((url, i) => new ApiRelay(url, keys[i] ?? keys[0]!, config)) : [new SecretRelay(config)];
  }

  // For a match: the one that it is on while that serves, or the first that does.
  async mint(order: Order, on: Relay | null): Promise<{grant: Grant; relay: Relay}> {
    let last: unknown = new NoRelay('no relay serves now');
    for (const relay of this.inOrder(on)) {
      try {
        return {grant: await relay.mint(order), relay};
      } catch (error) {
        if (!(error instanceof NoRelay)) throw error;
        last = error;
      }
    }
    throw last;
  }

  private inOrder(on: Relay | null): Relay[] {
    const rest = this.all.filter(relay => relay !== on);
    const order = [...(on ? [on] : []), ...rest];
    return [...order.filter(relay => relay.serves), ...order.filter(relay => !relay.serves)];
  }

  async look(): Promise<void> {
    await Promise.all(this.all.map(relay => relay.look()));
  }
}
