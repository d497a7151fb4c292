// How far the table of a sink is behind what was accepted: bytes of its partitions, and the age of the oldest record.
//
// G1 A record has an age from its acceptance until it is a row, whatever it waits for: a condition, its reader, or a
//    target that is away. It is known from the entities, so it outlives the process.
// G2 Of bytes that nobody has read no acceptance is known: they age from when this process first saw them.
// G3 Bytes that were read and hold no records, as those of doubled frames, have no age.
import type { SinkKey } from "./definitions.ts";
import type { ProgressFeed } from "./reader-progress.ts";
import { statisticsOf, type Slice } from "./storage-entities.ts";
import { msOf } from "./storage-json.ts";
import type { PartitionView, SinkView } from "./storage-view.ts";
import type { TargetKind } from "./target-settings.ts";

export interface SinkLag {
  /** Of the partitions' journals, that are not in the table. */
  readonly bytes: number;
  /** Wall time since the oldest record that is not in the table was accepted; 0 when there is none. */
  readonly ms: number;
}

export interface PartitionLag extends SinkLag {
  /** Of what its oldest bytes wait for. */
  readonly target: TargetKind;
}

export interface LagFeed extends ProgressFeed {
  /** Write head of a partition's journal, as far as it is known. */
  writeHead(key: SinkKey & { readonly n: number }): number | undefined;
}

interface Unread {
  readonly from: number;
  readonly sinceMs: number;
}

export class SinkLags {
  readonly #feed: LagFeed;
  /** G2 */
  readonly #unread = new WeakMap<PartitionView, Unread>();

  constructor(feed: LagFeed) {
    this.#feed = feed;
  }

  of(sink: SinkView, nowMs: number): SinkLag {
    let bytes = 0;
    let ms = 0;
    for (const lag of this.partitions(sink, nowMs)) {
      bytes += lag.bytes;
      ms = Math.max(ms, lag.ms);
    }
    return { bytes, ms };
  }

  bytes(sink: SinkView): number {
    let bytes = 0;
    for (const partition of sink.partitions.values()) {
      const head = this.#head(sink, partition);
      bytes += Math.max(0, head - (firstPending(partition)?.begin ?? 0));
    }
    return bytes;
  }

  /** Of the partitions that are behind. */
  *partitions(sink: SinkView, nowMs: number): Iterable<PartitionLag> {
    for (const partition of sink.partitions.values()) {
      const first = firstPending(partition);
      if (first === undefined) continue;
      const head = this.#head(sink, partition);
      const bytes = Math.max(0, head - first.begin);
      const ms = Math.max(0, nowMs - this.#oldestMs(partition, head, nowMs));
      if (bytes > 0 || ms > 0) yield { bytes, ms, target: first.target.kind };
    }
  }

  /** 0 for a partition that takes no more records: all of it is in its table. */
  #head({ key }: SinkView, { n, entity }: PartitionView): number {
    return entity?.value.state === "active" ? (this.#feed.writeHead({ ...key, n }) ?? 0) : 0;
  }

  #oldestMs(partition: PartitionView, head: number, nowMs: number): number {
    const { slices } = partition;
    let oldestMs = nowMs;
    for (let at = slices.length - 1; at >= 0; at--) {
      const slice = slices[at]!.value;
      if (slice.state === "imported") break;
      const ms =
        slice.state === "writing" ? this.#openMs(partition, slice, head, nowMs) : (closedMs(slice) ?? nowMs);
      oldestMs = Math.min(oldestMs, ms);
    }
    return oldestMs;
  }

  #openMs(partition: PartitionView, slice: Slice, head: number, nowMs: number): number {
    const progress = this.#feed.progress(slice);
    const read = progress?.begin === slice.begin ? progress : undefined;
    if (read !== undefined && read.records > 0) return read.firstMs;
    const from = read?.offset ?? slice.begin;
    if (head <= from) return nowMs; // G3
    let unread = this.#unread.get(partition);
    if (unread?.from !== from) {
      unread = { from, sinceMs: nowMs };
      this.#unread.set(partition, unread);
    }
    return unread.sinceMs;
  }
}

/** The first slice that is not imported: slices are imported in order, and the imported ones are many. */
function firstPending({ slices }: PartitionView): Slice | undefined {
  let at = slices.length;
  while (at > 0 && slices[at - 1]!.value.state !== "imported") at--;
  return slices[at]?.value;
}

/** Of a slice that was closed where no reader stood its rows are not known yet: they are older than its closing. */
function closedMs(slice: Exclude<Slice, { state: "writing" }>): number | undefined {
  const statistics = statisticsOf(slice);
  const at = statistics === undefined ? slice.closingAt : statistics.firstRecordAt;
  return at === undefined ? undefined : msOf(at);
}
