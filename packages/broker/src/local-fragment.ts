// The protocol's Fragment of a span that is on this disk. Its sum is computed when it is looked at: most readers do
// not. Where the bytes would have to be read for it (a part of what a restart has found), it is the zero sum.
import type { LocalEntry } from "@millrace/fragments";
import { ZERO_SHA1, type Fragment } from "@millrace/protocol";
import type { JournalReplica } from "./journal-replica.ts";

export function localFragment(replica: JournalReplica, entry: LocalEntry): Fragment {
  return {
    journal: replica.journal,
    begin: entry.begin,
    end: entry.end,
    get sum() {
      const sum = entry.fragment.sum();
      return sum === "" ? ZERO_SHA1 : sum;
    },
    compressionCodec: replica.spec.fragment.compressionCodec,
    backingStore: "",
    modTime: 0,
    pathPostfix: "",
  };
}
