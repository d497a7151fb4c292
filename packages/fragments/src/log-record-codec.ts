// Records of the broker's log (D1). Each is little-endian and begins with
//
//   offset  size
//        0     1  kind
//        1     1  version of the kind, 1
//        2     2  flags, zero unless the kind says otherwise
//        4     4  id of the journal: what the last "define" of this id in the same segment says
//        8     8  wall time, Unix ms
//
//   1 define     16: create revision (8), 24: epoch (8), 32: name in UTF-8
//   2 data       16: begin (8), 24: bytes
//   3 direct     16: begin (8), 24: length (8), 32: CRC-32C of the bytes, which stand synced in the spool (D3)
//   4 roll       16: begin (8) of the new, empty fragment
//   5 registers  16: the whole new set, see label-set-codec.ts
//   6 released   16: begin (8), 24: end (8)
//   7 removed    flags 1: the files are kept in quarantine
//   8 sum        16: begin (8), 24: end (8), 32: SHA-1 (20) of a closed fragment
//   9 mark       16: cluster id (8), 24: revision (8), 32: token (8) of the coordination store; the id is 0
//  10 cut        16: begin (8) of what is forgotten: the journal ends here again
//  11 adopted    as sum, of a closed fragment that stands synced in the spool; the time is that of its first append
//  12 unsure     16: begin (8): the registers behind what stands from there on are not known
//
// Encoders of the data path write into a buffer that is used again: the log copies it at once.
import { assert, strictText, utf8, WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import { decodeLabelSet, encodeLabelSet } from "./label-set-codec.ts";
import type { StoreMark } from "./spool-image.ts";

export const KIND = {
  define: 1,
  data: 2,
  direct: 3,
  roll: 4,
  registers: 5,
  released: 6,
  removed: 7,
  sum: 8,
  mark: 9,
  cut: 10,
  adopted: 11,
  unsure: 12,
} as const;

const VERSION = 1;
const HEAD_BYTES = 16;
export const DATA_HEAD_BYTES = 24;
/** Longest record without a name, labels or bytes. */
export const RECORD_BYTES_MAX = 52;
const DIRECT_BYTES = 36;
const RANGE_BYTES = 32;
const SUM_BYTES = 52;
const MARK_BYTES = 40;
const TWO_32 = 2 ** 32;

interface Stamp {
  readonly id: number;
  readonly timeMs: number;
}

export type LogRecord = Stamp &
  (
    | {
        readonly kind: "define";
        readonly journal: string;
        readonly createRevision: number;
        readonly epoch: number;
      }
    | { readonly kind: "data"; readonly begin: number; readonly bytes: Uint8Array }
    | { readonly kind: "direct"; readonly begin: number; readonly length: number; readonly crc: number }
    | { readonly kind: "roll"; readonly begin: number }
    | { readonly kind: "cut" | "unsure"; readonly begin: number }
    | { readonly kind: "registers"; readonly registers: LabelSet }
    | { readonly kind: "released"; readonly begin: number; readonly end: number }
    | { readonly kind: "removed"; readonly quarantine: boolean }
    | {
        readonly kind: "sum" | "adopted";
        readonly begin: number;
        readonly end: number;
        readonly sha1: Uint8Array;
      }
    | { readonly kind: "mark"; readonly mark: StoreMark }
  );

interface SummedFragment {
  readonly begin: number;
  readonly end: number;
  readonly sha1: Uint8Array;
}

/** Encoders into one buffer; a result is valid until the next call. */
export class LogRecordEncoder {
  readonly #bytes = new Uint8Array(SUM_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #dataHead = this.#bytes.subarray(0, DATA_HEAD_BYTES);

  define({ id, timeMs, journal, createRevision, epoch }: Extract<LogRecord, { kind: "define" }>): Uint8Array {
    const name = utf8(journal);
    const bytes = new Uint8Array(RANGE_BYTES + name.length);
    this.#head(KIND.define, id, timeMs);
    this.#u64(16, createRevision);
    this.#u64(24, epoch);
    bytes.set(this.#bytes.subarray(0, RANGE_BYTES));
    bytes.set(name, RANGE_BYTES);
    return bytes;
  }

  /** What stands in front of the bytes of a data record. */
  dataHead(id: number, timeMs: number, begin: number): Uint8Array {
    this.#head(KIND.data, id, timeMs);
    this.#u64(16, begin);
    return this.#dataHead;
  }

  direct(
    id: number,
    timeMs: number,
    { begin, length, crc }: { begin: number; length: number; crc: number },
  ): Uint8Array {
    this.#head(KIND.direct, id, timeMs);
    this.#u64(16, begin);
    this.#u64(24, length);
    this.#view.setUint32(32, crc, true);
    return this.#bytes.subarray(0, DIRECT_BYTES);
  }

  roll(id: number, timeMs: number, begin: number): Uint8Array {
    this.#head(KIND.roll, id, timeMs);
    this.#u64(16, begin);
    return this.#bytes.subarray(0, DATA_HEAD_BYTES);
  }

  cut(id: number, timeMs: number, begin: number): Uint8Array {
    this.#head(KIND.cut, id, timeMs);
    this.#u64(16, begin);
    return this.#bytes.subarray(0, DATA_HEAD_BYTES);
  }

  /** Of its own: it follows another record of the same entry. */
  unsure(id: number, timeMs: number, begin: number): Uint8Array {
    this.#head(KIND.unsure, id, timeMs);
    this.#u64(16, begin);
    return this.#bytes.slice(0, DATA_HEAD_BYTES);
  }

  registers(id: number, timeMs: number, registers: LabelSet): Uint8Array {
    const labels = encodeLabelSet(registers);
    const bytes = new Uint8Array(HEAD_BYTES + labels.length);
    this.#head(KIND.registers, id, timeMs);
    bytes.set(this.#bytes.subarray(0, HEAD_BYTES));
    bytes.set(labels, HEAD_BYTES);
    return bytes;
  }

  released(id: number, timeMs: number, { begin, end }: { begin: number; end: number }): Uint8Array {
    this.#head(KIND.released, id, timeMs);
    this.#u64(16, begin);
    this.#u64(24, end);
    return this.#bytes.subarray(0, RANGE_BYTES);
  }

  removed(id: number, timeMs: number, quarantine: boolean): Uint8Array {
    this.#head(KIND.removed, id, timeMs);
    this.#view.setUint16(2, quarantine ? 1 : 0, true);
    return this.#bytes.subarray(0, HEAD_BYTES);
  }

  sum(id: number, timeMs: number, fragment: SummedFragment): Uint8Array {
    return this.#summed(KIND.sum, id, timeMs, fragment);
  }

  adopted(id: number, firstAppendMs: number, fragment: SummedFragment): Uint8Array {
    return this.#summed(KIND.adopted, id, firstAppendMs, fragment);
  }

  #summed(kind: number, id: number, timeMs: number, { begin, end, sha1 }: SummedFragment): Uint8Array {
    assert(sha1.length === 20, "a SHA-1 has 20 bytes", { bytes: sha1.length });
    this.#head(kind, id, timeMs);
    this.#u64(16, begin);
    this.#u64(24, end);
    this.#bytes.set(sha1, 32);
    return this.#bytes.subarray(0, SUM_BYTES);
  }

  mark(timeMs: number, { clusterId, revision, token }: StoreMark): Uint8Array {
    this.#head(KIND.mark, 0, timeMs);
    this.#view.setBigUint64(16, clusterId, true);
    this.#u64(24, revision);
    this.#view.setBigUint64(32, token, true);
    return this.#bytes.subarray(0, MARK_BYTES);
  }

  #head(kind: number, id: number, timeMs: number): void {
    this.#bytes[0] = kind;
    this.#bytes[1] = VERSION;
    this.#view.setUint16(2, 0, true);
    this.#view.setUint32(4, id, true);
    this.#u64(8, timeMs);
  }

  #u64(at: number, value: number): void {
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }
}

