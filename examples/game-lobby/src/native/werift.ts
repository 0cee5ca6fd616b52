// werift.ts: WebRTC in plain JavaScript (werift), as a Kind of connection; and what keeps werift from the ways to hang that it has:
//
// - It does not get over a ChannelBind that the relay refuses: what comes through the relay from then on seems to come from the relay itself. So a relayed address is paired
//   with relayed ones alone, as the relay lets players of a match reach nothing else, and a check that came before its channel was bound is left to its repetition.
// - It stays with the pair that was nominated first, whatever the browser nominates later: we follow.
// - A ServerHello that is repeated while the handshake ends makes it take new keys, which the browser has not: what was heard is not heard again.
// - It binds channels anew after 500 s, but a permission lives for 300 (RFC 8656 section 9).
// - It does not say that a connection is lost, and looks no further whether it is.
import {CandidatePairState, RTCPeerConnection as Werift, StunOverTurnProtocol, type Address, type Candidate, type IceConnection, type Message, type Protocol} from 'werift';
import type {Kind} from '../client/link.js';

const HANDSHAKE = 22, CLIENT_HELLO = 1; // RFC 6347: of a record, and in it
const RECORD_HEAD = 13;
const PERMISSION_S = 240;

const isRelayed = ({type}: Candidate) => type === 'relay';
const isSame = ([host, port]: Address, [otherHost, otherPort]: Address) => host === otherHost && port === otherPort;

// A check of the other; false: it is not answered.
function hears(connection: IceConnection | undefined, check: Message, from: Address, protocol: Protocol): boolean {
  if (protocol instanceof StunOverTurnProtocol && isSame(from, protocol.turn.server)) return false;
  const pair = connection?.checkList.find(one => one.protocol === protocol && isSame(one.remoteAddr, from));
  if (connection?.nominated && pair?.state === CandidatePairState.SUCCEEDED && check.attributesKeys.includes('USE-CANDIDATE')) connection.nominated = pair;
  return true;
}

// The handshake's messages in the clear, ClientHello apart; null: there is something else in the datagram.
function handshakes(data: Buffer): string[] | null {
  const found = [];
  for (let at = 0; at < data.length; ) {
    const body = data.subarray(at + RECORD_HEAD, at + RECORD_HEAD + (data.length - at < RECORD_HEAD ? 0 : data.readUInt16BE(at + RECORD_HEAD - 2)));
    if (!body.length || data[at] !== HANDSHAKE || data.readUInt16BE(at + 3) || body[0] === CLIENT_HELLO) return null;
    found.push(body.toString('latin1'));
    at += RECORD_HEAD + body.length;
  }
  return found;
}

function hearOnce({onData}: IceConnection): void {
  const heard = new Set<string>(), {execute} = onData;
  onData.execute = data => {
    const said = handshakes(data);
    if (said?.every(one => heard.has(one))) return;
    said?.forEach(one => heard.add(one));
    execute(data);
  };
}

// transport: toward the relay, "udp" or "tcp". permissionS: after so long permissions are asked for again.
// werift takes one URL of each kind, has a switch for TCP, and tells its host candidates even when it must not.
export const werift = (transport: string, permissionS = PERMISSION_S): Kind => ({
  trickles: false,
  make: ({iceServers = [], iceTransportPolicy = 'all'}) => {
    const flat = iceServers.flatMap(server => [server.urls].flat().map(urls => ({...server, urls})));
    const turn = flat.find(one => one.urls.startsWith('turn:') && one.urls.endsWith(`transport=${transport}`));
    const stun = flat.find(one => one.urls.startsWith('stun:')) ?? (turn && {urls: turn.urls.split('?')[0]!.replace('turn:', 'stun:')}); // without one it asks a stranger's
    const pc: Werift = new Werift({
      iceServers: [...(stun ? [stun] : []), ...(turn ? [{...turn, urls: turn.urls.split('?')[0]!}] : [])],
      iceTransportPolicy, forceTurnTCP: transport === 'tcp', iceUseIpv6: false,
      iceFilterCandidatePair: ({protocol, localCandidate, remoteCandidate}) => {
        if (protocol instanceof StunOverTurnProtocol) protocol.turn['channelRefreshTime'] = permissionS;
        return isRelayed(localCandidate) === isRelayed(remoteCandidate);
      },
      iceFilterStunResponse: (check, from, protocol) => hears(pc.iceTransports[0]?.connection, check, from, protocol),
    });
    pc.signalingStateChange.once(() => hearOnce(pc.iceTransports[0]!.connection));
    pc.iceConnectionStateChange.subscribe(state => { if (state === 'disconnected') pc['secureManager'].setConnectionState('failed'); });
    return pc as unknown as RTCPeerConnection;
  },
  describe: ({sdp}, policy) => (policy === 'relay' ? sdp.replace(/^a=candidate:.* typ (?!relay).*\r\n/gm, '') : sdp),
  stats: pc => {
    const pair = (pc as unknown as Werift).iceTransports[0]?.connection.nominated;
    if (!pair) return [];
    const end = (id: string, {type, host, port, transport: protocol}: Candidate) => ({id, candidateType: type, address: host, port, protocol, relayProtocol: transport});
    return [{id: 'pair', type: 'candidate-pair', selected: true, localCandidateId: 'local', remoteCandidateId: 'remote', currentRoundTripTime: pair.rtt, bytesReceived: pair.bytesReceived, bytesSent: pair.bytesSent},
      end('local', pair.localCandidate), end('remote', pair.remoteCandidate)];
  },
  pack: data => Buffer.from(data),
  keeps: candidate => !/\.local /.test(candidate) && !/ tcp /i.test(candidate), // names of mDNS are for browsers
});
