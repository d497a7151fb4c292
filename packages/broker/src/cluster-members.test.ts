import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";

const content = { kind: "bytes", bytes: [Buffer.from("x")] } as const;

test("members: three brokers with journals -> each with its place and counts, whoever is asked", async () => {
  const cluster = await openTestCluster();
  const [first, second] = cluster.members;
  for (const name of ["j/one", "j/two", "j/three", "j/four"]) {
    await cluster.within(applySpec(first!.transport, journalSpec(name, { replication: 2 })));
    await cluster.within(first!.transport.append(preamble(name), content, never));
  }
  const listed = first!.broker.members();
  assert.deepEqual(
    listed.map(({ zone, id, exiting, product }) => ({ zone, id, exiting, product })),
    ["a", "b", "c"].map((zone, i) => ({ zone, id: `broker-${i}`, exiting: false, product: "millrace" })),
  );
  const sum = (count: "primaries" | "replicas") => listed.reduce((all, each) => all + each[count], 0);
  assert.deepEqual([sum("primaries"), sum("replicas")], [4, 4]);
  assert.equal(listed[0]!.endpoint, "http://broker-0:8080");
  assert.deepEqual(second!.broker.members(), listed);
  await cluster.close();
});
