// Brokers of Gazette's and ours in one cluster: members are killed and drained under the load of Gazette's own client,
// and nothing that was acknowledged is lost.
import assert from "node:assert/strict";
import { afterEach, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { never, utf8, WireError } from "@millrace/base";
import { decodeHolders, holdersKey } from "@millrace/broker";
import { appendOnce } from "@millrace/client";
import { prefixRange } from "@millrace/metadata";
import { EMPTY_LABELS, type LabelSet } from "@millrace/protocol";
import { releaseCluster } from "./test-cluster.ts";
import {
  GazetteLoad,
  missingPeer,
  MixedCluster,
  releaseMixed,
  type BrokerKind,
} from "./test-mixed-cluster.ts";
import { until } from "./test-platform.ts";

const skip = missingPeer;
/** Between a change and the next one, once everybody has his place. */
const STEADY_MS = 1500;

afterEach(async () => {
  await releaseMixed();
  await releaseCluster();
});

interface Mix {
  readonly kinds: readonly BrokerKind[];
  /** Of brokers, by number. */
  readonly steps: readonly (readonly ["kill" | "drain", number])[];
}

const MIXES: readonly Mix[] = [
  {
    kinds: ["go", "go", "millrace", "millrace"],
    steps: [
      ["kill", 0],
      ["drain", 2],
      ["kill", 3],
      ["drain", 1],
    ],
  },
  {
    kinds: ["go", "millrace", "millrace", "millrace"],
    steps: [
      ["kill", 1],
      ["drain", 0],
      ["kill", 2],
    ],
  },
  {
    kinds: ["go", "go", "go", "millrace"],
    steps: [
      ["kill", 3],
      ["drain", 0],
      ["kill", 1],
      ["drain", 3],
    ],
  },
];

for (const { kinds, steps } of MIXES) {
  const what = steps.map(([how, which]) => `${how} ${kinds[which]}`).join(", ");
  const theirs = kinds.filter((kind) => kind === "go").length;
  const who = `${theirs} Go and ${kinds.length - theirs} Millrace brokers, R=3`;
  const name = `${who}: ${what} -> nothing acknowledged is lost`;
  test(name, { skip, timeout: 240_000 }, async (t) => {
    const cluster = await MixedCluster.started(kinds);
    const loads = ["a", "b", "c"].map((name) => new GazetteLoad(`mixed/${name}`));
    await cluster.create(loads.map(({ journal }) => journal));
    for (const [how, which] of steps) {
      const broker = cluster.brokers[which]!;
      // Through another one, and through others each time.
      const others = cluster.alive.filter((one) => one !== broker);
      for (const [i, load] of loads.entries()) load.start(others[(i + which) % others.length]!, 4);
      await sleep(STEADY_MS);
      if (how === "kill") await broker.kill();
      else await broker.drain();
      await cluster.settled();
      await broker.start();
      await cluster.settled();
      await report(t, `${how} ${broker.kind}`, loads);
    }
    await allStands(t, cluster, loads);
  });
}

async function report(t: TestContext, what: string, loads: readonly GazetteLoad[]): Promise<void> {
  const ended = await Promise.all(loads.map((load) => load.ended()));
  t.diagnostic(`${what}: ${ended.map((one) => JSON.stringify(one)).join(" ")}`);
}

async function allStands(
  t: TestContext,
  cluster: MixedCluster,
  loads: readonly GazetteLoad[],
): Promise<void> {
  for (const load of loads) {
    load.start(cluster.alive[0]!, 0.5);
    const { appends } = await load.ended();
    assert.ok(appends > 0, `${load.journal} takes appends in the end`);
    const figures = await load.verify(cluster);
    assert.ok(figures["acknowledged"]! > 100, "it was a load");
    t.diagnostic(`${load.journal}: ${JSON.stringify(figures)}`);
  }
}

test(
  "Go brokers are replaced by ours one at a time -> ends and registers survive, and lists begin anew",
  { skip, timeout: 240_000 },
  async (t) => {
    const cluster = await MixedCluster.started(["go", "go", "go"]);
    const loads = ["a", "b"].map((name) => new GazetteLoad(`roll/${name}`));
    const journals = loads.map(({ journal }) => journal);
    await cluster.create(journals);
    for (const journal of journals) await mark(cluster, journal, "first", undefined);
    for (const old of cluster.alive) {
      const next = await cluster.add("millrace");
      for (const load of loads) load.start(next, 4);
      await sleep(STEADY_MS);
      await old.drain();
      await cluster.settled();
      await report(t, `${old.id} -> ${next.id}`, loads);
    }
    for (const journal of journals) {
      await mark(cluster, journal, "second", "first");
      assert.equal(await tailOf(cluster, journal), "held", journal);
    }
    await allStands(t, cluster, loads);
  },
);

test(
  "ours are replaced by Go brokers one at a time -> none waits for ever, and nothing that was acknowledged is lost",
  { skip, timeout: 240_000 },
  async (t) => {
    const cluster = await MixedCluster.started(["millrace", "millrace", "millrace"]);
    const loads = ["a", "b"].map((name) => new GazetteLoad(`back/${name}`));
    await cluster.create(loads.map(({ journal }) => journal));
    for (const old of cluster.alive) {
      const next = await cluster.add("go");
      for (const load of loads) load.start(next, 4);
      await sleep(STEADY_MS);
      await old.drain();
      await cluster.settled();
      await report(t, `${old.id} -> ${next.id}`, loads);
    }
    assert.deepEqual(new Set(cluster.alive.map(({ kind }) => kind)), new Set(["go"]));
    await allStands(t, cluster, loads);
  },
);

/** Sets a register, which must have been `before`. */
async function mark(
  cluster: MixedCluster,
  journal: string,
  value: string,
  before: string | undefined,
): Promise<void> {
  const transport = cluster.transport();
  const is = (text: string): LabelSet => ({ labels: [{ name: "marked", value: text, prefix: false }] });
  await until(
    () => `${journal} takes the mark ${value}`,
    30_000,
    async () => {
      // Fewer words than a record of the load has.
      const line = { kind: "bytes", bytes: [utf8("marked\n")], isUnsummed: true } as const;
      const checked =
        before === undefined ? {} : { checkRegisters: { include: is(before), exclude: EMPTY_LABELS } };
      // What was set before has to go, or the register would have both values.
      const options = {
        ...checked,
        unionRegisters: is(value),
        ...(before && { subtractRegisters: is(before) }),
      };
      try {
        await appendOnce(transport, journal, line, options, AbortSignal.timeout(20_000));
        return true;
      } catch (error) {
        if (error instanceof WireError && error.code === "UNAVAILABLE") return false;
        throw error;
      }
    },
    100,
  );
}

/** What the list of holders says of the newest bytes. */
async function tailOf({ store, prefix }: MixedCluster, journal: string): Promise<string> {
  const { kvs } = await store.range(prefixRange(holdersKey(prefix, journal)), never);
  return decodeHolders(kvs[0]!.value).list.tail.kind;
}
