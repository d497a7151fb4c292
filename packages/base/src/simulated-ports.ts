// Simulated time and chance. One Agenda holds everything that will happen, ordered by (time, sequence); running it is
// the only thing that moves the clock. Used by the simulator and by unit tests that need time to pass.
import { assert } from "./assert.ts";
import type { Clock, Random } from "./ports.ts";

interface AgendaEvent {
  readonly atMs: number;
  readonly sequence: number;
  run: (() => void) | undefined;
}

/** A binary heap of events by (atMs, sequence). */
export class Agenda {
  #heap: AgendaEvent[] = [];
  #sequence = 0;
  #nowMs = 0;
  #executed = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get executed(): number {
    return this.#executed;
  }

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  /** Runs `run` at now + `delayMs`; returns a function that cancels it. */
  schedule(delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, "delay >= 0", { delayMs });
    const event: AgendaEvent = { atMs: this.#nowMs + delayMs, sequence: this.#sequence++, run };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** Runs the earliest event, if one is due at or before `endMs`, and lets every promise chain settle. */
  async step(endMs: number): Promise<boolean> {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > endMs) return false;
      this.#pop();
      if (event.run === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      this.#executed++;
      event.run();
      await settle();
      return true;
    }
  }

  /** Runs until `done` holds or virtual time passes `endMs`. @returns whether `done` held */
  async runUntil(done: () => boolean, endMs: number): Promise<boolean> {
    await settle();
    while (!done()) {
      if (!(await this.step(endMs))) return done();
    }
    return true;
  }

  /** Runs everything up to now + `durationMs` and leaves the clock there. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    while (await this.step(endMs));
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /** Time passes and nothing runs, as for a stopped process; what came due meanwhile runs late, in its order. */
  stall(durationMs: number): void {
    assert(durationMs >= 0, "duration >= 0", { durationMs });
    this.#nowMs += durationMs;
  }

  #push(event: AgendaEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: AgendaEvent, b: AgendaEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** Lets every promise chain that needs no further event run to its end. */
export function settle(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}

/** A clock on an agenda. Wall time starts at `epochMs` and may be skewed. */
export class SimulatedClock implements Clock {
  readonly agenda: Agenda;
  epochMs: number;
  constructor(agenda: Agenda, epochMs = Date.UTC(2026, 0, 1)) {
    this.agenda = agenda;
    this.epochMs = epochMs;
  }

  wallMs(): number {
    return this.epochMs + Math.floor(this.agenda.nowMs);
  }

  monotonicMs(): number {
    return this.agenda.nowMs;
  }

  after(ms: number, run: () => void): () => void {
    return this.agenda.schedule(ms, run);
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal.reason as Error);
      };
      const cancel = this.agenda.schedule(ms, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** sfc32 seeded from a label: deterministic, forked by name. Source: Chris Doty-Humphrey's PractRand (sfc32). */
export function seededRandom(seed: string): Random {
  let [a, b, c, counter] = hashSeed(seed);
  const u32 = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) u32();
  return {
    u32,
    below: (n) => {
      assert(Number.isInteger(n) && n >= 1 && n <= 2 ** 32, "1 <= n <= 2^32", { n });
      return Math.floor((u32() / 2 ** 32) * n);
    },
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = u32() & 0xff;
      return bytes;
    },
    fork: (label) => seededRandom(`${seed}/${label}`),
  };
}

/** Four words from a string by FNV-1a with four offsets. */
function hashSeed(seed: string): [number, number, number, number] {
  const words: [number, number, number, number] = [0x811c9dc5, 0x01000193, 0x9e3779b9, 0x7f4a7c15];
  for (let lane = 0; lane < 4; lane++) {
    let hash = words[lane]! | 0;
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
    words[lane] = hash | 0;
  }
  return words;
}
