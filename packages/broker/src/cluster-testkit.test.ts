import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { ANY_LABELS } from "@millrace/protocol";
import { applySpec, journalSpec } from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";

const J = "a/journal";

test("cluster: one broker is killed -> its journals come to another when its lease has ended", async () => {
  const cluster = await openTestCluster({ leaseSeconds: 5 });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(J)));
    const servedBy = async (): Promise<string | undefined> => {
      const { journals } = await cluster.members[0]!.transport.list(
        { selector: ANY_LABELS, watch: false },
        never,
      );
      return journals[0]?.route.members[0]?.suffix;
    };
    await cluster.agenda.advance(100);
    const before = await servedBy();
    cluster.members.find(({ id }) => id.suffix === before)!.kill();
    assert.equal(await servedBy(), before);
    await cluster.agenda.advance(10_000);
    const after = await servedBy();
    assert.deepEqual([after !== before, cluster.members.some(({ id }) => id.suffix === after)], [true, true]);
  } finally {
    await cluster.close();
  }
});
