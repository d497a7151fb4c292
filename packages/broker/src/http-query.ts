// Query arguments of the journal gateway. Names are matched without case; texts are those of the protocol's gateway.
import { WireError } from "@millrace/base";

export type ArgumentKind = "int64" | "bool";

const TRUE = new Set(["on", "1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Values of the named arguments; absent or empty ones are missing. Offsets beyond 2^53 are read as 2^53-1, where no
 * journal ends.
 * @throws {WireError} INVALID_ARGUMENT
 */
export function parseQuery<K extends string>(
  query: string,
  kinds: Readonly<Record<K, ArgumentKind>>,
): Partial<Record<K, number | boolean>> {
  const values: Partial<Record<K, number | boolean>> = {};
  if (query === "") return values;
  const known = new Map(Object.keys(kinds).map((name) => [name.toLowerCase(), name as K]));
  const problems = new Set<string>();
  for (const [given, value] of new URLSearchParams(query)) {
    const name = known.get(given.toLowerCase());
    if (name === undefined) problems.add(`schema: invalid path "${given}"`);
    else if (value !== "") {
      const read = kinds[name] === "bool" ? readBool(value) : readInt64(value);
      if (read === undefined) problems.add(`schema: error converting value for "${given}"`);
      else values[name] = read;
    }
  }
  const [first, ...others] = problems;
  if (first === undefined) return values;
  const more =
    others.length === 0 ? "" : ` (and ${others.length} other error${others.length === 1 ? "" : "s"})`;
  throw new WireError("INVALID_ARGUMENT", first + more);
}

function readBool(value: string): boolean | undefined {
  return TRUE.has(value) ? true : FALSE.has(value) ? false : undefined;
}

function readInt64(value: string): number | undefined {
  if (!/^[+-]?[0-9]{1,20}$/.test(value)) return undefined;
  const read = BigInt(value.replace("+", ""));
  if (read > INT64_MAX || read < -INT64_MAX - 1n) return undefined;
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(read > bound ? bound : read < -bound ? -bound : read);
}
