// What an operator does to a cluster of Gazette's brokers and ours, with Gazette's own tools and through brokers of
// either kind: specs, suspension, a head that is reset. Registers that are taken over, and what a broker that is no
// member reads.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { WireError, utf8 } from "@millrace/base";
import { peerProgram } from "@millrace/base/testkit";
import { appendOnce } from "@millrace/client";
import { EMPTY_LABELS, type LabelSet } from "@millrace/protocol";
import { releaseCluster } from "./test-cluster.ts";
import {
  GazetteLoad,
  missingPeer,
  MixedCluster,
  releaseMixed,
  type BrokerKind,
  type MixedBroker,
} from "./test-mixed-cluster.ts";
import { until } from "./test-platform.ts";

const skip = missingPeer;
const run = promisify(execFile);
const KINDS: readonly BrokerKind[] = ["go", "millrace"];
const CALL_MS = 20_000;

afterEach(async () => {
  await releaseMixed();
  await releaseCluster();
});

/** @returns stdout */
async function gazctl(broker: MixedBroker, args: readonly string[], stdin = ""): Promise<string> {
  const [command, ...rest] = args;
  const given = ["journals", command!, `--broker.address=${broker.address}`, ...rest];
  const env = { ...process.env, GAZ_EDITOR: "sed -i s/4096/8192/" };
  const child = run(peerProgram("gazctl").path, given, { timeout: CALL_MS, env });
  child.child.stdin!.end(stdin);
  return (await child).stdout;
}

/** Makes a broker of the kind the journal's primary, in a cluster of one of each. */
async function lead(cluster: MixedCluster, kind: BrokerKind, journal: string): Promise<void> {
  const [primary] = await cluster.membersOf(journal);
  if (primary!.kind === kind) return;
  await primary!.kill();
  await cluster.settled(1);
  await primary!.start();
  await cluster.settled(2);
  const [now] = await cluster.membersOf(journal);
  assert.equal(now!.kind, kind, `${journal} has a primary of kind ${kind}`);
}

async function append(
  cluster: MixedCluster,
  broker: MixedBroker,
  journal: string,
  text: string,
): Promise<void> {
  await appendOnce(cluster.transport(broker), journal, line(text), {}, AbortSignal.timeout(CALL_MS));
}

/** Appends, again and again: a broker that was restarted may not be connected yet. */
async function takes(cluster: MixedCluster, door: MixedBroker, journal: string, text: string): Promise<void> {
  let last: unknown;
  await until(
    () => `${journal} takes an append at a ${door.kind} broker: ${String(last)}`,
    30_000,
    async () => {
      try {
        await append(cluster, door, journal, text);
        return true;
      } catch (error) {
        last = error;
        return false;
      }
    },
    200,
  );
}

test(
  "gazctl apply, edit, append, suspend through brokers of either kind -> each sees what the other did",
  { skip, timeout: 180_000 },
  async () => {
    const cluster = await MixedCluster.started(KINDS);
    const [theirs, ours] = cluster.brokers as [MixedBroker, MixedBroker];
    for (const [i, [one, other]] of [
      [theirs, ours],
      [ours, theirs],
    ].entries() as Iterable<[number, [MixedBroker, MixedBroker]]>) {
      const name = `mixed/ops-${i}`;
      const fragment = `{length: 4096, compression_codec: NONE, stores: ["file:///"], refresh_interval: 1s}`;
      const spec = `name: ${name}\nreplication: 2\nfragment: ${fragment}\n`;
      const only = ["-l", `name=${name}`];
      await gazctl(one, ["apply", "--specs=-"], spec);
      await cluster.settled(2);
      await gazctl(other, ["edit", ...only]);
      assert.match(await gazctl(one, ["list", ...only, "-o", "yaml"]), /length: 8192/);
      const shown = ["list", ...only, "-p", "-r", "--rf"];
      assert.equal(await gazctl(one, shown), await gazctl(other, shown));
      await gazctl(one, ["append", ...only], `${"a".repeat(9000)}\n`);
      await gazctl(other, ["append", ...only], "b\n");
      await gazctl(one, ["suspend", ...only, "--force"]);
      await until(
        () => `${name} is suspended, and both say so`,
        30_000,
        async () =>
          (await Promise.all([one, other].map((door) => gazctl(door, shown)))).every((said) =>
            said.includes("<S>"),
          ),
        200,
      );
      // Whoever comes first resumes it.
      await takes(cluster, other, name, "c\n");
      const whole = `${"a".repeat(9000)}\nb\nc\n`;
      await until(
        () => `both read all of ${name}`,
        30_000,
        async () => {
          const read = await Promise.all([one, other].map((door) => gazctl(door, ["read", ...only])));
          return read.every((text) => text.replace(/(?:c\n)+$/, "c\n") === whole);
        },
        200,
      );
    }
  },
);

for (const kind of KINDS) {
  test(
    `a store has more than a ${kind} primary -> appends are refused by either door, until gazctl resets the head`,
    { skip, timeout: 180_000 },
    async () => {
      const cluster = await MixedCluster.started(KINDS);
      const name = `mixed/head-${kind}`;
      await cluster.create([name], { replication: 2 });
      await lead(cluster, kind, name);
      for (const door of cluster.brokers) await takes(cluster, door, name, "before\n");
      cluster.putFragment(name, 0, randomBytes(5000));
      const refused = async (door: MixedBroker): Promise<boolean> =>
        append(cluster, door, name, "").then(
          () => false,
          (error: unknown) => /INDEX_HAS_GREATER_OFFSET/.test(String(error)),
        );
      for (const door of cluster.brokers)
        await until(
          () => `${door.kind} refuses`,
          30_000,
          () => refused(door),
          200,
        );
      const [first] = cluster.brokers;
      // gazctl takes the head that the broker knows of which it asks, and that one may not have listed the store yet.
      await until(
        () => "the head is reset",
        60_000,
        async () => {
          await gazctl(first!, ["reset-head", "-l", `name=${name}`]);
          return !(await refused(first!));
        },
        1000,
      );
      for (const door of cluster.brokers) await takes(cluster, door, name, "behind\n");
      const said = await gazctl(first!, ["read", "-l", `name=${name}`]);
      assert.match(said, /(?:behind\n){2,}$/);
    },
  );
}

