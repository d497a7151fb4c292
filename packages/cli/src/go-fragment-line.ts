// A fragment as a line of JSON in the form of `gazctl journals fragments -o json`, that of Go's encoding/json: what is
// zero is left out, codecs are numbers, sums are words of 64 bits as numbers, `<`, `>` and `&` are escaped.
import { COMPRESSION_CODEC, type ListedFragment } from "@millrace/protocol";

const ESCAPED = /[<>&\u2028\u2029]/g;

export function goFragmentLine({ spec, signedUrl }: ListedFragment): string {
  const { sum } = spec;
  const fields: readonly [name: string, json: string][] = [
    ["journal", quoted(spec.journal)],
    ["begin", String(spec.begin)],
    ["end", String(spec.end)],
    ["sum", objectOf([...wordsOf(sum)])],
    ["compression_codec", String(COMPRESSION_CODEC[spec.compressionCodec])],
    ["backing_store", quoted(spec.backingStore)],
    ["mod_time", String(spec.modTime)],
    ["path_postfix", quoted(spec.pathPostfix)],
  ];
  return `${objectOf([
    ["spec", objectOf(fields)],
    ["signed_url", quoted(signedUrl)],
  ])}\n`;
}

/** Big-endian words of a SHA-1. */
function* wordsOf(sum: string): Generator<[name: string, json: string]> {
  for (const [name, begin, end] of [
    ["part1", 0, 16],
    ["part2", 16, 32],
    ["part3", 32, 40],
  ] as const) {
    yield [name, BigInt(`0x${sum.slice(begin, end)}`).toString()];
  }
}

function objectOf(fields: readonly (readonly [name: string, json: string])[]): string {
  const present = fields.filter(([, json]) => json !== "0" && json !== '""');
  return `{${present.map(([name, json]) => `"${name}":${json}`).join(",")}}`;
}

function quoted(text: string): string {
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).replaceAll(ESCAPED, escape);
}
