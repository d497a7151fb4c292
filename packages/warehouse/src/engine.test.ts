import assert from "node:assert/strict";
import { test } from "node:test";
import { engineFailure, isLost } from "./engine.ts";

const LOST =
  "FATAL Error: Failed: database has been invalidated because of a previous fatal error. The database must be " +
  'restarted prior to being used again.\nOriginal error: "Could not write file "w.db": No space left on device"';

const FAILURES: readonly [text: string, code: string | undefined][] = [
  [LOST, "UNAVAILABLE"],
  ["INTERNAL Error: Attempted to dereference a null pointer", "INTERNAL"],
  ['IO Error: Could not write file "w.db.wal": No space left on device', "DISK_FULL"],
  ["TransactionContext Error: Failed to commit: Could not write: No space left on device", "DISK_FULL"],
  ["IO Error: Could not read from file", "UNAVAILABLE"],
  ["Out of Memory Error: failed to offload data block: 'max_temp_directory_size' setting", "DISK_FULL"],
  ["Out of Memory Error: could not allocate block of size 256.0 KiB", undefined],
  ["Invalid Input Error: FATAL Error: says a user", undefined],
  ["Conversion Error: No space left on device", undefined],
];
for (const [text, code] of FAILURES) {
  test(`engine: ${text.slice(0, 60)} -> ${code ?? "of the statement"}`, () => {
    assert.equal(engineFailure(new Error(text))?.code, code);
    assert.equal(isLost(new Error(text)), text === LOST);
  });
}
