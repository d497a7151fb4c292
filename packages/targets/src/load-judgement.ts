// Whether a load is done, to do, or refused: the loaded end decides, never what the importer believes (D23). A
// partition that comes back to a table goes on behind what the tables between have of it
// (docs/adr/0004-coming-back-to-a-target.md).
import { assert } from "@millrace/base";
import type { LoadOutcome, PartitionLoad } from "@millrace/ingest";

export type Judgement =
  | { readonly kind: "load"; readonly partitions: readonly PartitionLoad[] }
  | Exclude<LoadOutcome, { kind: "loaded" }>;

/**
 * `together`: the target commits all partitions of a load at once, so one that is done beside another that is not is
 * none of our doing. `each`: it has no transactions, and what is done is left out.
 */
export type Commits = "together" | "each";

export function judgeLoad(
  partitions: readonly PartitionLoad[],
  ends: ReadonlyMap<string, number>,
  commits: Commits,
): Judgement {
  const open: PartitionLoad[] = [];
  let done: PartitionLoad | undefined;
  for (const partition of partitions) {
    const { journal, begin, end, startsTarget } = partition;
    assert(begin <= end, "begin <= end", { journal, begin, end });
    const loadedEnd = ends.get(journal);
    if (loadedEnd !== undefined && loadedEnd >= end) done = partition;
    else if (startsTarget ? (loadedEnd ?? 0) <= begin : loadedEnd === begin) open.push(partition);
    else return { kind: "refused", journal, begin, loadedEnd };
  }
  if (open.length === 0) return { kind: "already" };
  if (done === undefined || commits === "each") return { kind: "load", partitions: open };
  const { journal, begin } = done;
  return { kind: "refused", journal, begin, loadedEnd: ends.get(journal) };
}
