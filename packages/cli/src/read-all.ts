// A whole input as text.
import { concatBytes, strictText } from "@millrace/base";
import { UsageError } from "./cli-io.ts";

/** @param name of the input, for the error @throws {UsageError} when it is not UTF-8 */
export async function readAll(stream: AsyncIterable<Uint8Array>, name = "the input"): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  const text = strictText(concatBytes(parts));
  if (text === undefined) throw new UsageError(`${name} is not UTF-8`);
  return text;
}
