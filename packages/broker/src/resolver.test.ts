import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import {
  assignmentKey,
  encodeBrokerSpec,
  encodeJournalSpec,
  encodeRoute,
  itemKey,
  labelSet,
  memberKey,
  parseLabelSelector,
  type JournalSpec,
  type ProcessId,
  type Status,
} from "@millrace/protocol";
import { BrokerKeyspace } from "./broker-keyspace.ts";
import { journalSpec } from "./broker-testkit.ts";
import type { JournalReplica, ReplicaFate } from "./journal-replica.ts";
import { Resolver, type Resolution, type ResolveOptions } from "./resolver.ts";

const ROOT = "/test/brokers";
const J = "a/journal";
const SELF = { zone: "a", suffix: "self" };
const PEER = { zone: "b", suffix: "peer" };

/** Stands for a replica: notes what becomes of it. */
class FakeReplica {
  readonly id: number;
  readonly createRevision: number;
  fate: ReplicaFate | undefined;
  invalidations = 0;
  spec: JournalSpec;
  constructor(id: number, spec: JournalSpec, createRevision: number) {
    this.id = id;
    this.spec = spec;
    this.createRevision = createRevision;
  }
  updateSpec(spec: JournalSpec): void {
    this.spec = spec;
  }
  isPrimary: boolean | undefined;
  setPrimary(isPrimary: boolean): void {
    this.isPrimary = isPrimary;
  }
  invalidate(): void {
    this.invalidations++;
  }
  close(fate: ReplicaFate): Promise<void> {
    this.fate = fate;
    return Promise.resolve();
  }
}

interface Fixture {
  readonly resolver: Resolver;
  readonly replicas: FakeReplica[];
  readonly keyspace: BrokerKeyspace;
  readonly store: CoordinationStore;
  readonly put: (key: string, value: Uint8Array) => Promise<void>;
  readonly remove: (key: string) => Promise<void>;
  readonly assign: (member: ProcessId, slot: number, value?: Uint8Array) => Promise<void>;
  readonly resolve: (options?: Partial<ResolveOptions>) => Resolution;
}

async function withResolver(
  run: (fixture: Fixture) => Promise<void>,
  members: readonly ProcessId[] = [SELF, PEER],
): Promise<void> {
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, seededRandom("resolver"));
  const write = async (op: Parameters<typeof store.txn>[0]["success"][number]): Promise<void> => {
    await store.txn({ compare: [], success: [op] }, never);
    await settle();
  };
  const put = (key: string, value: Uint8Array): Promise<void> => write({ kind: "put", key, value });
  for (const id of members) {
    await put(memberKey(ROOT, id), member(id, ""));
  }
  const keyspace = new BrokerKeyspace({ coordination: store, clock, logger: silentLogger }, ROOT, 0);
  await keyspace.load(0, never);
  const stop = new AbortController();
  const running = keyspace.run(stop.signal);
  const replicas: FakeReplica[] = [];
  const open = (item: { spec: JournalSpec; createRevision: number }): JournalReplica => {
    const replica = new FakeReplica(replicas.length + 1, item.spec, item.createRevision);
    replicas.push(replica);
    return replica as unknown as JournalReplica;
  };
  const resolver = new Resolver(keyspace, SELF, { open }, { replicationMax: 3, isAlone: false });
  try {
    await run({
      resolver,
      replicas,
      keyspace,
      store,
      put,
      remove: (key) => write({ kind: "delete", key }),
      assign: (member, slot, value = new Uint8Array()) =>
        put(assignmentKey(ROOT, { item: J, member, slot }), value),
      resolve: (options) =>
        resolver.resolve(J, { authority: "primary", mayProxy: true, visible: undefined, ...options }),
    });
  } finally {
    stop.abort(new Error("the test is over"));
    await running;
    await store.close();
  }
}

function member(id: ProcessId, holder: string): Uint8Array {
  const endpoint = `http://${id.suffix}:80`;
  return encodeBrokerSpec({ id, endpoint, journalLimit: 9, exiting: false, holder });
}

const spec = (fields: Partial<JournalSpec> = {}): Uint8Array => encodeJournalSpec(journalSpec(J, fields));

interface Case {
  readonly what: string;
  readonly spec?: Partial<JournalSpec>;
  readonly assigned: readonly (readonly [ProcessId, number])[];
  readonly options?: Partial<ResolveOptions>;
  readonly want: Status;
  readonly processId: ProcessId;
}

