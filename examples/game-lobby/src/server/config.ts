// config.ts: what the lobby is told by its environment, one row for each variable: it makes the README's table (npm run lobby -- --help) and the checks.
import {existsSync, readFileSync} from 'node:fs';

type Kind = 'text' | 'number' | 'list' | 'file' | 'secret';
interface Row {
  kind: Kind;
  fallback?: string;
  min?: number;
  max?: number;
  help: string;
}

export const OPTIONS = {
  LOBBY_LISTEN: {kind: 'text', fallback: '127.0.0.1:8090', help: 'ADDRESS:PORT; one port answers all three protocols and the page'},
  LOBBY_CERT: {kind: 'file', help: 'Certificate, PEM: with it the port speaks TLS (HTTP/2 and 1.1 by ALPN); without it h2c and HTTP/1.1'},
  LOBBY_PKEY: {kind: 'file', help: 'Its private key'},
  LOBBY_ORIGINS: {kind: 'list', help: 'Origins of pages on other hosts that may ask, comma separated; the page that the lobby serves always may'},
  LOBBY_SECRET: {kind: 'secret', help: 'What sessions are signed with, 32 characters or more; the same after a restart, or nobody can come back. Or @FILE'},
  LOBBY_STATE: {kind: 'text', help: 'A file where removed players are remembered over restarts'},
  LOBBY_TRUST_PROXY: {kind: 'number', fallback: '0', min: 0, max: 8, help: 'How many proxies in front add to X-Forwarded-For'},
  LOBBY_ROOM_TTL: {kind: 'number', fallback: '14400', min: 1, max: 86400, help: 'Seconds that a room lives'},
  LOBBY_MAX_ROOMS: {kind: 'number', fallback: '10000', min: 1, max: 1000000, help: 'Rooms at a time'},
  LOBBY_CALL_RATE: {kind: 'number', fallback: '30', min: 1, max: 1000000, help: 'Calls a second from one address; four times as many at once'},
  LOBBY_CREATE_RATE: {kind: 'number', fallback: '12', min: 1, max: 1000000, help: 'Rooms a minute from one address'},
  LOBBY_JOIN_RATE: {kind: 'number', fallback: '60', min: 1, max: 1000000, help: 'Joins a minute from one address: codes are not to be guessed'},
  LOBBY_MINT_RATE: {kind: 'number', fallback: '20', min: 1, max: 1000000, help: 'Credentials a minute for one session'},
  LOBBY_STREAMS: {kind: 'number', fallback: '64', min: 1, max: 1000000, help: 'Streams at a time from one address'},
  LOBBY_HEARTBEAT: {kind: 'number', fallback: '15', min: 1, max: 60, help: 'Seconds between heartbeats; a player who is silent for three of them is lost'},
  RELAY_API: {kind: 'list', help: 'Admin addresses of relays, http://HOST:PORT, comma separated: the first that serves is used, the next when it drains'},
  RELAY_API_KEY: {kind: 'secret', help: 'The key of relay key add --scope mint,admin; one for all relays, or one for each, comma separated. Or @FILE'},
  RELAY_TENANT: {kind: 'text', help: 'The tenant of the key'},
  RELAY_MAX_ALLOCATIONS: {kind: 'number', fallback: '24', min: 1, max: 1000, help: 'Allocations at a time of one player'},
  RELAY_CREDENTIAL_TTL: {kind: 'number', fallback: '3600', min: 5, max: 172800, help: 'Seconds that a credential is good for; a new one comes when a fifth is left'},
  RELAY_SECRET: {kind: 'secret', help: 'Without RELAY_API: static-auth-secret of the relay. Or @FILE'},
  RELAY_URLS: {kind: 'list', help: 'With RELAY_SECRET: turn: and turns: URLs of the relay, comma separated'},
} as const satisfies Record<string, Row>;

type Name = keyof typeof OPTIONS;
type Value<K extends Kind> = K extends 'number' ? number : K extends 'list' ? string[] : string;
export type Config = {[N in Name]: Value<(typeof OPTIONS)[N]['kind']>};

export class ConfigError extends Error {}

function read(name: string, row: Row, text: string): string | number | string[] {
  switch (row.kind) {
    case 'number': {
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < row.min! || value > row.max!) throw new ConfigError(`${name}: a number from ${row.min} to ${row.max} expected, got '${text}'`);
      return value;
    }
    case 'list':
      return text.split(',').map(part => part.trim()).filter(Boolean);
    case 'file':
      if (text && !existsSync(text)) throw new ConfigError(`${name}: there is no file '${text}'`);
      return text;
    case 'secret':
      if (!text.startsWith('@')) return text;
      try {
        return readFileSync(text.slice(1), 'utf8').trim();
      } catch (error) {
        throw new ConfigError(`${name}: ${(error as Error).message}`);
      }
    case 'text':
      return text;
  }
}

// What is wrong ends the start, and names the variable.
export function configOf(env: Record<string, string | undefined>): Config {
  for (const name of Object.keys(env))
    if (/^(LOBBY|RELAY)_/.test(name) && !(name in OPTIONS)) throw new ConfigError(`${name}: there is no such variable; --help lists those that there are`);
  const config = Object.fromEntries(Object.entries(OPTIONS).map(([name, row]) => [name, read(name, row, env[name] ?? ('fallback' in row ? row.fallback : ''))])) as unknown as Config;
  if (config.LOBBY_SECRET.length < 32) throw new ConfigError('LOBBY_SECRET: 32 characters or more expected: openssl rand -hex 32');
  if (!/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d+$/.test(config.LOBBY_LISTEN)) throw new ConfigError(`LOBBY_LISTEN: ADDRESS:PORT expected, got '${config.LOBBY_LISTEN}'`);
  if (!config.LOBBY_CERT !== !config.LOBBY_PKEY) throw new ConfigError('LOBBY_CERT and LOBBY_PKEY go together');
  if (config.RELAY_API.length) {
    if (!config.RELAY_API_KEY || !config.RELAY_TENANT) throw new ConfigError('RELAY_API: RELAY_API_KEY and RELAY_TENANT are needed with it');
    const keys = keysOf(config).length;
    if (keys !== 1 && keys !== config.RELAY_API.length) throw new ConfigError(`RELAY_API_KEY: one key, or ${config.RELAY_API.length}, expected`);
    for (const url of config.RELAY_API) if (!/^https?:\/\/[^/]+$/.test(url)) throw new ConfigError(`RELAY_API: http://HOST:PORT expected, got '${url}'`);
  } else if (!config.RELAY_SECRET || !config.RELAY_URLS.length) {
    throw new ConfigError('RELAY_API (with RELAY_API_KEY and RELAY_TENANT) or RELAY_SECRET (with RELAY_URLS) is needed');
  }
  for (const url of config.RELAY_URLS) if (!/^turns?:[^?\s]+(\?transport=(udp|tcp))?$/.test(url)) throw new ConfigError(`RELAY_URLS: turn:HOST:PORT?transport=udp expected, got '${url}'`);
  return config;
}

export const keysOf = (config: Config) => config.RELAY_API_KEY.split(/[\s,]+/).filter(Boolean);

export function help(): string {
  const rows = Object.entries(OPTIONS).map(([name, row]) => `  ${name.padEnd(22)} ${row.help}${'fallback' in row ? ` (${row.fallback})` : ''}`);
  return `The lobby is told by its environment:\n\n${rows.join('\n')}\n`;
}
