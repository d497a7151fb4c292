// A broker in this process over a real disk: what a component of `up` sees, without any door.
import { mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { openBroker, type Broker } from "@millrace/broker";
import { applyJournals } from "@millrace/client";
import { openSpools } from "@millrace/fragments";
import { openDurableStore } from "@millrace/metadata";
import { newJournalSpec, upsertChange } from "@millrace/protocol";
import { openStores } from "@millrace/stores";
import { openSystemDisk } from "@millrace/wal";

export interface InProcessBroker {
  readonly broker: Broker;
  readonly metrics: MetricsRegistry;
  readonly directory: string;
  createJournals(names: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export async function openInProcessBroker(): Promise<InProcessBroker> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  mkdirSync(join(directory, "fragments"));
  const metrics = new MetricsRegistry();
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, metrics, onFatal };
  const disk = await openSystemDisk(directory);
  const coordination = await openDurableStore({ ...ports, disk, dir: "coordination" });
  const spools = await openSpools({ ...ports, disk }, {}, never);
  const stores = openStores({ root: directory, clock: systemClock, random: systemRandom });
  const options = {
    id: { zone: "local", suffix: "bench-1" },
    endpoint: "http://127.0.0.1:1",
    journalLimit: 4096,
  };
  const broker = await openBroker({ ...ports, spools, stores, coordination }, options, never);
  return {
    broker,
    metrics,
    directory,
    createJournals: async (names) => {
      const specs = names.map((name) => newJournalSpec({ name, replication: 1, fragment: fragmentSpec() }));
      await applyJournals(
        broker.transport,
        specs.map((spec) => upsertChange(spec, 0)),
        never,
      );
    },
    close: async () => {
      await broker.close();
      await spools.close();
      await coordination.close();
      await disk.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function fragmentSpec() {
  const { fragment } = newJournalSpec({ name: "bench/template" });
  return {
    ...fragment,
    length: 2 ** 30,
    compressionCodec: "NONE" as const,
    stores: ["file:///fragments/"],
    refreshIntervalMs: 300_000,
  };
}
