import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSet, newJournalSpec, type ListedJournal, type ListResponse } from "@millrace/protocol";
import { renderListing, warnOfReduced } from "./run-journals-list.ts";

const SYNCED = labelSet(["millrace.dev/ack", "synced"]);

function listed(name: string, isReduced: boolean, labels = SYNCED): ListedJournal {
  const acknowledgement = { level: "replicated", minReplicas: 3, isReduced } as const;
  const route = { members: [], endpoints: [], primary: -1 };
  return {
    spec: newJournalSpec({ name, labels }),
    modRevision: 1,
    createRevision: 1,
    route,
    acknowledgement,
  };
}

function said(journals: readonly ListedJournal[], format: "table" | "yaml" | "json", json?: true): string {
  let text = "";
  const err = (more: string): void => void (text += more);
  warnOfReduced({ journals }, { format, ...(json && { json }) }, { err });
  return text;
}

test("labels that are not in force -> one line on stderr, for people", () => {
  const journals = [listed("a/one", false), listed("a/two", true), listed("a/three", true)];
  assert.match(said(journals, "table"), /^millrace: .* no Millrace .*: a\/two and 1 more acknowledge .*\n$/);
  assert.match(said([listed("a/two", true)], "yaml"), /: a\/two acknowledge /);
  assert.equal(said([listed("a/one", false), listed("a/none", true, labelSet())], "table"), "");
  assert.equal(said(journals, "json") + said(journals, "table", true), "");
});

test("YAML: text that YAML 1.1 takes for something else -> quoted, so that gazctl reads text", async () => {
  const texts =
    "y n Y N yes no on off true True null ~ NULL 1_000 0x1f 0b1 017 0o17 1:30 1e3 .5 +1 .inf .NaN 2001-01-01";
  for (const text of texts.split(" ")) {
    const spec = newJournalSpec({ name: "a/one", labels: labelSet(["odd", text]) });
    const listing = { journals: [{ ...listed("a/one", false), spec }] } as unknown as ListResponse;
    const yaml = await renderListing(listing, { format: "yaml" });
    assert.ok(
      yaml.split("\n").some((line) => line.trim() === `value: "${text}"`),
      yaml,
    );
  }
});

test("JSON and text by Gazette's definition -> no field that it lacks; ours has all", async () => {
  const header = { processId: { zone: "", suffix: "" }, route: listed("a", false).route };
  const etcd = { clusterId: 0n, memberId: 0n, revision: 1, raftTerm: 1n };
  const listing = { status: "OK", header: { ...header, etcd }, journals: [listed("a/one", true)] };
  const lines = async (format: "json" | "proto", json?: true): Promise<string> =>
    renderListing(listing as unknown as ListResponse, { format, ...(json && { json }) });
  for (const format of ["json", "proto"] as const) {
    const text = await lines(format);
    assert.match(text, /a\/one/);
    assert.doesNotMatch(text, /acknowledgement/);
  }
  assert.match(await lines("json", true), /"acknowledgement":\{"level":"replicated"/);
});
