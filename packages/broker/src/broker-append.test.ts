import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate, never, text, utf8, waitUntil, WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import type { AppendContent } from "@millrace/client";
import {
  EMPTY_SHA1,
  FLAG,
  labelSet,
  parseLabelSelector,
  type AppendPreamble,
  type LabelSet,
} from "@millrace/protocol";
import {
  applySpec,
  journalSpec,
  openTestBroker,
  preamble,
  readAll,
  readRequest,
  type TestBroker,
} from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";

const J = "a/journal";
const bytes = (...parts: readonly string[]): AppendContent => ({ kind: "bytes", bytes: parts.map(utf8) });

interface Fixture extends TestBroker {
  readonly spools: FakeSpools;
  readonly agenda: Agenda;
  readonly content: () => Promise<string>;
}

async function withBroker(
  run: (fixture: Fixture) => Promise<void>,
  spec: Parameters<typeof journalSpec>[1] = {},
): Promise<void> {
  const spools = new FakeSpools();
  const agenda = new Agenda();
  const broker = await openTestBroker({ spools, clock: new SimulatedClock(agenda) });
  try {
    await applySpec(broker.transport, journalSpec(J, spec));
    const content = async (): Promise<string> => text(await readAll(broker.transport, readRequest(J), never));
    await run({ ...broker, spools, agenda, content });
  } finally {
    spools.isHeld = false;
    spools.flush();
    await broker.close();
  }
}

test("append: registers are checked, subtracted and united in sequence; a mismatch answers them", async () => {
  await withBroker(async ({ transport }) => {
    const step = async (fields: Partial<AppendPreamble>): Promise<[string, LabelSet | undefined]> => {
      const { status, registers } = await transport.append(preamble(J, fields), bytes("x"), never);
      return [status, registers];
    };
    const first = labelSet(["AA", "11"], ["BB", "22"]);
    assert.deepEqual(await step({ unionRegisters: first }), ["OK", first]);
    assert.deepEqual(
      await step({
        checkRegisters: parseLabelSelector("AA in (11), BB"),
        subtractRegisters: labelSet(["AA", "11"], ["BB", "XYZ"]),
        unionRegisters: labelSet(["CC", "33"]),
      }),
      ["OK", labelSet(["BB", "22"], ["CC", "33"])],
    );
    const last = labelSet(["AA", "44"], ["BB", "22"]);
    assert.deepEqual(
      await step({
        checkRegisters: parseLabelSelector("!AA, CC"),
        subtractRegisters: labelSet(["CC", "33"]),
        unionRegisters: labelSet(["AA", "44"]),
      }),
      ["OK", last],
    );
    assert.deepEqual(await step({ checkRegisters: parseLabelSelector("AA = 55") }), [
      "REGISTER_MISMATCH",
      last,
    ]);
  });
});

test("append: an empty one -> a barrier behind all before it, with the sum of nothing", async () => {
  await withBroker(async ({ transport, spools }) => {
    await transport.append(preamble(J), bytes("first"), never);
    spools.isHeld = true;
    const order: string[] = [];
    const one = transport.append(preamble(J), bytes("one"), never).then(() => order.push("one"));
    const barrier = transport.append(preamble(J), bytes(), never).then((answer) => {
      order.push("barrier");
      return answer;
    });
    await settle();
    assert.deepEqual(order, []);
    spools.flush();
    const { commit, totalChunks } = await barrier;
    await one;
    assert.deepEqual(order, ["one", "barrier"]);
    assert.deepEqual([commit?.begin, commit?.end, commit?.sum, totalChunks], [8, 8, EMPTY_SHA1, 1]);
  });
});

test("append: several before the first is durable -> each writes at once, in order, behind the other", async () => {
  await withBroker(async ({ transport, spools, content }) => {
    await transport.append(preamble(J), bytes("0"), never);
    spools.isHeld = true;
    const ends = ["1", "2", "3"].map((part) => transport.append(preamble(J), bytes(part), never));
    await settle();
    spools.flush();
    const commits = (await Promise.all(ends)).map(({ commit }) => commit?.begin);
    assert.deepEqual([commits, await content()], [[1, 2, 3], "0123"]);
  });
});

test("append: its journal changes while it waits for another append -> judged as the journal is now", async () => {
  await withBroker(async ({ transport, content }) => {
    const whole = new Gate();
    let isWhole = false;
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield utf8("slow");
      await waitUntil(whole, () => isWhole, never);
    }
    const first = transport.append(preamble(J), { kind: "chunks", chunks: slow() }, never);
    await settle();
    const waiting = transport.append(preamble(J), bytes("late"), never);
    await settle();
    await applySpec(transport, journalSpec(J, { flags: FLAG.O_RDONLY }));
    await settle();
    isWhole = true;
    whole.open();
    assert.deepEqual([(await first).status, (await waiting).status], ["OK", "NOT_ALLOWED"]);
    assert.equal(await content(), "slow");
  });
});

