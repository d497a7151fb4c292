import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { ANY_LABELS, memberKey } from "@millrace/protocol";
import { DEFAULT_ROOT } from "./broker.ts";
import {
  applySpec,
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

test("broker: metrics -> the write head of each journal that it is the primary of, while it is", async () => {
  const broker = await openTestBroker({});
  const heads = (): readonly string[] =>
    broker.metrics
      .render()
      .split("\n")
      .filter((line) => line.startsWith("gazette_write_head{"));
  await applySpec(broker.transport, journalSpec("examples/foobar"));
  await applySpec(broker.transport, journalSpec("examples/other"));
  const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
  await broker.transport.append(preamble("examples/foobar"), content, never);
  await broker.transport.append(preamble("examples/other"), { kind: "bytes", bytes: [] }, never);
  assert.deepEqual(heads(), [
    'gazette_write_head{journal="examples/foobar"} 5',
    'gazette_write_head{journal="examples/other"} 0',
  ]);
  await broker.close();
  assert.deepEqual(heads(), []);
});

const ID = { zone: "local", suffix: "broker" };

test("broker: killed -> its next life revokes the lease that it was told, and has its id at once", async () => {
  const clock = new SimulatedClock(new Agenda());
  const coordination = await openMemoryStore(clock, seededRandom("lease"));
  const kept: bigint[] = [];
  const keepLease = (lease: bigint): void => void kept.push(lease);
  await openTestBroker({ coordination, clock, keepLease });
  const member = memberKey(DEFAULT_ROOT, ID);
  const leaseOf = async (): Promise<bigint | undefined> =>
    (await coordination.range({ key: member }, never)).kvs[0]?.lease;
  assert.deepEqual(kept, [await leaseOf()]);
  const next = await openTestBroker({ coordination, clock, keepLease, previousLease: kept[0]! });
  assert.deepEqual([kept.length, await leaseOf()], [2, kept[1]]);
  await next.close();
  await coordination.close();
});

test("broker: its id is another's -> waits and says so, and is there once the other has gone", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const coordination = await openMemoryStore(clock, seededRandom("taken"));
  const first = await openTestBroker({ coordination, clock });
  let told = 0;
  let second: TestBroker | undefined;
  const opening = openTestBroker({ coordination, clock, onIdTaken: () => told++ }).then((opened) => {
    second = opened;
  });
  await agenda.advance(45_000);
  assert.deepEqual([told > 1, second], [true, undefined]);
  await first.close();
  await agenda.advance(15_000);
  await opening;
  assert.notEqual(second, undefined);
  await second!.close();
  await coordination.close();
});

test("broker: without a network, beside another -> refused, and it leaves nothing behind", async () => {
  const clock = new SimulatedClock(new Agenda());
  const coordination = await openMemoryStore(clock, seededRandom("company"));
  const first = await openTestBroker({ coordination, clock });
  const other = openTestBroker({ coordination, clock, id: { zone: "b", suffix: "other" } });
  await assert.rejects(other, { code: "CONFLICT", message: /local\/broker is there already/ });
  const { count } = await coordination.range(
    { key: memberKey(DEFAULT_ROOT, { zone: "b", suffix: "other" }) },
    never,
  );
  assert.equal(count, 0);
  await first.close();
  await coordination.close();
});
