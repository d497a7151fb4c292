// How far this process has appended to the journals of partitions. What a reader tells of a write head is from when it
// last read something: one that is away, or holds as much as it may, tells nothing more, while records go on coming.
//
// N1 An end is kept as long as the view shows its partition, and says nothing of another life of it.
import type { SinkKey } from "./definitions.ts";
import type { PartitionView, StorageView } from "./storage-view.ts";

type PartitionPlace = SinkKey & { readonly n: number };

interface AppendedEnd {
  readonly createdAt: string;
  readonly end: number;
}

export class AppendedEnds {
  readonly #view: StorageView;
  readonly #ends = new WeakMap<PartitionView, AppendedEnd>();

  constructor(view: StorageView) {
    this.#view = view;
  }

  /** @param journal that was appended to: a partition that has another one by now is none of its business */
  note(key: PartitionPlace, journal: string, end: number): void {
    const partition = this.#view.partition(key);
    const entity = partition?.entity?.value;
    if (partition === undefined || entity?.journal !== journal || end <= this.of(partition)) return;
    this.#ends.set(partition, { createdAt: entity.createdAt, end });
  }

  /** 0: nothing is known. */
  of(partition: PartitionView): number {
    const known = this.#ends.get(partition);
    return known !== undefined && known.createdAt === partition.entity?.value.createdAt ? known.end : 0;
  }
}
