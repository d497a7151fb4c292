import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, text, utf8, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { newReadResponse } from "@millrace/protocol";
import { append } from "./append.ts";
import { FakeTransport } from "./fake-transport.ts";
import { FragmentReader } from "./fragment-reader.ts";
import { readHead, readJournal, type ReaderOptions } from "./journal-reader.ts";
import type { JournalTransport } from "./transport.ts";

function fixture() {
  const clock = new SimulatedClock(new Agenda());
  return { transport: new FakeTransport(), clock, logger: silentLogger };
}

async function collect(ports: ReturnType<typeof fixture>, options: Partial<ReaderOptions>): Promise<string> {
  let out = "";
  const reading = (async () => {
    for await (const event of readJournal(
      ports,
      { journal: "j/one", offset: 0, block: false, ...options },
      never,
    )) {
      if (event.kind === "content") out += text(event.bytes);
    }
  })();
  const [outcome] = await Promise.all([
    reading.then(() => out).catch((error: Error) => error),
    ports.clock.agenda.advance(60_000),
  ]);
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

test("reader: a read that breaks -> goes on at the next offset, nothing twice", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello"));
  ports.transport.readFaults.push(new WireError("UNAVAILABLE", "cut"), new WireError("UNAVAILABLE", "cut"));
  assert.equal(await collect(ports, {}), "hello");
});

test("reader: a broker that may not pass its read on does not have the journal -> asked to pass it on", async () => {
  const { transport, ...ports } = fixture();
  transport.journals.set("j/one", utf8("hello"));
  const read = transport.read.bind(transport);
  const away: Pick<JournalTransport, "read"> = {
    read: async function* (request, signal) {
      if (request.doNotProxy) yield newReadResponse({ status: "NOT_JOURNAL_BROKER" });
      else yield* read(request, signal);
    },
  };
  const fragments = new FragmentReader({ decompress: (_codec, stored) => stored }, 1);
  const both = { ...ports, transport: Object.assign(transport, away), fragments };
  assert.equal(await collect(both, {}), "hello");
  await fragments.close();
});

test("reader: end offset -> ends there", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello"));
  assert.equal((await collect(ports, { endOffset: 5 })).length, 5);
});

test("reader: a missing journal -> tried three times, then told", async () => {
  const ports = fixture();
  await assert.rejects(collect(ports, {}), /JOURNAL_NOT_FOUND/);
});

test("reader: a broker that shows a fragment and says that nothing is there -> said after some attempts", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello, world"));
  ports.transport.hole = { begin: 5, end: 7 };
  const list = ports.transport.listFragments.bind(ports.transport);
  ports.transport.listFragments = (request) => {
    ports.transport.hole.end = 5;
    const shown = list(request);
    ports.transport.hole.end = 7;
    return shown;
  };
  await assert.rejects(collect(ports, {}), {
    code: "OFFSET_NOT_YET_AVAILABLE",
    facts: { journal: "j/one", begin: 5, end: 12 },
  });
});

test("reader: what a retry cannot mend -> told at once", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello"));
  ports.transport.readFaults.push(new WireError("CORRUPT", "rotten"));
  await assert.rejects(collect(ports, {}), /rotten/);
});

test("reader: a hole, without blocking -> said with begin and end, after what comes before it", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello, world"));
  const facts = (begin: number, end: number) => ({
    code: "OFFSET_NOT_YET_AVAILABLE",
    facts: { journal: "j/one", begin, end },
  });
  ports.transport.hole = { begin: 5, end: 7 };
  await assert.rejects(collect(ports, {}), facts(5, 7));
  await assert.rejects(collect(ports, { offset: 6 }), facts(6, 7));
  assert.equal(await collect(ports, { offset: 7 }), "world");
  assert.equal(await collect(ports, { passHoles: true }), "helloworld");
  // What was acknowledged last is in no fragment that is known.
  ports.transport.hole = { begin: 5, end: 12 };
  await assert.rejects(collect(ports, {}), facts(5, 12));
  assert.equal(await collect(ports, { passHoles: true }), "hello");
  assert.equal(await collect(ports, { offset: -1 }), "");
});

test("read head: write head without content", async () => {
  const ports = fixture();
  ports.transport.journals.set("j/one", utf8("hello"));
  assert.equal((await readHead(ports.transport, "j/one", never)).writeHead, 5);
});

test("append: nobody serves yet -> waits; an unknown outcome -> thrown, never repeated", async () => {
  const ports = fixture();
  ports.transport.appendFaults.push({ status: "NO_JOURNAL_PRIMARY_BROKER" });
  const first = append(ports, "j/one", [utf8("x")], {}, never);
  await ports.clock.agenda.advance(1000);
  assert.deepEqual([(await first).begin, (await first).end], [0, 1]);
  ports.transport.appendFaults.push({ error: new WireError("OUTCOME_UNKNOWN", "lost"), afterwards: true });
  await assert.rejects(append(ports, "j/one", [utf8("y")], {}, never), /lost/);
  assert.equal(text(ports.transport.journals.get("j/one")!), "xy");
});
