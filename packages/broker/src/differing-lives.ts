// Whether lives of a journal that are later than its list go on from one another (T5 of later-lives.ts).
import { WireError } from "@millrace/base";
import type { JournalLife } from "@millrace/fragments";
import type { Holder } from "./activation-runner.ts";
import { equalUntil } from "./held-bytes.ts";
import type { Range } from "./holders-list.ts";
import type { FoundHolder } from "./later-lives.ts";
import type { HoldAnswer } from "./peer-network.ts";

export interface ComparedLife extends FoundHolder {
  /** Of the broker that has it, for whoever reads the refusal. */
  readonly broker: string;
  /** SHA-256 of a range of its bytes, hex. */
  readonly digest: (range: Range) => Promise<string>;
}

/** What a holder answered to a fence, as others' answers are compared with it. @param signal ends its digests */
export function comparedLife(
  { id, peer, calls }: Holder,
  { found = 0, held }: Extract<HoldAnswer, { readonly kind: "taken" }>,
  { journal, createRevision }: Pick<JournalLife, "journal" | "createRevision">,
  signal: AbortSignal,
): ComparedLife {
  const digest = (range: Range): Promise<string> =>
    calls.digest({ journal, createRevision, ...range }, signal);
  return { id, broker: peer.id.suffix, found, held, digest };
}

/** @throws {WireError} CONFLICT: two of them differ, and where; of whoever is asked for a digest */
export async function refuseDiffering(journal: string, lives: readonly ComparedLife[]): Promise<void> {
  const [longest, ...others] = lives.toSorted((a, b) => b.held.end - a.held.end);
  for (const other of others) {
    const range = {
      begin: Math.max(longest!.held.base, other.held.base),
      end: Math.min(longest!.held.end, other.held.end),
    };
    if (range.begin >= range.end) continue;
    const isSame = async (part: Range): Promise<boolean> => {
      const [one, two] = await Promise.all([longest!.digest(part), other.digest(part)]);
      return one === two;
    };
    const same = await equalUntil(range, isSame);
    if (same < range.end) throw differing(journal, same, [longest!, other]);
  }
}

function differing(journal: string, offset: number, lives: readonly ComparedLife[]): WireError {
  const [one, two] = lives.map(
    ({ broker, found, held }) => `${broker} (up to ${held.end}, of revision ${found})`,
  );
  return new WireError(
    "CONFLICT",
    `brokers have different bytes of journal ${journal} from offset ${offset} on: ${one} and ${two}; ` +
      "stop the one whose bytes were not acknowledged, wait until its lease has ended, and ask again",
    { facts: { journal, offset } },
  );
}