test(
  "a broker of ours that is no member -> reads at the member that has it, not at a Go broker that has just come",
  { skip, timeout: 180_000 },
  async () => {
    const cluster = await MixedCluster.started(["go", "go", "go"]);
    const door = await cluster.add("millrace", undefined, ["--broker.limit=0"]);
    const name = "mixed/late";
    await cluster.create([name], { replication: 2 });
    await takes(cluster, door, name, "before\n");
    const [, replica] = await cluster.membersOf(name);
    await replica!.kill();
    await cluster.settled(2);
    await takes(cluster, door, name, "after\n");
    for (let i = 0; i < 6; i++)
      assert.equal(await gazctl(door, ["read", "-l", `name=${name}`]), "before\nafter\n", `read ${i}`);
  },
);

test(
  "Gazette's AppendService while members of either kind are killed -> nothing acknowledged is lost",
  { skip, timeout: 240_000 },
  async (t) => {
    const cluster = await MixedCluster.started(["go", "millrace", "go", "millrace"]);
    const loads = ["a", "b"].map((name) => new GazetteLoad(`service/${name}`, "service"));
    await cluster.create(loads.map(({ journal }) => journal));
    for (const broker of cluster.brokers) {
      const others = cluster.alive.filter((one) => one !== broker);
      for (const [i, load] of loads.entries()) load.start(others[i]!, 4);
      await sleep(1500);
      await broker.kill();
      await cluster.settled();
      await broker.start();
      await cluster.settled();
      const ended = await Promise.all(loads.map((load) => load.ended()));
      t.diagnostic(`kill ${broker.kind}: ${JSON.stringify(ended)}`);
      for (const { errors } of ended) assert.equal(errors, 0, "the service repeats what failed");
    }
    for (const load of loads) t.diagnostic(JSON.stringify(await load.verify(cluster)));
  },
);

test(
  "registers while primaries of either kind are killed -> each value is taken over once, and only from its predecessor",
  { skip, timeout: 240_000 },
  async () => {
    const cluster = await MixedCluster.started(["go", "millrace", "go", "millrace"]);
    const name = "mixed/registers";
    await cluster.create([name]);
    let value = 0;
    await claim(cluster, name, undefined, value);
    for (const round of [0, 1, 2, 3]) {
      for (let i = 0; i < 5; i++) await claim(cluster, name, value, ++value);
      const [primary] = await cluster.membersOf(name);
      await primary!.kill();
      // While it is away, and once it is back.
      await claim(cluster, name, value, ++value);
      await primary!.start();
      await cluster.settled();
      await claim(cluster, name, value, ++value);
      assert.equal(
        await isRefused(cluster, name, value - 1),
        true,
        `round ${round}: an old value is refused`,
      );
    }
  },
);

const holder = (value: number): LabelSet => ({
  labels: [{ name: "holder", value: `v${value}`, prefix: false }],
});

/** Sets the register to `next`, which has to be `before`; an outcome that is unknown is looked up by the next try. */
async function claim(
  cluster: MixedCluster,
  journal: string,
  before: number | undefined,
  next: number,
): Promise<void> {
  const options = {
    ...(before !== undefined && {
      checkRegisters: { include: holder(before), exclude: EMPTY_LABELS },
      subtractRegisters: holder(before),
    }),
    unionRegisters: holder(next),
  };
  let last: unknown;
  await until(
    () => `the register goes from ${before} to ${next}: ${String(last)}`,
    60_000,
    async () => {
      for (const door of cluster.alive) {
        const transport = cluster.transport(door);
        try {
          await appendOnce(transport, journal, line(`v${next}\n`), options, AbortSignal.timeout(CALL_MS));
          return true;
        } catch (error) {
          last = error;
          // An earlier try that was told nothing may have been written.
          if (isMismatch(error)) return !(await isRefused(cluster, journal, next));
        } finally {
          await transport.close();
        }
      }
      return false;
    },
    200,
  );
}

/** Whether an append that needs the register to be `value` is refused for that. */
async function isRefused(cluster: MixedCluster, journal: string, value: number): Promise<boolean> {
  const options = { checkRegisters: { include: holder(value), exclude: EMPTY_LABELS } };
  let refused: boolean | undefined;
  await until(
    () => `the register is compared with ${value}`,
    60_000,
    async () => {
      try {
        await appendOnce(cluster.transport(), journal, line(""), options, AbortSignal.timeout(CALL_MS));
        refused = false;
      } catch (error) {
        if (!isMismatch(error)) return false;
        refused = true;
      }
      return true;
    },
    200,
  );
  return refused!;
}

function isMismatch(error: unknown): boolean {
  return error instanceof WireError && error.code === "REGISTER_MISMATCH";
}

function line(text: string): {
  readonly kind: "bytes";
  readonly bytes: readonly Uint8Array[];
  readonly isUnsummed: true;
} {
  return { kind: "bytes", bytes: text === "" ? [] : [utf8(text)], isUnsummed: true };
}
