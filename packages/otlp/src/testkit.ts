// Requests of all signals in both encodings, and the records that they become: for tests of doors.
import { readFileSync } from "node:fs";
import { unhex } from "@millrace/base";

export { CASES, type OtlpCase } from "./otlp-cases-testkit.ts";

/** The request of a case in protobuf, as the official definitions encode it. */
export function protobufRequest(name: string): Uint8Array {
  const golden = readFileSync(new URL("../src/otlp.golden.txt", import.meta.url), "utf8");
  const line = golden.split("\n").find((each) => each.startsWith(`${name}\t`));
  const bytes = unhex(line?.slice(name.length + 1) ?? "");
  if (bytes === undefined || bytes.length === 0) throw new Error(`no request is named ${name}`);
  return bytes;
}
