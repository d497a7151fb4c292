// The dead letters of a sink that wait for their replay: counted and shown.
//
// Counting reads the journal once and goes on from there: a count costs what came since. It begins anew when letters
// were replayed, or the oldest were removed, or the newest were given up.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { CoordinationStore } from "@millrace/metadata";
import { decodeLetter, type DeadLetter } from "./dead-letter.ts";
import { letterFrames, letterHead, oldestLetter, rowsOf, wholeLetterHead } from "./dead-letter-log.ts";
import {
  loadLetterState,
  loadLetterStates,
  type LetterPosition,
  type LetterState,
} from "./dead-letter-state.ts";
import { placeName } from "./dead-letter-replay.ts";
import { deadLetterJournal, type SinkLife, type SourceKey } from "./definitions.ts";
import { FrameFilter } from "./frame-filter.ts";
import { LostBytes } from "./partition-integrity.ts";

export interface LetterListPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LetterCount {
  readonly count: number;
  /** Of the letters' lines. */
  readonly bytes: number;
}

export interface ListedLetter extends DeadLetter {
  /** `<offset>-<index>`, in the order of arrival. */
  readonly id: string;
}

export interface LetterPage {
  readonly letters: readonly ListedLetter[];
  readonly totalCount: number;
}

interface Counted {
  /** Where it began. */
  readonly from: LetterPosition;
  readonly oldest: number;
  readonly filter: FrameFilter;
  end: number;
  count: number;
  bytes: number;
  /** Begins of frames that stood before. */
  readonly doubles: Set<number>;
}

