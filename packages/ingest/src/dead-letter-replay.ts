// Maps the dead letters of a sink again, with its newest mapping: a letter becomes a row of its key's partition, or of
// partition 0 when it has none, or, refused again, a letter at the end of its journal. A client that sends its record
// again may have had it mapped meanwhile, or will: only in the key's partition is that seen to be the same (D24, X2).
//
//   at a position ──plan is stored──> pending ──its frames are acknowledged──> at the plan's end
//
// P1 Letters are taken in order, up to where the journal ended when the replay began. What is refused again stands
//    behind that, so a replay ends.
// P2 What a step takes, which letters become rows and with which version of the mapping is stored before anything is
//    appended. Its frames have the producer of the sink's replays and the sequence of the step (D20): a step that is
//    done again, by whomever, appends frames that readers drop. Only another step has another sequence.
// P3 The position moves when all of these are acknowledged, in one transaction that holds only for the plan it is of.
// P4 A letter that cannot be mapped any more, though the plan says so (the code has changed between), becomes a letter
//    again: it may then stand as a row too, and is never lost.
// P5 A replay is begun when its journal is not too large already: each one may write all letters once more, and what
//    was replayed goes only with the next clean-up.
// P6 A frame that is given an offset below the known end of its journal counts nowhere: it is tried again, unchanged,
//    once its place was looked at anew (C1 of checked-append.ts). A place that has lost bytes ends the replay.
import { assert, sizeText, WireError, type Clock, type Logger, type Random } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import type { JournalTransport } from "@millrace/client";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { appendChecked, WentBack, type CheckedAppendPorts } from "./checked-append.ts";
import { RowBuffer } from "./csv-writer.ts";
import { decodeLetter, putLetter, startLetter, type DeadLetter } from "./dead-letter.ts";
import { letterFrames, oldestLetter, rowsOf, wholeLetterHead } from "./dead-letter-log.ts";
import {
  letterStateKey,
  loadLetterState,
  putLetterState,
  type LetterPlace,
  type LetterPosition,
  type LetterState,
  type StoredLetterState,
} from "./dead-letter-state.ts";
import { sinkPath, type Column, type EffectiveSink } from "./definitions.ts";
import { LETTER_SIZES_MAX } from "./disk-quota.ts";
import { letterPlaces, type DeadLetterPort } from "./dispatcher.ts";
import { FrameFilter } from "./frame-filter.ts";
import { encodeFrameHead } from "./frame.ts";
import { DoorRecord } from "./http-source-record.ts";
import { keyedPartition } from "./idempotency-key.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping, type CompiledMapping } from "./mapping.ts";
import { LostBytes } from "./partition-integrity.ts";
import { SinkGone, type FramePort, type OnAppended, type PartitionPort } from "./publisher.ts";
import { evaluateRecord } from "./records-ahead.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { takesNul } from "./target-settings.ts";
import { Piece } from "./work-turns.ts";

export interface ReplayPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly catalog: Pick<SinkCatalog, "columns">;
  readonly partitions: PartitionPort;
  /** Told of rows that were appended to partitions. */
  readonly onAppended?: OnAppended;
  readonly deadLetters: DeadLetterPort;
  readonly frames: FramePort;
  readonly evaluator: ProgramEvaluator;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ReplayProgress {
  /** Letters that became rows. */
  readonly replayed: number;
  /** Letters that were refused again. */
  readonly refused: number;
}

export interface ReplayOutcome extends ReplayProgress {
  /** false: the time was over before the end. */
  readonly isDone: boolean;
}

export interface ReplayOptions {
  /** No step is begun after this time. */
  readonly budgetMs: number;
  /** Told after each step. */
  readonly onProgress: (progress: ReplayProgress) => Promise<void>;
}

/** Of one step: what its plan and its frames may hold. */
const STEP_LETTERS_MAX = 1000;
const STEP_BYTES_MAX = 1024 * 1024;
/** P5: what the door takes, and what a replay of it writes. */
const JOURNAL_SIZES_MAX = 2 * LETTER_SIZES_MAX;
const ATTEMPTS_MAX = 12;
const BACKOFF_MS_FIRST = 20;
const BACKOFF_MS_MAX = 5000;

/** What a step makes of its letters. */
interface Step {
  readonly end: LetterPosition;
  readonly refused: readonly LetterPlace[];
  /** By partition. */
  readonly rows: ReadonlyMap<number, Rows>;
  /** Of all partitions. */
  readonly rowCount: number;
  readonly letters: Rows;
}

interface ReadOptions {
  readonly columns: readonly Column[];
  readonly version: number;
  /** Where the replay ends. */
  readonly until: number;
}

