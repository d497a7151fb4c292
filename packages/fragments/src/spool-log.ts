// The broker's records in the log: encodes what spools hand over, and defines journals where a segment needs it.
import { assert, unhex, WireError, type Clock } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import { RECORD_HEADER_BYTES, type LogListener, type WriteAheadLog } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import { DATA_HEAD_BYTES, LogRecordEncoder, RECORD_BYTES_MAX } from "./log-record-codec.ts";
import type { SpoolEntry } from "./spool-entry.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import type { StoreMark } from "./spool-image.ts";

const NO_PARTS: Uint8Array[] = [];

export class SpoolLog {
  readonly #log: WriteAheadLog;
  readonly #clock: Clock;
  readonly #encoder = new LogRecordEncoder();

  constructor(log: WriteAheadLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Logs a commit, roll or cut; the log tells the entry. @returns why not, when nothing was handed over */
  entry(spool: DurableSpool, entry: SpoolEntry): WireError | undefined {
    const { id } = spool;
    const { kind, begin, end, registers, direct, timeMs } = entry;
    const labels = registers && this.#labels(id, entry, registers);
    const staged = direct === undefined && end > begin ? spool.tail.parts(begin, end) : NO_PARTS;
    let bytes = RECORD_BYTES_MAX + RECORD_HEADER_BYTES;
    if (staged.length > 0) bytes = DATA_HEAD_BYTES + RECORD_HEADER_BYTES + end - begin;
    if (labels !== undefined) bytes += labels.length + RECORD_HEADER_BYTES;
    if (!this.#begin(spool, bytes, 2, timeMs)) {
      return new WireError("OVERLOADED", `the log's queue is full (${this.#log.queuedBytes} bytes wait)`);
    }
    // The last record of a group's entry carries the listener: all of it is in one group.
    const last = labels === undefined ? entry : undefined;
    if (kind === "roll") this.#append([this.#encoder.roll(id, timeMs, begin)], last);
    else if (kind === "cut") this.#append([this.#encoder.cut(id, timeMs, begin)], last);
    else if (direct !== undefined) {
      this.#append([this.#encoder.direct(id, timeMs, { begin, length: end - begin, crc: direct.crc })], last);
    } else if (staged.length > 0) {
      staged.unshift(this.#encoder.dataHead(id, timeMs, begin));
      this.#append(staged, last);
    }
    if (labels !== undefined) this.#append([labels], entry);
    return undefined;
  }

  #labels(id: number, entry: SpoolEntry, registers: LabelSet | "unknown"): Uint8Array {
    const { timeMs } = entry;
    if (registers !== "unknown") return this.#encoder.registers(id, timeMs, registers);
    return this.#encoder.unsure(id, timeMs, entry.doubtfulFrom);
  }

  /** Logs the sum of a closed fragment, if there is room: it only saves a restart the reading. */
  sum(spool: DurableSpool, fragment: SpoolFragment): void {
    const timeMs = this.#clock.wallMs();
    if (!this.#begin(spool, RECORD_BYTES_MAX + RECORD_HEADER_BYTES, 1, timeMs)) return;
    const { begin, end } = fragment;
    this.#append(
      [this.#encoder.sum(spool.id, timeMs, { begin, end, sha1: unhex(fragment.sum())! })],
      undefined,
    );
  }

  /** @returns false when the queue is full: then `listener` is not told */
  adopted(spool: DurableSpool, fragment: SpoolFragment, listener: LogListener): boolean {
    if (!this.#begin(spool, RECORD_BYTES_MAX + RECORD_HEADER_BYTES, 1, this.#clock.wallMs())) return false;
    const { begin, end, firstAppendMs } = fragment;
    const sha1 = unhex(fragment.sum())!;
    this.#append([this.#encoder.adopted(spool.id, firstAppendMs, { begin, end, sha1 })], listener);
    return true;
  }

  /** @returns false when the queue is full: then `listener` is not told */
  released(spool: DurableSpool, range: { begin: number; end: number }, listener: LogListener): boolean {
    const timeMs = this.#clock.wallMs();
    if (!this.#begin(spool, RECORD_BYTES_MAX + RECORD_HEADER_BYTES, 1, timeMs)) return false;
    this.#append([this.#encoder.released(spool.id, timeMs, range)], listener);
    return true;
  }

  /** @returns false when the queue is full: then `listener` is not told */
  removed(spool: DurableSpool, quarantine: boolean, listener: LogListener): boolean {
    const timeMs = this.#clock.wallMs();
    if (!this.#begin(spool, RECORD_BYTES_MAX + RECORD_HEADER_BYTES, 1, timeMs)) return false;
    this.#append([this.#encoder.removed(spool.id, timeMs, quarantine)], listener);
    return true;
  }

  /** @returns false when the queue is full: then `listener` is not told */
  mark(mark: StoreMark, listener: LogListener): boolean {
    const bytes = RECORD_BYTES_MAX + RECORD_HEADER_BYTES;
    if (!this.#log.accepts(bytes, 1)) return false;
    this.#append([this.#encoder.mark(this.#clock.wallMs(), mark)], listener);
    return true;
  }

  /** Makes room for records in one group, with the journal's definition in front where the segment lacks it. */
  #begin(spool: DurableSpool, bytes: number, records: number, timeMs: number): boolean {
    const defineBytes = spool.defineBytes + RECORD_HEADER_BYTES;
    if (!this.#log.accepts(bytes + defineBytes, records + 1)) return false;
    const scope = this.#log.reserve(bytes + defineBytes);
    if (spool.definedScope === scope) return true;
    spool.definedScope = scope;
    const { id, life } = spool;
    this.#append([this.#encoder.define({ kind: "define", id, timeMs, ...life })], undefined);
    return true;
  }

  #append(parts: readonly Uint8Array[], listener: LogListener | undefined): void {
    const accepted = this.#log.append(parts, listener);
    assert(accepted, "the log takes what it had room for");
  }
}

/** @param append hands a record to the log, if that has room @param onLogged in the turn in which it became durable */
export function logged(append: (listener: LogListener) => boolean, onLogged: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const listener: LogListener = {
      onLogged: (failure) => {
        if (failure !== undefined) return reject(failure);
        onLogged();
        resolve();
      },
    };
    if (!append(listener)) reject(new WireError("OVERLOADED", "the log's queue is full"));
  });
}
