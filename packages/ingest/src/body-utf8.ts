// Is it UTF-8? Tables hold text; bytes that are none would fail far behind the reply that accepted them.
import { utf8SequenceLength } from "./body-json.ts";

/** Whether bytes[begin, end) are well-formed UTF-8. */
export function isUtf8(bytes: Uint8Array, begin: number, end: number): boolean {
  let at = begin;
  while (at < end) {
    if (bytes[at]! < 0x80) {
      at++;
      continue;
    }
    const length = utf8SequenceLength(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}
