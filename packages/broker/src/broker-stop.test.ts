import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, type WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { ANY_LABELS } from "@millrace/protocol";
import {
  applySpec,
  journalSpec,
  openTestBroker,
  preamble,
  readRequest,
  type TestBrokerOptions,
} from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";

const J = "a/journal";
const bytes = (part: string) => ({ kind: "bytes", bytes: [utf8(part)] }) as const;

async function openOne(options: TestBrokerOptions = {}) {
  const agenda = new Agenda();
  const spools = new FakeSpools();
  const broker = await openTestBroker({ spools, clock: new SimulatedClock(agenda), ...options });
  await applySpec(broker.transport, journalSpec(J));
  await broker.transport.append(preamble(J), bytes("before;"), never);
  return { ...broker, agenda, spools };
}

/** A stream that ends when it is told. */
function stream(first: string) {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield utf8(first);
    await ended;
  }
  return { content: { kind: "chunks", chunks: chunks() } as const, end };
}

test("stop: an append that writes -> is finished; those behind it and later ones are refused", async () => {
  const { broker, transport, spools, close } = await openOne();
  const writing = stream("in flight");
  const first = transport.append(preamble(J), writing.content, never);
  const behind = transport.append(preamble(J), bytes("behind"), never);
  await settle();
  const closing = broker.close();
  await assert.rejects(behind, { code: "SHUTTING_DOWN" });
  await assert.rejects(transport.append(preamble(J), bytes("late"), never), { code: "SHUTTING_DOWN" });
  writing.end();
  assert.equal((await first).status, "OK");
  await closing;
  assert.equal(text(await spools.spools.get(J)!.read(7, 100)), "in flight");
  await close();
});

test("stop: an append that never ends -> is cut after the grace and leaves nothing", async () => {
  const { broker, transport, agenda, spools, close } = await openOne({ minAppendRate: 0 });
  const writing = stream("never whole");
  const cut = assert.rejects(transport.append(preamble(J), writing.content, never), {
    code: "SHUTTING_DOWN",
  });
  await settle();
  const closing = broker.close();
  await agenda.advance(10_000);
  await cut;
  await closing;
  assert.equal(spools.spools.get(J)!.end, 7);
  await close();
});

test("stop: readers, watchers and those who wait for a revision -> end", async () => {
  const { broker, transport, close } = await openOne();
  const reading = (async () => {
    for await (const _ of transport.read(readRequest(J, { offset: -1, block: true }), never));
  })();
  const watching = (async () => {
    for await (const _ of transport.watchList({ selector: ANY_LABELS, watch: true }, never));
  })();
  const waiting = transport.append(preamble(J, { minEtcdRevision: 1_000_000 }), bytes("x"), never);
  const refused = assert.rejects(waiting, { code: "SHUTTING_DOWN" });
  await settle();
  await broker.close();
  await Promise.all([reading, watching, refused]);
  await close();
});

test("stop: fragments stay open, and the next broker goes on where this one stood", async () => {
  const first = await openOne();
  await first.broker.close();
  assert.equal(first.spools.spools.get(J)!.fragments().at(-1)!.closed, false);
  const second = await openTestBroker({ spools: first.spools, coordination: first.coordination });
  const { commit } = await second.transport.append(preamble(J), bytes("after"), never);
  assert.equal(commit?.begin, 7);
  await second.close();
  await first.close();
});

test("health: the lease is lost -> the broker says so and tells its owner", async () => {
  const fatal: WireError[] = [];
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const test = await openTestBroker({
    clock,
    leaseSetting: "etcd.lease",
    onFatal: (error) => void fatal.push(error),
  });
  assert.deepEqual(test.broker.health(), []);
  await test.coordination.revokeLease(test.broker.lease, never);
  await agenda.advance(10_000);
  const [first, second] = test.broker.health();
  // It went with the lease.
  const lease = String.raw`its lease \(etcd\.lease, 20 s\) would have lasted for \d+\.\d s yet`;
  assert.match(first!, new RegExp(`^allocate failed: member key not found in Etcd: ${lease}`));
  assert.match(second!, new RegExp(`^unable to keep member lease alive: ${lease}`));
  assert.equal(fatal.length, 1);
  await test.close();
});
