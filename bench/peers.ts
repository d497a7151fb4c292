// Programs of others to measure against, found as the tests find theirs.
import { peerProgram } from "@millrace/base/testkit";

/** @throws {Error} when there is none: ask `missingPeers` first */
export function peer(name: string): string {
  const { path, missing } = peerProgram(name);
  if (missing !== false) throw new Error(missing);
  return path;
}

/** Why something cannot be measured here, or undefined. */
export function missingPeers(names: readonly string[]): string | undefined {
  const reasons = names.map((name) => peerProgram(name).missing).filter((reason) => reason !== false);
  return reasons.length === 0 ? undefined : reasons.join("; ");
}
