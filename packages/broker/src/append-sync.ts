// What the peers' answers to a synchronizing proposal mean (section 4.2, step 5). Pure; part of the append machine.
import { equivalentRoutes, type LabelSet, type ProcessId } from "@millrace/protocol";
import type { AppendInput, AppendResolution, PeerAnswer } from "./append-states.ts";

export type SyncOutcome =
  | { readonly kind: "in-sync" }
  /** Somebody has more, or an empty fragment at our end: propose a roll to there, with that peer's registers. */
  | { readonly kind: "roll"; readonly rollTo: number; readonly registers: LabelSet | undefined }
  /** A peer knows a newer route. */
  | { readonly kind: "read-through"; readonly revision: number }
  | { readonly kind: "failed"; readonly reason: string };

export function acknowledgeSync(
  resolution: AppendResolution,
  { ownEnd, answers }: Extract<AppendInput, { kind: "sync-gathered" }>,
): SyncOutcome {
  let rollTo = 0;
  let registers: LabelSet | undefined;
  let revision = 0;
  for (const answer of answers) {
    const read = readAnswer(resolution, ownEnd, answer);
    if (read.kind === "failed") return read;
    if (read.kind === "read-through") revision = Math.max(revision, read.revision);
    if (read.kind === "roll" && read.rollTo > rollTo) ({ rollTo, registers } = read);
  }
  // A newer route first: the set of peers to agree with is another one then.
  if (revision !== 0) return { kind: "read-through", revision };
  return rollTo === 0 ? { kind: "in-sync" } : { kind: "roll", rollTo, registers };
}

function readAnswer(resolution: AppendResolution, ownEnd: number, answer: PeerAnswer): SyncOutcome {
  const failed = (reason: string): SyncOutcome => ({
    kind: "failed",
    reason: `gatherSync: recv from ${idText(answer.peer)}: ${reason}`,
  });
  if (answer.kind === "broken") return failed(answer.reason);
  const { status, header, fragment } = answer;
  switch (status) {
    case "OK":
      return { kind: "in-sync" };
    case "WRONG_ROUTE": {
      const own = resolution.header;
      const newer =
        header !== undefined &&
        header.etcd.revision > own.etcd.revision &&
        !equivalentRoutes(header.route, own.route);
      return newer
        ? { kind: "read-through", revision: header.etcd.revision }
        : failed("unexpected WRONG_ROUTE");
    }
    case "PROPOSAL_MISMATCH": {
      if (fragment === undefined) return failed("PROPOSAL_MISMATCH without a fragment");
      if (fragment.end > ownEnd) return { kind: "roll", rollTo: fragment.end, registers: answer.registers };
      const startsAnew = fragment.end === ownEnd && fragment.begin === fragment.end;
      return startsAnew
        ? { kind: "roll", rollTo: ownEnd, registers: undefined }
        : failed("unexpected PROPOSAL_MISMATCH");
    }
    default:
      return failed(`unexpected !OK response: ${status}`);
  }
}

function idText(id: ProcessId): string {
  return `zone:"${id.zone}" suffix:"${id.suffix}"`;
}
