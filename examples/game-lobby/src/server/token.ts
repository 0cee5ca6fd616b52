// token.ts: sessions. A token is what the lobby would have to remember of a player and his room, signed: a lobby that was restarted makes the room anew of what
// its players bring. It is secret, and has nothing to do with the peer id, which everybody in the room knows.
import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto';

export interface Session {
  code: string;
  match: string; // of the room, for the relay: drawn once, not guessed from the code
  peer: string;
  name: string;
  seat: number;
  host: boolean;
  native: boolean;
  roomName: string;
  seats: number;
  listed: boolean;
  createdMs: number;
  expiresMs: number; // of the room, and so of the session
}

const FORM = 1;
const NO_KEY = 'no-host-key';

export class Signer {
  constructor(private readonly secret: string) {}

  seal(session: Session): string {
    const body = Buffer.from(JSON.stringify([FORM, session])).toString('base64url');
    return `${body}.${this.sign('session', body)}`;
  }

  // null: it is none of ours. Whether it has ended is for the caller to say.
  open(token: string): Session | null {
    const [body, mark, ...rest] = token.split('.');
    if (!body || !mark || rest.length || token.length > 2048 || !equal(mark, this.sign('session', body))) return null;
    const [form, session] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [number, Session];
    return form === FORM ? session : null;
  }

  hostKey(match: string): string {
    return this.sign('host', match);
  }

  isHostKey(key: string, match: string): boolean {
    return equal(key || NO_KEY, this.hostKey(match));
  }

  private sign(use: string, text: string): string {
    return createHmac('sha256', this.secret).update(`${use}\0${text}`).digest('base64url');
  }
}

function equal(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

const ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'; // no I, L, O, 0, 1
export const CODE_LENGTH = 6;

export function newCode(): string {
  let code = '';
  while (code.length < CODE_LENGTH) {
    const byte = randomBytes(1)[0]!;
    if (byte < 248) code += ALPHABET[byte % 31]; // 248 is 8 * 31: no letter is likelier
  }
  return code;
}

export const newId = () => randomBytes(6).toString('hex');
