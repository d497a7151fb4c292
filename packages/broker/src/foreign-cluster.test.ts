// A broker of another cluster, on a coordination store of its own below the same root: whatever it asks is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { newFragment, newFragmentsRequest, newReplicateRequest, type Header } from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readRequest } from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";

const J = "a/journal";

test("another cluster: a header with its id -> each call is refused, and nothing is written", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  try {
    const { broker, transport, id } = cluster.members[0]!;
    await cluster.within(applySpec(transport, journalSpec(J, { replication: 2 })));
    await cluster.agenda.advance(1000);
    const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
    const own = (await cluster.within(transport.append(preamble(J), content, never))).header;
    const header: Header = {
      ...own,
      processId: id,
      etcd: { ...own.etcd, clusterId: own.etcd.clusterId + 1n },
    };
    const read = async (): Promise<void> => {
      for await (const _ of transport.read(readRequest(J, { header, offset: 0 }), never)) void _;
    };
    const replicate = (): Promise<void> =>
      new Promise((_, reject) => {
        const stream = broker.peers!.replicate({
          answered: () => reject(new Error("it is answered")),
          ended: (failure) => reject(failure ?? new Error("it ends well")),
          drained: () => undefined,
        });
        const proposal = newFragment({ journal: J, begin: 5, end: 5, compressionCodec: "NONE" });
        stream.send(newReplicateRequest({ header, proposal, acknowledge: true, epoch: 1, stream: 1 }));
      });
    const on = { journal: J, createRevision: 1, header, epoch: own.etcd.revision, stream: 99 };
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      append: () => transport.append(preamble(J, { header }), content, never),
      read,
      listFragments: () => transport.listFragments(newFragmentsRequest({ journal: J, header }), never),
      hold: () => broker.peers!.hold({ ...on, wants: "fence" }, never),
      replicate,
    };
    for (const [what, call] of Object.entries(calls)) {
      const outcome = await cluster.within(
        call().then(
          () => "taken",
          (error: unknown) => WireError.from(error),
        ),
      );
      assert.ok(outcome instanceof WireError, `${what}: ${String(outcome)}`);
      assert.match(outcome.message, /request Etcd ClusterId doesn't match our own/, what);
    }
    const { commit } = await cluster.within(transport.append(preamble(J), content, never));
    assert.equal(commit?.begin, 5);
  } finally {
    await cluster.close();
  }
});
