// Durations as they are given on the command line, in Go's form.
import { parseDuration } from "@millrace/protocol";
import { UsageError } from "./cli-io.ts";

/** @param option as the user gave it @returns milliseconds @throws {UsageError} naming the option */
export function durationOption(option: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
