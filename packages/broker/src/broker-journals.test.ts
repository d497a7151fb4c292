import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { keyOf, prefixEnd, type KeyValue } from "@millrace/metadata";
import {
  assignmentsPrefix,
  decodeRoute,
  ANY_LABELS,
  deleteChange,
  labelSet,
  parseLabelSelector,
  upsertChange,
  type AppendSuspend,
  type JournalSpec,
  type ListResponse,
} from "@millrace/protocol";
import {
  applySpec,
  journalSpec,
  openTimedBroker,
  preamble,
  readAll,
  readRequest,
  type TestBrokerOptions,
  type TimedBroker,
} from "./broker-testkit.ts";
import { EVERYONE, type Principal } from "./authoriser.ts";
import { DEFAULT_ROOT } from "./broker.ts";

const J = "a/journal";

interface Fixture extends TimedBroker {
  readonly list: (selector?: string) => Promise<string[]>;
  readonly spec: (name?: string) => Promise<JournalSpec | undefined>;
  readonly append: (part: string, suspend?: AppendSuspend) => Promise<string>;
}

async function withBroker(
  run: (fixture: Fixture) => Promise<void>,
  options: TestBrokerOptions = {},
): Promise<void> {
  const broker = await openTimedBroker(options);
  const { transport } = broker;
  const snapshot = (selector: string): Promise<ListResponse> =>
    transport.list({ selector: parseLabelSelector(selector), watch: false }, never);
  try {
    await run({
      ...broker,
      list: async (selector = "") => (await snapshot(selector)).journals.map(({ spec }) => spec.name),
      spec: async (name = J) => (await snapshot(`name=${name}`)).journals[0]?.spec,
      append: async (part, suspend = "SUSPEND_RESUME") => {
        const content = { kind: "bytes", bytes: [utf8(part)] } as const;
        const { status, commit } = await transport.append(preamble(J, { suspend }), content, never);
        return commit === undefined ? status : `${status} ${commit.begin}-${commit.end}`;
      },
    });
  } finally {
    await broker.close();
  }
}

const { name: _, ...template } = journalSpec("x/any");
const RULES = [{ prefix: "examples/", template }];

// List.

const SPECS = [
  journalSpec("foo/bar", { labels: labelSet(["kind", "a"]) }),
  journalSpec("foo/baz", { labels: labelSet(["kind", "b"]) }),
  journalSpec("other", { labels: labelSet(["kind", "a"]) }),
];
const LISTS: readonly (readonly [selector: string, names: readonly string[]])[] = [
  ["", ["foo/bar", "foo/baz", "other"]],
  ["kind=a", ["foo/bar", "other"]],
  ["name=foo/bar", ["foo/bar"]],
  ["name:prefix=foo", ["foo/bar", "foo/baz"]],
  ["prefix=foo/", ["foo/bar", "foo/baz"]],
  ["prefix=foo/, kind!=a", ["foo/baz"]],
  ["name=missing/x", []],
];

test("list: selectors -> journals in order of their names, with revisions and routes", async () => {
  await withBroker(async ({ transport, list }) => {
    for (const spec of SPECS.toReversed()) await applySpec(transport, spec);
    for (const [selector, names] of LISTS) assert.deepEqual(await list(selector), names, selector);
    const { journals, header } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    assert.deepEqual(header.route, { members: [], primary: -1, endpoints: [] });
    assert.deepEqual(header.processId, { zone: "local", suffix: "broker" });
    assert.ok(
      journals.every(({ modRevision, createRevision }) => modRevision === createRevision && modRevision > 0),
    );
    await assert.rejects(
      transport.list({ selector: parseLabelSelector("prefix=foo"), watch: false }, never),
      {
        code: "INVALID_ARGUMENT",
      },
    );
  });
});

