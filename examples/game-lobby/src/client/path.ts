// path.ts: how two players are connected, of what getStats() says: through the relay or directly, over what, how much.

export interface Path {
  kind: 'relayed' | 'direct' | 'none';
  transport: string; // toward the relay, or of the direct path: udp, tcp, tls
  pair: string; // "relay 192.0.2.1:50000 - relay 192.0.2.1:50001"
  rttMs: number;
  bytesIn: number;
  bytesOut: number;
  frames: number; // of video, decoded
  lossIn: number; // of video, 0 to 1
}

const NONE: Path = {kind: 'none', transport: '', pair: '', rttMs: NaN, bytesIn: 0, bytesOut: 0, frames: 0, lossIn: 0};

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Row = Record<string, any>;

export function pathOf(stats: Iterable<Row>): Path {
  const rows = new Map<string, Row>();
  for (const row of stats) rows.set(row.id, row);
  const all = [...rows.values()];
  const chosen = all.find(row => row.type === 'transport' && row.selectedCandidatePairId)?.selectedCandidatePairId;
  const pairs = all.filter(row => row.type === 'candidate-pair');
  const pair = rows.get(chosen) ?? pairs.find(row => row.selected); // Chromium's, and Firefox's
  if (!pair) return NONE;
  const local = rows.get(pair.localCandidateId) ?? {}, remote = rows.get(pair.remoteCandidateId) ?? {};
  const video = all.find(row => row.type === 'inbound-rtp' && row.kind === 'video');
  const isRelayed = local.candidateType === 'relay' || remote.candidateType === 'relay';
  const at = (one: Row) => `${one.candidateType} ${one.address ?? '?'}:${one.port ?? '?'}`;
  const packets = (video?.packetsLost ?? 0) + (video?.packetsReceived ?? 0);
  return {
    kind: isRelayed ? 'relayed' : 'direct',
    transport: (isRelayed ? local.relayProtocol : local.protocol) ?? local.protocol ?? '',
    pair: `${at(local)} – ${at(remote)}`,
    rttMs: (pair.currentRoundTripTime ?? NaN) * 1000,
    bytesIn: pair.bytesReceived ?? 0, bytesOut: pair.bytesSent ?? 0,
    frames: video?.framesDecoded ?? 0, lossIn: packets ? (video?.packetsLost ?? 0) / packets : 0,
  };
}
