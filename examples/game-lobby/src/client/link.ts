// link.ts: the connection with one other player: perfect negotiation, restarts, and the two channels. It is the same in browsers and in Node (werift), which cannot roll
// back, restart or trickle: see `Kind`.
import type {Peer} from '../gen/lobby/v1/lobby_pb.js';
import {pathOf, type Path, type Row} from './path.js';
import type {SignalBody} from './session.js';

export interface Kind {
  make(config: RTCConfiguration): RTCPeerConnection;
  trickles: boolean; // or all candidates are in the description, which is then waited for
  describe?(description: RTCSessionDescription, policy: RTCIceTransportPolicy): string; // the SDP to send
  pack?(data: ArrayBuffer): Uint8Array<ArrayBuffer>; // what send() takes
  stats?(pc: RTCPeerConnection): Row[]; // in the words of getStats()
  keeps?(candidate: string): boolean; // whether a candidate of the other may be used
}

export interface LinkListener {
  send(body: SignalBody, generation: number): void;
  opened(): void;
  state(state: RTCPeerConnectionState): void;
  game(data: ArrayBuffer): void;
  chat(text: string): void;
  track(track: MediaStreamTrack): void;
  candidateError(code: number, text: string, url: string): void;
}

export interface Ice {
  iceServers: RTCIceServer[];
  policy: RTCIceTransportPolicy;
}

const PATIENCE_MS = 3000; // disconnected for so long: restart
const START_MS = 12_000; // a new connection
const AGAIN_MS = 6000, AGAIN_MOST_MS = 60_000;
const RESTARTS = 3; // then a new connection

const bufferOf = (data: ArrayBuffer | Uint8Array) => (data instanceof ArrayBuffer ? data : new Uint8Array(data).buffer);

export class Link {
  generation = 0;
  pc!: RTCPeerConnection;
  private game!: RTCDataChannel;
  private chatting!: RTCDataChannel;
  private readonly polite: boolean;
  private readonly starts: boolean; // makes the first offer
  private readonly restarts: boolean; // both can
  private ignoring = false;
  private early: RTCIceCandidateInit[] = [];
  private work: Promise<void> = Promise.resolve();
  private trouble: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private unsent: string[] = []; // chat of before the channel opened
  private track_: MediaStreamTrack | null = null;
  private closed = false;

  constructor(private readonly kind: Kind, me: Peer, readonly peer: Peer, private ice: Ice, private readonly listener: LinkListener) {
    this.polite = me.id > peer.id;
    this.starts = me.native === peer.native ? !this.polite : !me.native;
    this.restarts = !me.native && !peer.native;
    this.build(1);
  }

  get isOpen(): boolean {
    return this.game.readyState === 'open';
  }

  get state(): RTCPeerConnectionState {
    return this.pc.connectionState;
  }

  private build(generation: number): void {
    this.pc?.close();
    this.generation = generation;
    this.early = [];
    this.ignoring = false;
    const pc = (this.pc = this.kind.make({iceServers: this.ice.iceServers, iceTransportPolicy: this.ice.policy}));
    const isNow = () => pc === this.pc && !this.closed;
    const guarded = (work: () => Promise<void>) => () => { this.work = this.work.then(() => (isNow() ? work() : undefined)).catch(error => console.warn('link:', error)); };
    pc.onnegotiationneeded = guarded(async () => {
      if (this.starts || pc.remoteDescription) await this.describe();
    });
    pc.onicecandidate = ({candidate}) => {
      if (!isNow() || !this.kind.trickles) return;
      if (!candidate?.candidate) return this.listener.send({case: 'endOfCandidates', value: {$typeName: 'lobby.v1.EndOfCandidates'}}, generation);
      const {sdpMid, sdpMLineIndex, usernameFragment} = candidate;
      this.listener.send({case: 'candidate', value: {$typeName: 'lobby.v1.Candidate', candidate: candidate.candidate, sdpMid: sdpMid ?? '', sdpMLineIndex: sdpMLineIndex ?? 0,
        usernameFragment: usernameFragment ?? ''}}, generation);
    };
    pc.onicecandidateerror = event => {
      const {errorCode, errorText, url} = event as RTCPeerConnectionIceErrorEvent;
      if (isNow()) this.listener.candidateError(errorCode, errorText, url);
    };
    pc.onconnectionstatechange = () => { if (isNow()) this.onState(pc.connectionState); };
    pc.ontrack = ({track}) => { if (isNow()) this.listener.track(track); };
    // both ends make them, so that nobody waits for the other's
    this.game = this.channel('game', 0, {ordered: false, maxRetransmits: 0});
    this.chatting = this.channel('chat', 1, {});
    this.game.onmessage = ({data}) => { if (isNow()) this.listener.game(bufferOf(data as ArrayBuffer | Uint8Array)); };
    this.chatting.onmessage = ({data}) => { if (isNow()) this.listener.chat(String(data)); };
    this.game.onopen = () => { if (isNow()) this.listener.opened(); };
    this.chatting.onopen = () => this.unsent.splice(0).forEach(text => this.chatting.send(text));
    if (this.track_) pc.addTrack(this.track_, new MediaStream([this.track_]));
    this.mend(START_MS);
  }

