// Whether a partition's journal still holds what was taken from it. Offsets are forever: when a journal ends before
// what was staged or loaded of it, acknowledged bytes are gone (a log that was cut, a data directory put together from
// copies of different times), and whatever is appended now stands at offsets that count as done and never becomes a
// row. Such a partition takes no records and is not read, until a person has mended it.
import { abortScope, WireError, type Clock } from "@millrace/base";
import { readHead, type JournalTransport } from "@millrace/client";
import { sinkPath, type SinkKey } from "./definitions.ts";
import { shownTarget, targetName, type TargetRef } from "./target-ref.ts";
import type { Target } from "./target.ts";

export interface IntegrityPorts {
  readonly transport: JournalTransport;
  readonly targets: {
    open(ref: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<Pick<Target, "loadedEnds">>;
  };
  readonly clock: Clock;
  /**
   * The warehouse is in another process: it may be away while records are taken, like any target of others. One of this
   * process is there before a record is, or the process is about to end.
   */
  readonly isWarehouseElsewhere?: boolean;
}

/** What a partition's bytes were taken to, as the coordination store has it. */
export interface TakenPartition {
  readonly journal: string;
  readonly sink: SinkKey;
  /** Everything below was staged. */
  readonly stagedEnd: number;
  /** Of the sink; undefined when that is not known. */
  readonly target: TargetRef | undefined;
  /** Told where the journal ends, if it is asked, whatever else cannot be. */
  readonly onHead?: (head: number) => void;
}

/** Thrown for a partition that has lost acknowledged bytes. */
export class LostBytes extends WireError {}

/** Thrown when a target that is no part of this process cannot be asked. */
export class TargetAway extends WireError {}

/** A target that is busy or away must not hold up records for longer. */
const TARGET_TIMEOUT_MS = 5000;

export class PartitionIntegrity {
  readonly #ports: IntegrityPorts;
  /** Journals that were found whole: a head never goes back while a process lives. */
  readonly #whole = new Set<string>();
  /** Questions under way: tails start together. */
  readonly #asking = new Map<string, Promise<ReadonlyMap<string, number>>>();

  constructor(ports: IntegrityPorts) {
    this.#ports = ports;
  }

  /**
   * @throws {LostBytes} when the journal ends too early
   * @throws {TargetAway} when a target of others, or the warehouse of another process, cannot be asked
   * @throws {WireError} what the broker and this process's warehouse say when they cannot be asked
   */
  async check(partition: TakenPartition, signal: AbortSignal): Promise<void> {
    const { journal, sink, stagedEnd, target } = partition;
    if (this.#whole.has(journal)) return;
    const head = await this.#head(journal, signal);
    if (head === undefined) return;
    partition.onHead?.(head);
    if (head < stagedEnd) throw lost(journal, { head, taken: stagedEnd, what: "were staged" });
    if (target !== undefined) {
      const taken = (await this.#ends(target, sink, signal)).get(journal) ?? 0;
      if (head < taken) throw lost(journal, { head, taken, what: `are in table ${target.tableId}` });
    }
    this.#whole.add(journal);
  }

  /** Undefined for a suspended journal: all of it is in its store, and it goes on where that ends. */
  async #head(journal: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      return (await readHead(this.#ports.transport, journal, signal)).writeHead;
    } catch (thrown) {
      if (signal.aborted || WireError.from(thrown).code !== "SUSPENDED") throw thrown;
      return undefined;
    }
  }

  #ends(target: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    // A login is a sink's own, and so is what is wrong with it.
    const name = targetName(target) + (target.connection === undefined ? "" : ` ${sinkPath(sink)}`);
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#ask(target, sink, signal).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return asking;
  }

  async #ask(target: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const scope = abortScope(signal);
    const cancel = this.#ports.clock.after(TARGET_TIMEOUT_MS, () => {
      scope.abort(new WireError("UNAVAILABLE", `the target has not answered in ${TARGET_TIMEOUT_MS} ms`));
    });
    try {
      const opened = await this.#ports.targets.open(target, sink, scope.signal);
      return await opened.loadedEnds(target.tableId, scope.signal);
    } catch (thrown) {
      const isOwn = target.connection === undefined && this.#ports.isWarehouseElsewhere !== true;
      if (signal.aborted || isOwn) throw thrown;
      const { code, message } = WireError.from(thrown);
      throw new TargetAway(code, `${shownTarget(target)}: ${message}`, { cause: thrown });
    } finally {
      cancel();
      scope.dispose();
    }
  }
}

function lost(
  journal: string,
  { head, taken, what }: { head: number; taken: number; what: string },
): LostBytes {
  const message =
    `journal ${journal} ends at offset ${head}, but its bytes up to ${taken} ${what}: acknowledged bytes are lost; ` +
    "restore the data directory from one backup";
  return new LostBytes("CORRUPT", message, { facts: { journal, head, taken } });
}
