// What every Prometheus client says of its process, by the names that all of them have: dashboards ask for it.
// Looked at when somebody asks for the metrics. What only Linux tells of a process (/proc) is absent elsewhere.
import { readdirSync, readFileSync } from "node:fs";
import type { Clock, Metrics } from "@millrace/base";

const CLOCK_MS = 1000;
const MICROS = 1e6;
const KIB = 1024;

/** @param proc directory of the process as Linux shows it */
export function addProcessMetrics(metrics: Metrics, clock: Clock, proc = "/proc/self"): void {
  const cpu = metrics.counter(
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
  );
  const resident = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  metrics
    .gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
    .set(clock.wallMs() / CLOCK_MS - process.uptime());
  const addOfLinux = ofLinux(metrics, proc);
  metrics.beforeRender(() => {
    const { user, system } = process.cpuUsage();
    cpu.add(Math.max(0, (user + system) / MICROS - cpu.value()));
    resident.set(process.memoryUsage.rss());
    addOfLinux();
  });
}

/** @returns sets them; nothing where there is no such directory */
function ofLinux(metrics: Metrics, proc: string): () => void {
  if (readProc(`${proc}/status`) === "") return () => undefined;
  const virtual = metrics.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  const open = metrics.gauge("process_open_fds", "Number of open file descriptors.");
  const max = metrics.gauge("process_max_fds", "Maximum number of open file descriptors.");
  return () => {
    const [, kib] = /^VmSize:\s*(\d+) kB$/m.exec(readProc(`${proc}/status`)) ?? [];
    if (kib !== undefined) virtual.set(Number(kib) * KIB);
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readProc(`${proc}/limits`)) ?? [];
    if (soft !== undefined) max.set(Number(soft));
    const count = openFiles(`${proc}/fd`);
    if (count !== undefined) open.set(count);
  };
}

/** "" when it cannot be read: metrics go on without it. */
function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Undefined when the directory cannot be opened, as when there are too many: then the last value stands. */
function openFiles(path: string): number | undefined {
  try {
    return readdirSync(path).length - 1; // Without the one of the directory that is read.
  } catch {
    return undefined;
  }
}
