// Times of fragments as they are given on the command line.
import { UsageError } from "./cli-io.ts";

/** @param text absent: 0, no bound. @throws {UsageError} naming the option */
export function unixSeconds(option: string, text: string | undefined): number {
  const seconds = Number(text ?? "0");
  if (!/^\d+$/.test(text ?? "0") || !Number.isSafeInteger(seconds)) {
    throw new UsageError(`${option} ${text}: expected Unix seconds, a whole number`);
  }
  return seconds;
}