/** Sinks whose counts are kept. */
const COUNTS_KEPT = 256;
/** Bodies of a page, together: a page may be shorter than was asked for. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;

export class DeadLetterList {
  readonly #ports: LetterListPorts;
  /** By journal, the one asked for longest ago first. */
  readonly #counts = new Map<string, Counted>();
  readonly #counting = new Map<string, Promise<Counted>>();

  constructor(ports: LetterListPorts) {
    this.#ports = ports;
  }

  /** Undefined: the sink never had any. @throws {LostBytes} @throws {WireError} of store and broker */
  async count(sink: SinkLife, signal: AbortSignal): Promise<LetterCount | undefined> {
    const stored = await loadLetterState(this.#ports.store, sink, signal);
    if (stored === undefined) return undefined;
    const { count, bytes } = await this.#counted(stored.state, signal);
    return { count, bytes };
  }

  /**
   * Of those of a source's sinks that ever had any, by their IDs, but for those that have lost some: `count` says it.
   * @throws {WireError} of store and broker
   */
  async counts(
    source: SourceKey,
    sinks: readonly SinkLife[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, LetterCount>> {
    const counts = new Map<string, LetterCount>();
    for (const [sinkId, state] of await loadLetterStates(this.#ports.store, source, signal)) {
      const { journal } = state;
      const sink = sinks.find((one) => one.sinkId === sinkId);
      if (sink === undefined || deadLetterJournal(sink) !== journal) continue;
      try {
        const { count, bytes } = await this.#counted(state, signal);
        counts.set(sinkId, { count, bytes });
      } catch (error) {
        if (!(error instanceof LostBytes)) throw error;
        this.#ports.logger.warn("dead-letters-not-counted", { journal, error });
      }
    }
    return counts;
  }

  /** @param page `afterId` is exclusive @throws {LostBytes} @throws {WireError} INVALID_ARGUMENT: no letter has it */
  async list(
    sink: SinkLife,
    page: { readonly afterId: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<LetterPage> {
    const after = page.afterId === "" ? undefined : placeOf(page.afterId);
    const stored = await loadLetterState(this.#ports.store, sink, signal);
    if (stored === undefined) return { letters: [], totalCount: 0 };
    const { journal, position } = stored.state;
    const counted = await this.#counted(stored.state, signal);
    const first = { offset: position.offset, index: position.index };
    const begin = after === undefined || after.offset < first.offset ? first : nextOf(after, first);
    const letters: ListedLetter[] = [];
    let bytes = 0;
    const range = { from: begin.offset, end: counted.end };
    try {
      for await (const { frame } of letterFrames(this.#ports, journal, range, undefined, signal)) {
        if (counted.doubles.has(frame.begin)) continue;
        let index = -1;
        for (const row of rowsOf(frame)) {
          index++;
          if (frame.begin === begin.offset && index < begin.index) continue;
          if (letters.length === page.limit || (letters.length > 0 && bytes >= PAGE_BYTES_MAX)) {
            return { letters, totalCount: counted.count };
          }
          const id = placeName({ offset: frame.begin, index });
          letters.push({ id, ...decodeLetter(row, `${journal}: dead letter ${id}`) });
          bytes += row.length;
        }
      }
    } catch (thrown) {
      if (after === undefined || WireError.from(thrown).code !== "CORRUPT") throw thrown;
      throw new WireError("INVALID_ARGUMENT", `there is no dead letter "${page.afterId}"`);
    }
    return { letters, totalCount: counted.count };
  }

  /** Undefined: there is none, or no longer. Also one that was replayed, while its journal has it. */
  async get(sink: SinkLife, id: string, signal: AbortSignal): Promise<ListedLetter | undefined> {
    const place = /^\d{1,15}-\d{1,5}$/.test(id) ? placeOf(id) : undefined;
    if (place === undefined || (await loadLetterState(this.#ports.store, sink, signal)) === undefined) return;
    const journal = deadLetterJournal(sink);
    const range = { from: place.offset, end: await letterHead(this.#ports, journal, signal) };
    try {
      for await (const { frame } of letterFrames(this.#ports, journal, range, undefined, signal)) {
        const row = frame.begin === place.offset ? [...rowsOf(frame)][place.index] : undefined;
        return row === undefined ? undefined : { id, ...decodeLetter(row, `${journal}: dead letter ${id}`) };
      }
    } catch (thrown) {
      if (WireError.from(thrown).code !== "CORRUPT") throw thrown;
    }
    return undefined;
  }

  /** One at a time for each journal. */
  #counted(state: LetterState, signal: AbortSignal): Promise<Counted> {
    const { journal } = state;
    const counting = (this.#counting.get(journal) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#count(state, signal));
    this.#counting.set(journal, counting);
    const forget = (): void => {
      if (this.#counting.get(journal) === counting) this.#counting.delete(journal);
    };
    counting.then(forget, forget);
    return counting;
  }

  async #count(state: LetterState, signal: AbortSignal): Promise<Counted> {
    const { journal, position } = state;
    const head = await wholeLetterHead(this.#ports, state, signal);
    const oldest = head === 0 ? 0 : ((await oldestLetter(this.#ports.transport, journal, signal)) ?? 0);
    let known = this.#counts.get(journal);
    const { from } = known ?? {};
    const isSame = from?.offset === position.offset && from.index === position.index;
    const isOlder =
      known !== undefined && (head < known.end || (known.oldest !== oldest && oldest > position.offset));
    if (known === undefined || !isSame || isOlder) {
      const filter = new FrameFilter(position.filter);
      const end = position.offset;
      known = { from: position, oldest, filter, end, count: 0, bytes: 0, doubles: new Set() };
    }
    this.#counts.delete(journal);
    const range = { from: known.end, end: head };
    for await (const { frame } of letterFrames(this.#ports, journal, range, undefined, signal)) {
      const isOpen = frame.begin === position.offset && position.index > 0;
      if (!isOpen && !known.filter.accept(frame)) known.doubles.add(frame.begin);
      else {
        const skipped = isOpen ? Math.min(position.index, frame.count) : 0;
        known.count += frame.count - skipped;
        known.bytes += frame.rowLengths.subarray(skipped).reduce((sum, length) => sum + length, 0);
      }
      known.end = frame.end;
    }
    this.#counts.set(journal, known);
    for (const name of this.#counts.keys()) {
      if (this.#counts.size <= COUNTS_KEPT) break;
      this.#counts.delete(name);
    }
    return known;
  }
}

function placeOf(id: string): { readonly offset: number; readonly index: number } {
  const match = /^(\d{1,15})-(\d{1,5})$/.exec(id);
  if (match === null)
    throw new WireError("INVALID_ARGUMENT", `there is no dead letter ${JSON.stringify(id)}`);
  return { offset: Number(match[1]), index: Number(match[2]) };
}

/** Behind `after`, and not before `first`. */
function nextOf(
  after: { readonly offset: number; readonly index: number },
  first: { readonly offset: number; readonly index: number },
): { readonly offset: number; readonly index: number } {
  const next = { offset: after.offset, index: after.index + 1 };
  return next.offset === first.offset && next.index < first.index ? first : next;
}
