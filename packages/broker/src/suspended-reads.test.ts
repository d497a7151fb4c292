// Which idle journals are suspended, and reads of journals that are suspended without any broker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { settle, type Agenda } from "@millrace/base/testkit";
import { getJournal, type JournalTransport } from "@millrace/client";
import { deleteChange, labelSet, valueOf, type AppendSuspend, type ReadRequest } from "@millrace/protocol";
import {
  applySpec,
  journalSpec,
  openTimedBroker,
  preamble,
  readRequest,
  type TestBrokerOptions,
} from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";

const J = "a/journal";

interface Fixture {
  readonly agenda: Agenda;
  readonly transport: JournalTransport;
  readonly append: (part: string, suspend?: AppendSuspend) => Promise<string>;
}

/** What a read of the journal gives, and the status with which it ends if it does. */
async function readOf(
  transport: JournalTransport,
  fields: Partial<ReadRequest>,
  signal: AbortSignal = never,
): Promise<{ readonly content: string; readonly status: string }> {
  let content = "";
  for await (const response of transport.read(readRequest(J, { block: true, ...fields }), signal)) {
    if (response.status !== "OK") return { content, status: response.status };
    if (response.content !== undefined) content += text(response.content);
  }
  return { content, status: "" };
}

async function withBroker(
  run: (fixture: Fixture) => Promise<void>,
  options: TestBrokerOptions = {},
): Promise<void> {
  const broker = await openTimedBroker(options);
  const { agenda, transport } = broker;
  try {
    await applySpec(transport, journalSpec(J));
    await run({
      agenda,
      transport,
      append: async (part, suspend = "SUSPEND_RESUME") => {
        const content = { kind: "bytes", bytes: [utf8(part)] } as const;
        return (await transport.append(preamble(J, { suspend }), content, never)).status;
      },
    });
  } finally {
    await broker.close();
  }
}

test("pulse: a broker that suspends idle journals of a label -> those alone", async () => {
  const isStream = {
    autoSuspend: (labels: ReturnType<typeof labelSet>) => valueOf(labels, "kind") === "stream",
  };
  await withBroker(async ({ transport, agenda }) => {
    await applySpec(transport, journalSpec("b/stream", { labels: labelSet(["kind", "stream"]) }));
    await settle();
    await agenda.advance(20 * 60_000);
    const levelOf = async (name: string) => (await getJournal(transport, name, never)).spec.suspend?.level;
    assert.deepEqual([await levelOf(J), await levelOf("b/stream")], [undefined, "FULL"]);
  }, isStream);
});

test("read: a suspended journal -> SUSPENDED; awaits the resume -> what comes then, at any broker", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  try {
    const [one, two] = cluster.members;
    const append = async (suspend: AppendSuspend, content: readonly Uint8Array[]): Promise<string> => {
      const request = preamble(J, { suspend });
      return (await cluster.within(one!.transport.append(request, { kind: "bytes", bytes: content }, never)))
        .status;
    };
    await cluster.within(applySpec(one!.transport, journalSpec(J, { replication: 1 })));
    await cluster.agenda.advance(1000);
    assert.equal(await append("SUSPEND_NOW", []), "SUSPENDED");
    await cluster.agenda.advance(1000);
    for (const fields of [{}, { awaitsResume: true, block: false }])
      assert.deepEqual(await cluster.within(readOf(two!.transport, fields)), {
        content: "",
        status: "SUSPENDED",
      });
    const reading = [one, two].map((at) => readOf(at!.transport, { awaitsResume: true, endOffset: 5 }));
    await cluster.agenda.advance(10 * 60_000);
    assert.equal(await append("SUSPEND_RESUME", [utf8("hello")]), "OK");
    assert.deepEqual(
      await cluster.within(Promise.all(reading)),
      Array(2).fill({ content: "hello", status: "" }),
    );
  } finally {
    await cluster.close();
  }
});

test("read: awaits a resume; its caller leaves -> the reason, it is deleted -> JOURNAL_NOT_FOUND", async () => {
  await withBroker(async ({ transport, append }) => {
    assert.equal(await append("", "SUSPEND_NOW"), "SUSPENDED");
    const leaving = new AbortController();
    const left = readOf(transport, { awaitsResume: true }, leaving.signal);
    const reading = readOf(transport, { awaitsResume: true });
    await settle();
    leaving.abort(new Error("it leaves"));
    await assert.rejects(left, /it leaves/);
    const { modRevision } = await getJournal(transport, J, never);
    await transport.apply({ changes: [deleteChange(J, modRevision)] }, never);
    assert.deepEqual(await reading, { content: "", status: "JOURNAL_NOT_FOUND" });
  });
});

test("read: awaits a resume, the broker stops -> ended", async () => {
  let reading: Promise<unknown> = Promise.resolve();
  await withBroker(async ({ transport, append }) => {
    assert.equal(await append("", "SUSPEND_NOW"), "SUSPENDED");
    reading = assert.rejects(readOf(transport, { awaitsResume: true }), { code: "SHUTTING_DOWN" });
    await settle();
  });
  await reading;
});
