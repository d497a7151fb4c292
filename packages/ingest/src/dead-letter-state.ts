// What the coordination store knows of a sink's dead letters: which journal they are in, how far it was replayed. One
// key for each sink, made with the journal at its first letter.
import { WireError } from "@millrace/base";
import { keyOf, prefixRange, type CoordinationStore, type Key } from "@millrace/metadata";
import {
  deadLetterJournal,
  sinkPath,
  sourcePath,
  type SinkKey,
  type SinkLife,
  type SourceKey,
} from "./definitions.ts";
import type { FrameFilterCheckpoint } from "./frame-filter.ts";
import { encodeJson, filterIn } from "./storage-codec.ts";
import { JsonFields, parseJson } from "./storage-json.ts";

/** A letter: number `index` of the frame that begins at `offset`. */
export interface LetterPlace {
  readonly offset: number;
  readonly index: number;
}

/** Everything before the place was replayed. */
export interface LetterPosition extends LetterPlace {
  /** State of the frame filter there; behind the frame at `offset` when `index` is not 0. */
  readonly filter: FrameFilterCheckpoint;
}

/** Letters from the position to `end` that are being replayed (P2 of dead-letter-replay.ts). */
export interface PendingReplay {
  readonly end: LetterPlace;
  /** Of the sink that maps them. */
  readonly version: number;
  /** Those that it refused again; all others became rows. */
  readonly refused: readonly LetterPlace[];
}

export interface LetterState {
  readonly journal: string;
  readonly createdAt: string;
  readonly position: LetterPosition;
  /** Of the frames that replays append, and the sequence of the last one. */
  readonly producer: string;
  readonly sequence: number;
  readonly pending?: PendingReplay;
  /** Letters that ever became rows, and that were refused again. */
  readonly replayed: number;
  readonly refused: number;
}

export interface StoredLetterState {
  readonly state: LetterState;
  readonly modRevision: number;
}

export const DEAD_LETTERS_PREFIX: Key = "stream/dead-letters/";

export function letterStateKey(sink: SinkKey): Key {
  return keyOf(`${DEAD_LETTERS_PREFIX}${sinkPath(sink)}`);
}

/** Undefined: this life of the sink has no letters. @throws {WireError} of the store; CORRUPT */
export async function loadLetterState(
  store: CoordinationStore,
  sink: SinkLife,
  signal: AbortSignal,
): Promise<StoredLetterState | undefined> {
  const key = letterStateKey(sink);
  const { kvs } = await store.range({ key }, signal);
  if (kvs[0] === undefined) return undefined;
  const state = decodeLetterState(kvs[0].value, key);
  return state.journal === deadLetterJournal(sink) ? { state, modRevision: kvs[0].modRevision } : undefined;
}

/** What is known of all sinks of a source, by their IDs, whatever lives they are of. @throws {WireError} as above */
export async function loadLetterStates(
  store: CoordinationStore,
  source: SourceKey,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LetterState>> {
  const prefix = keyOf(`${DEAD_LETTERS_PREFIX}${sourcePath(source)}/`);
  const { kvs } = await store.range(prefixRange(prefix), signal);
  return new Map(kvs.map(({ key, value }) => [key.slice(prefix.length), decodeLetterState(value, key)]));
}

/**
 * Writes `state` where the store has what was read at `modRevision` (0: nothing).
 * @returns the new revision; undefined: somebody else was faster
 */
export async function putLetterState(
  store: CoordinationStore,
  key: Key,
  { state, modRevision }: StoredLetterState,
  signal: AbortSignal,
): Promise<number | undefined> {
  const request = {
    compare: [{ target: "mod", key, op: "=", revision: modRevision } as const],
    success: [{ kind: "put", key, value: encodeJson(state) } as const],
  };
  const { succeeded, header } = await store.txn(request, signal);
  return succeeded ? header.revision : undefined;
}

export function decodeLetterState(bytes: Uint8Array, key: string): LetterState {
  const fields = new JsonFields(parseJson(bytes, key), key);
  const position = fields.object("position");
  const producer = fields.text("producer");
  if (!/^[0-9a-f]{16}$/.test(producer)) {
    throw new WireError("CORRUPT", `${key}: field producer: expected 16 hex digits`);
  }
  return {
    journal: fields.text("journal"),
    createdAt: fields.time("createdAt"),
    position: { ...placeIn(position), filter: filterIn(position) },
    producer,
    sequence: fields.integer("sequence"),
    ...(fields.has("pending") ? { pending: pendingIn(fields.object("pending")) } : {}),
    replayed: fields.integer("replayed"),
    refused: fields.integer("refused"),
  };
}

function pendingIn(fields: JsonFields): PendingReplay {
  return {
    end: placeIn(fields.object("end")),
    version: fields.integer("version", 1),
    refused: fields.list("refused", (value, what) => placeIn(new JsonFields(value, what))),
  };
}

function placeIn(fields: JsonFields): LetterPlace {
  return { offset: fields.integer("offset"), index: fields.integer("index") };
}
