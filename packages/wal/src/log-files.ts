// Names of the files in a log's directory.
import { hex16 } from "@millrace/base";

/** A segment that is being made ready; without meaning until it is renamed to its number. */
export const PREPARING_NAME = "preparing";

export function segmentName(number: number): string {
  return `${hex16(number)}.seg`;
}

/** Name of a recycled segment that waits to be used again; `number` is the one it had. */
export function spareName(number: number): string {
  return `${hex16(number)}.spare`;
}

export type LogFile =
  | { readonly kind: "segment"; readonly number: number }
  | { readonly kind: "spare" | "preparing" | "foreign" };

export function parseLogFile(name: string): LogFile {
  if (name === PREPARING_NAME) return { kind: "preparing" };
  const match = /^([0-9a-f]{16})\.(seg|spare)$/.exec(name);
  if (match === null) return { kind: "foreign" };
  if (match[2] === "spare") return { kind: "spare" };
  const number = Number.parseInt(match[1]!, 16);
  return Number.isSafeInteger(number) && number > 0 ? { kind: "segment", number } : { kind: "foreign" };
}