  private channel(label: string, id: number, how: RTCDataChannelInit): RTCDataChannel {
    const channel = this.pc.createDataChannel(label, {negotiated: true, id, ...how});
    channel.binaryType = 'arraybuffer';
    return channel;
  }

  private async describe(): Promise<void> {
    const {pc, generation} = this;
    await pc.setLocalDescription();
    const {localDescription: description} = pc;
    if (!description || pc !== this.pc) return;
    const sdp = this.kind.describe?.(description, this.ice.policy) ?? description.sdp;
    this.listener.send({case: 'description', value: {$typeName: 'lobby.v1.Description', type: description.type, sdp}}, generation);
  }

  // What the other says.
  take(body: SignalBody, generation: number): void {
    if (generation < this.generation || this.closed) return;
    if (generation > this.generation) this.build(generation);
    const {pc} = this;
    this.work = this.work.then(() => (pc === this.pc && !this.closed ? this.apply(body) : undefined)).catch(error => { if (!this.ignoring) console.warn('link:', error); });
  }

  private async apply(body: SignalBody): Promise<void> {
    const {pc} = this;
    switch (body.case) {
      case 'description': {
        const type = body.value.type as RTCSdpType;
        // a collision: our own offer is on its way (work is done one by one, so that it is told by the state alone)
        if (type === 'offer' && !this.polite && pc.signalingState !== 'stable') {
          this.ignoring = true;
          return;
        }
        this.ignoring = false;
        await pc.setRemoteDescription({type, sdp: body.value.sdp}); // rolls our own offer back, where we are polite
        for (const candidate of this.early.splice(0)) await pc.addIceCandidate(candidate).catch(() => {});
        if (type === 'offer') await this.describe();
        return;
      }
      case 'candidate': {
        const {candidate, sdpMid, sdpMLineIndex, usernameFragment} = body.value;
        if (this.kind.keeps && !this.kind.keeps(candidate)) return;
        const init = {candidate, sdpMid, sdpMLineIndex, ...(usernameFragment ? {usernameFragment} : {})};
        if (!pc.remoteDescription) this.early.push(init);
        else if (!this.ignoring) await pc.addIceCandidate(init);
      }
    }
  }

  private onState(state: RTCPeerConnectionState): void {
    this.listener.state(state);
    if (state === 'connected') this.failures = 0;
    if (state === 'failed' || state === 'disconnected') this.mend(state === 'failed' ? 0 : PATIENCE_MS);
  }

  // Who starts goes first; the other goes if that did not help.
  private mend(afterMs: number): void {
    clearTimeout(this.trouble);
    this.trouble = setTimeout(() => {
      if (this.closed || this.pc.connectionState === 'connected') return;
      this.restart(++this.failures > RESTARTS);
      this.mend(Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** Math.max(0, this.failures - RESTARTS)));
    }, afterMs + (this.starts ? 0 : 2000));
  }

  // New paths: by an ICE restart, while what is goes on; or by a new connection.
  restart(anew = false): void {
    if (this.restarts && !anew) return this.pc.restartIce();
    this.build(this.generation + 1);
    this.listener.send({case: 'rebuild', value: {$typeName: 'lobby.v1.Rebuild'}}, this.generation);
  }

  use(ice: Ice, restart: boolean): void {
    this.ice = ice;
    if (this.restarts) this.pc.setConfiguration({iceServers: ice.iceServers, iceTransportPolicy: ice.policy});
    if (restart) this.restart();
  }

  async path(): Promise<Path> {
    return pathOf(this.kind.stats?.(this.pc) ?? ((await this.pc.getStats()) as unknown as Map<string, Row>).values());
  }

  play(data: ArrayBuffer): void {
    if (this.game.readyState === 'open' && this.game.bufferedAmount < 4096) this.game.send((this.kind.pack?.(data) ?? data) as ArrayBuffer); // what waits is too old to be sent
  }

  say(text: string): void {
    if (this.chatting.readyState === 'open') this.chatting.send(text);
    else this.unsent.push(text);
  }

  // null: no more. Nothing to who takes none.
  show(track: MediaStreamTrack | null): void {
    if (this.peer.native) return;
    for (const sender of this.pc.getSenders()) if (sender.track && sender.track.kind === 'video') this.pc.removeTrack(sender);
    this.track_ = track;
    if (track) this.pc.addTrack(track, new MediaStream([track]));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.trouble);
    this.pc.close();
  }
}
