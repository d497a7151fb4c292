// The primary's side of replication: one Replicate stream to each peer of a route, to which everything goes in the same
// order, and the answers of all of them gathered.
//
//   G1  Each peer answers what asks for an answer, in that order; an outcome is told when the last peer has answered,
//       so outcomes come in order too.
//   G2  The first failure breaks the pipeline: what waits fails with it, and so does what comes. Only a new one on a
//       fresh resolution goes on; bytes may then be on some peers and not on others.
//   G3  A peer that answers what nobody asked, or ends its stream early, is broken: nothing is guessed.
import { assert, WireError } from "@millrace/base";
import type { ProcessId, ReplicateRequest, ReplicateResponse } from "@millrace/protocol";
import type { PeerAnswer } from "./append-states.ts";

/** One Replicate stream. */
export interface PeerStream {
  /** What is given may be changed when it returns. @returns false when the peer is slow: wait for `drained` */
  send(request: ReplicateRequest): boolean;
  /** Nothing more comes; the peer ends the stream when it has answered. */
  halfClose(): void;
  /** Ends it at once. */
  cancel(): void;
}

export interface PeerListener {
  answered(response: ReplicateResponse): void;
  /** There is room again. */
  drained(): void;
  /** Told once, last. @param failure undefined: the peer ended it after `halfClose`, as it should */
  ended(failure: WireError | undefined): void;
}

/** Of a pipeline whose peers answer commits before they are synced. */
export interface EarlyHooks {
  /** All peers have everything below synced. */
  synced(end: number): void;
  /** After those who asked were told. */
  broken(failure: WireError): void;
}

/** Opens a stream to a peer; never throws: `ended` tells. */
export type ConnectPeer = (peer: ProcessId, listener: PeerListener) => PeerStream;

interface Peer {
  readonly id: ProcessId;
  stream: PeerStream;
  /** How many of the asked ones it has answered. */
  answered: number;
  /** As it has told. */
  synced: number;
  isSlow: boolean;
  hasEnded: boolean;
}

interface Asked {
  readonly answers: PeerAnswer[];
  missing: number;
  readonly done: (answers: readonly PeerAnswer[], failure: WireError | undefined) => void;
}

export class PeerPipeline {
  readonly #peers: readonly Peer[];
  /** What waits for answers; the first one is number `#told`. */
  readonly #asked: Asked[] = [];
  #told = 0;
  #failure: WireError | undefined;
  #isClosing = false;
  #room: (() => void)[] = [];
  readonly #early: EarlyHooks | undefined;

  /** @param peers of the route, without this broker */
  constructor(peers: readonly ProcessId[], connect: ConnectPeer, early?: EarlyHooks) {
    this.#early = early;
    this.#peers = peers.map((id) => this.#open(id, connect));
  }

  /** Why it is broken (G2). */
  get failure(): WireError | undefined {
    return this.#failure;
  }

  /** Acknowledgements that are awaited. */
  get pending(): number {
    return this.#asked.length;
  }

