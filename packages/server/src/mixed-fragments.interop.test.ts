// What brokers of Gazette's and ours leave behind for each other: fragments in a store, keys and values in etcd.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { peerProgram } from "@millrace/base/testkit";
import { appendOnce, applyJournals, readJournal } from "@millrace/client";
import { prefixRange } from "@millrace/metadata";
import {
  decodeAssignmentValue,
  decodeBrokerSpec,
  decodeJournalSpec,
  newFragmentsRequest,
  parseEntityKey,
  upsertChange,
  type BrokerSpec,
  type CompressionCodec,
  type JournalSpec,
  type Route,
} from "@millrace/protocol";
import { BUCKET, startMinio } from "@millrace/stores/testkit";
import { releaseCluster } from "./test-cluster.ts";
import { runProgram } from "./test-lost-holder.ts";
import {
  missingPeer,
  MixedCluster,
  mixedSpec,
  releaseMixed,
  type BrokerKind,
  type MixedBroker,
} from "./test-mixed-cluster.ts";
import { BIN, until } from "./test-platform.ts";

const skip = missingPeer;
const minio = peerProgram("minio");
/** Gazette's peer is built without Zstandard; this one with it. */
const WITH_ZSTANDARD = "gazette-zstd";
const CODECS: readonly CompressionCodec[] = ["NONE", "GZIP", "SNAPPY"];
/** Nobody waits for ever for a peer. */
const CALL_MS = 20_000;
const KINDS: readonly BrokerKind[] = ["go", "millrace"];
const PORTS = { clock: systemClock, logger: silentLogger } as const;
const FRAGMENTS = 3;

afterEach(async () => {
  await releaseMixed();
  await releaseCluster();
});

/** Compressible in part, and never the same. */
function content(journal: string, fragment: number): Uint8Array {
  return utf8(Array.from({ length: 3000 }, (_, i) => `${journal} ${fragment} ${i * 7919}\n`).join(""));
}

test("fragments that one wrote are read by the other, in each codec", { skip, timeout: 120_000 }, () =>
  exchanged(CODECS, {}),
);

test(
  "fragments that one wrote are read by the other, in Zstandard",
  { skip: skip === false ? peerProgram(WITH_ZSTANDARD).missing : skip, timeout: 120_000 },
  () => exchanged(["ZSTANDARD"], { gazette: WITH_ZSTANDARD }),
);

test(
  "fragments that one put into a bucket are read by the other, also where the store's URL renames them",
  { skip: skip === false ? minio.missing : skip, timeout: 120_000 },
  async () => {
    const server = await startMinio(minio.path);
    try {
      const store = `s3://${BUCKET}/a/prefix/?endpoint=${server.address}&region=us-east-1&find=go/&replace=went/`;
      await exchanged(["GZIP"], { store });
    } finally {
      await server.stop();
    }
  },
);

test(
  "prune by either program at either kind of broker -> the oldest fragments are gone from the bucket",
  { skip: skip === false ? minio.missing : skip, timeout: 180_000 },
  async () => {
    const server = await startMinio(minio.path);
    try {
      const store = `s3://${BUCKET}/?endpoint=${server.address}&region=us-east-1`;
      const cluster = await MixedCluster.started([], {});
      for (const kind of KINDS) {
        const broker = await cluster.add(kind, `/${kind}/prunes`);
        for (const program of ["gazctl", "millrace"] as const) {
          const journal = `${kind}/${program}`;
          await pruned(program, journal, store, { address: broker.address, at: cluster.transport(broker) });
        }
      }
    } finally {
      await server.stop();
    }
  },
);

/** Three fragments in the store; what may go is named first, then goes, and the rest is read. */
async function pruned(
  program: "gazctl" | "millrace",
  journal: string,
  store: string,
  { address, at }: { readonly address: string; readonly at: ReturnType<MixedCluster["transport"]> },
): Promise<void> {
  const { fragment } = mixedSpec(journal);
  const stored = { ...fragment, length: 1 << 15, stores: [store], retentionMs: 1 };
  await applyJournals(at, [upsertChange(mixedSpec(journal, { replication: 1, fragment: stored }), 0)], never);
  const parts = Array.from({ length: FRAGMENTS }, (_, i) => content(journal, i));
  for (const part of parts) await write(at, journal, part);
  // The last one is complete once something is written behind it.
  await write(at, journal, utf8("behind"));
  const begins = async (): Promise<readonly number[]> => {
    const request = newFragmentsRequest({ journal });
    const { fragments } = await at.listFragments(request, AbortSignal.timeout(CALL_MS));
    return fragments.filter(({ spec }) => spec.backingStore !== "").map(({ spec }) => spec.begin);
  };
  let last: readonly number[] = [];
  const has = (what: string, isSo: () => boolean): Promise<void> =>
    until(
      () => `${journal}: ${what}: ${last.join(", ")}`,
      30_000,
      async () => {
        last = await begins();
        return isSo();
      },
      100,
    );
  await has("three fragments are in the store", () => last.length === FRAGMENTS);
  const [, second] = last;
  const file = program === "gazctl" ? peerProgram("gazctl").path : BIN;
  const args = ["journals", "prune", "-l", `name=${journal}`, `--broker.address=${address}`];
  await runProgram(file, [...args, "--dry-run"]);
  assert.equal((await begins()).length, FRAGMENTS, "a dry run removes nothing");
  // A fragment that was stored in this second is not old enough for everybody.
  let said = "";
  await until(
    () => `${journal}: all but the newest are gone: ${last.join(", ")}; ${said}`,
    30_000,
    async () => {
      said = await runProgram(file, args);
      last = await begins();
      return !last.includes(0) && !last.includes(second!);
    },
    500,
  );
  // Gazette's tool may remove the last one too.
  if (program === "millrace") assert.equal(last.length, 1, "the newest stays");
}

