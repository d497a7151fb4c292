import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { DEFAULT_ROOT } from "./broker.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { drainWhile } from "./drain.ts";
import type { FakeSpools } from "./fake-spools.ts";
import { decodeHolders, holdersKey } from "./holders-codec.ts";
import type { HoldersList } from "./holders-list.ts";
import { tidied, type ReleasedBytes } from "./holders-upkeep.ts";

const J = "a/journal";
const LIST: HoldersList = {
  segments: [
    { epoch: 1, begin: 0, members: ["a", "b"] },
    { epoch: 2, begin: 10, members: ["b", "c"] },
    { epoch: 3, begin: 20, members: ["a", "c"] },
  ],
  tail: { kind: "held" },
};
const own = (self: string, released: number, more: Partial<ReleasedBytes> = {}): ReleasedBytes => ({
  self,
  isGone: (_, end) => end <= released,
  end: 30,
  syncedEnd: 30,
  registers: EMPTY_LABELS,
  whole: 0,
  isAtRest: false,
  ...more,
});
const begins = (list: HoldersList): readonly number[] => list.segments.map(({ begin }) => begin);

test("upkeep: segments are dropped from the oldest on, by members that have released them", () => {
  for (const [self, released, want] of [
    ["a", 9, [0, 10, 20]],
    ["a", 10, [10, 20]],
    ["a", 30, [10, 20]],
    ["b", 30, [20]],
    ["c", 30, [0, 10, 20]],
    ["stranger", 30, [0, 10, 20]],
  ] as const) {
    assert.deepEqual(begins(tidied(LIST, own(self, released))), want, `${self} ${released}`);
  }
  assert.equal(tidied(LIST, own("c", 30)), LIST);
});

test("upkeep: a segment that is nobody's is dropped by whoever finds it in a store, and those behind it", () => {
  const segments = LIST.segments.map((segment, at) => (at === 0 ? { ...segment, members: [] } : segment));
  const list: HoldersList = { ...LIST, segments };
  for (const [self, released, want] of [
    ["stranger", 9, [0, 10, 20]],
    ["stranger", 10, [10, 20]],
    ["b", 30, [20]],
  ] as const) {
    assert.deepEqual(begins(tidied(list, own(self, released))), want, `${self} ${released}`);
  }
});

test("upkeep: at rest with everything released -> closed with the end and registers; else it stays held", () => {
  const newest: HoldersList = { segments: LIST.segments.slice(2), tail: { kind: "held" } };
  const registers = labelSet(["author", "x"]);
  const rest = { isAtRest: true, registers };
  assert.deepEqual(tidied(newest, own("a", 30, rest)), {
    segments: [],
    tail: { kind: "closed", end: 30, registers },
  });
  for (const not of [
    own("a", 29, rest),
    own("b", 30, rest),
    own("a", 30, { ...rest, syncedEnd: 31 }),
    own("a", 30, { ...rest, end: 19, syncedEnd: 19 }),
    own("a", 30),
  ]) {
    assert.equal(tidied(newest, not), newest);
  }
  assert.equal(tidied(LIST, own("a", 9, rest)), LIST, "an older segment is needed");
  const loose: HoldersList = { ...newest, segments: [{ ...newest.segments[0]!, loose: true }] };
  assert.equal(
    tidied(loose, own("a", 30, { ...rest, whole: 2 })),
    loose,
    "it may have lost what was acknowledged",
  );
  assert.equal(tidied(loose, own("a", 30, { ...rest, whole: 3 })).tail.kind, "closed");
});

async function listOf({ coordination }: TestCluster): Promise<HoldersList> {
  const { kvs } = await coordination.range({ key: holdersKey(DEFAULT_ROOT, J) }, never);
  return decodeHolders(kvs[0]!.value).list;
}

test("upkeep: a broker drains -> its bytes go to the store, no list names it, and the others go on", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "a"] });
  try {
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: 3, fragment: { ...fragment, stores: ["s3://bucket/"] } });
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    await cluster.agenda.advance(1000);
    const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
    const append = async (): Promise<string> => {
      const appended = cluster.members[0]!.transport.append(preamble(J), content, never);
      return (await cluster.within(appended)).status;
    };
    assert.equal(await append(), "OK");
    const [holder] = (await listOf(cluster)).segments.at(-1)!.members;
    const leaving = cluster.members.find(({ id }) => id.suffix.slice(-1) === holder!.slice(-1))!;
    assert.equal(await cluster.within(drainWhile(leaving.broker.drain, never)), "drained");
    const { segments } = await listOf(cluster);
    assert.ok(segments.every(({ members }) => !members.includes(holder!)));
    await leaving.close();
    assert.equal(await append(), "OK");
  } finally {
    await cluster.close();
  }
});

