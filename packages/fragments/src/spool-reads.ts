// Reads of spool files. Memory serves the hot tail; what comes from the disk is checked first, so that bits that
// turned there are never given out.
//
//   C1  A read takes whole blocks, and gives out no byte of one whose CRC-32C is not that of what was written.
//   C2  What memory still has of a block is taken from there: the file may lack it.
//   C3  A closed fragment that recovery found has only its SHA-1. The first read of it reads the file once from end to
//       end; others wait for that. From then on its blocks are known.
//   C4  What is found rotten stays refused. A fragment of which C3 said so is not read whole again for a while:
//       whoever asks on and on must not keep the disk busy.
import { Gate, waitUntil, WireError, type Clock, type Counter, type Logger } from "@millrace/base";
import { crc32c, DiskError, type Disk } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import { FragmentSums, type SummedBlock } from "./spool-sums.ts";

/** Read at once while a whole fragment is summed. Whoever waits for that holds no bytes meanwhile. */
const CHUNK_BYTES = 1024 * 1024;
/** How long the outcome of C3 stands when it was bad. */
const RECHECK_MS = 60_000;

/** One reading of C3. */
interface WholeCheck {
  isOver: boolean;
  error: Error | undefined;
}

export class SpoolReads {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused: Counter;
  readonly #checks = new Map<SpoolFragment, WholeCheck>();
  readonly #running = new Set<Promise<void>>();
  readonly #bad = new WeakMap<SpoolFragment, { error: WireError; atMs: number }>();
  readonly #reported = new WeakSet<SpoolFragment>();
  readonly #gate = new Gate();
  #isClosed = false;

  /** @param refused counts reads that found rot */
  constructor(ports: { disk: Disk; clock: Clock; logger: Logger }, refused: Counter) {
    this.#disk = ports.disk;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#refused = refused;
  }

