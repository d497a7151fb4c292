// Signed URLs of persisted fragments.
import type { RemotePorts } from "@millrace/fragments";
import { contentPath, type Fragment } from "@millrace/protocol";

/** A URL that reads the fragment's object for `ttlMs`. @throws {WireError} what the store throws */
export function signGet({ stores }: RemotePorts, fragment: Fragment, ttlMs: number): Promise<string> {
  return stores.open(fragment.backingStore).signGet(contentPath(fragment), ttlMs);
}
