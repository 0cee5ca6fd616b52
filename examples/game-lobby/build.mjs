// build.mjs: dist/ from src/: the server, the native clients and the page, each with what it needs of node_modules in it, so that dist/ runs wherever Node does.
import {cp, rm} from 'node:fs/promises';
import {build} from 'esbuild';

await rm('dist', {recursive: true, force: true});
const how = {bundle: true, splitting: true, format: 'esm', sourcemap: true, outbase: 'src', outdir: 'dist', chunkNames: 'parts/[name]-[hash]'};
await build({...how, entryPoints: ['src/server/*.ts', 'src/client/*.ts', 'src/native/*.ts'], platform: 'node', target: 'node20',
  banner: {js: "import {createRequire as require_} from 'node:module'; const require = require_(import.meta.url);"}});
await build({...how, entryPoints: ['src/page/page.ts', 'src/page/ticker.ts'], target: 'es2022', minify: true});
await cp('src/page', 'dist/page', {recursive: true, filter: name => !name.endsWith('.ts')});
