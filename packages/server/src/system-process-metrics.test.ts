import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MetricsRegistry, systemClock } from "@millrace/base";
import { addProcessMetrics } from "./system-process-metrics.ts";

function valueOf(metrics: MetricsRegistry, name: string): number | undefined {
  const [, value] = new RegExp(`^${name} (\\S+)$`, "m").exec(metrics.render()) ?? [];
  return value === undefined ? undefined : Number(value);
}

const isLinux = process.platform === "linux";
const skip = isLinux ? false : "no /proc";

test("process metrics: what the process uses -> by Prometheus's names, as it is when asked", () => {
  const metrics = new MetricsRegistry();
  addProcessMetrics(metrics, systemClock);
  const before = valueOf(metrics, "process_cpu_seconds_total")!;
  const used = process.cpuUsage();
  while (process.cpuUsage(used).user < 20_000) Math.sqrt(before);
  const after = valueOf(metrics, "process_cpu_seconds_total")!;
  assert.ok(before > 0 && after >= before + 0.02, `${before} ${after}`);
  const { user, system } = process.cpuUsage();
  assert.ok(after <= (user + system) / 1e6, "not counted twice");
  assert.ok(valueOf(metrics, "process_resident_memory_bytes")! > 2 ** 20);
  const startedSeconds = valueOf(metrics, "process_start_time_seconds")!;
  assert.ok(Math.abs(startedSeconds - (systemClock.wallMs() / 1000 - process.uptime())) < 60);
});

test("process metrics: files that are opened -> are counted, and their limit", { skip }, () => {
  const metrics = new MetricsRegistry();
  addProcessMetrics(metrics, systemClock);
  const before = valueOf(metrics, "process_open_fds")!;
  assert.equal(before, readdirSync("/proc/self/fd").length - 1);
  const opened = [0, 1, 2].map(() => openSync("/dev/null", "r"));
  assert.equal(valueOf(metrics, "process_open_fds"), before + 3);
  for (const each of opened) closeSync(each);
  assert.equal(valueOf(metrics, "process_open_fds"), before);
  assert.ok(valueOf(metrics, "process_max_fds")! > before);
  assert.ok(
    valueOf(metrics, "process_virtual_memory_bytes")! > valueOf(metrics, "process_resident_memory_bytes")!,
  );
});

test("process metrics: no /proc -> the others alone", (t) => {
  const proc = mkdtempSync(join(tmpdir(), "millrace-proc-"));
  t.after(() => rmSync(proc, { recursive: true }));
  const metrics = new MetricsRegistry();
  addProcessMetrics(metrics, systemClock, proc);
  assert.equal(valueOf(metrics, "process_open_fds"), undefined);
  assert.ok(valueOf(metrics, "process_cpu_seconds_total")! > 0);
});
