// Vocabulary of the append machine (append-fsm.ts): its states, inputs and effects, and what it is told about the
// world.
import type {
  AppendPreamble,
  AppendResponse,
  Fragment,
  Header,
  JournalSpec,
  LabelSet,
  ProcessId,
  Route,
  Status,
  Suspend,
} from "@millrace/protocol";
import type { AcknowledgementLevel } from "./acknowledgement-rule.ts";

/** What the resolver says of the journal at one revision. */
export interface AppendResolution {
  readonly status: Status;
  readonly header: Header;
  /** Absent when the journal is not there, or not to be seen by the caller. */
  readonly spec: JournalSpec | undefined;
  /** The authority of the header is this broker. */
  readonly primaryIsSelf: boolean;
  /** Identity of the local replica that serves the journal; 0 when there is none. */
  readonly replica: number;
  /** Replicas that the spec asks for, after suspension and the cluster's maximum. */
  readonly desiredReplicas: number;
  /** Members without which nothing is committed, and where each must have it (D15). */
  readonly minReplicas: number;
  readonly level: AcknowledgementLevel;
  /** The journal's labels ask for another level, or fewer members, than the cluster can give now. */
  readonly isReduced: boolean;
  /** Acknowledged before it is synced. */
  readonly isEarly: boolean;
  /** Every assignment's stored route equals the resolved one. */
  readonly assignmentsConsistent: boolean;
}

/**
 * The right to write next. `none`: not held. `held`: this append has it; `route` is the one for which the peers are
 * in sync, or undefined when they are not.
 */
export type Pipeline =
  | { readonly kind: "none" }
  | { readonly kind: "held"; readonly replica: number; readonly route: Route | undefined };

/** Answer of one peer to a synchronizing proposal. */
export type PeerAnswer =
  | { readonly kind: "broken"; readonly peer: ProcessId; readonly reason: string }
  | {
      readonly kind: "answered";
      readonly peer: ProcessId;
      readonly status: Status;
      readonly header?: Header;
      readonly fragment?: Fragment;
      readonly registers?: LabelSet;
    };

/** What the preconditions are decided on, as of one moment. Offsets include what was handed to commit already. */
export interface PreconditionFacts {
  readonly firstRefreshDone: boolean;
  /** What is wrong with the store that fragments go to; undefined when nothing is, or when there is no store. */
  readonly storeFailure: { readonly url: string; readonly reason: string } | undefined;
  /** 0, 0, 0 when there is no fragment. Unix seconds; 0 = the last fragment is not persisted. */
  readonly indexBegin: number;
  readonly indexEnd: number;
  readonly lastModTime: number;
  readonly spoolBegin: number;
  readonly spoolEnd: number;
  readonly registers: LabelSet;
  /** Whether the list of holders names others for content that this broker has not; undefined: nobody has looked. */
  readonly isHeldElsewhere: boolean | undefined;
  /** Unix seconds. */
  readonly now: number;
}

/**
 * How much of the content is here, before any of it was taken. `enough`: all of it, as much as is collected, or what
 * is wrong with it; `some`: bytes, and more is to come.
 */
export type ContentStanding = "none" | "some" | "enough";

/** A message of the content stream, after the preamble. A chunk of 0 bytes is the intent to commit. */
export type StreamMessage =
  | { readonly shape: "chunk"; readonly bytes: number; readonly delayed: boolean }
  | { readonly shape: "preamble" }
  | { readonly shape: "invalid"; readonly text: string };

/** How an append ends once everything before it is acknowledged. */
export type AppendEnding =
  | { readonly kind: "commit"; readonly registers: LabelSet }
  | { readonly kind: "barrier"; readonly status: "OK" | "SUSPENDED"; readonly registers: LabelSet }
  | { readonly kind: "status"; readonly status: Status };

/** What every state after the first resolution carries; shared by reference, because small appends are many. */
export interface Attempt {
  readonly request: AppendPreamble;
  readonly resolution: AppendResolution;
  readonly pipeline: Pipeline;
  /** Roll to this offset at the next chance; 0 = no wish. */
  readonly rollTo: number;
}

/** What an append that was opened goes by. */
export interface Opened {
  readonly registers: LabelSet;
  /** Of the answer if no bytes come. */
  readonly barrierStatus: "OK" | "SUSPENDED";
}

export interface Counts {
  readonly bytes: number;
  readonly totalChunks: number;
  readonly delayedChunks: number;
}

