// The real clock, randomness and log of a process. The only place in base that reads time or chance.
import type { Clock, LogFields, Logger, LogLevel, Random } from "./ports.ts";

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal.reason as Error);
      };
      const cancel = runAfter(ms, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    }),
  after: runAfter,
};

/** The most that a timer of node takes; one that is longer would be over at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** @returns what cancels it */
function runAfter(ms: number, run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    const next = leftMs <= TIMER_MS_MAX ? run : () => wait(leftMs - TIMER_MS_MAX);
    timer = setTimeout(next, Math.min(leftMs, TIMER_MS_MAX));
  };
  wait(ms);
  return () => clearTimeout(timer);
}

const pool = new Uint8Array(4096);
let used = pool.length;

/** Cryptographic randomness of the platform, drawn in blocks. */
export const systemRandom: Random = {
  u32: () => {
    if (used + 4 > pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    const value = new DataView(pool.buffer).getUint32(used);
    used += 4;
    return value;
  },
  below: (n) => {
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const value = systemRandom.u32();
      if (value < limit) return value % n;
    }
  },
  fill: (bytes) => {
    crypto.getRandomValues(bytes);
    return bytes;
  },
  fork: () => systemRandom,
};

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * JSON lines: `{"time":"…","level":"info","event":"…",…fields}`.
 * @param write receives each line with its newline; stderr in production
 */
export function jsonLogger(level: LogLevel, write: (line: string) => void, fields: LogFields = {}): Logger {
  const log = (at: LogLevel, event: string, more: LogFields | undefined): void => {
    if (RANK[at] < RANK[level]) return;
    const line = { time: new Date().toISOString(), level: at, event, ...fields, ...more };
    write(`${JSON.stringify(line, plainValue)}\n`);
  };
  return {
    debug: (event, more) => log("debug", event, more),
    info: (event, more) => log("info", event, more),
    warn: (event, more) => log("warn", event, more),
    error: (event, more) => log("error", event, more),
    with: (more) => jsonLogger(level, write, { ...fields, ...more }),
  };
}

function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return { name: value.name, message: value.message, stack: value.stack };
  return value;
}