test("append: an explicit offset -> only at the head", async () => {
  await withBroker(async ({ transport }) => {
    await transport.append(preamble(J), bytes("12345"), never);
    assert.equal(
      (await transport.append(preamble(J, { offset: 4 }), bytes("x"), never)).status,
      "WRONG_APPEND_OFFSET",
    );
    assert.equal((await transport.append(preamble(J, { offset: 5 }), bytes("x"), never)).status, "OK");
  });
});

test("append: metadata in the name -> resolves the journal, whose own name is answered", async () => {
  await withBroker(async ({ transport }) => {
    const { commit } = await transport.append(preamble(`${J};key=1`), bytes("x"), never);
    assert.equal(commit?.journal, J);
  });
});

const REFUSED: readonly (readonly [what: string, fields: Partial<AppendPreamble>, message: RegExp])[] = [
  ["a bad name", { journal: "/x" }, /^Journal: /],
  ["no name", { journal: "" }, /invalid length \(0; expected 4 <= length <= 512\)$/],
  ["bad metadata", { journal: "a/journal;" }, /^Journal.metadata path segment: invalid length/],
  ["a negative offset", { offset: -1 }, /^invalid Offset \(-1; expected >= 0\)$/],
  [
    "a header of another cluster",
    {
      header: {
        processId: { zone: "", suffix: "" },
        route: { members: [], primary: -1, endpoints: [] },
        etcd: { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n },
      },
    },
    /^resolve: request Etcd ClusterId doesn't match our own \(1 vs \d+\)$/,
  ],
];

for (const [what, fields, message] of REFUSED) {
  test(`append: ${what} -> refused with the protocol's text`, async () => {
    await withBroker(async ({ transport }) => {
      const refused = transport.append({ ...preamble(J), ...fields }, bytes("x"), never);
      await assert.rejects(refused, { code: "INVALID_ARGUMENT", message });
    });
  });
}

test("append: a stream that throws -> rolled back, rejects with what it threw, the next one goes on", async () => {
  await withBroker(async ({ transport, content }) => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield utf8("lost");
      await settle();
      throw new WireError("UNAVAILABLE", "the client broke off");
    }
    const cut = transport.append(preamble(J), { kind: "chunks", chunks: broken() }, never);
    const next = transport.append(preamble(J), bytes("kept"), never);
    await assert.rejects(cut, { message: "the client broke off" });
    assert.equal((await next).commit?.begin, 0);
    assert.equal(await content(), "kept");
  });
});

/** A stream that gives what it is told, when it is told. */
function handFed(): { chunks: AsyncGenerator<Uint8Array>; feed: (part: string) => void; end: () => void } {
  const parts: (string | undefined)[] = [];
  let wake = (): void => undefined;
  const push = (part: string | undefined): void => {
    parts.push(part);
    wake();
  };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (parts.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const part = parts.shift();
      if (part === undefined) return;
      yield utf8(part);
    }
  }
  return { chunks: chunks(), feed: push, end: () => push(undefined) };
}

test("append: a silent client while others wait -> cut after a second; alone it may take its time", async () => {
  await withBroker(async ({ transport, agenda, content }) => {
    const alone = handFed();
    const slow = transport.append(preamble(J), { kind: "chunks", chunks: alone.chunks }, never);
    alone.feed("slow");
    await agenda.advance(30_000);
    alone.end();
    await agenda.advance(1);
    assert.equal((await slow).status, "OK");

    const nuisance = handFed();
    const cut = transport.append(preamble(J), { kind: "chunks", chunks: nuisance.chunks }, never);
    nuisance.feed("gone");
    await settle();
    const waiting = transport.append(preamble(J), bytes("fast"), never);
    const rejected = assert.rejects(cut, {
      code: "REQUEST_TIMEOUT",
      message: "append stream: client stream didn't sustain the minimum append data rate",
    });
    await agenda.advance(2100);
    await rejected;
    assert.equal((await waiting).status, "OK");
    assert.equal(await content(), "slowfast");
  });
});

test("append: a journal with a maximum rate -> chunks beyond it are delayed and counted", async () => {
  await withBroker(
    async ({ transport, agenda }) => {
      const started = agenda.nowMs;
      let doneMs = 0;
      const parts = ["x".repeat(1000), "y".repeat(500), "z".repeat(500)];
      const append = transport
        .append(preamble(J), bytes(...parts), never)
        .finally(() => (doneMs = agenda.nowMs));
      await agenda.advance(5000);
      const { delayedChunks, totalChunks } = await append;
      assert.deepEqual([delayedChunks, totalChunks, doneMs - started], [2, 4, 1000]);
    },
    { maxAppendRate: 1000 },
  );
});