/** Decodes one record; `data` bytes are a view. @throws {WireError} CORRUPT, naming the field */
export function decodeLogRecord(record: Uint8Array): LogRecord {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  need(record, HEAD_BYTES);
  const kind = record[0]!;
  if (record[1] !== VERSION) throw corrupt(`version ${record[1]} of kind ${kind} is not known`);
  const flags = view.getUint16(2, true);
  if (flags !== 0 && !(kind === KIND.removed && flags === 1)) throw corrupt(`flags ${flags} of kind ${kind}`);
  const id = view.getUint32(4, true);
  const timeMs = u64(view, 8, "time");
  switch (kind) {
    case KIND.define:
      return { kind: "define", id, timeMs, ...definition(record, view) };
    case KIND.data:
      need(record, DATA_HEAD_BYTES);
      return {
        kind: "data",
        id,
        timeMs,
        begin: u64(view, 16, "begin"),
        bytes: record.subarray(DATA_HEAD_BYTES),
      };
    case KIND.direct: {
      exact(record, DIRECT_BYTES);
      const [begin, length] = [u64(view, 16, "begin"), u64(view, 24, "length")];
      return { kind: "direct", id, timeMs, begin, length, crc: view.getUint32(32, true) };
    }
    case KIND.roll:
      exact(record, DATA_HEAD_BYTES);
      return { kind: "roll", id, timeMs, begin: u64(view, 16, "begin") };
    case KIND.cut:
      exact(record, DATA_HEAD_BYTES);
      return { kind: "cut", id, timeMs, begin: u64(view, 16, "begin") };
    case KIND.unsure:
      exact(record, DATA_HEAD_BYTES);
      return { kind: "unsure", id, timeMs, begin: u64(view, 16, "begin") };
    case KIND.registers:
      return { kind: "registers", id, timeMs, registers: decodeLabelSet(record.subarray(HEAD_BYTES)) };
    case KIND.released:
      exact(record, RANGE_BYTES);
      return { kind: "released", id, timeMs, begin: u64(view, 16, "begin"), end: u64(view, 24, "end") };
    case KIND.removed:
      exact(record, HEAD_BYTES);
      return { kind: "removed", id, timeMs, quarantine: flags === 1 };
    case KIND.sum:
    case KIND.adopted: {
      exact(record, SUM_BYTES);
      const [begin, end] = [u64(view, 16, "begin"), u64(view, 24, "end")];
      const name = kind === KIND.sum ? "sum" : "adopted";
      return { kind: name, id, timeMs, begin, end, sha1: record.slice(32, SUM_BYTES) };
    }
    case KIND.mark: {
      exact(record, MARK_BYTES);
      const [clusterId, token] = [view.getBigUint64(16, true), view.getBigUint64(32, true)];
      return { kind: "mark", id, timeMs, mark: { clusterId, revision: u64(view, 24, "revision"), token } };
    }
    default:
      throw corrupt(`kind ${kind} is not known`);
  }
}

function definition(
  record: Uint8Array,
  view: DataView,
): { journal: string; createRevision: number; epoch: number } {
  need(record, RANGE_BYTES + 1);
  const journal = strictText(record.subarray(RANGE_BYTES));
  if (journal === undefined) throw corrupt("the name of a journal is not UTF-8");
  return { journal, createRevision: u64(view, 16, "create revision"), epoch: u64(view, 24, "epoch") };
}

function u64(view: DataView, at: number, field: string): number {
  const value = view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  if (!Number.isSafeInteger(value)) throw corrupt(`${field} ${value} out of range (0 <= ${field} < 2^53)`);
  return value;
}

function need(record: Uint8Array, bytes: number): void {
  if (record.length < bytes) throw corrupt(`${record.length} bytes, at least ${bytes} expected`);
}

function exact(record: Uint8Array, bytes: number): void {
  if (record.length !== bytes) throw corrupt(`${record.length} bytes, ${bytes} expected`);
}

function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `log record: ${what}`);
}