  /** To every peer; `requestFor` gives a peer its own, since the first header names it. */
  send(requestFor: (peer: ProcessId) => ReplicateRequest): void {
    if (this.#failure !== undefined) return;
    for (const peer of this.#peers) {
      const request = requestFor(peer.id);
      assert(!request.acknowledge, "what asks for an answer is asked", { peer: idText(peer.id) });
      this.#sendTo(peer, request);
    }
  }

  /** The same to those that `takes` says. */
  sendWhere(takes: (peer: ProcessId) => boolean, request: ReplicateRequest): void {
    if (this.#failure !== undefined) return;
    for (const peer of this.#peers) if (takes(peer.id)) this.#sendTo(peer, request);
  }

  /**
   * Sends what asks for an answer.
   * @param done told once, never in this turn's call: what each peer answered, and why not all of them did
   */
  ask(
    requestFor: (peer: ProcessId) => ReplicateRequest,
    done: (answers: readonly PeerAnswer[], failure: WireError | undefined) => void,
  ): void {
    const { length: missing } = this.#peers;
    assert(missing > 0, "a pipeline has peers");
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      queueMicrotask(() => done([], failure));
      return;
    }
    this.#asked.push({ answers: [], missing, done });
    for (const peer of this.#peers) this.#sendTo(peer, requestFor(peer.id));
  }

  /** Resolves when every peer takes more, at once when all do. @throws {WireError} the failure */
  room(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.#peers.some(({ isSlow }) => isSlow)) return undefined;
    return new Promise((resolve, reject) => {
      this.#room.push(() => (this.#failure === undefined ? resolve() : reject(this.#failure)));
    });
  }

  /** Nothing more is sent; what is awaited is still told. */
  close(): void {
    if (this.#isClosing || this.#failure !== undefined) return;
    this.#isClosing = true;
    for (const { stream } of this.#peers) stream.halfClose();
  }

  /** Ends it at once: what waits fails with `reason`. */
  abandon(reason: WireError): void {
    this.#break(reason);
  }

  #open(id: ProcessId, connect: ConnectPeer): Peer {
    // The stream is there when the first call of the listener comes.
    const peer = { id, answered: 0, synced: 0, isSlow: false, hasEnded: false } as Peer;
    peer.stream = connect(id, {
      answered: (response) => this.#onAnswer(peer, response),
      drained: () => {
        peer.isSlow = false;
        if (!this.#peers.some(({ isSlow }) => isSlow)) this.#openRoom();
      },
      ended: (failure) => this.#onEnded(peer, failure),
    });
    return peer;
  }

  #sendTo(peer: Peer, request: ReplicateRequest): void {
    if (peer.hasEnded) return;
    if (!peer.stream.send(request)) peer.isSlow = true;
  }

  #onAnswer(peer: Peer, response: ReplicateResponse): void {
    if (this.#failure !== undefined) return;
    if (response.synced > 0 && this.#early !== undefined) {
      peer.synced = Math.max(peer.synced, response.synced);
      this.#early.synced(Math.min(...this.#peers.map(({ synced }) => synced)));
      return;
    }
    const asked = this.#asked[peer.answered - this.#told];
    if (asked === undefined) {
      this.#break(broken(peer, `unexpected response: ${response.status}`)); // G3
      return;
    }
    peer.answered++;
    asked.answers.push(answerOf(peer.id, response));
    asked.missing--;
    while (this.#asked[0]?.missing === 0) {
      const { answers, done } = this.#asked.shift()!;
      this.#told++;
      done(answers, undefined);
    }
  }

  #onEnded(peer: Peer, failure: WireError | undefined): void {
    peer.hasEnded = true;
    if (this.#failure !== undefined) return;
    const isOwed = peer.answered < this.#told + this.#asked.length;
    if (failure === undefined && this.#isClosing && !isOwed) return;
    this.#break(broken(peer, failure?.message ?? "unexpected EOF", failure));
  }

  #break(failure: WireError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    for (const { stream, hasEnded } of this.#peers) if (!hasEnded) stream?.cancel();
    this.#openRoom();
    const waiting = this.#asked.splice(0);
    queueMicrotask(() => {
      for (const { answers, done } of waiting) done(answers, failure);
      this.#early?.broken(failure);
    });
  }

  #openRoom(): void {
    for (const open of this.#room.splice(0)) open();
  }
}

function broken(peer: Peer, why: string, cause?: WireError): WireError {
  return new WireError("UNAVAILABLE", `recv from ${idText(peer.id)}: ${why}`, { cause });
}

function idText({ zone, suffix }: ProcessId): string {
  return `zone:"${zone}" suffix:"${suffix}"`;
}

/** Most say no more than OK: those cost one literal. */
function answerOf(peer: ProcessId, { status, header, fragment, registers }: ReplicateResponse): PeerAnswer {
  if (header === undefined && fragment === undefined && registers === undefined)
    return { kind: "answered", peer, status };
  const optional = {
    ...(header && { header }),
    ...(fragment && { fragment }),
    ...(registers && { registers }),
  };
  return { kind: "answered", peer, status, ...optional };
}