test("append: late chunks, then the journal changes -> each waits for its turn, the rest goes at once", async () => {
  await withBroker(
    async ({ transport, agenda, content }) => {
      const client = handFed();
      const append = transport.append(preamble(J), { kind: "chunks", chunks: client.chunks }, never);
      let doneMs = 0;
      const done = append.finally(() => (doneMs = agenda.nowMs));
      client.feed("x".repeat(1000));
      await agenda.advance(1000);
      client.feed("y".repeat(60_000));
      client.feed("z");
      client.end();
      await agenda.advance(5000);
      assert.equal(doneMs, 0, "60,000 bytes take a minute");
      const atMs = agenda.nowMs;
      const labels = labelSet(["is", "new"]);
      await applySpec(transport, journalSpec(J, { maxAppendRate: 1000, labels }));
      await agenda.advance(100);
      const { status, delayedChunks } = await done;
      assert.deepEqual([status, delayedChunks, doneMs - atMs <= 100], ["OK", 1, true]);
      assert.equal((await content()).length, 61_001);
    },
    { maxAppendRate: 1000 },
  );
});

test("append: the caller's abort -> before the commit nothing is written; the queue goes on", async () => {
  await withBroker(async ({ transport, content }) => {
    const blocker = handFed();
    const first = transport.append(preamble(J), { kind: "chunks", chunks: blocker.chunks }, never);
    const controller = new AbortController();
    const queued = transport.append(preamble(J), bytes("never"), controller.signal);
    const behind = transport.append(preamble(J), bytes("behind"), never);
    await settle();
    controller.abort(new Error("not wanted any more"));
    await assert.rejects(queued, { message: "not wanted any more" });
    blocker.end();
    await Promise.all([first, behind]);
    assert.equal(await content(), "behind");
  });
});

test("append: too many wait for one journal -> OVERLOADED with the bounds", async () => {
  await withBroker(async ({ transport }) => {
    const blocker = handFed();
    const first = transport.append(preamble(J), { kind: "chunks", chunks: blocker.chunks }, never);
    await settle();
    const big = { kind: "bytes", bytes: [new Uint8Array(40 * 1024 * 1024)] } as const;
    const waiting = transport.append(preamble(J), big, never);
    const refused = transport.append(preamble(J), big, never);
    await assert.rejects(refused, { code: "OVERLOADED", message: /at most 4096 and 67108864 bytes/ });
    blocker.end();
    await Promise.all([first, waiting]);
  });
});

test("append: a full disk -> DISK_FULL, and the next one after it recovered goes on at the head", async () => {
  await withBroker(async ({ transport, spools, content }) => {
    await transport.append(preamble(J), bytes("a"), never);
    spools.isFull = true;
    await assert.rejects(transport.append(preamble(J), bytes("b"), never), { code: "DISK_FULL" });
    spools.isFull = false;
    assert.equal((await transport.append(preamble(J), bytes("c"), never)).commit?.begin, 1);
    assert.equal(await content(), "ac");
  });
});

test("append: read-only journal -> bytes are NOT_ALLOWED, a barrier is fine", async () => {
  await withBroker(
    async ({ transport }) => {
      assert.equal((await transport.append(preamble(J), bytes("x"), never)).status, "NOT_ALLOWED");
      assert.equal((await transport.append(preamble(J), bytes(), never)).status, "OK");
    },
    { flags: 1 },
  );
});

test("append: a fragment that is longer than wanted -> is closed before the next append", async () => {
  await withBroker(
    async ({ transport, spools }) => {
      for (const part of ["x".repeat(1000), "x".repeat(500), "y", "z"])
        await transport.append(preamble(J), bytes(part), never);
      const ends = spools.spools
        .get(J)!
        .fragments()
        .map(({ begin, end }) => [begin, end]);
      assert.deepEqual(ends, [
        [0, 1500],
        [1500, 1502],
      ]);
    },
    { fragment: { ...journalSpec(J).fragment, length: 1024 } },
  );
});

test("append: counts and latency -> are in the metrics", async () => {
  await withBroker(async ({ transport, metrics, broker }) => {
    await transport.append(preamble(J), bytes("12345"), never);
    await transport.append(preamble("no/such"), bytes("x"), never);
    await settle();
    const rendered = metrics.render();
    assert.match(rendered, /gazette_journal_server_completed_totals\{operation="Append",status="ok"\} 1\n/);
    assert.match(rendered, /completed_totals\{operation="Append",status="JOURNAL_NOT_FOUND"\} 1\n/);
    assert.match(rendered, /gazette_spool_commit_bytes_total 5\n/);
    assert.equal(broker.appendLatency.count(), 2);
  });
});