test("list: watched -> a snapshot, then one for each change of what matches, not for others", async () => {
  await withBroker(async ({ transport }) => {
    await applySpec(transport, SPECS[0]!);
    const controller = new AbortController();
    const selector = parseLabelSelector("kind=a");
    const watch = transport.watchList({ selector, watch: true }, controller.signal)[Symbol.asyncIterator]();
    const names = async (): Promise<string[]> => {
      const { value } = (await watch.next()) as { value: ListResponse };
      return value.journals.map(({ spec }) => spec.name);
    };
    assert.deepEqual(await names(), ["foo/bar"]);
    const next = names();
    await applySpec(transport, SPECS[1]!);
    await settle();
    await applySpec(transport, SPECS[2]!);
    assert.deepEqual(await next, ["foo/bar", "other"]);
    const after = names();
    await transport.apply({ changes: [deleteChange("foo/bar", -1)] }, never);
    assert.deepEqual(await after, ["other"]);
    const ended = watch.next();
    controller.abort(new Error("enough"));
    await assert.rejects(ended, { message: "enough" });
  });
});

test("list: resumed, something is written elsewhere in the store -> waits for a newer revision", async () => {
  await withBroker(async ({ transport, coordination }) => {
    await applySpec(transport, SPECS[0]!);
    await settle(); // It has its assignment.
    const selector = parseLabelSelector("kind=b");
    const { header } = await transport.list({ selector, watch: false }, never);
    const put = { kind: "put", key: keyOf("elsewhere"), value: utf8("x") } as const;
    const written = await coordination.txn({ compare: [], success: [put] }, never);
    assert.ok(written.header.revision > header.etcd.revision);
    await settle();
    const stop = new AbortController();
    const resumed = transport.watchList({ selector, watch: true, watchResume: header }, stop.signal);
    const revisions: number[] = [];
    const following = (async () => {
      for await (const answer of resumed) revisions.push(answer.header.etcd.revision);
    })();
    await settle();
    assert.equal(String(revisions), "");
    // A change of what does not match is news enough: the answer is a snapshot at its revision.
    await applySpec(transport, SPECS[2]!);
    await settle();
    const newer = revisions.map((revision) => revision > written.header.revision);
    assert.deepEqual(newer, [true]);
    stop.abort(new Error("enough"));
    await assert.rejects(following, { message: "enough" });
  });
});

test("transport for some journals: the others are not found, not listed, not made", async () => {
  await withBroker(
    async ({ transport, broker }) => {
      for (const spec of SPECS) await applySpec(transport, spec);
      const visible = parseLabelSelector("prefix=foo/");
      const principal = { visible, expiresAtMs: Number.POSITIVE_INFINITY };
      const some = broker.journalsFor(principal).transport;
      const { journals } = await some.list({ selector: ANY_LABELS, watch: false }, never);
      assert.deepEqual(
        journals.map(({ spec }) => spec.name),
        ["foo/bar", "foo/baz"],
      );
      const append = (journal: string) => some.append(preamble(journal), { kind: "bytes", bytes: [] }, never);
      assert.equal((await append("foo/bar")).status, "OK");
      assert.equal((await append("other")).status, "JOURNAL_NOT_FOUND");
      assert.equal((await append("examples/new")).status, "JOURNAL_NOT_FOUND");
      assert.equal(broker.specOf("examples/new", EVERYONE), undefined);
      const isThere = (journal: string, who: Principal) => broker.specOf(journal, who) !== undefined;
      assert.deepEqual([isThere("other", EVERYONE), isThere("other", principal)], [true, false]);
      assert.deepEqual([isThere("foo/bar", EVERYONE), isThere("foo/bar", principal)], [true, true]);
      const change = some.apply({ changes: [deleteChange("other", -1)] }, never);
      await assert.rejects(change, { code: "FORBIDDEN", message: "not authorized to other" });
    },
    { autoCreate: RULES },
  );
});

