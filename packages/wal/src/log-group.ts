// A group in memory: records are copied once, into the buffer from which the disk's thread writes them.
import { assert, type WireError } from "@millrace/base";
import { GROUP_HEADER_BYTES, RECORD_HEADER_BYTES } from "./group-codec.ts";
import { viewOf } from "./little-endian.ts";
import { copyInto, sharedBytes } from "./shared-bytes.ts";

/** Told once what became of a record. An object and not a promise: there is one for each append. */
export interface LogListener {
  /**
   * @param failure undefined: synced. DISK_FULL, SHUTTING_DOWN: never written. OUTCOME_UNKNOWN: it may or may not
   * come back after a restart.
   */
  onLogged(failure: WireError | undefined): void;
}

/** Buffers kept for the next groups: one is being written while another one fills. */
const BUFFERS_KEPT = 3;

export class OpenGroup {
  readonly buffer: Uint8Array;
  readonly #view: DataView;
  readonly capacity: number;
  /** Number of the segment that it will stand in. */
  readonly segment: number;
  readonly listeners: LogListener[] = [];
  records = 0;
  used = GROUP_HEADER_BYTES;

  constructor(buffer: Uint8Array, capacity: number, segment: number) {
    assert(capacity <= buffer.length, "a group fits its buffer", { capacity, buffer: buffer.length });
    this.buffer = buffer;
    this.#view = viewOf(buffer);
    this.capacity = capacity;
    this.segment = segment;
  }

  /** @param bytes of records, with RECORD_HEADER_BYTES for each */
  hasRoom(bytes: number): boolean {
    return this.used + bytes <= this.capacity;
  }

  /** Adds one record, made of `parts`. */
  add(parts: readonly Uint8Array[], listener: LogListener | undefined): void {
    const begin = this.used + RECORD_HEADER_BYTES;
    let at = begin;
    for (const part of parts) {
      copyInto(this.buffer, at, part);
      at += part.length;
    }
    this.#view.setUint32(this.used, at - begin, true);
    this.used = at;
    this.records++;
    if (listener !== undefined) this.listeners.push(listener);
  }
}

export class GroupBuffers {
  readonly #bytes: number;
  readonly #free: Uint8Array[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? sharedBytes(this.#bytes);
  }

  give(buffer: Uint8Array): void {
    if (this.#free.length < BUFFERS_KEPT) this.#free.push(buffer);
  }
}
