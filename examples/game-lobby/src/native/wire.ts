// wire.ts: the lobby over each of its three protocols.
import type {Transport} from '@connectrpc/connect';
import {createConnectTransport, createGrpcTransport, createGrpcWebTransport} from '@connectrpc/connect-node';

export const PROTOCOLS = ['grpc', 'grpc-web', 'connect'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

// gRPC is over HTTP/2 (of plain TCP too); the others over HTTP/1.1, as from browsers.
export function wireTo(baseUrl: string, protocol: Protocol, trust: {ca?: string} = {}): Transport {
  if (protocol === 'grpc') return createGrpcTransport({baseUrl, ...(trust.ca ? {nodeOptions: {ca: trust.ca}} : {})});
  const make = protocol === 'connect' ? createConnectTransport : createGrpcWebTransport;
  return make({baseUrl, httpVersion: '1.1', ...(trust.ca ? {nodeOptions: {ca: trust.ca}} : {})});
}