test("transport for journals with a label: others cannot be taken, its own be changed", async () => {
  await withBroker(async ({ transport, broker }) => {
    const labelled = (name: string, team: string): JournalSpec => ({
      ...journalSpec(name),
      labels: labelSet(["team", team]),
    });
    for (const [name, team] of [
      ["a/ours", "us"],
      ["a/theirs", "them"],
    ] as const) {
      await applySpec(transport, labelled(name, team));
    }
    const visible = parseLabelSelector("team=us");
    const ours = broker.journalsFor({ visible, expiresAtMs: Number.POSITIVE_INFINITY }).transport;
    const change = (name: string) =>
      ours.apply({ changes: [upsertChange({ ...labelled(name, "us"), maxAppendRate: 9 }, -1)] }, never);
    await assert.rejects(change("a/theirs"), { code: "FORBIDDEN", message: "not authorized to a/theirs" });
    assert.equal((await change("a/ours")).status, "OK");
    assert.equal((await change("a/new")).status, "OK");
  });
});

// Apply.

test("apply: creates, updates and deletes at the expected revision, all or nothing", async () => {
  await withBroker(async ({ transport, list, spec }) => {
    const apply = async (...changes: Parameters<typeof transport.apply>[0]["changes"]) =>
      (await transport.apply({ changes }, never)).status;
    assert.equal(await apply(upsertChange(journalSpec(J), 0)), "OK");
    assert.equal(await apply(upsertChange(journalSpec(J), 0)), "ETCD_TRANSACTION_FAILED");
    const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    const revision = journals[0]!.modRevision;
    const two = [
      upsertChange(journalSpec(J, { flags: 1 }), revision),
      upsertChange(journalSpec("b/other"), 99),
    ];
    assert.equal(await apply(...two), "ETCD_TRANSACTION_FAILED");
    assert.equal((await spec())?.flags, 0);
    assert.equal(await apply(two[0]!), "OK");
    assert.equal((await spec())?.flags, 1);
    assert.equal(await apply(deleteChange(J, revision)), "ETCD_TRANSACTION_FAILED");
    assert.equal(await apply(deleteChange(J, -1)), "OK");
    assert.equal(await apply(deleteChange(J, -1)), "OK");
    assert.deepEqual(await list(), []);
    await assert.rejects(apply(deleteChange("bad name", -1)), {
      code: "INVALID_ARGUMENT",
      message: "Changes[0].Delete: not a valid token (bad name)",
    });
  });
});

test("allocation: hundreds of journals at once -> each gets its assignment", async () => {
  await withBroker(async ({ transport }) => {
    const names = Array.from({ length: 300 }, (_, i) => `many/${String(i).padStart(3, "0")}`);
    for (let at = 0; at < names.length; at += 100) {
      const changes = names.slice(at, at + 100).map((name) => upsertChange(journalSpec(name), 0));
      assert.equal((await transport.apply({ changes }, never)).status, "OK");
    }
    const content = { kind: "bytes", bytes: [utf8("x")] } as const;
    const answers = await Promise.all(names.map((name) => transport.append(preamble(name), content, never)));
    assert.ok(answers.every(({ status }) => status === "OK"));
    const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    assert.ok(journals.every(({ route }) => route.primary === 0 && route.members.length === 1));
  });
});

test("allocation: a new journal -> one assignment, whose route stands from the start", async () => {
  await withBroker(async ({ transport, coordination, broker }) => {
    await applySpec(transport, journalSpec(J));
    const content = { kind: "bytes", bytes: [utf8("x")] } as const;
    assert.equal((await transport.append(preamble(J), content, never)).status, "OK");
    const key = assignmentsPrefix(DEFAULT_ROOT, J);
    const { kvs } = await coordination.range({ key, end: prefixEnd(key) }, never);
    assert.equal(kvs.length, 1);
    const [{ version, lease, value }] = kvs as [KeyValue];
    assert.deepEqual([version, lease], [1, broker.lease]);
    const members = [{ zone: "local", suffix: "broker" }];
    assert.deepEqual(decodeRoute(value), { members, primary: 0, endpoints: [] });
  });
});

test("allocation: a broker at its limit -> takes no more journals", async () => {
  await withBroker(
    async ({ transport, metrics }) => {
      for (const name of ["a/one", "a/two", "a/three"]) await applySpec(transport, journalSpec(name));
      for (let turn = 0; turn < 100; turn++) await settle();
      assert.ok(metrics.render().includes("gazette_allocator_items 3\n"));
      const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
      assert.equal(journals.filter(({ route }) => route.primary === 0).length, 2);
    },
    { journalLimit: 2 },
  );
});

