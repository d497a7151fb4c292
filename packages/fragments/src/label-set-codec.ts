// Registers as bytes, in log records and checkpoints: a count (4), then for each label the length of its name (4),
// the name, the length of its value (4), the value; UTF-8, little-endian, in the set's order. Selectors' prefix
// labels never occur in registers.
import { strictText, utf8, WireError } from "@millrace/base";
import { label, type Label, type LabelSet } from "@millrace/protocol";

/** A set larger than that is not one that an append could have carried. */
const LABELS_MAX = 65_536;

export function encodeLabelSet(set: LabelSet): Uint8Array {
  const texts = set.labels.flatMap(({ name, value }) => [utf8(name), utf8(value)]);
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + 4 + text.length, 4));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, set.labels.length, true);
  let at = 4;
  for (const text of texts) {
    view.setUint32(at, text.length, true);
    bytes.set(text, at + 4);
    at += 4 + text.length;
  }
  return bytes;
}

/** @throws {WireError} CORRUPT unless `bytes` is exactly one set */
export function decodeLabelSet(bytes: Uint8Array): LabelSet {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw corrupt(`${bytes.length} bytes, at least 4 expected`);
  const count = view.getUint32(0, true);
  if (count > LABELS_MAX) throw corrupt(`${count} labels, at most ${LABELS_MAX} expected`);
  let at = 4;
  const next = (field: string): string => {
    if (at + 4 > bytes.length) throw corrupt(`${field} is cut`);
    const end = at + 4 + view.getUint32(at, true);
    if (end > bytes.length) throw corrupt(`${field} is cut`);
    const text = strictText(bytes.subarray(at + 4, end));
    if (text === undefined) throw corrupt(`${field} is not UTF-8`);
    at = end;
    return text;
  };
  const labels: Label[] = [];
  for (let i = 0; i < count; i++) {
    const name = next("name");
    labels.push(label(name, next("value")));
  }
  if (at !== bytes.length) throw corrupt(`${bytes.length - at} bytes follow the last label`);
  return { labels };
}

function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `label set: ${what}`);
}
