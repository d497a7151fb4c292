import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, type WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import {
  contentPath,
  newFragment,
  type Fragment,
  type JournalSpec,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { createHash } from "node:crypto";
import {
  applySpec,
  journalSpec,
  openTestBroker,
  preamble,
  readRequest,
  type TestBroker,
} from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";

const J = "a/journal";
const STORE = "file:///one/";
/** 2026-01-01T00:00:00Z, where simulated time begins. */
const EPOCH_SECONDS = Date.UTC(2026, 0, 1) / 1000;

interface Fixture extends TestBroker {
  readonly spools: FakeSpools;
  readonly agenda: Agenda;
  readonly store: MemoryStore;
  readonly put: (stored: Stored) => Promise<void>;
  readonly append: (part: string) => Promise<void>;
  /** Messages of a read until it ends, written short. */
  readonly trace: (fields?: Partial<ReadRequest>) => Promise<string[]>;
}

interface Stored {
  readonly begin: number;
  readonly content: string;
  readonly ageSeconds: number;
}

async function withJournal(
  run: (fixture: Fixture) => Promise<void>,
  {
    spec = {},
    stored = [],
    isAway = false,
  }: { spec?: Partial<JournalSpec>; stored?: readonly Stored[]; isAway?: boolean } = {},
): Promise<void> {
  const spools = new FakeSpools();
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = memoryStore({ url: STORE, clock, random: seededRandom("store") });
  const put = async ({ begin, content, ageSeconds }: Stored): Promise<void> => {
    clock.epochMs = (EPOCH_SECONDS - ageSeconds) * 1000;
    await store.put(contentPath(fragmentOf(begin, content)), once(utf8(content)), {}, never);
  };
  for (const one of stored) await put(one);
  clock.epochMs = EPOCH_SECONDS * 1000;
  if (isAway) store.script = () => "unavailable";
  const broker = await openTestBroker({ spools, clock, stores: { open: () => store } });
  const { transport } = broker;
  try {
    const fragment = { ...journalSpec(J).fragment, stores: stored.length === 0 ? [] : [STORE] };
    await applySpec(transport, journalSpec(J, { fragment, ...spec }));
    await run({
      ...broker,
      spools,
      agenda,
      store,
      put,
      append: async (part) => {
        const { status } = await transport.append(preamble(J), { kind: "bytes", bytes: [utf8(part)] }, never);
        assert.equal(status, "OK");
      },
      trace: async (fields) => {
        const lines: string[] = [];
        for await (const message of transport.read(readRequest(J, fields), never)) lines.push(short(message));
        return lines;
      },
    });
  } finally {
    await broker.close();
  }
}

function fragmentOf(begin: number, content: string): Fragment {
  const sum = createHash("sha1").update(content).digest("hex");
  return newFragment({ journal: J, begin, end: begin + content.length, sum, compressionCodec: "NONE" });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function short({ status, header, offset, writeHead, fragment, fragmentUrl, content }: ReadResponse): string {
  if (content !== undefined) {
    assert.deepEqual([status, header, writeHead, fragment, fragmentUrl], ["OK", undefined, 0, undefined, ""]);
    return `${offset} "${text(content)}"`;
  }
  const span = fragment === undefined ? "" : ` [${fragment.begin},${fragment.end})`;
  const where = fragmentUrl === "" ? "" : " url";
  return `${status}${header === undefined ? "" : " header"} ${offset} of ${writeHead}${span}${where}`;
}

test("read: local bytes -> metadata, content, and at the end that there is no more yet", async () => {
  await withJournal(async ({ append, trace }) => {
    await append("foobarbaz");
    assert.deepEqual(await trace(), [
      "OK header 0 of 9 [0,9)",
      '0 "foobarbaz"',
      "OFFSET_NOT_YET_AVAILABLE 9 of 9",
    ]);
    assert.deepEqual(await trace({ offset: 3, endOffset: 7 }), ["OK header 3 of 9 [0,9)", '3 "barb"']);
    assert.deepEqual(await trace({ metadataOnly: true }), ["OK header 0 of 9 [0,9)"]);
    assert.deepEqual(await trace({ offset: -1 }), ["OFFSET_NOT_YET_AVAILABLE header 9 of 9"]);
    assert.deepEqual(await trace({ offset: 50 }), ["OFFSET_NOT_YET_AVAILABLE header 50 of 9"]);
  });
});

test("read: blocking -> each commit is announced anew, up to an end offset that was not written yet", async () => {
  await withJournal(async ({ append, trace }) => {
    await append("first ");
    const lines = trace({ offset: -1, block: true, endOffset: 20 });
    const metadata = trace({ offset: -1, block: true, metadataOnly: true });
    await settle();
    await append("0123456");
    await append("0123456789");
    assert.deepEqual(await lines, [
      "OK header 6 of 13 [0,13)",
      '6 "0123456"',
      "OK 13 of 23 [0,23)",
      '13 "0123456"',
    ]);
    assert.deepEqual(await metadata, ["OK header 6 of 13 [0,13)"]);
  });
});

test("read: bytes that are not acknowledged yet -> are not given", async () => {
  await withJournal(async ({ append, trace, spools }) => {
    await append("safe");
    spools.isHeld = true;
    const pending = append("hoped for");
    await settle();
    assert.deepEqual(await trace(), [
      "OK header 0 of 4 [0,4)",
      '0 "safe"',
      "OFFSET_NOT_YET_AVAILABLE 4 of 4",
    ]);
    spools.isHeld = false;
    spools.flush();
    await pending;
    assert.equal((await trace({ offset: 4 })).length, 3);
  });
});

test("read: write-only journal -> NOT_ALLOWED; unknown one -> JOURNAL_NOT_FOUND", async () => {
  await withJournal(
    async ({ trace, transport }) => {
      assert.deepEqual(await trace(), ["NOT_ALLOWED header 0 of 0"]);
      for await (const { status } of transport.read(readRequest("no/such"), never)) {
        assert.equal(status, "JOURNAL_NOT_FOUND");
      }
    },
    { spec: { flags: 2 } },
  );
});

test("read: invalid request -> rejects with the protocol's text", async () => {
  await withJournal(async ({ trace }) => {
    const message = "invalid Offset (-2; expected -1 <= Offset <= MaxInt64)";
    await assert.rejects(trace({ offset: -2 }), { code: "INVALID_ARGUMENT", message });
  });
});

test("read: the caller's abort -> rejects with its reason; the journal's end here -> ends", async () => {
  await withJournal(async ({ transport, trace, append, broker }) => {
    await append("x");
    const controller = new AbortController();
    const aborted = (async () => {
      for await (const _ of transport.read(readRequest(J, { offset: 1, block: true }), controller.signal));
    })();
    await settle();
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, { message: "enough" });

    const ended = trace({ offset: 1, block: true });
    await settle();
    await broker.close();
    assert.deepEqual(await ended, []);
  });
});

const DAY = 86_400;
const OLD: readonly Stored[] = [
  { begin: 0, content: "aaaaa", ageSeconds: 2 * DAY },
  { begin: 5, content: "bbbbb", ageSeconds: DAY },
];

test("read: fragments in a store -> are announced with their URL and read from there", async () => {
  await withJournal(
    async ({ transport, trace }) => {
      const last = "OFFSET_NOT_YET_AVAILABLE 10 of 10";
      const from = ["OK header 2 of 10 [0,5) url", '2 "aaa"', "OK 5 of 10 [5,10) url", '5 "bbbbb"', last];
      assert.deepEqual(await trace({ offset: 2 }), from);
      assert.deepEqual(await trace({ offset: 2, doNotProxy: true }), from.slice(0, 1));
      assert.deepEqual(await trace({ offset: 2, endOffset: 5 }), from.slice(0, 2));
      const young = { beginModTime: EPOCH_SECONDS - DAY - 60 };
      assert.deepEqual(await trace({ ...young, metadataOnly: true }), ["OK header 5 of 10 [5,10) url"]);
      const newer = { beginModTime: EPOCH_SECONDS };
      assert.deepEqual(await trace(newer), ["OFFSET_NOT_YET_AVAILABLE header 10 of 10"]);
      const awaited = trace({ ...newer, block: true, endOffset: 14 });
      await transport.append(preamble(J, { offset: 10 }), { kind: "bytes", bytes: [utf8("next")] }, never);
      assert.deepEqual(await awaited, ["OK header 10 of 14 [10,14)", '10 "next"']);
    },
    { stored: OLD },
  );
});

test("read: a hole -> is jumped over at the begin of the journal, and elsewhere after six hours", async () => {
  const young = { begin: 20, content: "ccccc", ageSeconds: 3600 };
  const old = { begin: 10, content: "bbbbb", ageSeconds: 7 * 3600 };
  await withJournal(
    async ({ trace, agenda }) => {
      const metadataOnly = true;
      assert.deepEqual(await trace({ offset: 3, metadataOnly }), ["OK header 10 of 25 [10,15) url"]);
      const at15 = ["OFFSET_NOT_YET_AVAILABLE header 15 of 25"];
      assert.deepEqual(await trace({ offset: 15, metadataOnly }), at15);
      const waiting = trace({ offset: 15, metadataOnly, block: true });
      await agenda.advance(6 * 3600 * 1000);
      assert.deepEqual(await waiting, ["OK header 20 of 25 [20,25) url"]);
    },
    { stored: [old, young] },
  );
});

test("read: local bytes that rotted -> refused, naming the file; or read from a store that has them", async () => {
  const fragment = { ...journalSpec(J).fragment, stores: [STORE] };
  await withJournal(
    async ({ append, trace, spools, agenda, put }) => {
      await append("foobarbaz");
      spools.rottenFrom = 6;
      const refused = { code: "CORRUPT", facts: { path: "spools/fake.raw", offset: 6 } };
      await assert.rejects(trace(), refused);
      assert.deepEqual(await trace({ endOffset: 6 }), ["OK header 0 of 9 [0,9)", '0 "foobar"']);
      await put({ begin: 0, content: "foobarbaz", ageSeconds: 0 });
      await agenda.advance(300_000);
      const last = "OFFSET_NOT_YET_AVAILABLE 9 of 9";
      assert.deepEqual(await trace(), ["OK header 0 of 9 [0,9) url", '0 "foobar"', '6 "baz"', last]);
      assert.deepEqual(await trace({ offset: 7, endOffset: 8 }), ["OK header 7 of 9 [0,9) url", '7 "a"']);
      await append("quux");
      await assert.rejects(trace({ offset: 9 }), { code: "CORRUPT" });
    },
    { spec: { fragment } },
  );
});

test("read: stores that cannot be listed -> waits, then says so; the head is known", async () => {
  await withJournal(
    async ({ trace, spools, agenda, store }) => {
      const answer = async (fields: Partial<ReadRequest>): Promise<unknown> => {
        const lines = trace(fields).catch((error: WireError) => `${error.code}: ${error.message}`);
        await agenda.advance(10_000);
        return lines;
      };
      const unlisted = ", and its stores could not be listed yet";
      const about = `is not on this disk${unlisted}`;
      const end = `UNAVAILABLE: where ${J} ends is not known here${unlisted}`;
      assert.equal(await answer({ offset: -1 }), end);
      spools.spools.get(J)!.roll(30);
      await settle();
      assert.equal(await answer({ offset: 0 }), `UNAVAILABLE: offset 0 of ${J} ${about}`);
      assert.deepEqual(await answer({ offset: -1 }), ["OFFSET_NOT_YET_AVAILABLE header 30 of 30"]);
      const blocked = trace({ offset: 0, block: true, endOffset: 10 });
      await agenda.advance(60_000);
      store.script = undefined;
      await agenda.advance(60_000);
      assert.deepEqual((await blocked).at(-1), '5 "bbbbb"');
    },
    { stored: OLD, isAway: true },
  );
});

test("read: comes at any moment of the first listing -> what is stored, never that there is nothing", async () => {
  for (let steps = 0; steps < 60; steps++) {
    await withJournal(
      async ({ trace, spools, agenda, store }) => {
        await settle();
        spools.spools.get(J)!.roll(30);
        let listed = (): void => undefined;
        const isListed = new Promise<void>((done) => (listed = done));
        const list = store.list.bind(store);
        store.list = async function* (prefix, signal) {
          await isListed;
          yield* list(prefix, signal);
        };
        store.script = undefined;
        await agenda.advance(60_000);
        listed();
        for (let step = 0; step < steps; step++) await Promise.resolve();
        assert.equal(
          (await trace({ endOffset: 1 }))[0],
          "OK header 0 of 30 [0,5) url",
          `after ${steps} steps`,
        );
      },
      { stored: OLD, isAway: true },
    );
  }
});

test("append: the store is ahead of this disk -> refused, until an explicit offset says where to go on", async () => {
  await withJournal(
    async ({ transport, trace }) => {
      const content = { kind: "bytes", bytes: [utf8("next")] } as const;
      assert.equal((await transport.append(preamble(J), content, never)).status, "INDEX_HAS_GREATER_OFFSET");
      const { status, commit } = await transport.append(preamble(J, { offset: 10 }), content, never);
      assert.deepEqual([status, commit?.begin], ["OK", 10]);
      assert.equal((await transport.append(preamble(J), content, never)).commit?.begin, 14);
      assert.deepEqual((await trace({ offset: 10 })).slice(0, 2), [
        "OK header 10 of 18 [10,18)",
        '10 "nextnext"',
      ]);
    },
    { stored: OLD },
  );
});

test("read: this disk knows a head beyond what the stores list -> that is the write head (D1)", async () => {
  await withJournal(
    async ({ spools, trace }) => {
      await trace();
      // As after a restart with everything persisted, of which the last is not listed yet.
      spools.spools.get(J)!.roll(30);
      await settle();
      assert.deepEqual(await trace({ offset: -1 }), ["OFFSET_NOT_YET_AVAILABLE header 30 of 30"]);
      assert.deepEqual(await trace({ offset: 10 }), ["OFFSET_NOT_YET_AVAILABLE header 10 of 30"]);
      assert.equal((await trace({ offset: 0 }))[0], "OK header 0 of 30 [0,5) url");
    },
    { stored: OLD },
  );
});

test("list fragments: pages over local and stored ones, signed on demand", async () => {
  await withJournal(
    async ({ transport }) => {
      await transport.append(preamble(J, { offset: 10 }), { kind: "bytes", bytes: [utf8("local")] }, never);
      const list = async (fields: object) => {
        const request = {
          journal: J,
          beginModTime: 0,
          endModTime: 0,
          nextPageToken: 0,
          pageLimit: 0,
          doNotProxy: false,
        };
        const answer = await transport.listFragments({ ...request, ...fields }, never);
        return [
          answer.fragments.map(({ spec, signedUrl }) => [spec.begin, signedUrl !== ""]),
          answer.nextPageToken,
        ];
      };
      const all = [
        [0, false],
        [5, false],
        [10, false],
      ];
      assert.deepEqual(await list({}), [all, 0]);
      assert.deepEqual(await list({ pageLimit: 2, signatureTtlMs: 1000 }), [
        [
          [0, true],
          [5, true],
        ],
        10,
      ]);
      assert.deepEqual(await list({ endModTime: EPOCH_SECONDS - DAY }), [
        [
          [0, false],
          [5, false],
        ],
        0,
      ]);
      await assert.rejects(list({ pageLimit: 20_000 }), { code: "INVALID_ARGUMENT" });
    },
    { stored: OLD },
  );
});
