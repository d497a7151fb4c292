// Objects of the fragment store that no journal claims: of journals that were deleted, or not fragments at all.
import { WireError } from "@millrace/base";
import { isIntact, type RemotePorts } from "@millrace/fragments";
import { fragmentOfPath, type Fragment } from "@millrace/protocol";
import type { CheckNotes } from "./doctor-report.ts";

/** What brokers write to see whether the store works. */
const HEALTH_PREFIX = ".test/";

/** @param claimed paths of objects that were read with their journals */
export async function examineOtherObjects(
  ports: RemotePorts,
  storeUrl: string,
  claimed: ReadonlySet<string>,
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<void> {
  for await (const { path, bytes } of ports.stores.open(storeUrl).list("", signal)) {
    if (claimed.has(path) || path.startsWith(HEALTH_PREFIX)) continue;
    const fragment = fragmentAt(path);
    if (fragment === undefined) {
      notes.warn(`${path} in ${storeUrl}: ${bytes} bytes under a name that no fragment has`);
      continue;
    }
    notes.add("unclaimed");
    notes.add("fragments");
    notes.add("bytes", fragment.end - fragment.begin);
    try {
      if (await isIntact(ports, { ...fragment, backingStore: storeUrl }, signal)) continue;
      notes.bad(`${path} in ${storeUrl}, of no journal: its content is not what its name says`);
    } catch (thrown) {
      signal.throwIfAborted();
      notes.bad(`${path} in ${storeUrl}, of no journal: ${WireError.from(thrown).message}`);
    }
  }
}

/** Without the journal's spec nothing tells its name from a postfix: all directories are taken for its name. */
function fragmentAt(path: string): Fragment | undefined {
  const slash = path.lastIndexOf("/");
  if (slash < 0) return undefined;
  try {
    return fragmentOfPath(path.slice(0, slash), path.slice(slash + 1));
  } catch {
    return undefined;
  }
}
