// call.ts: one call of the lobby from the command line, as grpcurl does it:
//
//     npm run -s call -- [--lobby URL] [--protocol grpc|grpc-web|connect] [--count N] lobby.v1.Lobby/CreateRoom '{"seats": 2}'
//
// A stream is printed event by event, until it ends or N have come. What fails goes to stderr as {"code", "message"}, with exit code 1.
import {readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {createRegistry, fromJson, toJson, type DescMessage, type JsonValue} from '@bufbuild/protobuf';
import {Code, ConnectError, createClient} from '@connectrpc/connect';
import {file_lobby_v1_lobby as file} from '../gen/lobby/v1/lobby_pb.js';
import {PROTOCOLS, wireTo, type Protocol} from './wire.js';

type Call = (message: unknown, options: {signal: AbortSignal}) => unknown;

function usage(text: string): never {
  console.error(`call: ${text}\nusage: call [--lobby URL] [--protocol ${PROTOCOLS.join('|')}] [--count N] SERVICE/METHOD '{JSON}'`);
  process.exit(2);
}

async function main(): Promise<void> {
  const {values, positionals} = parseArgs({allowPositionals: true, options: {lobby: {type: 'string', default: process.env.LOBBY ?? 'http://127.0.0.1:8090'},
    protocol: {type: 'string', default: 'grpc'}, count: {type: 'string', default: '0'}, ca: {type: 'string'}}});
  const [name = '', json = '{}'] = positionals;
  if (!(PROTOCOLS as readonly string[]).includes(values.protocol)) usage(`--protocol: one of ${PROTOCOLS.join(', ')} expected`);
  const registry = createRegistry(file);
  const [serviceName = '', methodName] = name.split('/');
  const service = registry.getService(serviceName), method = service?.methods.find(one => one.name === methodName);
  if (!service || !method) usage(`there is no '${name}'; there are:\n${file.services.flatMap(one => one.methods.map(it => `  ${one.typeName}/${it.name}`)).join('\n')}`);

  const client = createClient(service, wireTo(values.lobby, values.protocol as Protocol, values.ca ? {ca: readFileSync(values.ca, 'utf8')} : {})) as unknown as Record<string, Call>;
  const show = (type: DescMessage, message: unknown) => console.log(JSON.stringify(toJson(type, message as never, {registry, alwaysEmitImplicit: false})));
  const abort = new AbortController();
  try {
    const request = fromJson(method.input, JSON.parse(json) as JsonValue);
    const answer = client[method.localName]!(request, {signal: abort.signal});
    if (method.methodKind === 'unary') show(method.output, await answer);
    else {
      let left = Number(values.count);
      for await (const event of answer as AsyncIterable<unknown>) {
        show(method.output, event);
        if (--left === 0) break;
      }
    }
  } catch (error) {
    const {code, rawMessage} = ConnectError.from(error);
    console.error(JSON.stringify({code: Code[code], message: rawMessage}));
    process.exitCode = 1;
  }
  abort.abort();
  process.exit(); // an open HTTP/2 session would keep us here
}

await main();
