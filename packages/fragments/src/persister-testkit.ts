// A spool in memory, for tests of what works on spools: no log, nothing durable, everything acknowledged at once.
import { createHash } from "node:crypto";
import { assert, concatBytes, WireError } from "@millrace/base";
import type { LocalFragment, Spool } from "./spools.ts";

interface Span {
  readonly begin: number;
  bytes: Uint8Array;
  closed: boolean;
  /** Taken when it was closed. */
  sum: string;
  readonly firstAppendMs: number;
}

export class MemorySpool implements Pick<
  Spool,
  "begin" | "end" | "fragments" | "read" | "release" | "onChange"
> {
  readonly #nowMs: () => number;
  readonly #spans: Span[] = [];
  readonly #listeners = new Set<() => void>();
  #end: number;
  /** Called before a fragment goes. */
  onRelease: ((fragment: { begin: number; end: number }) => void) | undefined;

  /** @param nowMs wall time */
  constructor(nowMs: () => number, begin = 0) {
    this.#nowMs = nowMs;
    this.#end = begin;
  }

  get begin(): number {
    const last = this.#spans.at(-1);
    return last === undefined || last.closed ? this.#end : last.begin;
  }

  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    const last = this.#spans.at(-1);
    if (last === undefined || last.closed) {
      this.#spans.push({ begin: this.#end, bytes, closed: false, sum: "", firstAppendMs: this.#nowMs() });
    } else last.bytes = concatBytes([last.bytes, bytes]);
    this.#end += bytes.length;
    this.#changed();
  }

  roll(): void {
    const last = this.#spans.at(-1);
    if (last !== undefined && !last.closed) {
      last.closed = true;
      last.sum = sha1(last.bytes);
    }
    this.#changed();
  }

  fragments(): readonly LocalFragment[] {
    return this.#spans.map((span) => {
      const { begin, bytes, closed, firstAppendMs } = span;
      const sum = (): string => (closed ? span.sum : sha1(bytes));
      return { begin, end: begin + bytes.length, closed, firstAppendMs, sum };
    });
  }

  read(offset: number, maxBytes: number): Promise<Uint8Array> {
    const span = this.#spans.find(({ begin, bytes }) => begin <= offset && offset < begin + bytes.length);
    if (span === undefined) return Promise.reject(new WireError("NOT_FOUND", `offset ${offset} is not here`));
    return Promise.resolve(span.bytes.subarray(offset - span.begin, offset - span.begin + maxBytes));
  }

  release(fragment: { begin: number; end: number }): void {
    const at = this.#spans.findIndex(({ begin }) => begin === fragment.begin);
    assert(at >= 0 && this.#spans[at]!.closed, "a closed local fragment is released once", fragment);
    this.onRelease?.(fragment);
    this.#spans.splice(at, 1);
    this.#changed();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Turns a bit of what is held at `offset`, as a bad disk would; the sum was taken before. */
  rot(offset: number): void {
    const span = this.#spans.find(({ begin, bytes }) => begin <= offset && offset < begin + bytes.length);
    assert(span !== undefined, "offset lies in a local fragment", { offset });
    const bytes = span.bytes.slice();
    bytes[offset - span.begin]! ^= 1;
    span.bytes = bytes;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}
