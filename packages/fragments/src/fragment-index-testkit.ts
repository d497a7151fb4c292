// Builders of fragments for tests.
import type { Fragment } from "@millrace/protocol";
import type { LocalFragment } from "./spools.ts";

export function localFragmentOf(
  fields: Partial<Omit<LocalFragment, "sum">> & { sum?: string },
): LocalFragment {
  const { begin = 0, end = 0, closed = true, firstAppendMs = 0, sum = "0".repeat(40) } = fields;
  return { begin, end, closed, firstAppendMs, sum: () => sum };
}

export function remoteFragmentOf(fields: Partial<Fragment>): Fragment {
  return {
    journal: "a/journal",
    begin: 0,
    end: 0,
    sum: "0".repeat(40),
    compressionCodec: "NONE",
    backingStore: "file:///fragments/",
    modTime: 1,
    pathPostfix: "",
    ...fields,
  };
}