const NOBODY = { zone: "", suffix: "" };
const HERE = { mayProxy: false };
const MEMBER = { authority: "member" } as const;
const CASES: readonly Case[] = [
  { what: "primary here", assigned: [[SELF, 0]], want: "OK", processId: SELF },
  { what: "primary elsewhere", assigned: [[PEER, 0]], want: "OK", processId: PEER },
  {
    what: "primary elsewhere, must be here",
    assigned: [[PEER, 0]],
    options: HERE,
    want: "NOT_JOURNAL_PRIMARY_BROKER",
    processId: SELF,
  },
  { what: "no primary", assigned: [[SELF, 1]], want: "NO_JOURNAL_PRIMARY_BROKER", processId: SELF },
  { what: "nobody, for an append", assigned: [], want: "NO_JOURNAL_PRIMARY_BROKER", processId: SELF },
  {
    what: "nobody, for a read",
    assigned: [],
    options: MEMBER,
    want: "INSUFFICIENT_JOURNAL_BROKERS",
    processId: SELF,
  },
  { what: "a read at a member", assigned: [[SELF, 1]], options: MEMBER, want: "OK", processId: SELF },
  { what: "a read elsewhere", assigned: [[PEER, 0]], options: MEMBER, want: "OK", processId: NOBODY },
  {
    what: "a read elsewhere, must be here",
    assigned: [[PEER, 0]],
    options: { ...MEMBER, ...HERE },
    want: "NOT_JOURNAL_BROKER",
    processId: SELF,
  },
  {
    what: "suspended, before who serves",
    spec: { suspend: { level: "FULL", offset: 3 } },
    assigned: [],
    want: "SUSPENDED",
    processId: SELF,
  },
  {
    what: "not to be seen",
    assigned: [[SELF, 0]],
    options: { visible: parseLabelSelector("name=other/journal") },
    want: "JOURNAL_NOT_FOUND",
    processId: SELF,
  },
];

for (const { what, spec: fields, assigned, options, want, processId } of CASES) {
  test(`resolver: ${what} -> ${want}`, async () => {
    await withResolver(async ({ put, assign, resolve }) => {
      await put(itemKey(ROOT, J), spec(fields));
      for (const [member, slot] of assigned) await assign(member, slot);
      const { status, header, localReplica } = resolve(options);
      assert.deepEqual([status, header.processId], [want, processId]);
      assert.equal(localReplica !== undefined, want === "OK" && processId === SELF);
    });
  });
}

test("resolver: no such journal -> JOURNAL_NOT_FOUND with an empty route at the keyspace's revision", async () => {
  await withResolver(async ({ resolve, keyspace }) => {
    const { status, header } = resolve();
    assert.deepEqual(
      [status, header.route],
      ["JOURNAL_NOT_FOUND", { members: [], primary: -1, endpoints: [] }],
    );
    assert.equal(header.etcd.revision, keyspace.header.revision);
    await Promise.resolve();
  });
});

test("resolver: route -> members in key order with endpoints, those of missing members empty", async () => {
  await withResolver(
    async ({ put, assign, resolve }) => {
      await put(itemKey(ROOT, J), spec());
      await assign(PEER, 0);
      await assign(SELF, 1);
      const { route } = resolve().header;
      assert.deepEqual(route, { members: [SELF, PEER], primary: 1, endpoints: ["http://self:80", ""] });
    },
    [SELF],
  );
});

test("resolver: own member key is gone -> answers refusals with the placeholder", async () => {
  await withResolver(
    async ({ resolve }) => {
      assert.deepEqual(resolve().header.processId, { zone: "local-BrokerSpec", suffix: "missing-from-Etcd" });
      await Promise.resolve();
    },
    [PEER],
  );
});

test("resolver: assignments -> consistent once each stores the resolved route", async () => {
  await withResolver(async ({ put, assign, resolve }) => {
    await put(itemKey(ROOT, J), spec());
    await assign(SELF, 0);
    assert.equal(resolve().assignmentsConsistent, false);
    await assign(SELF, 0, encodeRoute({ members: [SELF], primary: 0, endpoints: [] }));
    assert.equal(resolve().assignmentsConsistent, true);
  });
});

