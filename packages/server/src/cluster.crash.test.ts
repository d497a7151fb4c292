// Three brokers as real processes on one etcd, journals with three replicas, and one misfortune after the other, drawn
// from a seed: kill -9, SIGSTOP past the lease and shorter, etcd cut off from one broker, etcd killed. Appends must go
// on after each, and in the end every writer's book is compared with what each broker reads.
//
// MILLRACE_CRASH_SEED repeats the choices (not their timing), MILLRACE_CRASH_CLUSTER_SECONDS makes it longer.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom, type Random } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { GrpcTransport } from "@millrace/client";
import { TcpProxy } from "@millrace/metadata/testkit";
import { ClusterLoad } from "./test-cluster-load.ts";
import {
  missingEtcd,
  releaseCluster,
  soundDirectory,
  testEtcd,
  TestBrokerProcess,
  type TestEtcd,
} from "./test-cluster.ts";
import { scratch, until } from "./test-platform.ts";

const SECONDS = Number(process.env["MILLRACE_CRASH_CLUSTER_SECONDS"] ?? 180);
const SEED = process.env["MILLRACE_CRASH_SEED"] ?? String(systemRandom.u32());
const BROKERS = 3;
const JOURNALS = 6;
const LEASE_SECONDS = 3;
/** Appends of each journal between two misfortunes. */
const BETWEEN = 2;

after(releaseCluster);

interface Member {
  readonly proxy: TcpProxy;
  readonly broker: TestBrokerProcess;
}

class World {
  readonly etcd: TestEtcd;
  readonly members: readonly Member[];
  readonly #fileRoot: string;
  readonly #random: Random;

  private constructor(etcd: TestEtcd, fileRoot: string, members: readonly Member[], random: Random) {
    this.etcd = etcd;
    this.#fileRoot = fileRoot;
    this.members = members;
    this.#random = random;
  }

  static async open(random: Random): Promise<World> {
    const etcd = await testEtcd(missingEtcd("etcd's own") === false ? "etcd's own" : "ours");
    await etcd.run();
    const fileRoot = scratch();
    const members: Member[] = [];
    for (let i = 0; i < BROKERS; i++) {
      const proxy = await TcpProxy.to(etcd.port);
      const address = `http://127.0.0.1:${proxy.port}`;
      const flags = ["--etcd.lease", `${LEASE_SECONDS}s`, "--broker.segment-size", "4MiB"];
      members.push({ proxy, broker: await TestBrokerProcess.started({ etcd: address, fileRoot, flags }) });
    }
    return new World(etcd, fileRoot, members, random);
  }

  /** @returns what happened */
  async misfortune(): Promise<string> {
    const i = this.#random.below(BROKERS);
    const { broker, proxy } = this.members[i]!;
    switch (this.#random.below(5)) {
      case 0:
        await broker.kill();
        await broker.start();
        return `broker ${i} killed`;
      case 1:
        broker.freeze();
        await sleep((LEASE_SECONDS * 2 + 1) * 1000);
        broker.thaw();
        await revive(broker);
        return `broker ${i} stopped past its lease`;
      case 2:
        broker.freeze();
        await sleep(300 + this.#random.below(1000));
        broker.thaw();
        return `broker ${i} stopped for a moment`;
      case 3:
        proxy.refuse();
        await sleep(300 + this.#random.below(1500));
        proxy.forward();
        return `broker ${i} cut off from etcd`;
      default:
        await this.etcd.kill();
        await this.etcd.run();
        return "etcd killed";
    }
  }

  /** Whoever ended itself because its lease was over comes back. */
  async reviveAll(): Promise<void> {
    for (const { broker } of this.members) if (broker.life.exit !== undefined) await broker.start();
  }

  /** Every broker is killed, and the doctor finds nothing wrong with what it leaves. */
  async close(): Promise<void> {
    for (const { broker, proxy } of this.members) {
      await broker.kill();
      await proxy.close();
    }
    for (const { broker } of this.members) await soundDirectory(broker, this.#fileRoot);
    await this.etcd.close();
  }
}

/** It ends itself once it knows that its lease is over, and is started again. */
async function revive(broker: TestBrokerProcess): Promise<void> {
  await until("it ends itself", 60_000, () => broker.life.exit !== undefined);
  await broker.start();
}

test(`three brokers, misfortunes of seed ${SEED} -> appends go on, and nothing is lost`, async (t) => {
  const random = seededRandom(SEED);
  const world = await World.open(random);
  const transports: GrpcTransport[] = world.members.map(({ broker }) => broker.transport());
  const loads: ClusterLoad[] = [];
  for (const [i, transport] of transports.entries()) {
    const options = { prefix: `storm/${i}`, journals: JOURNALS / BROKERS, replication: BROKERS };
    loads.push(
      await ClusterLoad.start(transport, { ...options, store: "file:///fragments/", length: 256 * 1024 }),
    );
  }
  const goOn = async (what: string): Promise<void> => {
    for (const load of loads) await load.goesOn(BETWEEN, 120_000, what);
  };
  const endMs = performance.now() + SECONDS * 1000;
  const seen = new Map<string, number>();
  await goOn("the start");
  do {
    const what = await world.misfortune();
    seen.set(what, (seen.get(what) ?? 0) + 1);
    await world.reviveAll();
    await goOn(what);
    await world.reviveAll();
  } while (performance.now() < endMs);
  for (const load of loads) await load.pause();
  for (const [i, load] of loads.entries()) {
    for (const transport of transports) await load.check(transport);
    t.diagnostic(`writers at broker ${i}: ${load.describe()}`);
  }
  t.diagnostic([...seen].map(([what, count]) => `${what}: ${count}`).join(", "));
  assert.ok(loads.every((load) => load.acknowledged > 0));
  for (const transport of transports) await transport.close();
  await world.close();
});
