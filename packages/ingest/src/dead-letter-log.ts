// Reads a dead-letter journal: its frames in order, and of each whether it counts (D20).
import { WireError, type Clock, type Logger } from "@millrace/base";
import { appendOnce, listFragments, readHead, readJournal, type JournalTransport } from "@millrace/client";
import { FrameDecoder } from "./frame-decoder.ts";
import type { FrameFilter } from "./frame-filter.ts";
import type { Frame } from "./frame.ts";

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
  { transport }: Pick<LetterLogPorts, "transport">,
  journal: string,
  signal: AbortSignal,
): Promise<number> {
  try {
    return (await readHead(transport, journal, signal)).writeHead;
  } catch (thrown) {
    signal.throwIfAborted();
    const { code } = WireError.from(thrown);
    if (code === "JOURNAL_NOT_FOUND") return 0;
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
