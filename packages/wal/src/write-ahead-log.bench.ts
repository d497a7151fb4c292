// The log beside a bare loop of write + fdatasync on the same disk, the threads' overhead, and the two ways to a
// CRC-32C: `node packages/wal/dist/write-ahead-log.bench.js [DIR]`.
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { crc32c as nativeCrc32c } from "@node-rs/crc32";
import { crc32cInScript } from "./crc32c.ts";
import type { Disk } from "./disk.ts";
import { LOG_DEFAULTS } from "./log-options.ts";
import { scanLog } from "./log-scan.ts";
import { sharedBytes } from "./shared-bytes.ts";
import { openSystemDisk } from "./system-disk.ts";
import { WriteAheadLog } from "./write-ahead-log.ts";

const RUN_MS = 1000;

async function main(): Promise<void> {
  const root = await mkdtemp(join(process.argv[2] ?? tmpdir(), "wal-bench-"));
  try {
    measureCrc();
    for (const bytes of [300, 65_536]) print(`bare write + fdatasync, ${bytes} B`, bare(root, bytes), "/s");
    const disk = await openSystemDisk(root);
    for (const shared of [true, false]) await measureLane(disk, shared);
    const startedMs = systemClock.monotonicMs();
    const log = await openLog(disk);
    print("cold start of a log", systemClock.monotonicMs() - startedMs, " ms");
    for (const [bytes, inFlight] of [
      [300, 1],
      [300, 64],
      [65_536, 8],
    ] as const) {
      await measureLog(log, bytes, inFlight);
    }
    await log.close();
    await disk.close();
  } finally {
    await rm(root, { recursive: true });
  }
}

function measureCrc(): void {
  for (const bytes of [40, 112, 300, 4096, 65_536]) {
    const input = new Uint8Array(bytes).fill(7);
    const rounds = Math.ceil(20_000_000 / (bytes + 500));
    const nanoseconds = (sum: (input: Uint8Array, seed: number) => number): number => {
      for (let i = 0; i < 2000; i++) sum(input, i);
      const startedMs = systemClock.monotonicMs();
      for (let i = 0; i < rounds; i++) sum(input, i);
      return ((systemClock.monotonicMs() - startedMs) / rounds) * 1e6;
    };
    const [native, script] = [nanoseconds(nativeCrc32c), nanoseconds(crc32cInScript)];
    print(`CRC-32C of ${bytes} B: native ${native.toFixed(0)} ns, script`, script, " ns");
  }
}

function bare(root: string, bytes: number): number {
  const file = openSync(join(root, "bare"), "w");
  const chunk = new Uint8Array(bytes);
  const endMs = systemClock.monotonicMs() + RUN_MS;
  let count = 0;
  for (; systemClock.monotonicMs() < endMs; count++) {
    writeSync(file, chunk);
    fdatasyncSync(file);
  }
  closeSync(file);
  return count / (RUN_MS / 1000);
}

/** Round trips of a 64 KiB write without a sync: what a thread costs. */
async function measureLane(disk: Disk, shared: boolean): Promise<void> {
  const bytes = shared ? sharedBytes(65_536) : new Uint8Array(65_536);
  const endMs = systemClock.monotonicMs() + RUN_MS;
  let count = 0;
  for (; systemClock.monotonicMs() < endMs; count++) {
    await disk.run("bulk", [{ kind: "write", path: "lane", position: 0, bytes }]);
  }
  print(`64 KiB through a lane, ${shared ? "shared" : "copied"}`, count / (RUN_MS / 1000), "/s");
}

async function openLog(disk: Disk): Promise<WriteAheadLog> {
  const scan = await scanLog(disk, "log", 1, () => undefined, never);
  const metrics = new MetricsRegistry();
  const ports = { disk, clock: systemClock, random: systemRandom, logger: silentLogger, metrics };
  const onFatal = (error: Error): void => {
    throw error;
  };
  return WriteAheadLog.open(ports, { ...LOG_DEFAULTS, name: "bench" }, { onFatal }, scan);
}

function measureLog(log: WriteAheadLog, bytes: number, inFlight: number): Promise<void> {
  const record = [new Uint8Array(24), new Uint8Array(bytes)];
  const startedMs = systemClock.monotonicMs();
  const cpu = process.cpuUsage();
  const from = log.synced;
  let count = 0;
  let running = inFlight;
  return new Promise((resolve) => {
    const next = (): void => {
      if (systemClock.monotonicMs() - startedMs < RUN_MS) {
        log.append(record, { onLogged });
      } else if (--running === 0) {
        const used = process.cpuUsage(cpu);
        const each = ((used.user + used.system) / count).toFixed(1);
        const more = `/s, ${each} us CPU each, ${log.synced - from} syncs/s`;
        print(`log, ${bytes} B, ${inFlight} in flight`, count / (RUN_MS / 1000), more);
        resolve();
      }
    };
    const onLogged = (): void => {
      count++;
      if (log.synced % 64 === 0) log.recycle(log.synced - 1);
      next();
    };
    for (let i = 0; i < inFlight; i++) next();
  });
}

function print(what: string, value: number, unit: string): void {
  process.stdout.write(`${what.padEnd(44)} ${value.toFixed(value < 1000 ? 1 : 0).padStart(9)}${unit}\n`);
}

await main();
