// The fragments of one journal, page by page (section 5.5).
import { waitUntil, WireError } from "@millrace/base";
import { pageOfIndex, type RemotePorts } from "@millrace/fragments";
import {
  mayRead,
  type FragmentsRequest,
  type FragmentsResponse,
  type ListedFragment,
} from "@millrace/protocol";
import { localFragment } from "./local-fragment.ts";
import { signGet } from "./remote-url.ts";
import type { Resolution } from "./resolver.ts";

export async function listFragments(
  remote: RemotePorts,
  resolution: Resolution,
  request: FragmentsRequest,
  signal: AbortSignal,
): Promise<FragmentsResponse> {
  const { header, status, localReplica: replica } = resolution;
  if (status !== "OK") return { status, header, fragments: [], nextPageToken: 0 };
  if (!mayRead(resolution.spec!)) return { status: "NOT_ALLOWED", header, fragments: [], nextPageToken: 0 };
  if (replica === undefined)
    throw new WireError("NOT_PRIMARY", `journal ${request.journal} is served by another broker`);
  await replica.waitOpen(signal);
  const { index } = replica;
  await waitUntil(index.changed, () => index.isRefreshed, signal);
  const { entries, nextPageToken } = pageOfIndex(index, request);
  const ttlMs = request.signatureTtlMs;
  const fragments: ListedFragment[] = [];
  for (const entry of entries) {
    const spec = entry.kind === "remote" ? entry.fragment : localFragment(replica, entry);
    const sign = ttlMs !== undefined && entry.kind === "remote";
    fragments.push({ spec, signedUrl: sign ? await signGet(remote, spec, ttlMs) : "" });
  }
  return { status: "OK", header, fragments, nextPageToken };
}
