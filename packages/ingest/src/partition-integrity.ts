// Whether a partition's journal still holds what was taken from it. Offsets are forever: when a journal ends before
// what was staged or loaded of it, acknowledged bytes are gone (a log that was cut, a data directory put together from
// copies of different times), and whatever is appended now stands at offsets that count as done and never becomes a
// row. Such a partition takes no records and is not read, until a person has mended it: the bytes are put back, or they
// are given up, and the journal goes on behind everything that anybody has taken (reset-head --at, given-up.ts).
//
// I1 A journal that was found whole is asked again only when there is a reason to: its reader failed, or it gave an
//    append an offset below what is known of its end.
import { abortScope, WireError, type Clock } from "@millrace/base";
import { readHead, type JournalTransport } from "@millrace/client";
import { sinkPath, type SinkKey } from "./definitions.ts";
import type { PartitionKey } from "./storage-entities.ts";
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
  /** Default: nothing is known. */
  readonly ends?: PartitionEnds;
}

/** What this process knows of where the journals of partitions end. */
export interface PartitionEnds {
  /** Below it everything is staged, or in slices that are closed. */
  taken(partition: PartitionKey, journal: string): number;
  /** What is appended now stands behind it, unless bytes were given up since. */
  known(partition: PartitionKey, journal: string): number;
  /** The same, with what readers hold and have heard of. */
  heard(partition: PartitionKey, journal: string): number;
  /** What this process has appended itself stands there no more, or never counts. */
  forget(partition: PartitionKey, journal: string): void;
}

/** What a partition's bytes were taken to, as the coordination store has it. */
export interface TakenPartition {
  readonly journal: string;
  readonly sink: PartitionKey;
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
  /** I1 */
  readonly #whole = new Set<string>();
  /** Questions under way: tails start together. */
  readonly #asking = new Map<string, Promise<ReadonlyMap<string, number>>>();

  constructor(ports: IntegrityPorts) {
    this.#ports = ports;
  }

  /** What is appended to a partition now stands behind it, unless bytes were given up since. */
  knownEnd(partition: PartitionKey, journal: string): number {
    return this.#ports.ends?.known(partition, journal) ?? 0;
  }

  /** The next check asks again (I1). */
  askAgain(journal: string): void {
    this.#whole.delete(journal);
  }

  /** The same, when the journal may have gone back. */
  forget(partition: PartitionKey, journal: string): void {
    this.askAgain(journal);
    this.#ports.ends?.forget(partition, journal);
  }

  /**
   * @throws {LostBytes} when the journal ends too early
   * @throws {TargetAway} when a target of others, or the warehouse of another process, cannot be asked
   * @throws {WireError} what the broker and this process's warehouse say when they cannot be asked
   */
  async check(partition: TakenPartition, signal: AbortSignal): Promise<void> {
    const { journal, sink, stagedEnd, target } = partition;
    if (this.#whole.has(journal)) return;
    const head = await endOf(this.#ports.transport, journal, signal);
    if (head === undefined) return;
    partition.onHead?.(head);
    const { ends } = this.#ports;
    const heard = Math.max(stagedEnd, ends?.heard(sink, journal) ?? 0);
    if (head < stagedEnd) throw lost(journal, { head, taken: stagedEnd, heard, what: "were staged" });
    const closed = ends?.taken(sink, journal) ?? 0;
    if (head < closed) throw lost(journal, { head, taken: closed, heard, what: "are in closed slices" });
    if (target !== undefined) {
      const taken = (await this.#ends(target, sink, signal)).get(journal) ?? 0;
      const what = `are in table ${target.tableId}`;
      if (head < taken) throw lost(journal, { head, taken, heard: Math.max(heard, taken), what });
    }
    this.#whole.add(journal);
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

/**
 * Where a journal of frames ends; undefined for a suspended one: all of it is in its store, and it goes on where that
 * ends.
 */
export async function endOf(
  transport: JournalTransport,
  journal: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return (await readHead(transport, journal, signal)).writeHead;
  } catch (thrown) {
    if (signal.aborted || WireError.from(thrown).code !== "SUSPENDED") throw thrown;
    return undefined;
  }
}

/** @param facts `taken`: end of what is called `what`; `heard`: of the journal, as far as anybody here knows */
export function lost(
  journal: string,
  facts: { readonly head: number; readonly taken: number; readonly heard: number; readonly what: string },
): LostBytes {
  const { head, taken, heard, what } = facts;
  const message =
    `journal ${journal} ends at offset ${head}, but its bytes up to ${taken} ${what}: acknowledged bytes are lost; ` +
    "restore the data directory from one backup, or bring back the broker that has them. When they are gone for " +
    `good: millrace journals reset-head -l name=${journal} --at ${heard}`;
  return new LostBytes("CORRUPT", message, { facts: { journal, head, taken } });
}