test("resolver: changes of the keyspace -> replicas are kept, invalidated, replaced and dropped", async () => {
  await withResolver(async ({ put, remove, assign, replicas, resolver }) => {
    await put(itemKey(ROOT, J), spec());
    await assign(SELF, 1);
    const first = replicas[0]!;
    await put(itemKey(ROOT, J), spec({ maxAppendRate: 5 }));
    assert.deepEqual([replicas.length, first.invalidations, first.spec.maxAppendRate], [1, 0, 5]);

    const { fragment } = journalSpec(J);
    await put(itemKey(ROOT, J), spec({ fragment: { ...fragment, stores: ["file:///x/"] } }));
    assert.equal(first.invalidations, 1, "other stores invalidate");
    await assign(PEER, 2);
    assert.equal(first.invalidations, 2, "other assignments invalidate");
    const stored = { ...fragment, stores: ["file:///x/"] };
    const terms: readonly Partial<JournalSpec>[] = [
      { flags: 1 },
      { labels: labelSet(["millrace.dev/ack", "replicated"]) },
      { replication: 3 },
      { suspend: { level: "PARTIAL", offset: 7 } },
      { suspend: { level: "PARTIAL", offset: 8 } },
    ];
    for (const [at, fields] of terms.entries()) {
      await put(itemKey(ROOT, J), spec({ fragment: stored, ...fields }));
      assert.equal(first.invalidations, 3 + at, `${Object.keys(fields).join()} invalidate`);
      await put(itemKey(ROOT, J), spec({ fragment: stored, ...fields, maxAppendRate: at + 1 }));
      assert.equal(first.invalidations, 3 + at, "a rate does not");
    }

    await remove(itemKey(ROOT, J));
    assert.equal(first.fate, "deleted");
    await put(itemKey(ROOT, J), spec());
    const second = replicas[1]!;
    assert.notEqual(second.createRevision, first.createRevision);
    await remove(assignmentKey(ROOT, { item: J, member: SELF, slot: 1 }));
    assert.equal(second.fate, "released");

    await assign(SELF, 0);
    await remove(assignmentKey(ROOT, { item: J, member: SELF, slot: 0 }));
    await assign(SELF, 1);
    assert.equal(replicas.length, 4, "a demoted one is replaced");
    await resolver.close();
    assert.equal(replicas[3]!.fate, "stopped");
  });
});

test("resolver: deleted and created again in one update -> another replica, the old one is deleted", async () => {
  await withResolver(async ({ put, assign, store, replicas }) => {
    const key = itemKey(ROOT, J);
    await put(key, spec());
    await assign(SELF, 0);
    const events = [
      store.txn({ compare: [], success: [{ kind: "delete", key }] }, never),
      store.txn({ compare: [], success: [{ kind: "put", key, value: spec() }] }, never),
    ];
    await Promise.all(events);
    await settle();
    assert.deepEqual([replicas.length, replicas[0]!.fate], [2, "deleted"]);
  });
});

test("resolver: after close -> what resolves here is refused, what resolves elsewhere is not", async () => {
  await withResolver(async ({ put, assign, resolve, resolver }) => {
    await put(itemKey(ROOT, J), spec());
    await assign(SELF, 0);
    await resolver.close();
    assert.throws(() => resolve(), {
      code: "SHUTTING_DOWN",
      message: "resolver has stopped serving local replicas",
    });
  });
});

test("resolver: header of a proxy -> must be of this cluster and for this broker, and is read through", async () => {
  await withResolver(async ({ resolver, keyspace, put }) => {
    const own = resolver.header();
    const through = (fields: { clusterId?: bigint; revision?: number }, processId: ProcessId = SELF) =>
      resolver.readThrough({ ...own, processId, etcd: { ...own.etcd, ...fields } }, 0, never);
    assert.throws(() => through({ clusterId: 1n }), {
      message: `request Etcd ClusterId doesn't match our own (1 vs ${own.etcd.clusterId})`,
    });
    assert.throws(() => through({}, PEER), {
      message:
        /^request ProcessId doesn't match our own \(zone:"b" suffix:"peer"  vs zone:"a" suffix:"self" \)$/,
    });
    assert.equal(through({}, NOBODY), undefined);
    let isThrough = false;
    const waiting = through({ revision: keyspace.header.revision + 1 })!.then(() => (isThrough = true));
    await settle();
    assert.equal(isThrough, false);
    await put(itemKey(ROOT, J), spec());
    await waiting;
  });
});

test("resolver: a member keeps no lists -> what journals wait for is reduced while it is there", async () => {
  await withResolver(async ({ put, remove, assign, resolve, resolver, replicas }) => {
    for (const id of [SELF, PEER]) await put(memberKey(ROOT, id), member(id, `disk of ${id.suffix}`));
    const labels = labelSet(["millrace.dev/min-replicas", "2"]);
    await put(itemKey(ROOT, J), spec({ replication: 3, labels }));
    await assign(SELF, 0);
    const seen = (): unknown[] => {
      const { desiredReplicas, minReplicas, level, isReduced } = resolve();
      return [desiredReplicas, minReplicas, level, isReduced, resolver.isMixedCluster];
    };
    assert.deepEqual(seen(), [3, 2, "synced", false, false]);
    const go = { zone: "c", suffix: "gazette" };
    const invalidations = (): number => replicas[0]!.invalidations;
    const before = invalidations();
    await put(memberKey(ROOT, go), member(go, ""));
    assert.equal(invalidations(), before + 1, "appends that wait are judged anew");
    assert.deepEqual(seen(), [3, 3, "replicated", true, true]);
    await put(memberKey(ROOT, go), member(go, ""));
    assert.equal(invalidations(), before + 1);
    await remove(memberKey(ROOT, go));
    assert.equal(invalidations(), before + 2);
    assert.deepEqual(seen(), [3, 2, "synced", false, false]);
  });
});
