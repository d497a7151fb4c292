import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { ANY_LABELS } from "@millrace/protocol";
import {
  journalSpec,
  openTestBroker,
  preamble,
  readAll,
  readRequest,
  type TestBroker,
} from "./broker-testkit.ts";

async function withJournal(run: (broker: TestBroker) => Promise<void>): Promise<void> {
  const broker = await openTestBroker();
  try {
    const spec = journalSpec("examples/foobar");
    const applied = await broker.transport.apply(
      { changes: [{ expectModRevision: 0, upsert: spec, delete: "" }] },
      never,
    );
    assert.equal(applied.status, "OK");
    await run(broker);
  } finally {
    await broker.close();
  }
}

test("broker: bytes appended are read back, and the commit names their span", async () => {
  await withJournal(async ({ transport }) => {
    const content = { kind: "bytes", bytes: [utf8("hello "), utf8("world")] } as const;
    const { status, commit, totalChunks } = await transport.append(
      preamble("examples/foobar"),
      content,
      never,
    );
    assert.equal(status, "OK");
    assert.deepEqual([commit?.begin, commit?.end, totalChunks], [0, 11, 3]);
    assert.equal(commit?.sum, "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed");
    assert.equal(text(await readAll(transport, readRequest("examples/foobar"), never)), "hello world");
    const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    assert.deepEqual(
      journals.map(({ spec, route }) => [spec.name, route.primary]),
      [["examples/foobar", 0]],
    );
  });
});
