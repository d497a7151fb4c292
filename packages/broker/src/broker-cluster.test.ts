import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import {
  ANY_LABELS,
  contentPath,
  labelSet,
  newFragment,
  type AppendPreamble,
  type AppendResponse,
  type Fragment,
} from "@millrace/protocol";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type TestCluster } from "./cluster-testkit.ts";

const J = "a/journal";
const STORE = "file:///one/";

interface Fixture {
  readonly cluster: TestCluster;
  /** Appends through the broker at `index` of those that are there. */
  readonly append: (index: number, part: string, fields?: Partial<AppendPreamble>) => Promise<AppendResponse>;
  /** The journal as each broker reads it. */
  readonly contents: () => Promise<string[]>;
  readonly members: () => Promise<number>;
}

async function withCluster(run: (fixture: Fixture) => Promise<void>, stored?: Fragment): Promise<void> {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "d"], leaseSeconds: 4, stores: { open } });
  let store: MemoryStore | undefined;
  function open(url: string): MemoryStore {
    store ??= memoryStore({ url, clock: cluster.clock, random: seededRandom("store") });
    return store;
  }
  try {
    const { fragment } = journalSpec(J);
    const stores = stored === undefined ? [] : [STORE];
    if (stored !== undefined) {
      await open(STORE).put(contentPath(stored), once(new Uint8Array(stored.end - stored.begin)), {}, never);
    }
    const spec = journalSpec(J, { replication: 3, fragment: { ...fragment, stores } });
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    await run({
      cluster,
      append: (index, part, fields) => {
        const content = { kind: "bytes", bytes: part === "" ? [] : [utf8(part)] } as const;
        return cluster.within(cluster.members[index]!.transport.append(preamble(J, fields), content, never));
      },
      contents: async () => {
        const all: string[] = [];
        for (const { transport } of cluster.members) {
          all.push(text(await cluster.within(readAll(transport, readRequest(J), never))));
        }
        return all;
      },
      members: async () => {
        const { transport } = cluster.members[0]!;
        const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
        return journals[0]!.route.members.length;
      },
    });
  } finally {
    await cluster.close();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

test("cluster: appends at any broker -> at once in what every broker reads", async () => {
  await withCluster(async ({ append, contents, cluster }) => {
    let whole = "";
    for (let i = 0; i < 8; i++) {
      const { status, commit } = await append(i % 4, `${i} `);
      assert.deepEqual([status, commit?.begin], ["OK", whole.length]);
      whole += `${i} `;
      assert.deepEqual(await contents(), Array(4).fill(whole));
    }
    const rendered = cluster.members.map(({ metrics }) => metrics.render()).join("");
    assert.match(rendered, /millrace_broker_acknowledgement_seconds_count\{level="synced"\} 8/);
    assert.match(rendered, /millrace_broker_proxied_total\{operation="Read"\} \d/);
  });
});

test("cluster: the primary is killed -> the next append goes on, what was acknowledged is read anywhere", async () => {
  await withCluster(async ({ append, contents, cluster }) => {
    const { header } = await append(0, "before ");
    const primary = header.route.members[header.route.primary]!;
    cluster.members.find(({ id }) => id.suffix === primary.suffix)!.kill();
    const { status, commit } = await append(0, "after");
    assert.deepEqual([status, commit?.begin], ["OK", 7]);
    assert.deepEqual(await contents(), Array(3).fill("before after"));
  });
});

test("cluster: suspended and resumed through others -> replicas go and come; end and registers stay", async () => {
  await withCluster(async ({ append, contents, members, cluster }) => {
    const registers = labelSet(["author", "me"]);
    await append(0, "one ", { unionRegisters: registers });
    const suspended = await append(3, "", { suspend: "SUSPEND_NOW" });
    assert.equal(suspended.status, "SUSPENDED");
    await cluster.agenda.advance(3_000);
    assert.equal(await members(), 1);
    assert.deepEqual(await contents(), Array(4).fill("one "));
    assert.equal((await append(2, "no", { suspend: "SUSPEND_NO_RESUME" })).status, "SUSPENDED");

    const resumed = await append(2, "two");
    assert.deepEqual([resumed.status, resumed.commit?.begin, resumed.registers], ["OK", 4, registers]);
    assert.equal(await members(), 3);
    assert.deepEqual(await contents(), Array(4).fill("one two"));
  });
});

test("cluster: the store goes on behind the journal's end -> refused anywhere, until a person says where", async () => {
  const sum = "89e495e7941cf9e40e6980d14a16bf023ccd4c91";
  const stored = newFragment({ journal: J, begin: 0, end: 10, sum, compressionCodec: "NONE" });
  await withCluster(async ({ append }) => {
    for (const index of [0, 3]) assert.equal((await append(index, "x")).status, "INDEX_HAS_GREATER_OFFSET");
    const { status, commit } = await append(3, "x", { offset: 10 });
    assert.deepEqual([status, commit?.begin], ["OK", 10]);
    assert.equal((await append(2, "y")).commit?.begin, 11);
  }, stored);
});

test("cluster: a suspension moves the primary -> whoever asked for it hears SUSPENDED", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "d"], leaseSeconds: 4 });
  try {
    const journals = [1, 2, 3, 1, 2, 3, 1].map((replication, i) => ({ name: `many/${i}`, replication }));
    const [first] = cluster.members;
    for (const { name, replication } of journals)
      await cluster.within(applySpec(first!.transport, journalSpec(name, { replication })));
    const ask = (from: number, name: string, fields: Partial<AppendPreamble>, part: string) => {
      const content = { kind: "bytes", bytes: part === "" ? [] : [utf8(part)] } as const;
      const { transport } = cluster.members[from % 4]!;
      return cluster.within(transport.append(preamble(name, fields), content, never));
    };
    const statuses = new Set<string>();
    for (let k = 0; k < 60; k++) {
      const { name } = journals[k % journals.length]!;
      await ask(k + 1, name, {}, "x");
      if (k % 3 === 0) await ask(k + 1, journals[(k * 5) % journals.length]!.name, {}, "x");
      statuses.add((await ask(k + 2, name, { suspend: "SUSPEND_NOW" }, "")).status);
    }
    assert.deepEqual([...statuses], ["SUSPENDED"]);
  } finally {
    await cluster.close();
  }
});