// Creation by the first append.

test("auto-create: many first appends at once -> one journal, all of them in it", async () => {
  await withBroker(
    async ({ transport, list }) => {
      const append = (part: string) =>
        transport.append(preamble("examples/new"), { kind: "bytes", bytes: [utf8(part)] }, never);
      const answers = await Promise.all(["a", "b", "c", "d"].map(append));
      assert.ok(answers.every(({ status }) => status === "OK"));
      assert.deepEqual(await list(), ["examples/new"]);
      assert.equal((await readAll(transport, readRequest("examples/new"), never)).length, 4);
    },
    { autoCreate: RULES },
  );
});

test("auto-create: reads, names outside and bad names -> create nothing", async () => {
  await withBroker(
    async ({ transport, list }) => {
      for await (const { status } of transport.read(readRequest("examples/new"), never)) {
        assert.equal(status, "JOURNAL_NOT_FOUND");
      }
      const append = (journal: string) =>
        transport.append(preamble(journal), { kind: "bytes", bytes: [] }, never);
      for (const journal of ["other/new", "examples"]) {
        assert.equal((await append(journal)).status, "JOURNAL_NOT_FOUND");
      }
      await assert.rejects(append("examples/bad name"), { code: "INVALID_ARGUMENT" });
      assert.deepEqual(await list(), []);
    },
    { autoCreate: RULES },
  );
});

test("auto-create: a rule whose journals could not be read back -> the broker does not open", async () => {
  const { name: _, ...template } = journalSpec("any");
  const fragment = { ...template.fragment, flushIntervalMs: 1000 };
  const autoCreate = [{ prefix: "examples/", template: { ...template, fragment } }];
  const opening = withBroker(() => Promise.resolve(), { autoCreate });
  await assert.rejects(opening, {
    code: "INVALID_ARGUMENT",
    message: /FlushInterval \(1s; expected >= 1m0s\)/,
  });
});

test("auto-create: somebody else creates it first -> the append goes to theirs", async () => {
  await withBroker(
    async ({ transport, spec }) => {
      const append = transport.append(preamble("examples/new"), { kind: "bytes", bytes: [] }, never);
      const theirs = applySpec(transport, journalSpec("examples/new", { maxAppendRate: 77 }));
      assert.equal((await append).status, "OK");
      await theirs;
      assert.equal((await spec("examples/new"))?.maxAppendRate, 77);
    },
    { autoCreate: RULES },
  );
});

// A journal's lives.

test("recreate: deleted and created again -> starts empty, readers of the old one end", async () => {
  await withBroker(async ({ transport, append, spools }) => {
    await applySpec(transport, journalSpec(J));
    assert.equal(await append("old"), "OK 0-3");
    const reading = readAll(transport, readRequest(J, { block: true }), never);
    await settle();
    await transport.apply({ changes: [deleteChange(J, -1)] }, never);
    assert.equal(await append("x"), "JOURNAL_NOT_FOUND");
    assert.equal(text(await reading), "old");
    await applySpec(transport, journalSpec(J));
    assert.equal(await append("new"), "OK 0-3");
    assert.equal(text(await readAll(transport, readRequest(J), never)), "new");
    assert.deepEqual(
      spools.removed.map(({ journal }) => journal),
      [J],
    );
  });
});

test("recreate: while appends stream and wait -> they end or go to the new life, nothing hangs", async () => {
  await withBroker(async ({ transport, append }) => {
    await applySpec(transport, journalSpec(J));
    const answers = Array.from({ length: 20 }, (_, i) => append(`${i};`));
    await transport.apply({ changes: [deleteChange(J, -1)] }, never);
    const later = Array.from({ length: 5 }, (_, i) => append(`${i};`));
    await applySpec(transport, journalSpec(J));
    for (const answer of await Promise.all([...answers, ...later])) {
      assert.match(answer, /^OK|^JOURNAL_NOT_FOUND$/);
    }
    assert.match(await append("last"), /^OK/);
  });
});

// Suspension.

