// The protocol's Fragment of a span that is on this disk. Its sum is computed when it is looked at: most readers do
// not.
import type { LocalEntry } from "@millrace/fragments";
import type { Fragment } from "@millrace/protocol";
import type { JournalReplica } from "./journal-replica.ts";

export function localFragment(replica: JournalReplica, entry: LocalEntry): Fragment {
  return {
    journal: replica.journal,
    begin: entry.begin,
    end: entry.end,
    get sum() {
      return entry.fragment.sum();
    },
    compressionCodec: replica.spec.fragment.compressionCodec,
    backingStore: "",
    modTime: 0,
    pathPostfix: "",
  };
}
