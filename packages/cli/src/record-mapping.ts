// Which of several journals a record goes to. Keys are mapped as Gazette's tools map them, so that writers of both
// kinds agree about partitions.
import { WireError, type Random } from "@millrace/base";

export type Mapping = "random" | "modulo" | "rendezvous" | "direct";

/** @param key of the record; undefined for `random`, which needs none. @returns the journal's name */
export type MapRecord = (key: Uint8Array | undefined) => string;

/** @param journals in the order of their names, at least one */
export function recordMapping(mapping: Mapping, journals: readonly string[], random: Random): MapRecord {
  switch (mapping) {
    case "random":
      return () => journals[random.below(journals.length)]!;
    case "modulo":
      return (key) => journals[fnv1a32(key!) % journals.length]!;
    case "rendezvous":
      return rendezvous(journals);
    case "direct":
      return direct(journals);
  }
}

/** The journal whose name's hash, mixed with that of the key, is greatest; the first of equals. */
function rendezvous(journals: readonly string[]): MapRecord {
  const hashed = journals.map((name) => ({ name, hash: fnv1a32(Buffer.from(name)) }));
  return (key) => {
    const hash = fnv1a32(key!);
    const weight = (each: { hash: number }): number => (each.hash ^ hash) >>> 0;
    return hashed.reduce((best, each) => (weight(each) > weight(best) ? each : best)).name;
  };
}

function direct(journals: readonly string[]): MapRecord {
  const known = new Set(journals);
  return (key) => {
    const name = Buffer.from(key!).toString();
    if (known.has(name)) return name;
    throw new WireError("NOT_FOUND", `journal ${JSON.stringify(name)} is not one that the selector matches`);
  };
}

/** FNV-1a of 32 bits. */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
