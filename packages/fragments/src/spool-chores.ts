// What happens to files behind everybody's back: released fragments and removed journals. The log has it first (D1);
// on a full disk it is tried again until the log takes it.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { Disk, DiskOp } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import { quarantine } from "./recovery-quarantine.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import type { SpoolLog } from "./spool-log.ts";
import { SPOOLS_DIR } from "./spool-paths.ts";

export interface ChoreHooks {
  /** Space was freed. */
  onFreed(): void;
  onDirChanged(dir: string): void;
}

export class SpoolChores {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #retryMs: number;
  readonly #log: SpoolLog;
  readonly #hooks: ChoreHooks;
  readonly #running = new Set<Promise<void>>();
  /** Attempts that the log refused. */
  #refused: (() => void)[] = [];
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(
    ports: { disk: Disk; clock: Clock; logger: Logger },
    options: { retryMs: number },
    log: SpoolLog,
    hooks: ChoreHooks,
  ) {
    this.#disk = ports.disk;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#retryMs = options.retryMs;
    this.#log = log;
    this.#hooks = hooks;
  }

  /** Logs the release of a closed fragment, then removes its file. */
  release(spool: DurableSpool, fragment: SpoolFragment): void {
    const again = (): void => this.release(spool, fragment);
    const onLogged = (failure: WireError | undefined): void => {
      if (failure !== undefined) return this.#tryLater(again);
      const { releasing, removing } = spool.fragmentsHere;
      releasing.delete(fragment);
      removing.add(fragment);
      this.#spawn(async () => {
        await this.#remove([spool.pathOf(fragment)]);
        removing.delete(fragment);
        spool.dirDirty = true;
        this.#hooks.onFreed();
      });
    };
    if (!this.#log.released(spool, fragment, { onLogged })) this.#tryLater(again);
  }

  /**
   * Logs that a journal's life is over, then removes its files or moves them to quarantine.
   * @param onGone told when its directory is gone; not when that failed
   */
  remove(spool: DurableSpool, how: { quarantine: boolean }, onGone: () => void): void {
    const again = (): void => this.remove(spool, how, onGone);
    const onLogged = (failure: WireError | undefined): void => {
      if (failure !== undefined) return this.#tryLater(again);
      this.#spawn(async () => {
        await (how.quarantine ? this.#moveAway(spool) : this.#removeAll(spool));
        onGone();
      });
    };
    if (!this.#log.removed(spool, how.quarantine, { onLogged })) this.#tryLater(again);
  }

  /**
   * Moves the files of a life to quarantine. They are synced first: once the log says that the life is over, nobody
   * writes again what only the log has.
   */
  setAside(
    spool: DurableSpool,
    hooks: { onSynced: () => void; onGone: () => void; onFailed: (error: unknown) => void },
  ): void {
    this.#spawn(async () => {
      try {
        await this.#disk.run("log", []);
        const files = await this.#disk.list(spool.dir);
        const ops = files.map(({ name }): DiskOp => ({ kind: "sync", path: `${spool.dir}/${name}` }));
        if (ops.length > 0) await this.#disk.run("bulk", [...ops, { kind: "sync-dir", path: spool.dir }]);
      } catch (error) {
        hooks.onFailed(error);
        throw error;
      }
      hooks.onSynced();
      this.remove(spool, { quarantine: true }, hooks.onGone);
    });
  }

  /** Waits for what is under way. What the log refused is found and done by the next recovery. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #removeAll(spool: DurableSpool): Promise<void> {
    const entries = await this.#disk.list(spool.dir);
    await this.#remove([...entries.map(({ name }) => `${spool.dir}/${name}`), spool.dir]);
    this.#hooks.onDirChanged(SPOOLS_DIR);
    this.#hooks.onFreed();
  }

  async #moveAway(spool: DurableSpool): Promise<void> {
    await this.#disk.run("log", []);
    const name = spool.dir.slice(SPOOLS_DIR.length + 1);
    const there = (await this.#disk.list(SPOOLS_DIR)).some((entry) => entry.name === name);
    if (there) await quarantine(this.#disk, { kind: "move", dir: SPOOLS_DIR, name });
  }

  async #remove(paths: readonly string[]): Promise<void> {
    // A write to the file that is still under way would bring it back: the log's lane is in order.
    await this.#disk.run("log", []);
    await this.#disk.run(
      "bulk",
      paths.map((path): DiskOp => ({ kind: "remove", path })),
    );
  }

  #spawn(work: () => Promise<void>): void {
    const running: Promise<void> = work()
      .catch((error: unknown) =>
        this.#logger.warn("spool-chore-failed", { error: WireError.from(error).message }),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #tryLater(again: () => void): void {
    if (this.#closed) return;
    this.#refused.push(again);
    this.#cancel ??= this.#clock.after(this.#retryMs, () => {
      this.#cancel = undefined;
      for (const attempt of this.#refused.splice(0)) attempt();
    });
  }
}
