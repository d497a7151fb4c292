// Three brokers as real processes on one etcd, journals with three replicas, and one misfortune after the other, drawn
// from a seed: kill -9, SIGTERM, SIGSTOP past the lease and shorter, a full disk, a broker cut off from etcd, refused
// or without a word, past its lease and shorter, one cut off from its clients or from the other brokers, or its answers
// lost on their way to them, etcd killed.
// Appends must go on after; then every writer's book is compared with what each broker reads. In the end all are killed
// at once: the doctor looks at what they leave, the books are compared with what it reads, and once more with what is
// read of the brokers.
//
// MILLRACE_CRASH_SEED repeats the choices (not their timing), MILLRACE_CRASH_CLUSTER_SECONDS makes it longer: new
// journals are taken every few minutes then, so that books stay small, and it says how far it is.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { systemRandom } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { GrpcTransport } from "@millrace/client";
import { FRAGMENT_STORE } from "./journal-templates.ts";
import { ClusterLoad } from "./test-cluster-load.ts";
import { releaseCluster } from "./test-cluster.ts";
import { missingSmallDisk } from "./test-small-disk.ts";
import { BROKERS, Storm } from "./test-storm.ts";

const SECONDS = Number(process.env["MILLRACE_CRASH_CLUSTER_SECONDS"] ?? 180);
const SEED = process.env["MILLRACE_CRASH_SEED"] ?? String(systemRandom.u32());
const JOURNALS_EACH = 2;
/** Appends of each journal between two misfortunes. */
const BETWEEN = 5;
const ROUND_SECONDS = 300;
const GO_ON_MS = 120_000;
const PAUSE_MS = 100;
const PROGRESS_SECONDS = 30;

let storm: Storm | undefined;

after(async () => {
  await releaseCluster();
  await storm?.close();
});

test(
  "a small disk can be mounted -> full disks are among the misfortunes",
  { skip: missingSmallDisk() },
  () => {
    assert.equal(missingSmallDisk(), false);
  },
);

test(`three brokers, misfortunes of seed ${SEED} -> appends go on, and nothing is lost`, async (t) => {
  storm = await Storm.open(seededRandom(SEED));
  const transports = storm.members.map(({ broker, door }) =>
    broker.transport({ address: `http://127.0.0.1:${door.port}` }),
  );
  const beganMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - beganMs) / 1000);
  const progress = (what: string): void => {
    if (SECONDS > ROUND_SECONDS) process.stderr.write(`${seconds()} s: ${what}\n`);
  };
  const say = (what: string): void => {
    t.diagnostic(what);
    progress(what);
  };
  let saidSeconds = 0;
  let loads: readonly ClusterLoad[] = [];
  for (let round = 0; seconds() < SECONDS; round++) {
    const endSeconds = Math.min(SECONDS, seconds() + ROUND_SECONDS);
    loads = await startLoads(transports, `storm-${round}`);
    const goOn = async (what: string): Promise<void> => {
      for (const load of loads) await load.goesOn(BETWEEN, GO_ON_MS, what);
    };
    await goOn("the start");
    while (seconds() < endSeconds) {
      await goOn(await storm.strike());
      if (seconds() - saidSeconds < PROGRESS_SECONDS) continue;
      saidSeconds = seconds();
      const acknowledged = loads.reduce((sum, load) => sum + load.acknowledged, 0);
      progress(`round ${round + 1}, ${acknowledged} appends acknowledged; ${storm.describe()}`);
    }
    await storm.running();
    for (const load of loads) await load.pause();
    for (const [i, load] of loads.entries()) {
      for (const transport of transports) await load.check(transport);
      say(`writers at broker ${i}: ${load.describe()}`);
    }
    assert.ok(loads.every(({ acknowledged }) => acknowledged > 0));
    say(storm.describe());
  }
  await storm.killAll(loads.flatMap(({ ledgers }) => ledgers));
  for (const load of loads) await load.check();
  for (const transport of transports) await transport.close();
});

/** Writers at each broker, with journals of their own; every second journal goes on without one of its replicas. */
function startLoads(transports: readonly GrpcTransport[], name: string): Promise<readonly ClusterLoad[]> {
  const options = {
    journals: JOURNALS_EACH,
    replication: BROKERS,
    minReplicas: BROKERS - 1,
    store: FRAGMENT_STORE,
    length: 256 * 1024,
    pauseMs: PAUSE_MS,
  };
  return Promise.all(
    transports.map((transport, i) => ClusterLoad.start(transport, { ...options, prefix: `${name}/${i}` })),
  );
}
