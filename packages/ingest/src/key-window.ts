// Which rows of a partition repeat the key of an earlier one (D24): a function of the partition's bytes, so that every
// reader drops the same rows, whenever it began to read and wherever slices end.
//
// Y1 A row repeats a key when the same key stands earlier in its frame, or in a frame that began at most
//    WINDOW_BYTES before its own and was accepted at most WINDOW_MS before or after it, and fewer than WINDOW_KEYS
//    other keys came since. A row that repeats counts for those that come after it: who tries on and on gets one row.
// Y2 Keys of frames that do not count (frame-filter.ts) count here: they are the same bytes.
// Y3 What is known at an offset depends on the bytes from `begin` on alone: reading from there gives the same state.
import type { Frame } from "./frame.ts";

/** Of the journal. A restarted reader reads as much of a partition again before it goes on. */
const WINDOW_BYTES = 256 * 1024 * 1024;
export const WINDOW_MS = 12 * 60 * 60_000;
/** Some 20 MB of memory for a partition; all of a process have a bound together (partition-keys.ts). */
const WINDOW_KEYS = 100_000;

export interface WindowBounds {
  readonly bytes: number;
  readonly ms: number;
  readonly keys: number;
}

export const KEY_WINDOW: WindowBounds = { bytes: WINDOW_BYTES, ms: WINDOW_MS, keys: WINDOW_KEYS };

type Place = Pick<Frame, "begin" | "acceptedAtMs">;

export class KeyWindow {
  readonly #bounds: WindowBounds;
  /** Where a key stood last; the longest ago first. */
  readonly #last = new Map<string, Place>();
  /**
   * Goes on behind what it gave last: a new look for the first entry would pass all that were deleted since the map was
   * made anew, for each key once the window is full.
   */
  #rest = this.#last.entries();
  /** What it gave last, as long as that stands where it stood. */
  #oldest: readonly [key: string, place: Place] | undefined;

  constructor(bounds: WindowBounds = KEY_WINDOW) {
    this.#bounds = bounds;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#last.size;
  }

  /** Begin of the oldest frame that matters; undefined when none does (Y3). */
  get begin(): number | undefined {
    return this.#first()?.[1].begin;
  }

  /** Notes the keys of the next frame. @returns its rows that repeat none, as frames of neighbours */
  kept(frame: Frame): readonly Frame[] {
    const { begin, acceptedAtMs, keys } = frame;
    if (this.#last.size > 0) this.#forgetBefore(begin - this.#bounds.bytes);
    if (keys === undefined) return [frame];
    const place = { begin, acceptedAtMs };
    let dropped: Set<number> | undefined;
    for (let row = 0; row < keys.length; row++) {
      const key = keys[row];
      if (key === undefined) continue;
      const last = this.#last.get(key);
      if (last !== undefined) {
        const isRepeated = Math.abs(acceptedAtMs - last.acceptedAtMs) <= this.#bounds.ms;
        if (isRepeated) (dropped ??= new Set()).add(row);
        this.#forget(key);
      }
      this.#last.set(key, place);
      if (this.#last.size > this.#bounds.keys) this.#forget(this.#first()![0]);
    }
    return dropped === undefined ? [frame] : runsWithout(frame, dropped);
  }

  #forgetBefore(offset: number): void {
    for (let first = this.#first(); first !== undefined && first[1].begin < offset; first = this.#first())
      this.#forget(first[0]);
  }

  #forget(key: string): void {
    this.#last.delete(key);
    if (this.#oldest?.[0] === key) this.#oldest = undefined;
  }

  #first(): readonly [key: string, place: Place] | undefined {
    while (this.#oldest === undefined && this.#last.size > 0) {
      const next = this.#rest.next();
      // Whoever has come to the end gives nothing that was added later.
      if (next.done === true) this.#rest = this.#last.entries();
      else this.#oldest = next.value;
    }
    return this.#oldest;
  }
}

/** The rows of a frame but for some, each run of neighbours as a frame at its offsets. */
function runsWithout(frame: Frame, dropped: ReadonlySet<number>): readonly Frame[] {
  const { rowLengths, body, count } = frame;
  const runs: Frame[] = [];
  let at = 0;
  for (let row = 0; row < count;) {
    if (dropped.has(row)) {
      at += rowLengths[row++]!;
      continue;
    }
    const [first, from] = [row, at];
    while (row < count && !dropped.has(row)) at += rowLengths[row++]!;
    runs.push({
      ...frame,
      bodyBegin: frame.bodyBegin + from,
      count: row - first,
      rowLengths: rowLengths.subarray(first, row),
      keys: undefined,
      body: body.subarray(from, at),
    });
  }
  return runs;
}