export type AppendState =
  | {
      readonly kind: "resolving";
      readonly request: AppendPreamble;
      readonly pipeline: Pipeline;
      readonly rollTo: number;
      readonly minRevision: number;
    }
  | { readonly kind: "acquiring-pipeline"; readonly attempt: Attempt }
  | { readonly kind: "starting-pipeline"; readonly attempt: Attempt }
  /** `isStale`: its resolution went out of date meanwhile. */
  | { readonly kind: "syncing"; readonly attempt: Attempt; readonly isStale: boolean }
  | { readonly kind: "updating-assignments"; readonly attempt: Attempt }
  | { readonly kind: "validating"; readonly attempt: Attempt; readonly wakeups: number }
  | { readonly kind: "updating-suspend"; readonly attempt: Attempt }
  /** Nothing stands against it but that its content is not here. With the pipeline while nobody else wants it. */
  | { readonly kind: "gathering"; readonly attempt: Attempt }
  | { readonly kind: "opening"; readonly attempt: Attempt; readonly opened: Opened }
  | {
      readonly kind: "streaming";
      readonly attempt: Attempt;
      readonly opened: Opened;
      readonly phase: "content" | "intent";
      readonly counts: Counts;
    }
  | {
      readonly kind: "reading-acknowledgements";
      readonly attempt: Attempt;
      readonly ending: AppendEnding;
      readonly counts: Counts;
    }
  | { readonly kind: "proxying"; readonly attempt: Attempt }
  /** Answered, with whatever status. */
  | { readonly kind: "finished"; readonly response: AppendResponse }
  /** Not answered: the call fails with this error. */
  | { readonly kind: "failed"; readonly error: Error };

export type AppendInput =
  | { readonly kind: "resolved"; readonly resolution: AppendResolution }
  | { readonly kind: "pipeline-acquired"; readonly route: Route | undefined }
  | { readonly kind: "pipeline-opened" }
  /** Somebody knows a newer route than the one to be opened. */
  | { readonly kind: "overtaken"; readonly revision: number }
  /** `ownEnd`: end of the proposal that was sent. */
  | { readonly kind: "sync-gathered"; readonly ownEnd: number; readonly answers: readonly PeerAnswer[] }
  | { readonly kind: "transaction-done"; readonly revision: number }
  | {
      readonly kind: "facts-gathered";
      readonly facts: PreconditionFacts;
      readonly content: ContentStanding;
    }
  /** As much content is here as was asked for. */
  | { readonly kind: "content-gathered" }
  /** Somebody else waits for the pipeline. */
  | { readonly kind: "wanted" }
  | { readonly kind: "append-opened" }
  | { readonly kind: "message"; readonly message: StreamMessage }
  | { readonly kind: "end-of-stream" }
  /** Every replica has it. `commit`: this append's own span, empty for a barrier. */
  | { readonly kind: "acknowledged"; readonly commit: Fragment }
  | { readonly kind: "proxied"; readonly response: AppendResponse }
  /** The primary has certainly seen nothing of it, and it can be sent again. */
  | { readonly kind: "unseen" }
  /** The resolution is out of date. */
  | { readonly kind: "invalidated" }
  /** The replica that the pipeline belongs to has to give the journal to a newer primary. */
  | { readonly kind: "evicted"; readonly error: Error }
  /** The caller went away, or the broker stops. */
  | { readonly kind: "cancelled"; readonly error: Error }
  /** The effect in progress failed. */
  | { readonly kind: "effect-failed"; readonly error: Error };

export type FactsWanted = "now" | "after-first-refresh" | "after-store-check" | "with-holders";

/** To be performed in order; the first that fails is reported and the rest is dropped. */
export type AppendEffect =
  | { readonly kind: "resolve"; readonly minRevision: number }
  /** When the keyspace has changed since `revision`: the store alone goes on all the time, by what others write. */
  | { readonly kind: "resolve-changed" }
  | { readonly kind: "acquire-pipeline" }
  /**
   * Lets the next append write. `route`: what the peers are in sync for; undefined: their streams are to be
   * closed.
   */
  | { readonly kind: "release-pipeline"; readonly route: Route | undefined }
  /** Closes what was open, waits for the spool, activates `route` and opens one stream for each peer. */
  | { readonly kind: "open-pipeline"; readonly route: Route }
  | {
      readonly kind: "sync";
      readonly rollTo: number;
      /** Adopted with the roll. */
      readonly registers: LabelSet | undefined;
      /** The first proposal on these streams carries the header. */
      readonly first: boolean;
    }
  | { readonly kind: "update-assignments" }
  | { readonly kind: "update-suspend"; readonly suspend: Suspend }
  | { readonly kind: "gather-facts"; readonly wanted: FactsWanted }
  /** Waits until so much of the content is here. `isTimed`: its client has a moment only. */
  | {
      readonly kind: "gather-content";
      readonly least: Exclude<ContentStanding, "none">;
      readonly isTimed: boolean;
    }
  /** Rolls as roll-rule.ts says, then opens the spool's next append. */
  | { readonly kind: "open-append"; readonly rollTo: number }
  | { readonly kind: "receive" }
  /** The chunk of the message just received. */
  | { readonly kind: "write-chunk" }
  | { readonly kind: "commit"; readonly registers: LabelSet | undefined }
  /** Ends the append without bytes; it is acknowledged once everything before it is. */
  | { readonly kind: "barrier" }
  | { readonly kind: "rollback" }
  /** Of the commit or barrier. */
  | { readonly kind: "await-acknowledgement" }
  | { readonly kind: "lift-rate-limit" }
  | { readonly kind: "proxy"; readonly header: Header };

export type AppendStep = readonly [AppendState, readonly AppendEffect[]];