  /**
   * Bytes of the fragment's file from offset `begin` of the journal: at least one, and none at or beyond `end`, up to
   * which none are in memory. Fewer than asked for when the last block would have to be read for a part of it.
   * @throws {WireError} CORRUPT naming file and offset; NOT_FOUND when the fragment was released meanwhile;
   * SHUTTING_DOWN @throws {DiskError}
   */
  async read(
    spool: DurableSpool,
    fragment: SpoolFragment,
    range: { readonly begin: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    try {
      if (range.begin >= fragment.checkable) await this.#checkedOnce(spool, fragment, signal);
      return await this.#readBlocks(spool, fragment, range);
    } catch (error) {
      throw this.#told(spool, fragment, error);
    }
  }

  /** Ends checks under way; nobody reads any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#running);
  }

  async #readBlocks(
    spool: DurableSpool,
    fragment: SpoolFragment,
    range: { readonly begin: number; readonly end: number },
  ): Promise<Uint8Array> {
    const base = fragment.begin;
    const blocks = blocksOf(fragment, range);
    const { begin } = blocks[0]!;
    const { end } = blocks.at(-1)!;
    // Taken now: memory may let go of them while the disk reads.
    const recent = spool.tail.copies(base + begin, base + end);
    const path = spool.pathOf(fragment);
    const read = await this.#disk.read(path, begin, end - begin);
    const bytes = recent.length === 0 ? read : overlaid(read, end - begin, base + begin, recent); // C2
    for (const block of blocks) {
      const content = bytes.subarray(block.begin - begin, block.end - begin);
      if (content.length < block.end - block.begin) throw endsEarly(path, begin + bytes.length);
      if (crc32c(content) === block.crc) continue; // C1
      throw corrupt(path, block.begin, `these ${content.length} bytes are not those that were written`);
    }
    return bytes.subarray(range.begin - base - begin, Math.min(range.end - base, end) - begin);
  }

  /** C3. */
  async #checkedOnce(spool: DurableSpool, fragment: SpoolFragment, signal: AbortSignal): Promise<void> {
    const bad = this.#bad.get(fragment);
    if (bad !== undefined && this.#clock.monotonicMs() - bad.atMs < RECHECK_MS) throw bad.error; // C4
    const check = this.#checks.get(fragment) ?? this.#start(spool, fragment);
    await waitUntil(this.#gate, () => check.isOver, signal);
    if (check.error !== undefined) throw check.error;
  }

  #start(spool: DurableSpool, fragment: SpoolFragment): WholeCheck {
    const check: WholeCheck = { isOver: false, error: undefined };
    this.#checks.set(fragment, check);
    // Nobody's own: it goes on when the reader that began it goes away.
    const running: Promise<void> = this.#check(spool, fragment)
      .catch((error: unknown) => {
        check.error = error instanceof Error ? error : new Error(String(error));
        if (!(error instanceof WireError) || error.code !== "CORRUPT") return;
        this.#bad.set(fragment, { error, atMs: this.#clock.monotonicMs() });
      })
      .finally(() => {
        check.isOver = true;
        this.#checks.delete(fragment);
        this.#running.delete(running);
        this.#gate.open();
      });
    this.#running.add(running);
    return check;
  }

  async #check(spool: DurableSpool, fragment: SpoolFragment): Promise<void> {
    const path = spool.pathOf(fragment);
    const bytes = fragment.end - fragment.begin;
    const sums = new FragmentSums();
    const mayGoOn = (): void => {
      if (this.#isClosed) throw new WireError("SHUTTING_DOWN", "local storage is closing");
      if (!spool.holds(fragment)) throw released(fragment);
    };
    await sumFile(this.#disk, path, sums, bytes, mayGoOn);
    if (sums.hex() === fragment.sum()) return fragment.adopt(sums);
    throw corrupt(path, 0, `these ${bytes} bytes have SHA-1 ${sums.hex()}; expected ${fragment.sum()}`);
  }

  /** What a reader is told, after the operator was. */
  #told(spool: DurableSpool, fragment: SpoolFragment, thrown: unknown): unknown {
    const isMissing = thrown instanceof DiskError && thrown.kind === "missing";
    const isCorrupt = thrown instanceof WireError && thrown.code === "CORRUPT";
    if (!isMissing && !isCorrupt) return thrown;
    if (!spool.holds(fragment)) return released(fragment);
    const error = isCorrupt ? thrown : corrupt(spool.pathOf(fragment), 0, "the file is missing");
    this.#refused.add();
    if (!this.#reported.has(fragment)) {
      this.#reported.add(fragment);
      const { begin, end } = fragment;
      const fields = { journal: spool.life.journal, begin, end, ...error.facts, reason: error.message };
      this.#logger.error("spool-rotten", fields);
    }
    return error;
  }
}

/**
 * Adds bytes of the file to `sums` until they have `upTo` of them.
 * @param mayGoOn called before each piece; throws to stop
 * @throws {WireError} CORRUPT when the file ends before @throws {DiskError}
 */
export async function sumFile(
  disk: Disk,
  path: string,
  sums: FragmentSums,
  upTo: number,
  mayGoOn: () => void,
): Promise<void> {
  while (sums.bytes < upTo) {
    mayGoOn();
    const bytes = await disk.read(path, sums.bytes, Math.min(CHUNK_BYTES, upTo - sums.bytes));
    if (bytes.length === 0) throw endsEarly(path, sums.bytes);
    sums.update(bytes);
  }
}

export function corrupt(path: string, offset: number, what: string): WireError {
  return new WireError("CORRUPT", `${path}, offset ${offset}: ${what}`, { facts: { path, offset } });
}

/** The block that holds `begin`, and those behind it that the range holds whole. */
function blocksOf(fragment: SpoolFragment, { begin, end }: { begin: number; end: number }): SummedBlock[] {
  const blocks = [fragment.blockAt(begin)];
  for (;;) {
    const next = fragment.begin + blocks.at(-1)!.end;
    if (next >= Math.min(end, fragment.checkable)) return blocks;
    const block = fragment.blockAt(next);
    if (fragment.begin + block.end > end) return blocks;
    blocks.push(block);
  }
}

/** `read`, which may be shorter, with what memory has in the place of what the file has. @param at of its first byte */
function overlaid(
  read: Uint8Array,
  length: number,
  at: number,
  recent: readonly { readonly begin: number; readonly bytes: Uint8Array }[],
): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(read);
  for (const { begin, bytes: piece } of recent) bytes.set(piece, begin - at);
  return bytes;
}

function endsEarly(path: string, offset: number): WireError {
  return corrupt(path, offset, "the file ends before its fragment");
}

function released({ begin, end }: SpoolFragment): WireError {
  return new WireError("NOT_FOUND", `fragment [${begin}, ${end}) is no longer on this disk`);
}
