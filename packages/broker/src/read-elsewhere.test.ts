import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { seededRandom, settle } from "@millrace/base/testkit";
import { keyOf } from "@millrace/metadata";
import {
  ANY_LABELS,
  assignmentKey,
  contentPath,
  encodeRoute,
  newFragment,
  newFragmentsRequest,
  type ProcessId,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { applySpec, journalSpec, readRequest } from "./broker-testkit.ts";
import { DEFAULT_ROOT } from "./broker.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";
import { encodeHolders, holdersKey } from "./holders-codec.ts";
import type { Segment } from "./holders-list.ts";
import { openPuppet, serves, type Puppet, type PuppetOptions } from "./puppet-testkit.ts";

const J = "a/journal";
const STORE = "file:///one/";
const CONTENT = "0123456789";

interface Stage {
  readonly cluster: TestCluster;
  /** The member that is read from. */
  readonly own: ClusterMember;
  readonly puppets: readonly Puppet[];
  /** Messages of a read until it ends, written short. */
  readonly trace: (fields?: Partial<ReadRequest>) => Promise<string[]>;
  readonly write: (begin: number, content: string) => Promise<void>;
  /** Writes what is hidden, as what a restart has found. */
  readonly hide: (content: string) => Promise<void>;
  readonly confirm: (end: number) => void;
  /** Puts a fragment into the store. */
  readonly put: (begin: number, content: string) => Promise<void>;
  readonly list: (segments: readonly Segment[]) => Promise<void>;
}

interface StageOptions {
  /** Of the route, the first of them primary; `own` is where the real one stands. */
  readonly route: readonly (PuppetOptions | "own")[];
  /** Brokers that are no members of the route. */
  readonly others?: readonly PuppetOptions[];
  readonly stores?: readonly string[];
}

/** One real broker among puppets. The allocator's leader is a puppet, so assignments are as the stage has them. */
async function onStage(
  { route, others = [], stores = [] }: StageOptions,
  run: (stage: Stage) => Promise<void>,
): Promise<void> {
  let store: MemoryStore | undefined;
  const open = (url: string): MemoryStore => {
    store ??= memoryStore({ url, clock: cluster.clock, random: seededRandom("store") });
    return store;
  };
  const cluster: TestCluster = await openTestCluster({ zones: [], stores: { open } });
  try {
    await openPuppet(cluster, { suffix: "leader" });
    const puppets: Puppet[] = [];
    const ids: ProcessId[] = [];
    const spools = new FakeSpools();
    const own = await cluster.open({ zone: "o", spools, holder: "own" });
    for (const each of route) {
      if (each === "own") ids.push(own.id);
      else {
        const puppet = await openPuppet(cluster, each);
        puppets.push(puppet);
        ids.push(puppet.id);
      }
    }
    for (const each of others) puppets.push(await openPuppet(cluster, each));
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: ids.length, fragment: { ...fragment, stores } });
    await cluster.within(applySpec(own.transport, spec));
    const members = ids.toSorted((a, b) => (`${a.zone}#${a.suffix}` < `${b.zone}#${b.suffix}` ? -1 : 1));
    const value = encodeRoute({ members, primary: members.indexOf(ids[0]!), endpoints: [] });
    const puts = ids.map((member, slot) => {
      const key = assignmentKey(DEFAULT_ROOT, { item: J, member, slot });
      return { kind: "put", key, value } as const;
    });
    await cluster.coordination.txn({ compare: [], success: puts }, never);
    for (let i = 0; i < 20; i++) await settle();
    const write = async (begin: number, content: string): Promise<void> => {
      const spool = spools.spools.get(J)!;
      if (begin > spool.pendingEnd) spool.roll(begin);
      const append = spool.openAppend();
      await append.write(utf8(content), never);
      await new Promise<void>((done) => append.commit(undefined, () => done()));
    };
    const confirm = (end: number): void => spools.spools.get(J)!.confirm(end);
    const { journals } = await own.transport.list({ selector: ANY_LABELS, watch: false }, never);
    const { createRevision } = journals[0]!;
    await run({
      cluster,
      own,
      puppets,
      trace: (fields = {}) => cluster.within(traceOf(own, readRequest(J, fields))),
      write: async (begin, content) => {
        await write(begin, content);
        confirm(begin + content.length);
      },
      hide: (content) => {
        spools.spools.get(J)!.hide(0);
        return write(0, content);
      },
      confirm,
      put: async (begin, content) => {
        const sum = createHash("sha1").update(content).digest("hex");
        const end = begin + content.length;
        const path = contentPath(newFragment({ journal: J, begin, end, sum, compressionCodec: "NONE" }));
        await store!.put(path, once(utf8(content)), {}, never);
      },
      list: async (segments) => {
        const tail = { kind: "held" } as const;
        const value = encodeHolders({ createRevision, list: { segments, tail } })!;
        const put = { kind: "put", key: keyOf(holdersKey(DEFAULT_ROOT, J)), value } as const;
        await cluster.coordination.txn({ compare: [], success: [put] }, never);
      },
    });
  } finally {
    await cluster.close();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function traceOf(own: ClusterMember, request: ReadRequest): Promise<string[]> {
  const lines: string[] = [];
  for await (const message of own.transport.read(request, never)) lines.push(short(message));
  return lines;
}

function short({ status, header, offset, writeHead, fragment, content }: ReadResponse): string {
  if (content !== undefined) return `${offset} "${text(content)}"`;
  const span = fragment === undefined ? "" : ` [${fragment.begin},${fragment.end})`;
  return `${status}${header === undefined ? "" : " header"} ${offset} of ${writeHead}${span}`;
}

const has = (content: string, begin = 0): Required<Pick<PuppetOptions, "read">> => ({
  read: (request) => serves(request, content, begin),
});

describe("a replica that is behind its primary", () => {
  const primary = { suffix: "primary", ...has(CONTENT) };

  test("what it does not know of yet -> from the primary, and the head is the primary's", async () => {
    await onStage({ route: [primary, "own"] }, async ({ trace, write, puppets }) => {
      await write(0, "0123");
      const rest = ["OK 4 of 10 [0,10)", '4 "456789"', "OFFSET_NOT_YET_AVAILABLE 10 of 10"];
      assert.deepEqual(await trace(), ["OK header 0 of 4 [0,4)", '0 "0123"', ...rest]);
      assert.deepEqual(await trace({ offset: 4, endOffset: 6 }), ["OK header 4 of 10 [0,10)", '4 "45"']);
      assert.deepEqual(await trace({ offset: 4, metadataOnly: true }), ["OK header 4 of 10 [0,10)"]);
      assert.deepEqual(await trace({ offset: -1 }), ["OFFSET_NOT_YET_AVAILABLE header 10 of 10"]);
      assert.deepEqual(await trace({ offset: 0, endOffset: 3 }), ["OK header 0 of 4 [0,4)", '0 "012"']);
      assert.ok(puppets[0]!.requests.every(({ doNotProxy, header }) => doNotProxy && header !== undefined));
    });
  });

  test("its primary is so no more, and says so -> the other members are asked, one of them knows", async () => {
    const former = {
      suffix: "former",
      read: (request: ReadRequest) => {
        const { header } = request;
        const { members } = header!.route;
        const primary = members.findIndex(({ suffix }) => suffix === "next");
        const told = { ...header!, route: { ...header!.route, primary } };
        return serves({ ...request, header: told }, "0123");
      },
    };
    const next = { suffix: "next", ...has(CONTENT) };
    await onStage({ route: [former, "own", next] }, async ({ trace, write }) => {
      await write(0, "0123");
      assert.deepEqual(await trace({ offset: 4 }), [
        "OK header 4 of 10 [0,10)",
        '4 "456789"',
        "OFFSET_NOT_YET_AVAILABLE 10 of 10",
      ]);
    });
  });

  test("the primary does not answer -> as far as the replica knows", async () => {
    await onStage({ route: [primary, "own"] }, async ({ cluster, own, trace, write, puppets }) => {
      await write(0, "0123");
      const known = ["OK header 0 of 4 [0,4)", '0 "0123"', "OFFSET_NOT_YET_AVAILABLE 4 of 4"];
      cluster.network.cut(own.id, puppets[0]!.id);
      assert.deepEqual(await trace(), known);
      cluster.network.heal(own.id, puppets[0]!.id);
      cluster.network.refuse(puppets[0]!.id);
      assert.deepEqual(await trace(), known);
    });
  });

  test("a reader that waits -> told by the replica, which asks now and then", async () => {
    await onStage({ route: [primary, "own"] }, async ({ cluster, own, write, puppets }) => {
      const reading = traceOf(own, readRequest(J, { block: true, endOffset: 8 }));
      await cluster.agenda.advance(500);
      await write(0, "0123");
      await cluster.agenda.advance(400);
      assert.equal(puppets[0]!.requests.length, 0);
      const lines = await cluster.within(reading);
      assert.deepEqual(lines.slice(-2), ["OK 4 of 10 [0,10)", '4 "4567"']);
      assert.equal(puppets[0]!.requests.length, 1);
    });
  });

  test("another member asks -> nobody else is asked for it", async () => {
    await onStage({ route: [primary, "own"] }, async ({ cluster, own, puppets }) => {
      const caller = { zone: "p", suffix: "caller" };
      const { header } = await own.transport.listFragments(newFragmentsRequest({ journal: J }), never);
      const request = readRequest(J, { doNotProxy: true, header: { ...header, processId: own.id } });
      const lines: string[] = [];
      const calls = cluster.network.of(caller).proxied({ id: own.id, endpoint: "" });
      const read = async (): Promise<void> => {
        for await (const message of calls.read(request, never)) lines.push(short(message));
      };
      await cluster.within(read());
      assert.deepEqual(lines, ["OFFSET_NOT_YET_AVAILABLE header 0 of 0"]);
      assert.equal(puppets[0]!.requests.length, 0);
    });
  });
});

describe("bytes from before a member joined", () => {
  const own = "own" as const;

  test("another member has them -> lent, then its own; the lender goes away -> the next lends", async () => {
    const stuck: PuppetOptions = {
      suffix: "stuck",
      read: async function* (request) {
        for await (const message of serves(request, "012")) {
          if (message.status === "OK") yield message;
        }
        await new Promise(() => undefined);
      },
    };
    const good = { suffix: "good-x", ...has("01234") };
    await onStage({ route: [stuck, own, good] }, async ({ cluster, own: member, trace, write, puppets }) => {
      await write(5, "56789");
      const reading = trace();
      await settle();
      cluster.network.break(member.id, puppets[0]!.id);
      cluster.network.refuse(puppets[0]!.id);
      assert.deepEqual(await reading, [
        "OK header 0 of 10 [0,3)",
        '0 "012"',
        "OK 3 of 10 [0,5)",
        '3 "34"',
        "OK 5 of 10 [5,10)",
        '5 "56789"',
        "OFFSET_NOT_YET_AVAILABLE 10 of 10",
      ]);
    });
  });

  const fetches = (content: string, begin: number): NonNullable<PuppetOptions["fetch"]> => {
    return async function* ({ begin: from, end }) {
      yield utf8(content.slice(from - begin, end - begin));
    };
  };

  test("only a broker that left the route has them, and the list names it -> fetched from there", async () => {
    const old = { suffix: "old-x", holder: "old", fetch: fetches("01234", 0) };
    const empty = { suffix: "empty", holder: "new", ...has("56789", 5) };
    await onStage({ route: [empty, own], others: [old] }, async ({ trace, write, list }) => {
      await write(5, "56789");
      await list([
        { epoch: 1, begin: 0, members: ["gone", "old"] },
        { epoch: 2, begin: 5, members: ["new", "own"] },
      ]);
      const lines = await trace({ offset: 2 });
      assert.deepEqual(lines.slice(0, 4), [
        "OK header 2 of 10 [2,5)",
        '2 "234"',
        "OK 5 of 10 [5,10)",
        '5 "56789"',
      ]);
    });
  });

  test("a holder has only the begin of a span that was pruned behind it -> fetched, not passed over", async () => {
    const partOf: NonNullable<PuppetOptions["fetch"]> = async function* ({ begin, end }) {
      if (end > 3) throw new WireError("NOT_FOUND", "not all on this disk");
      yield utf8("012".slice(begin, end));
    };
    const old = { suffix: "old-x", holder: "old", fetch: partOf };
    const other = { suffix: "other", holder: "new", ...has("56789", 5) };
    const options = { route: [other, own], others: [old], stores: [STORE] };
    await onStage(options, async ({ cluster, trace, list, put }) => {
      await put(5, "56789");
      await cluster.agenda.advance(660_000);
      await list([
        { epoch: 1, begin: 0, members: ["old"] },
        { epoch: 2, begin: 5, members: ["new", "own"] },
      ]);
      const lines = await trace();
      assert.equal(lines.filter((line) => line.includes('"')).join(" "), '0 "012" 5 "56789"');
    });
  });

  test("whoever the list names is away -> not yet there, rather than passed over as pruned", async () => {
    const other = { suffix: "other", holder: "new", ...has("56789", 5) };
    await onStage({ route: [other, own], stores: [STORE] }, async ({ cluster, trace, list, put }) => {
      await put(5, "56789");
      await cluster.agenda.advance(660_000);
      await list([
        { epoch: 1, begin: 0, members: ["gone"] },
        { epoch: 2, begin: 5, members: ["new", "own"] },
      ]);
      assert.deepEqual(await trace(), ["OFFSET_NOT_YET_AVAILABLE header 0 of 10"]);
      // A member of the segment that does not have them: they are in no disk's keeping any more.
      await list([{ epoch: 2, begin: 0, members: ["new", "own"] }]);
      assert.deepEqual((await trace())[0], "OK header 5 of 10 [5,10)");
    });
  });

  test("a store has had them for a moment, and nobody else -> the store is listed once more", async () => {
    const other = { suffix: "other", ...has("56789", 5) };
    await onStage({ route: [other, own], stores: [STORE] }, async ({ cluster, trace, put }) => {
      await put(5, "56789");
      await cluster.agenda.advance(660_000);
      await put(0, "01234");
      assert.deepEqual((await trace()).slice(0, 2), ["OK header 0 of 10 [0,5)", '0 "01234"']);
    });
  });
});

describe("bytes that a restart has found, hidden, and a store has what follows them", () => {
  const silent = { suffix: "silent", holder: "other" };
  const options: StageOptions = { route: [silent, "own"], stores: [STORE] };

  async function withHidden(run: (stage: Stage) => Promise<void>): Promise<void> {
    await onStage(options, async (stage) => {
      const { cluster, put, hide, list } = stage;
      await put(5, "56789");
      await cluster.agenda.advance(660_000);
      await list([{ epoch: 1, begin: 0, members: ["other", "own"] }]);
      await hide("01234");
      await run(stage);
    });
  }

  test("a reader -> is not led past them, and reads them once they are shown", async () => {
    await withHidden(async ({ cluster, own, trace, confirm }) => {
      for (const fields of [{}, { offset: 3 }, { offset: 3, metadataOnly: true }])
        await assert.rejects(trace(fields), { code: "UNAVAILABLE" }, JSON.stringify(fields));
      const waiting = traceOf(own, readRequest(J, { block: true, endOffset: 10 }));
      const asking = trace({ endOffset: 10 });
      await cluster.agenda.advance(1000);
      confirm(5);
      const all = ["OK header 0 of 10 [0,5)", '0 "01234"', "OK 5 of 10 [5,10)", '5 "56789"'];
      assert.deepEqual(await cluster.within(waiting), all);
      assert.deepEqual(await asking, all);
    });
  });

  test("they are shown while the list is read -> read, neither passed over nor said not to be there", async () => {
    await withHidden(async ({ cluster, trace, confirm }) => {
      const { coordination } = cluster;
      const txn = coordination.txn.bind(coordination);
      let reads = 0;
      coordination.txn = async (request, signal) => {
        const answer = await txn(request, signal);
        // The first one is for who has them, the second one for where the journal ends.
        if (request.success.every(({ kind }) => kind !== "range") || ++reads < 2) return answer;
        confirm(5);
        return { ...answer, results: answer.results.map((each) => ({ ...each, kvs: [] })) };
      };
      assert.deepEqual((await trace({ endOffset: 5 }))[0], "OK header 0 of 10 [0,5)");
      assert.equal(reads, 2);
    });
  });

  test("another member asks -> told at once that it cannot be said", async () => {
    await withHidden(async ({ cluster, own, puppets }) => {
      const caller = puppets[0]!.id;
      const { header } = await own.transport.listFragments(newFragmentsRequest({ journal: J }), never);
      const request = readRequest(J, { doNotProxy: true, header: { ...header, processId: own.id } });
      const calls = cluster.network.of(caller).proxied({ id: own.id, endpoint: "" });
      const read = async (): Promise<void> => {
        for await (const message of calls.read(request, never)) assert.fail(short(message));
      };
      await assert.rejects(cluster.within(read()), { code: "UNAVAILABLE" });
    });
  });

  test("no segment names anybody for them -> passed over: nobody has acknowledged them", async () => {
    await withHidden(async ({ trace, list }) => {
      await list([{ epoch: 2, begin: 5, members: ["other", "own"] }]);
      assert.deepEqual(await trace({ endOffset: 10 }), ["OK header 5 of 10 [5,10)", '5 "56789"']);
    });
  });
});
