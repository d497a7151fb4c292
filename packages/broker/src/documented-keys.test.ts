import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { prefixRange, textOf } from "@millrace/metadata";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";

const PAGE = new URL("../../../docs/gazette.md", import.meta.url);

test("keys that brokers of a cluster write -> each begins as one of the table for backups and roles", async () => {
  const rows = readFileSync(PAGE, "utf8").split("\n");
  const at = rows.findIndex((line) => line.startsWith("| Keys that begin with"));
  const table = rows.slice(at + 2, rows.indexOf("", at));
  /** The last code span in front of a colon, or the only one: `etcd.prefix`: `/gazette/cluster/`. */
  const prefixes = table.map((row) => {
    const spans = [...row.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, span]) => span!);
    return spans[0] === "etcd.prefix" ? spans[1]! : spans[0]!;
  });
  assert.deepEqual(prefixes, ["/gazette/cluster/", "!millrace/", "/millrace/", "stream/"]);

  const cluster = await openTestCluster({ zones: ["a", "b", "c"], root: "/gazette/cluster" });
  const { transport } = cluster.members[0]!;
  await cluster.within(applySpec(transport, journalSpec("a/journal", { replication: 3 })));
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  await cluster.within(transport.append(preamble("a/journal"), content, never));
  const { kvs } = await cluster.within(cluster.coordination.range(prefixRange(""), never));
  const keys = kvs.map(({ key }) => textOf(key));
  for (const prefix of prefixes.slice(0, 3))
    assert.ok(
      keys.some((key) => key.startsWith(prefix)),
      `${prefix} is in use`,
    );
  assert.deepEqual(
    keys.filter((key) => !prefixes.some((prefix) => key.startsWith(prefix))),
    [],
  );
  await cluster.close();
});
