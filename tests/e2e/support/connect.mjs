// connect.mjs: a client of Connect in Node: node connect.mjs SOCKET DESCRIPTORS '[[message, headers], ...]' prints what each call of Mint came to.
import {readFileSync} from 'node:fs';
import {createFileRegistry, fromBinary, toJson} from '@bufbuild/protobuf';
import {FileDescriptorSetSchema, TimestampSchema, timestampMs} from '@bufbuild/protobuf/wkt';
import {Code, ConnectError, createClient} from '@connectrpc/connect';
import {createConnectTransport} from '@connectrpc/connect-node';

const [socketPath, descriptors, calls] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const transport = createConnectTransport({baseUrl: 'http://relay', httpVersion: '1.1', useBinaryFormat: false, nodeOptions: {socketPath}});
const client = createClient(registry.getService('relay.v1.CredentialService'), transport);
const response = registry.getMessage('relay.v1.MintResponse');

for (const [message, headers] of JSON.parse(calls)) {
  try {
    const request = Object.fromEntries(Object.entries(message).map(([name, value]) => [name, name === 'ttl' || name === 'maxBps' ? BigInt(value) : value]));
    const answer = await client.mint(request, {headers, timeoutMs: 10000});
    console.log(JSON.stringify({...toJson(response, answer, {registry}), expiresMs: timestampMs(answer.expiresAt)}));
  } catch (error) {
    const {code, rawMessage, metadata} = ConnectError.from(error);
    console.log(JSON.stringify({code: Code[code], message: rawMessage, retry: metadata.get('retry-after')}));
  }
}
