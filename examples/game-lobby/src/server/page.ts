// page.ts: the files of the page, which are few and are read once.
import {readdirSync, readFileSync} from 'node:fs';
import type {ServerResponse} from 'node:http';
import {extname, join} from 'node:path';

const MEDIA: Record<string, string> = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml'};
const HEADERS = {
  'content-security-policy': "default-src 'self'; connect-src 'self' http: https:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cache-control': 'no-cache',
};
const files = new Map<string, Buffer>();

export function servePage(path: string, response: ServerResponse, directory: string): void {
  if (!files.size) for (const name of readdirSync(directory)) if (MEDIA[extname(name)]) files.set(`/${name}`, readFileSync(join(directory, name)));
  const name = path === '/' ? '/index.html' : path;
  const body = files.get(name);
  response.writeHead(body ? 200 : 404, {...HEADERS, 'content-type': body ? MEDIA[extname(name)]! : 'text/plain; charset=utf-8'});
  response.end(body ?? 'not found\n');
}
