// What the back of ingest costs by itself: frames in memory through reader, staging, rotation and import, to a store
// and a target that only say yes. `node packages/ingest/dist/pipeline.bench.js [records]`
import {
  concatBytes,
  hex,
  MetricsRegistry,
  silentLogger,
  systemClock,
  systemRandom,
  utf8,
} from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { EMPTY_LABELS, FLAG } from "@millrace/protocol";
import type { ObjectStore } from "@millrace/stores";
import { partitionJournal } from "./definitions.ts";
import { encodeFrameHead } from "./frame.ts";
import { ModelCatalog, modelSink } from "./model-catalog.ts";
import { ModelJournals } from "./model-journals.ts";
import { Partitions } from "./partition-registry.ts";
import { openPipeline } from "./pipeline.ts";
import { onlyTarget, type Target } from "./target.ts";

const AIRPORTS = ["ATL", "JFK", "SFO", "ORD", "DFW"];
const signal = new AbortController().signal;

function frames(records: number, perFrame: number): Uint8Array[] {
  const random = seededRandom("pipeline-bench");
  const made: Uint8Array[] = [];
  let id: Uint8Array = new Uint8Array(18);
  for (let at = 0; at < records; at += perFrame) {
    const rows: Uint8Array[] = [];
    for (let i = at; i < at + perFrame; i++) {
      id = random.fill(id);
      const record = { date: "2001/01/10 09:00", delay: i % 100, distance: i % 3000, destination: "ATL" };
      const body = JSON.stringify(record).replaceAll('"', '""');
      rows.push(utf8(`"${hex(id)}","2026-01-01T00:00:00.000Z","${AIRPORTS[i % 5]!}","${body}"\n`));
    }
    const body = concatBytes(rows);
    const header = {
      producer: "00deadbeef00cafe",
      sequence: made.length + 1,
      sinkVersion: 1,
      acceptedAtMs: 1,
    };
    made.push(
      concatBytes([
        encodeFrameHead(
          header,
          rows.map((row) => row.length),
          rows.length,
          body,
        ),
        body,
      ]),
    );
  }
  return made;
}

const stagingStore: ObjectStore = {
  listLagMsMax: 0,
  url: "file:///nowhere/",
  async put(_path, body) {
    for await (const chunk of body) void chunk;
  },
  sync: () => Promise.resolve(),
  remove: () => Promise.resolve(),
  async *list() {},
  async *get() {},
  head: () => Promise.resolve(undefined),
  signGet: () => Promise.resolve(""),
};

async function measure(name: string, records: number, perFrame: number): Promise<void> {
  const catalog = new ModelCatalog();
  const sink = modelSink();
  catalog.put(sink);
  const store = await openMemoryStore(systemClock, systemRandom);
  const transport = new ModelJournals({ clock: systemClock, random: systemRandom, chunkBytes: 128 * 1024 });
  const ports = { store, transport, catalog, clock: systemClock, random: systemRandom, logger: silentLogger };
  const fragment = {
    length: 1 << 26,
    compressionCodec: "NONE" as const,
    stores: [],
    refreshIntervalMs: 300_000,
    retentionMs: 0,
    flushIntervalMs: 0,
    pathPostfixTemplate: "",
  };
  const template = { replication: 1, labels: EMPTY_LABELS, fragment, flags: FLAG.O_RDWR, maxAppendRate: 0 };
  const integrity = { check: () => Promise.resolve(), knownEnd: () => 0, forget: () => undefined };
  await new Partitions({ ...ports, integrity }, template).ensure(sink, 0, signal);
  const journal = partitionJournal(sink, 0);
  const content = frames(records, perFrame);
  let imports = 0;
  let loaded = 0;
  const target: Target = {
    check: () => Promise.resolve(undefined),
    drop: () => Promise.resolve(),
    prepare: () => Promise.resolve(),
    loadedEnds: () => Promise.resolve(new Map()),
    load: (request) => {
      imports++;
      for (const { objects } of request.partitions) for (const { rows } of objects) loaded += rows;
      return Promise.resolve({ kind: "loaded", rows: 0 });
    },
  };
  const metrics = new MetricsRegistry();
  const targets = onlyTarget("duckdb", target);
  const pipeline = await openPipeline({ ...ports, stagingStore, targets, metrics }, {}, signal);
  const startMs = systemClock.monotonicMs();
  const before = process.cpuUsage();
  // As broker and doors would: bytes come while they are read.
  for (let at = 0; at < content.length;) {
    for (let bytes = 0; at < content.length && bytes < 1 << 20; at++) {
      transport.push(journal, content[at]!);
      bytes += content[at]!.length;
    }
    await systemClock.sleep(0, signal);
  }
  while (loaded < records) await systemClock.sleep(1, signal);
  const used = process.cpuUsage(before);
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  const cpu = (used.user + used.system) / 1e6;
  const cells = [
    name,
    Math.round(records / seconds),
    Math.round(records / cpu),
    ((cpu / records) * 1e6).toFixed(2),
    imports,
  ];
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
  await pipeline.close();
  await store.close();
}

const records = Number(process.argv[2] ?? 1_000_000);
process.stdout.write(
  "| frames | records/s | records per CPU second | CPU us/record | imports |\n|---|---|---|---|---|\n",
);
await measure("1,000 records of 180 B", records, 1000);
await measure("10 records of 180 B", records / 4, 10);
await measure("1 record of 180 B", records / 8, 1);
