// Cuts an input into records: lines, or frames of a fixed header. Records keep their newline or their header.
//
//  fixed: 4 bytes of magic, u32 little-endian length of what follows, and as many bytes.
//
// F1 What comes out is what went in, byte for byte, however the input is split; an end inside a record is an error.
// F2 No record is longer than a bound, which is looked at before its bytes are kept.
import { WireError } from "@millrace/base";

export type Framing = "lines" | "fixed";

/** What an append service holds at most; a record has to fit into it. */
export const RECORD_BYTES_MAX = 64 * 1024 * 1024;
export const FIXED_HEADER_BYTES = 8;
const FIXED_MAGIC = Buffer.from([0x66, 0x33, 0x93, 0x36]);
const NEWLINE = 0x0a;

/** Takes chunks, gives whole records. */
export class RecordFrames {
  readonly #endOf: (bytes: Uint8Array, from: number) => number | undefined;
  readonly #unit: string;
  #rest: Uint8Array = new Uint8Array();
  /** Bytes of the rest in which no end of a record is. */
  #seen = 0;

  constructor(framing: Framing) {
    this.#endOf = framing === "lines" ? endOfLine : endOfFrame;
    this.#unit = framing === "lines" ? "line" : "frame";
  }

  /** @throws {WireError} TOO_LARGE; INVALID_ARGUMENT where a frame should begin and none does */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const records: Uint8Array[] = [];
    for (let end = this.#endOf(bytes, this.#seen); end !== undefined; end = this.#endOf(bytes, 0)) {
      records.push(bytes.subarray(0, end));
      bytes = bytes.subarray(end);
      this.#seen = 0;
    }
    if (bytes.length > RECORD_BYTES_MAX) throw tooLarge(this.#unit, bytes.length);
    this.#rest = bytes;
    this.#seen = bytes.length;
    return records;
  }

  /** Bytes of a record that has not ended. */
  get rest(): Uint8Array {
    return this.#rest;
  }
}

function endOfLine(bytes: Uint8Array, from: number): number | undefined {
  const at = bytes.indexOf(NEWLINE, from);
  return at === -1 ? undefined : at + 1;
}

function endOfFrame(bytes: Uint8Array): number | undefined {
  if (bytes.length < FIXED_HEADER_BYTES) return undefined;
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, FIXED_HEADER_BYTES);
  if (!FIXED_MAGIC.equals(head.subarray(0, 4))) {
    const found = head.subarray(0, 4).toString("hex");
    throw new WireError(
      "INVALID_ARGUMENT",
      `a frame begins with ${found}, expected ${FIXED_MAGIC.toString("hex")}`,
    );
  }
  const end = FIXED_HEADER_BYTES + head.readUInt32LE(4);
  if (end > RECORD_BYTES_MAX) throw tooLarge("frame", end);
  return end <= bytes.length ? end : undefined;
}

function tooLarge(unit: string, bytes: number): WireError {
  return new WireError(
    "TOO_LARGE",
    `a ${unit} of the input has ${bytes} bytes or more (at most ${RECORD_BYTES_MAX})`,
  );
}
