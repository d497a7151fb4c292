// Staged rows as lines of tab-separated text with backslash escapes, which PostgreSQL's COPY and ClickHouse's
// TabSeparated both read. Bytes in, bytes out: no string per value.
import { utf8 } from "@millrace/base";
import type { StagedRows } from "@millrace/ingest";
import { CHUNK_BYTES } from "./limits.ts";

const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const BACKSLASH = 92;
/** An escaped byte becomes two, one that is replaced three. */
const WIDEST = 3;
/** U+FFFD */
const REPLACEMENT = [0xef, 0xbf, 0xbd] as const;
const OFFSET_CHARS_MAX = 16;

export interface CopyOptions {
  readonly journal: string;
  /**
   * Whether the target has text with the character NUL; where not, U+FFFD stands for it. The door refuses such rows
   * (mapping.ts), but not those of before the sink had this target: an accepted record must not block those after it.
   */
  readonly takesNul: boolean;
}

/**
 * The values of each row, then its journal and its offset; in chunks that end with a line.
 * @throws {WireError} CORRUPT
 */
export function* copyText(rows: StagedRows, options: CopyOptions): Generator<Uint8Array> {
  const tail = tailOf(options.journal);
  let out = new Uint8Array(CHUNK_BYTES);
  let at = 0;
  while (rows.next()) {
    const room = roomOf(rows) + tail.length + OFFSET_CHARS_MAX + 1;
    if (at + room > out.length) {
      if (at > 0) yield out.subarray(0, at);
      out = new Uint8Array(Math.max(CHUNK_BYTES, room));
      at = 0;
    }
    for (let i = 0; i < rows.begins.length; i++) {
      at = escaped(rows, i, out, at, options.takesNul);
      out[at++] = TAB;
    }
    out.set(tail, at);
    at = decimal(rows.offset, out, at + tail.length);
    out[at++] = NEWLINE;
  }
  if (at > 0) yield out.subarray(0, at);
}

/** The journal, escaped, and a tab. */
function tailOf(journal: string): Uint8Array {
  const bytes = utf8(journal.replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n"));
  const tail = new Uint8Array(bytes.length + 1);
  tail.set(bytes);
  tail[bytes.length] = TAB;
  return tail;
}

function roomOf({ begins, ends }: StagedRows): number {
  let room = begins.length;
  for (let i = 0; i < begins.length; i++) room += WIDEST * (ends[i]! - begins[i]!);
  return room;
}

function escaped(rows: StagedRows, i: number, out: Uint8Array, at: number, takesNul: boolean): number {
  const { bytes, begins, ends } = rows;
  const end = ends[i]!;
  let to = at;
  for (let from = begins[i]!; from < end; from++) {
    const byte = bytes[from]!;
    if (byte > RETURN && byte !== BACKSLASH) {
      out[to++] = byte;
      continue;
    }
    if (byte === 0 && !takesNul) {
      for (const part of REPLACEMENT) out[to++] = part;
      continue;
    }
    const escape = escapeOf(byte);
    if (escape !== 0) out[to++] = BACKSLASH;
    out[to++] = escape === 0 ? byte : escape;
  }
  return to;
}

/** The character behind a backslash that stands for `byte`; 0: it stands for itself. */
function escapeOf(byte: number): number {
  switch (byte) {
    case 0:
      return 48; // 0
    case TAB:
      return 116; // t
    case NEWLINE:
      return 110; // n
    case RETURN:
      return 114; // r
    case BACKSLASH:
      return BACKSLASH;
    default:
      return 0;
  }
}

function decimal(n: number, out: Uint8Array, at: number): number {
  const digits = String(n);
  for (let i = 0; i < digits.length; i++) out[at + i] = digits.charCodeAt(i);
  return at + digits.length;
}
