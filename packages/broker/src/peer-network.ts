// What brokers ask of each other. Over gRPC it is `protocol.Journal`, and for brokers that keep lists of holders (their
// member key names a data directory) a service of our own; in simulation it is a network that fails.
import { WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { Header, LabelSet, ProcessId } from "@millrace/protocol";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";
import type { Range } from "./holders-list.ts";
import type { HeldBytes } from "./holders-activation.ts";
import type { BoundRequest } from "./route-bound.ts";
import { brokerName } from "./journal-table.ts";

export interface Peer {
  readonly id: ProcessId;
  /** URL that it announces. */
  readonly endpoint: string;
}

/**
 * Calls that a broker passes on to the one that they concern: their header says so. An append fails with
 * {@link unseenByPeer} if it is certain that the peer has seen nothing of it, and may then go elsewhere.
 */
export type ProxiedCalls = Pick<JournalTransport, "append" | "read" | "listFragments">;

/** Which bytes of a journal a primary is about, and under which attempt it asks (durability.md D10). */
export interface AttemptOnJournal {
  readonly journal: string;
  readonly createRevision: number;
  /** The primary's, with the route that it activates; its process id is that of who is asked. */
  readonly header: Header;
  readonly epoch: number;
  /** Ascends with the attempts of the primary's process. */
  readonly stream: number;
}

/** See {@link BoundRequest}: `level` is a bring on a void list. */
export type HoldRequest = AttemptOnJournal &
  (
    | { readonly wants: "fence" | "ask" }
    | {
        readonly wants: Exclude<BoundRequest["wants"], "fence" | "append">;
        readonly begin: number;
        readonly end: number;
        /** Who has [begin, end), and is asked for it; undefined: nothing is to be copied. */
        readonly source: Peer | undefined;
        /** As they are at `end`. */
        readonly registers: LabelSet;
      }
  );

/**
 * `not-held`: it has nothing of this life of the journal. `different`: it has other bytes than the source below an end
 * that both have, and may not replace them.
 */
export type HoldRefusal = "WRONG_ROUTE" | "WRONG_STREAM" | "not-held" | "different";

export type HoldAnswer =
  | {
      readonly kind: "taken";
      readonly held: HeldBytes;
      /** At the end of what it has; undefined: it does not know them, and bytes are to be read elsewhere. */
      readonly registers: LabelSet | undefined;
      /** Known to be acknowledged; ascending and apart. */
      readonly sure: readonly Range[];
      /** Epoch under which it was brought last, with nothing lost since; 0: it may have lost something. */
      readonly whole: number;
      /** Epoch of what a restart found, until it is brought (later-lives.ts). Default: 0, nothing was found. */
      readonly found?: number;
    }
  | { readonly kind: "refused"; readonly why: HoldRefusal; readonly header: Header };

export interface FetchRequest {
  readonly journal: string;
  readonly createRevision: number;
  readonly begin: number;
  readonly end: number;
}

/** Between brokers that keep lists. What is thrown is a WireError. */
export interface HolderCalls {
  /** Fences a holder, asks a member what it has, or brings it to what `source` has, synced. */
  hold(request: HoldRequest, signal: AbortSignal): Promise<HoldAnswer>;
  /**
   * The bytes of [begin, end) that are on its disk, acknowledged or not, in chunks. @throws {WireError} NOT_FOUND when
   * it does not have all of them
   */
  fetch(request: FetchRequest, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** SHA-256 of the same bytes, hex. */
  digest(request: FetchRequest, signal: AbortSignal): Promise<string>;
}

export interface PeerNetwork {
  /** How old a Replicate stream may become, ms: who opened it replaces it with another one. Default: any age. */
  readonly streamMs?: number;
  /** Opens one Replicate stream about a journal. */
  replicate(peer: Peer, journal: string, listener: PeerListener): PeerStream;
  proxied(peer: Peer): ProxiedCalls;
  holder(peer: Peer): HolderCalls;
  /** Brokers whose connections are refused: their process is gone (D13). Told at each change. */
  onRefused(listener: (peer: Peer, isRefused: boolean) => void): void;
  /** Finds out whether somebody listens there: whoever listens to refusals is told. */
  probe(peer: Peer): void;
}

/** Why a call certainly did not reach a broker. */
export function unseenByPeer({ id }: Pick<Peer, "id">, why: string, cause?: unknown): WireError {
  const peer = brokerName(id);
  return new WireError("UNAVAILABLE", `broker ${peer}: ${why}`, { facts: { peer, isUnseen: true }, cause });
}

export function wasUnseen(error: unknown): boolean {
  return error instanceof WireError && error.facts["isUnseen"] === true;
}