export class DeadLetterReplay {
  readonly #ports: ReplayPorts;
  readonly #stepLetters: number;

  /** @param stepLetters of one step, at most */
  constructor(ports: ReplayPorts, stepLetters = STEP_LETTERS_MAX) {
    this.#ports = ports;
    this.#stepLetters = stepLetters;
  }

  /**
   * Replays what stands in the sink's dead-letter journal now. One that was cut off goes on where it was.
   * @throws {LostBytes} when the letters', or a partition's, journal ends before what was taken of it
   * @throws {WireError} CONFLICT when another replay of the sink is under way; what store and broker say
   */
  async run(sink: EffectiveSink, options: ReplayOptions, signal: AbortSignal): Promise<ReplayOutcome> {
    const { store, clock } = this.#ports;
    const first = await loadLetterState(store, sink, signal);
    const done = ({ replayed, refused }: LetterState): ReplayProgress => ({
      replayed: replayed - (first?.state.replayed ?? 0),
      refused: refused - (first?.state.refused ?? 0),
    });
    if (first === undefined) return { replayed: 0, refused: 0, isDone: true };
    const until = await wholeLetterHead(this.#ports, first.state, signal); // P1
    await this.#mustFit(sink, first.state.journal, until, signal);
    const startedMs = clock.monotonicMs();
    for (let stored: StoredLetterState | undefined = first; stored !== undefined;) {
      const { state } = stored;
      const isPending = state.pending !== undefined;
      if (!isPending && state.position.offset >= until) return { ...done(state), isDone: true };
      if (!isPending && clock.monotonicMs() - startedMs >= options.budgetMs) {
        return { ...done(state), isDone: false };
      }
      stored = await this.#step(sink, stored, until, signal);
      if (stored.state.pending === undefined) await options.onProgress(done(stored.state));
    }
    throw new WireError("CONFLICT", "the dead letters were deleted");
  }

  /** P5 @throws {WireError} OVERLOADED */
  async #mustFit(sink: EffectiveSink, journal: string, head: number, signal: AbortSignal): Promise<void> {
    const bytes = head - ((await oldestLetter(this.#ports.transport, journal, signal)) ?? head);
    const max = JOURNAL_SIZES_MAX * sink.deadLetters.keptBytes;
    if (bytes <= max) return;
    const message = `dead letters take ${sizeText(bytes)} (expected <= ${sizeText(max)})`;
    throw new WireError("OVERLOADED", `${message}; those that were replayed are removed in some minutes`);
  }

  /** Stores the plan of a step, or performs the one that is stored. @returns the state after that */
  async #step(
    sink: EffectiveSink,
    stored: StoredLetterState,
    until: number,
    signal: AbortSignal,
  ): Promise<StoredLetterState> {
    const { state } = stored;
    const { pending } = state;
    const version = pending?.version ?? sink.version.number;
    const columns = await this.#columns(sink, version, signal);
    const step = await this.#read(state, sink, { columns, version, until }, signal);
    if (pending === undefined) {
      const { end, refused } = step;
      if (step.rowCount + step.letters.count === 0) {
        return this.#put(sink, { ...stored, state: { ...state, position: end } }, signal);
      }
      const plan = { end: { offset: end.offset, index: end.index }, version, refused };
      const next: LetterState = { ...state, sequence: state.sequence + 1, pending: plan };
      return this.#put(sink, { ...stored, state: next }, signal); // P2
    }
    const { partitions, deadLetters } = this.#ports;
    const { producer, sequence } = state;
    const head = { producer, sequence, sinkVersion: version, acceptedAtMs: this.#ports.clock.wallMs() };
    const { onAppended } = this.#ports;
    for (const [n, rows] of step.rows) {
      await this.#append({ partitions, onAppended }, { sink, n }, rows.frame(head), signal);
    }
    const letters = letterPlaces(deadLetters);
    const onLetters: OnAppended = (place, _journal, end) => deadLetters.onAppended?.(place, end);
    await this.#append(
      { partitions: letters, onAppended: onLetters },
      { sink, n: 0 },
      step.letters.frame(head),
      signal,
    );
    const { pending: _done, ...kept } = state;
    const next: LetterState = {
      ...kept,
      position: step.end,
      replayed: state.replayed + step.rowCount,
      refused: state.refused + step.letters.count,
    };
    return this.#put(sink, { ...stored, state: next }, signal); // P3
  }

  async #columns(sink: EffectiveSink, version: number, signal: AbortSignal): Promise<readonly Column[]> {
    if (version === sink.version.number) return sink.table.mapping.columns;
    try {
      return await this.#ports.catalog.columns(sink, version, signal);
    } catch (thrown) {
      if (WireError.from(thrown).code !== "NOT_FOUND") throw thrown;
      return sink.table.mapping.columns; // P4
    }
  }

  /** Maps the letters of a step: those of the plan, or as many as a plan may have. */
  async #read(
    state: LetterState,
    sink: EffectiveSink,
    { columns, version, until }: ReadOptions,
    signal: AbortSignal,
  ): Promise<Step> {
    const { position, pending, journal } = state;
    const mapper = new LetterMapper(sink, { columns, version }, this.#ports);
    const { clock } = this.#ports;
    const piece = new Piece(clock, true);
    piece.begin();
    const planned = pending === undefined ? undefined : new Set(pending.refused.map(placeName));
    const filter = new FrameFilter(position.filter);
    const refused: LetterPlace[] = [];
    let end: LetterPlace = position;
    let count = 0;
    // A frame in the middle of which the step ends is read as a whole.
    const last = pending?.end ?? { offset: until, index: 0 };
    const range = { from: position.offset, end: until };
    for await (const { frame } of letterFrames(this.#ports, journal, range, undefined, signal)) {
      const isOpen = frame.begin === position.offset && position.index > 0;
      if (!isBefore({ offset: frame.begin, index: 0 }, last)) break;
      const counts = isOpen || filter.accept(frame);
      end = { offset: frame.end, index: 0 };
      let index = 0;
      for (const row of counts ? rowsOf(frame) : []) {
        const place = { offset: frame.begin, index: index++ };
        if (isBefore(place, position)) continue;
        const isFull = count === this.#stepLetters || mapper.bytes >= STEP_BYTES_MAX;
        if (pending === undefined ? isFull : !isBefore(place, last)) {
          end = place;
          break;
        }
        const letter = decodeLetter(row, `${journal}: dead letter ${placeName(place)}`);
        const key = frame.keys?.[place.index];
        const isRefused = planned?.has(placeName(place)) === true;
        if (!(await mapper.take(letter, isRefused, key, signal))) refused.push(place);
        count++;
        if (piece.isOver()) {
          await clock.sleep(0, signal);
          piece.begin();
        }
      }
      if (end.offset !== frame.end) break;
    }
    if (count === 0 && pending === undefined && end === position) end = { offset: until, index: 0 };
    const { rows, rowCount, letters } = mapper;
    return {
      end: { offset: end.offset, index: end.index, filter: filter.checkpoint() },
      refused,
      rows,
      rowCount,
      letters,
    };
  }

  /**
   * Appends a frame until it is acknowledged, behind all that is known of its place (P6). None: there is nothing to do.
   * @throws {WireError} when that does not succeed: the step remains
   */
  async #append(
    places: Pick<CheckedAppendPorts, "onAppended"> & { readonly partitions: PartitionPort },
    { sink, n }: { readonly sink: EffectiveSink; readonly n: number },
    content: readonly Uint8Array[] | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (content === undefined) return;
    const { frames, clock, logger } = this.#ports;
    const { partitions } = places;
    for (let attempt = 1; ; attempt++) {
      try {
        const journal = await partitions.ensure(sink, n, signal);
        const place = { key: sink, n, journal };
        try {
          await appendChecked({ ...places, frames }, place, content, signal);
        } catch (thrown) {
          if (thrown instanceof WentBack) partitions.forget?.(sink, n, journal);
          throw thrown;
        }
        return;
      } catch (thrown) {
        signal.throwIfAborted();
        const error = WireError.from(thrown);
        if (attempt === ATTEMPTS_MAX || error instanceof SinkGone || error instanceof LostBytes) throw error;
        logger.warn("dead-letter-replay-retried", { attempt, error });
        await clock.sleep(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** attempt), signal);
      }
    }
  }