interface Exchange {
  readonly gazette?: string;
  readonly store?: string;
}

async function exchanged(
  codecs: readonly CompressionCodec[],
  { gazette, store = "file:///" }: Exchange,
): Promise<void> {
  const cluster = await MixedCluster.started([], { gazette });
  const alone = new Map<BrokerKind, MixedBroker>();
  // Each in a cluster of its own, over one store: nothing but the store leads from one to the other.
  for (const kind of KINDS) alone.set(kind, await cluster.add(kind, `/${kind}/alone`));
  for (const writer of KINDS) {
    const [own, other] = [alone.get(writer)!, alone.get(writer === "go" ? "millrace" : "go")!];
    for (const codec of codecs) {
      const name = `${writer}/${codec.toLowerCase()}`;
      const { fragment } = mixedSpec(name);
      const spec = mixedSpec(name, {
        replication: 1,
        fragment: { ...fragment, length: 1 << 16, compressionCodec: codec, stores: [store] },
      });
      const written = cluster.transport(own);
      await applyJournals(written, [upsertChange(spec, 0)], never);
      const parts = Array.from({ length: FRAGMENTS }, (_, i) => content(name, i));
      for (const part of parts) await write(written, name, part);
      const whole = Buffer.concat(parts);
      // The last one is complete once something is written behind it.
      await write(written, name, utf8("behind"));
      await until(
        () => `${writer} puts ${name} into the store`,
        30_000,
        async () => {
          const request = newFragmentsRequest({ journal: name });
          const { fragments } = await written.listFragments(request, AbortSignal.timeout(CALL_MS));
          const stored = fragments.filter(({ spec }) => spec.backingStore !== "");
          return stored.at(-1)?.spec.end === whole.length;
        },
        100,
      );
      const reader = cluster.transport(other);
      await applyJournals(reader, [upsertChange(spec, 0)], never);
      const read: Uint8Array[] = [];
      const from = { journal: name, offset: 0, block: true };
      for await (const event of readJournal(
        { transport: reader, ...PORTS },
        from,
        AbortSignal.timeout(30_000),
      )) {
        assert.equal(event.kind, "content", name);
        if (event.kind === "content") read.push(Uint8Array.from(event.bytes));
        if (read.reduce((sum, { length }) => sum + length, 0) >= whole.length) break;
      }
      assert.ok(whole.equals(Buffer.concat(read)), `${other.kind} reads what ${writer} wrote with ${codec}`);
    }
  }
}

async function write(
  transport: ReturnType<MixedCluster["transport"]>,
  journal: string,
  bytes: Uint8Array,
): Promise<void> {
  await until(
    () => `${journal} takes an append`,
    30_000,
    async () => {
      try {
        await appendOnce(
          transport,
          journal,
          { kind: "bytes", bytes: [bytes], isUnsummed: true },
          {},
          AbortSignal.timeout(CALL_MS),
        );
        return true;
      } catch (error) {
        if (/INSUFFICIENT_JOURNAL_BROKERS|NO_JOURNAL_PRIMARY_BROKER|JOURNAL_NOT_FOUND/.test(String(error)))
          return false;
        throw error;
      }
    },
    50,
  );
}

interface Stored {
  readonly items: ReadonlyMap<string, JournalSpec>;
  readonly members: ReadonlyMap<string, BrokerSpec>;
  readonly assignments: ReadonlyMap<string, Route>;
}

async function stored({ store, prefix }: MixedCluster): Promise<Stored> {
  const items = new Map<string, JournalSpec>();
  const members = new Map<string, BrokerSpec>();
  const assignments = new Map<string, Route>();
  const { kvs } = await store.range(prefixRange(`${prefix}/`), never);
  for (const { key, value } of kvs) {
    const entity = parseEntityKey(prefix, key);
    const name = key.slice(prefix.length);
    if (entity.kind === "item") items.set(name, decodeJournalSpec(value));
    else if (entity.kind === "member") members.set(name, decodeBrokerSpec(value));
    else assignments.set(name, decodeAssignmentValue(value));
  }
  return { items, members, assignments };
}

test("keys and values in etcd mean the same, whoever wrote them", { skip, timeout: 120_000 }, async () => {
  const seen = new Map<BrokerKind, Stored>();
  for (const kind of KINDS) {
    const cluster = await MixedCluster.started([kind]);
    await cluster.create(["test/one", "test/two"], { replication: 1 });
    const transport = cluster.transport();
    for (const journal of ["test/one", "test/two"]) await write(transport, journal, utf8("hello\n"));
    seen.set(kind, await stored(cluster));
    await cluster.close();
  }
  const [theirs, mine] = KINDS.map((kind) => seen.get(kind)!);
  assert.deepEqual(mine!.items, theirs!.items);
  assert.deepEqual(mine!.assignments, theirs!.assignments);
  assert.deepEqual([...mine!.members.keys()], ["/members/local#broker-1"]);
  assert.deepEqual(unplaced(mine!), unplaced(theirs!));
  assert.equal(theirs!.members.get("/members/local#broker-1")!.holder, "");
  assert.notEqual(mine!.members.get("/members/local#broker-1")!.holder, "", "which Gazette's brokers skip");
});

/** Members without where they listen, and without what is ours. */
function unplaced({ members }: Stored): readonly unknown[] {
  return [...members].map(([key, spec]) => [
    key,
    { ...spec, endpoint: new URL(spec.endpoint).hostname, holder: "" },
  ]);
}
