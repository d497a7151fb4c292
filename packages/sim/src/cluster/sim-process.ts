// One life of a simulated process: everything that comes to it, be it time, the disk, the network or a store, comes
// through `enter`. While it is paused, as after SIGSTOP, all that waits, and comes in its order afterwards; once it has
// ended nothing comes any more.
import type { Clock } from "@millrace/base";
import { SimulatedClock, type Agenda } from "@millrace/base/testkit";
import type { ObjectStore, ObjectStores } from "@millrace/stores";

export class SimProcess {
  /** Where it runs. */
  readonly host: string;
  /** Which life of what runs there: `broker-1/2`. */
  readonly name: string;
  readonly clock: Clock;
  readonly #agenda: Agenda;
  readonly #wall: SimulatedClock;
  #isAlive = true;
  #isPaused = false;
  #waiting: (() => void)[] = [];

  /** @param epochMs of its wall clock when the simulation began */
  constructor(agenda: Agenda, host: string, name: string, epochMs: number) {
    this.host = host;
    this.name = name;
    this.#agenda = agenda;
    this.#wall = new SimulatedClock(agenda, epochMs);
    this.clock = this.#openClock();
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** `run` happens in this process: now, when it goes on, or never. */
  enter(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused || this.#waiting.length > 0) this.#waiting.push(run);
    else run();
  }

  /** Sets the wall clock. */
  skew(ms: number): void {
    this.#wall.epochMs += ms;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#goOn();
  }

  end(): void {
    this.#isAlive = false;
    this.#waiting = [];
  }

  /** The outcome of something outside comes to this process as all else does. */
  answer<T>(outside: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      outside.then(
        (value) => this.enter(() => resolve(value)),
        (error: unknown) => this.enter(() => reject(error)),
      );
    });
  }

  async *items<T>(outside: AsyncIterable<T>): AsyncGenerator<T, void, void> {
    const iterator = outside[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { value, done } = await this.answer(iterator.next());
        if (done === true) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  stores(real: ObjectStores): ObjectStores {
    return { open: (url, use) => this.#store(real.open(url, use)) };
  }

  /** What waited happens one by one, each with all that follows from it. */
  #goOn(): void {
    this.#agenda.schedule(0, () => {
      if (this.#isPaused || !this.#isAlive) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
      this.#goOn();
    });
  }

  #openClock(): Clock {
    const after = (ms: number, run: () => void): (() => void) => {
      let isCancelled = false;
      const cancel = this.#agenda.schedule(ms, () =>
        this.enter(() => {
          if (!isCancelled) run();
        }),
      );
      return () => {
        isCancelled = true;
        cancel();
      };
    };
    const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = (): void => {
          cancel();
          reject(signal.reason as Error);
        };
        const cancel = after(ms, () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        });
        signal.addEventListener("abort", onAbort, { once: true });
      });
    return { wallMs: () => this.#wall.wallMs(), monotonicMs: () => this.#agenda.nowMs, after, sleep };
  }

  #store(real: ObjectStore): ObjectStore {
    return {
      url: real.url,
      listLagMsMax: real.listLagMsMax,
      list: (prefix, signal) => this.items(real.list(prefix, signal)),
      get: (path, range, signal) => this.items(real.get(path, range, signal)),
      head: (path, signal) => this.answer(real.head(path, signal)),
      put: (path, body, options, signal) => this.answer(real.put(path, body, options, signal)),
      sync: (path, signal) => this.answer(real.sync(path, signal)),
      remove: (path, signal) => this.answer(real.remove(path, signal)),
      signGet: (path, ttlMs) => this.answer(real.signGet(path, ttlMs)),
    };
  }
}