test("upkeep: a restart found what others have now -> it goes to the store, and no list names it", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(J)));
    await cluster.agenda.advance(1000);
    const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
    await cluster.within(cluster.members[0]!.transport.append(preamble(J), content, never));
    const holderOf = ({ id }: ClusterMember): string => `holder-${id.suffix.slice(-1)}`;
    const members = async (): Promise<readonly string[]> =>
      (await listOf(cluster)).segments.flatMap((segment) => segment.members);
    const [first] = await members();
    const leaving = cluster.members.find((member) => holderOf(member) === first)!;
    const stays = cluster.members.find((member) => member !== leaving)!;
    leaving.broker.drain.begin();
    for (let i = 0; i < 100 && (await members()).length === 1; i++) await cluster.agenda.advance(20);
    assert.deepEqual(await members(), [first, holderOf(stays)], "nobody has copied it yet");
    leaving.kill();
    const { fragment } = journalSpec(J);
    const upsert = journalSpec(J, { fragment: { ...fragment, stores: ["s3://bucket/"] } });
    const changes = [{ expectModRevision: -1, upsert, delete: "" }];
    await cluster.within(stays.transport.apply({ changes }, never));
    await cluster.agenda.advance(60_000);
    assert.deepEqual(await members(), [first, holderOf(stays)], "who holds it is away");
    const spools = (leaving.spools as FakeSpools).restarted();
    await cluster.open({ id: leaving.id, spools, holder: first! });
    await cluster.agenda.advance(10_000);
    assert.deepEqual(new Set(await members()), new Set([holderOf(stays)]));
  } finally {
    await cluster.close();
  }
});

test("upkeep: what a restart found is known to be acknowledged only later -> it goes to the store", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  try {
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { fragment: { ...fragment, stores: ["s3://bucket/"] } });
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    await cluster.agenda.advance(1000);
    const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
    await cluster.within(cluster.members[0]!.transport.append(preamble(J), content, never));
    const newest = async (): Promise<readonly string[]> => (await listOf(cluster)).segments.at(-1)!.members;
    const [first] = await newest();
    const away = cluster.members.find(({ id }) => id.suffix.slice(-1) === first!.slice(-1))!;
    away.kill();
    const spool = (away.spools as FakeSpools).spools.get(J)!;
    for (const more of ["stored", "newest"]) {
      spool.roll(spool.pendingEnd);
      const append = spool.openAppend();
      await append.write(utf8(more), never);
      await new Promise((resolve) => append.commit(undefined, resolve));
    }
    spool.release({ begin: 5, end: 11 });
    await cluster.agenda.advance(60_000);
    assert.deepEqual(await newest(), [first], "the journal waits for who holds it");
    const spools = (away.spools as FakeSpools).restarted();
    await cluster.open({ id: away.id, spools, holder: first! });
    await cluster.agenda.advance(20_000);
    assert.notDeepEqual(
      await newest(),
      [first],
      "another one goes on, from what only it has not let go to the store",
    );
    assert.deepEqual(spools.spools.get(J)!.held(), [], "and what the store did not have is there");
  } finally {
    await cluster.close();
  }
});

test("upkeep: appends through every broker while one drains -> none fails", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "a"] });
  try {
    const names = Array.from({ length: 20 }, (_, at) => `a/journal-${at}`);
    const { fragment } = journalSpec(J);
    for (const name of names) {
      const stored = { ...fragment, stores: ["s3://bucket/"] };
      const spec = journalSpec(name, { replication: 3, fragment: stored });
      await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    }
    await cluster.agenda.advance(3000);
    const outcomes = new Map<string, number>();
    let isOver = false;
    const appendTo = async (name: string, at: number): Promise<void> => {
      while (!isOver) {
        const { transport } = cluster.members[at % cluster.members.length]!;
        const content = { kind: "bytes", bytes: [utf8("x")] } as const;
        const outcome = await transport.append(preamble(name), content, never).then(
          ({ status }) => status,
          (error: unknown) => WireError.from(error).message,
        );
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        await cluster.clock.sleep(50, never);
      }
    };
    const clients = Promise.all(names.map(appendTo));
    await cluster.agenda.advance(500);
    const { drain } = cluster.members[1]!.broker;
    assert.ok(drain.progress.assigned > 0);
    assert.equal(await cluster.within(drainWhile(drain, never)), "drained");
    isOver = true;
    await cluster.within(clients);
    assert.deepEqual([...outcomes.keys()], ["OK"]);
  } finally {
    await cluster.close();
  }
});
