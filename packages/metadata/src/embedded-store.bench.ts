// Puts per second through the embedded store: `node packages/metadata/dist/embedded-store.bench.js`.
// In memory, and on a real disk with 1 and with 200 requests at a time.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { openSystemDisk } from "@millrace/wal";
import { openDurableStore } from "./durable-store.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { openMemoryStore } from "./memory-store.ts";

const VALUE = new Uint8Array(300);
const KEYS = 100_000;

async function measure(name: string, store: EmbeddedStore, puts: number, concurrency: number): Promise<void> {
  const startMs = systemClock.monotonicMs();
  let sent = 0;
  const writer = async (): Promise<void> => {
    while (sent < puts) {
      const key = `sources/${(sent++ * 7919) % KEYS}/sinks`;
      await store.txn({ compare: [], success: [{ kind: "put", key, value: VALUE }] }, never);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, writer));
  const perSecond = Math.round((puts / (systemClock.monotonicMs() - startMs)) * 1000);
  process.stdout.write(`${name}: ${perSecond} puts/s\n`);
}

const memory = await openMemoryStore(systemClock, systemRandom);
await measure("in memory, 200 at a time", memory, 100_000, 200);
await memory.close();

const dir = await mkdtemp(join(tmpdir(), "millrace-metadata-bench-"));
const disk = await openSystemDisk(dir);
const store = await openDurableStore({
  disk,
  dir: "coordination",
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  metrics: new MetricsRegistry(),
  onFatal: (error) => {
    throw error;
  },
});
await measure("synced, 200 at a time", store, 100_000, 200);
await measure("synced, one after another", store, 3000, 1);
await store.close();
await disk.close();
await rm(dir, { recursive: true });
