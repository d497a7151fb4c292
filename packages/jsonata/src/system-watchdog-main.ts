// The thread beside one that evaluates: ends the process when an evaluation has taken more of the processor, or the
// process more memory, than it may. Time in which the process did not run is not counted: a machine may be busy.
import { workerData } from "node:worker_threads";
import { EVALUATION_LIMITS } from "./limits.ts";
import { IDLE } from "./pulse.ts";

const TICK_MS = 20;
const { cpuMs, residentMb } = EVALUATION_LIMITS;
const cells = new Int32Array(workerData as SharedArrayBuffer);

let seen = IDLE;
let seenAtMs = 0;
for (;;) {
  const pulse = Atomics.load(cells, 0);
  if (pulse === IDLE) {
    Atomics.wait(cells, 0, IDLE);
    continue;
  }
  const usedMs = processorMs();
  if (pulse !== seen) {
    seen = pulse;
    seenAtMs = usedMs;
  }
  const residentBytes = process.memoryUsage.rss();
  if (usedMs - seenAtMs > cpuMs || residentBytes > residentMb * 1024 * 1024) {
    // Nobody else sends this signal; it ends the process, and leaves no core.
    process.kill(process.pid, "SIGVTALRM");
  }
  // Not the cell: it changes with each evaluation.
  Atomics.wait(cells, 1, 0, TICK_MS);
}

/** Of all threads of the process. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
