// How fast local storage is on this machine's disk: `node packages/fragments/dist/durable-spools.bench.js [DIR]`.
// Every figure stands beside a bare loop of write + fdatasync measured in the same run.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { openSystemDisk } from "@millrace/wal";
import { openSpools } from "./durable-spools.ts";
import type { Spool, Spools } from "./spools.ts";

const RUN_MS = 1500;

interface Load {
  readonly name: string;
  readonly bytes: number;
  readonly inFlight: number;
  readonly journals: number;
  /** Appends per second over all journals; 0 for as many as it takes. */
  readonly rate?: number;
}

const LOADS: readonly Load[] = [
  { name: "300 B, 64 in flight", bytes: 300, inFlight: 64, journals: 1 },
  { name: "300 B, 64 in flight", bytes: 300, inFlight: 64, journals: 8 },
  { name: "300 B, 1 in flight", bytes: 300, inFlight: 1, journals: 1 },
  { name: "64 KiB, 8 in flight", bytes: 65_536, inFlight: 8, journals: 1 },
  { name: "1 MiB, 2 in flight", bytes: 1_048_576, inFlight: 2, journals: 2 },
  { name: "300 B, 1,000/s", bytes: 300, inFlight: 1, journals: 1, rate: 1000 },
  { name: "300 B, 1,000/s", bytes: 300, inFlight: 1, journals: 1000, rate: 1000 },
];

const metrics = new MetricsRegistry();
const syncs = (): number => metrics.counter("millrace_log_syncs_total", "").value({ log: "journals" });

async function main(): Promise<void> {
  const root = await mkdtemp(join(process.argv[2] ?? tmpdir(), "spools-bench-"));
  try {
    for (const bytes of [300, 4096, 65_536])
      print(`bare write + fdatasync, ${bytes} B`, bare(root, bytes), "");
    const disk = await openSystemDisk(root);
    const startedMs = systemClock.monotonicMs();
    const ports = { disk, clock: systemClock, random: systemRandom, logger: silentLogger, metrics };
    const onFatal = (error: Error): void => {
      throw error;
    };
    const spools = await openSpools({ ...ports, onFatal }, {}, never);
    print("cold start, ms", systemClock.monotonicMs() - startedMs, "");
    for (const load of LOADS) await measure(spools, load);
    await spools.close();
    await disk.close();
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Writes and syncs per second of a loop that does nothing else. */
function bare(root: string, bytes: number): number {
  const path = join(root, "bare");
  const file = openSync(path, "w");
  const chunk = Buffer.alloc(bytes, 1);
  const endMs = systemClock.monotonicMs() + RUN_MS / 2;
  let count = 0;
  for (; systemClock.monotonicMs() < endMs; count++) {
    writeSync(file, chunk);
    fdatasyncSync(file);
  }
  closeSync(file);
  rmSync(path);
  return count / (RUN_MS / 2000);
}

async function measure(spools: Spools, load: Load): Promise<void> {
  const { name, bytes, inFlight, journals, rate } = load;
  const lives = Array.from({ length: journals }, (_, i) => ({ journal: `bench/${name}/${journals}/${i}` }));
  const claimed = await Promise.all(
    lives.map((life) => spools.claim({ ...life, createRevision: 1, epoch: 1 }, 0)),
  );
  const chunk = Buffer.alloc(bytes, 7);
  const before = { cpu: process.cpuUsage(), syncs: syncs(), ms: systemClock.monotonicMs() };
  const endMs = before.ms + RUN_MS;
  let count = 0;
  if (rate === undefined) {
    const loops = Array.from({ length: inFlight }, (_, i) =>
      loop(claimed[i % journals]!, chunk, endMs, () => count++),
    );
    await Promise.all(loops);
  } else {
    const due = (): number => ((systemClock.monotonicMs() - before.ms) * rate) / 1000;
    for (let next = 0; systemClock.monotonicMs() < endMs;) {
      for (; next < due(); next++) await append(claimed[next % journals]!, chunk, () => count++);
      await systemClock.sleep(0.2, never);
    }
  }
  const seconds = (systemClock.monotonicMs() - before.ms) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const perAppend = ((cpu.user + cpu.system) / count).toFixed(1);
  const perSecond = ((syncs() - before.syncs) / seconds).toFixed(0);
  print(`${name}, ${journals} journals`, count / seconds, `${perAppend} us CPU each, ${perSecond} syncs/s`);
}

/** Appends one after the other until `endMs`; queues on the spool, as connections do. */
function loop(spool: Spool, chunk: Uint8Array, endMs: number, onDone: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      if (systemClock.monotonicMs() >= endMs) return resolve();
      append(spool, chunk, () => {
        onDone();
        next();
      }).catch(reject);
    };
    next();
  });
}

const turns = new WeakMap<Spool, Promise<void>>();

async function append(spool: Spool, chunk: Uint8Array, onDone: () => void): Promise<void> {
  if (chunk.length < 256 * 1024) {
    const open = spool.openAppend();
    const writing = open.write(chunk, never);
    if (writing !== undefined) await writing;
    open.commit(undefined, (outcome) => {
      if (outcome.kind !== "acknowledged") throw outcome.error;
      onDone();
    });
    return;
  }
  // One append of a spool is open at a time: a large one takes its turn.
  const turn = (turns.get(spool) ?? Promise.resolve()).then(async () => {
    const open = spool.openAppend();
    for (let at = 0; at < chunk.length; at += 65_536)
      await open.write(chunk.subarray(at, at + 65_536), never);
    open.commit(undefined, onDone);
  });
  turns.set(spool, turn);
  await turn;
}

function print(what: string, value: number, more: string): void {
  process.stdout.write(`${what.padEnd(40)} ${value.toFixed(value < 1000 ? 1 : 0).padStart(10)}  ${more}\n`);
}

await main();
