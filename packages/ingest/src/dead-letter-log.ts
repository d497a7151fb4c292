// Reads a dead-letter journal: its frames in order, and of each whether it counts (D20).
import { WireError, type Clock, type Logger } from "@millrace/base";
import { appendOnce, listFragments, readHead, readJournal, type JournalTransport } from "@millrace/client";
import type { LetterState } from "./dead-letter-state.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import type { FrameFilter } from "./frame-filter.ts";
import type { Frame } from "./frame.ts";
import { lost } from "./partition-integrity.ts";

export interface LetterLogPorts {
  readonly transport: JournalTransport;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LetterFrame {
  /** Valid until the next one is asked for. */
  readonly frame: Frame;
  /** false: it stood in the journal before. */
  readonly counts: boolean;
}

/** Where a dead-letter journal ends; 0 when there is none. A suspended one is resumed. @throws {WireError} */
export async function letterHead(
  ports: Pick<LetterLogPorts, "transport">,
  journal: string,
  signal: AbortSignal,
): Promise<number> {
  return (await headOf(ports, journal, signal)) ?? 0;
}

/** The same of a journal whose letters count from the position of `state` on. @throws {LostBytes} it ends before */
export async function wholeLetterHead(
  ports: Pick<LetterLogPorts, "transport">,
  state: LetterState,
  signal: AbortSignal,
): Promise<number> {
  const head = await headOf(ports, state.journal, signal);
  if (head !== undefined) checkLetters(state, head, 0);
  return head ?? 0;
}

/** Before it replays have taken letters, or have planned to. */
export function takenLetters({ position, pending }: LetterState): number {
  return Math.max(position.offset, pending?.end.offset ?? 0);
}

/**
 * A letter below what replays have taken would never be seen.
 * @param heard where the journal has ended, by what else is known
 * @throws {LostBytes}
 */
export function checkLetters(state: LetterState, head: number, heard: number): void {
  const taken = takenLetters(state);
  if (head >= taken) return;
  throw lost(state.journal, { head, taken, heard: Math.max(taken, heard), what: "were replayed" });
}

async function headOf(
  { transport }: Pick<LetterLogPorts, "transport">,
  journal: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return (await readHead(transport, journal, signal)).writeHead;
  } catch (thrown) {
    signal.throwIfAborted();
    const { code } = WireError.from(thrown);
    if (code === "JOURNAL_NOT_FOUND") return undefined;
    if (code !== "SUSPENDED") throw thrown;
    // An append of nothing wakes it.
    const { end } = await appendOnce(transport, journal, { kind: "bytes", bytes: [] }, {}, signal);
    return end;
  }
}

/** Where the oldest fragment of a journal begins; undefined: it has none. @throws {WireError} of the broker */
export async function oldestLetter(
  transport: JournalTransport,
  journal: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  for await (const { spec } of listFragments(transport, { journal }, signal)) return spec.begin;
  return undefined;
}

/**
 * Frames in [from, end), as far as they are still there.
 * @param from where a frame begins
 * @param filter accepts what comes; undefined: everything counts
 * @throws {WireError} CORRUPT also when no frame begins at `from`
 */
export async function* letterFrames(
  ports: LetterLogPorts,
  journal: string,
  range: { readonly from: number; readonly end: number },
  filter: FrameFilter | undefined,
  signal: AbortSignal,
): AsyncGenerator<LetterFrame, void, void> {
  const { from, end } = range;
  if (from >= end) return;
  let decoder = new FrameDecoder(from);
  const options = { journal, offset: from, block: false, endOffset: end, passHoles: true } as const;
  for await (const event of readJournal(ports, options, signal)) {
    if (event.kind === "jump") {
      decoder = new FrameDecoder(event.to);
      continue;
    }
    for (const frame of decoder.push(event.bytes)) {
      yield { frame, counts: filter === undefined || filter.accept(frame) };
    }
  }
}

/** The rows of a frame. */
export function* rowsOf(frame: Frame): Generator<Uint8Array, void, void> {
  let at = 0;
  for (const length of frame.rowLengths) yield frame.body.subarray(at, (at += length));
}