test("suspend: an empty journal -> FULL; a default append wakes it where it stood", async () => {
  await withBroker(async ({ transport, append, spec }) => {
    await applySpec(transport, journalSpec(J, { suspend: { level: "NONE", offset: 40 } }));
    assert.equal(await append("", "SUSPEND_IF_FLUSHED"), "SUSPENDED");
    assert.deepEqual((await spec())?.suspend, { level: "FULL", offset: 40 });
    for (const mode of ["SUSPEND_NO_RESUME", "SUSPEND_KEEP", "SUSPEND_NOW"] as const) {
      assert.equal(await append("", mode), "SUSPENDED", mode);
    }
    for await (const { status } of transport.read(readRequest(J), never)) assert.equal(status, "SUSPENDED");
    assert.equal(await append("awake"), "OK 40-45");
    assert.equal((await spec())?.suspend?.level, "NONE");
  });
});

test("suspend: a journal with fragments -> PARTIAL and flushed; barriers keep it, bytes resume it", async () => {
  await withBroker(async ({ transport, append, spec, spools }) => {
    await applySpec(transport, journalSpec(J));
    await append("1");
    await append("2");
    assert.equal(await append("", "SUSPEND_IF_FLUSHED"), "OK 2-2");
    assert.equal(await append("", "SUSPEND_NOW"), "SUSPENDED");
    assert.deepEqual((await spec())?.suspend, { level: "PARTIAL", offset: 2 });
    assert.equal(spools.spools.get(J)!.begin, 2);
    assert.equal(await append("x", "SUSPEND_NO_RESUME"), "SUSPENDED");
    assert.equal(await append("", "SUSPEND_KEEP"), "OK 2-2");
    assert.equal(await append("x", "SUSPEND_KEEP"), "NOT_ALLOWED");
    assert.equal(text(await readAll(transport, readRequest(J), never)), "12");
    assert.equal(await append("3"), "OK 2-3");
    assert.equal((await spec())?.suspend?.level, "NONE");
  });
});

test("pulse: the flush interval passes without appends -> the fragment is closed", async () => {
  await withBroker(async ({ transport, append, spools, agenda }) => {
    const { fragment } = journalSpec(J);
    await applySpec(transport, journalSpec(J, { fragment: { ...fragment, flushIntervalMs: 120_000 } }));
    await append("1");
    await append("2");
    await agenda.advance(60_500);
    assert.equal(spools.spools.get(J)!.begin, 0);
    await agenda.advance(120_000);
    assert.equal(spools.spools.get(J)!.begin, 2);
  });
});

test("pulse: a broker that suspends idle journals -> suspends an empty one after a quarter of an hour", async () => {
  await withBroker(
    async ({ transport, spec, agenda }) => {
      await applySpec(transport, journalSpec(J));
      await settle();
      await agenda.advance(14 * 60_000);
      assert.equal((await spec())?.suspend, undefined);
      await agenda.advance(2 * 60_000);
      assert.equal((await spec())?.suspend?.level, "FULL");
    },
    { autoSuspend: () => true },
  );
});

test("acknowledgement labels: what cannot be is refused, what is chosen is listed", async () => {
  await withBroker(async ({ transport }) => {
    const labels = (value: string): ReturnType<typeof labelSet> =>
      labelSet(["millrace.dev/ack", "replicated"], ["millrace.dev/min-replicas", value]);
    const wrong = journalSpec(J, { replication: 2, labels: labels("3") });
    await assert.rejects(transport.apply({ changes: [upsertChange(wrong, 0)] }, never), {
      code: "INVALID_ARGUMENT",
      message: `journal ${J}: label millrace.dev/min-replicas: "3" (expected 1 <= min-replicas <= 2)`,
    });
    await applySpec(transport, journalSpec(J, { replication: 2, labels: labels("1") }));
    await applySpec(transport, journalSpec("b/usual"));
    const { journals } = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    assert.deepEqual(
      journals.map(({ acknowledgement }) => acknowledgement),
      [{ level: "replicated", minReplicas: 1, isReduced: false }, undefined],
    );
  });
});