  async #put(sink: EffectiveSink, next: StoredLetterState, signal: AbortSignal): Promise<StoredLetterState> {
    const { store } = this.#ports;
    let modRevision: number | undefined;
    try {
      modRevision = await putLetterState(store, letterStateKey(sink), next, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (WireError.from(thrown).code !== "OUTCOME_UNKNOWN") throw thrown;
      // What stands there now is either of the two: both are a place to go on from.
      const found = await loadLetterState(store, sink, signal);
      if (found !== undefined && found.state.producer === next.state.producer) return found;
    }
    if (modRevision === undefined) throw new WireError("CONFLICT", "another replay of the sink is under way");
    return { state: next.state, modRevision };
  }
}

/** Rows of one frame. */
class Rows {
  readonly buffer = new RowBuffer(4096);
  readonly #lengths: number[] = [];
  /** Of each row, if it has one (D24). */
  readonly #keys: (string | undefined)[] = [];

  get count(): number {
    return this.#lengths.length;
  }

  get bytes(): number {
    return this.buffer.at;
  }

  /** What was written from `begin` on is a row. */
  add(begin: number, key: string | undefined): void {
    this.#lengths.push(this.buffer.at - begin);
    this.#keys.push(key);
  }

  /** Undefined: there are none. */
  frame(header: Parameters<typeof encodeFrameHead>[0]): readonly Uint8Array[] | undefined {
    if (this.count === 0) return undefined;
    const body = this.buffer.bytes.subarray(0, this.buffer.at);
    const keys = this.#keys.some((key) => key !== undefined) ? this.#keys : undefined;
    return [encodeFrameHead(header, this.#lengths, this.count, body, keys), body];
  }
}

/** Makes rows or letters of letters. */
class LetterMapper {
  /** By partition. */
  readonly rows = new Map<number, Rows>();
  readonly letters = new Rows();
  readonly #mapping: CompiledMapping;
  readonly #version: number;
  readonly #keyedPartitions: number;
  readonly #record = new DoorRecord();
  readonly #programs = new ProgramSet();
  readonly #evaluator: ProgramEvaluator;
  readonly #source: string;

  constructor(
    sink: EffectiveSink,
    { columns, version }: Pick<ReadOptions, "columns" | "version">,
    { random, evaluator }: Pick<ReplayPorts, "random" | "evaluator">,
  ) {
    const tree = new PathTree();
    const scope = { tree, programs: this.#programs, random };
    this.#mapping = compileMapping(columns, scope, { takesNul: takesNul(sink.table.type) });
    this.#version = version;
    this.#keyedPartitions = sink.keyedPartitions;
    this.#source = sinkPath(sink);
    this.#evaluator = evaluator;
    this.#record.scanner.use(tree);
  }

  /** Of the rows, or of the letters, whichever are more. */
  get bytes(): number {
    return Math.max(
      this.letters.bytes,
      this.#sum(({ bytes }) => bytes),
    );
  }

  get rowCount(): number {
    return this.#sum(({ count }) => count);
  }

  /**
   * @param isRefused known from the plan @param key that the letter has, and its row or letter then
   * @returns whether it is a row
   * @throws {WireError} UNAVAILABLE when its programs cannot be evaluated now
   */
  async take(
    letter: DeadLetter,
    isRefused: boolean,
    key: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const record = this.#record;
    startLetter(record, letter);
    if (this.#programs.count > 0) await this.#evaluate(record, signal);
    const rows = this.#rowsOf(key === undefined ? 0 : keyedPartition(key, this.#keyedPartitions));
    const { buffer } = rows;
    const begin = buffer.at;
    const failure = this.#mapping.write(record, buffer);
    if (isRefused) buffer.at = begin;
    const isRow = !isRefused && failure === undefined; // P4
    if (isRow) rows.add(begin, key);
    else {
      const at = this.letters.buffer.at;
      const { column, reason: message } = letter;
      const cause = failure ?? ({ status: 422, name: "unprocessableContent", column, message } as const);
      const attempts = letter.attempts + 1;
      const isPut = putLetter(this.letters.buffer, record, {
        failure: cause,
        version: this.#version,
        attempts,
      });
      assert(isPut, "a letter that was taken before is no larger now", { bytes: letter.body.length });
      this.letters.add(at, key);
    }
    record.end();
    return isRow;
  }

  #sum(of: (rows: Rows) => number): number {
    let sum = 0;
    for (const rows of this.rows.values()) sum += of(rows);
    return sum;
  }

  #rowsOf(partition: number): Rows {
    let rows = this.rows.get(partition);
    if (rows === undefined) this.rows.set(partition, (rows = new Rows()));
    return rows;
  }

  async #evaluate(record: DoorRecord, signal: AbortSignal): Promise<void> {
    const of = { source: this.#source, programs: this.#programs, evaluator: this.#evaluator };
    const evaluated = await evaluateRecord(record, of, () => signal.aborted);
    signal.throwIfAborted();
    record.evaluated = evaluated;
    const away = record.evaluated.find(({ kind }) => kind === "unavailable");
    if (away?.kind === "unavailable") throw new WireError("UNAVAILABLE", away.reason);
  }
}

function isBefore(a: LetterPlace, b: LetterPlace): boolean {
  return a.offset < b.offset || (a.offset === b.offset && a.index < b.index);
}

/** `<offset>-<index>`: how a letter is named. */
export function placeName({ offset, index }: LetterPlace): string {
  return `${offset}-${index}`;
}
