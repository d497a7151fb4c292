// How far this process has appended to the journals of partitions. What a reader tells of a write head is from when it
// last read something: one that is away, or holds as much as it may, tells nothing more, while records go on coming.
//
// N1 An end is kept as long as the view shows its partition, and says nothing of another life of it.
// N2 It is forgotten when the journal may have gone back behind it: bytes were given up.
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

  /** Where slices have ended: heads of the journal that somebody has seen. 0: there are none. */
  taken(key: PartitionPlace, journal: string): number {
    const partition = this.#view.partition(key);
    const entity = partition?.entity?.value;
    if (partition === undefined || entity?.journal !== journal) return 0;
    const last = partition.slices.at(-1)?.value;
    const boundary = last === undefined ? 0 : last.state === "writing" ? last.begin : last.end;
    return Math.max(entity.staged.offset, boundary);
  }

  /** Where the journal had ended already, by all that is known here. 0: nothing is known. */
  known(key: PartitionPlace, journal: string): number {
    const taken = this.taken(key, journal);
    const partition = this.#view.partition(key);
    return partition?.entity?.value.journal === journal ? Math.max(taken, this.of(partition)) : 0;
  }

  /** N2 */
  forget(key: PartitionPlace): void {
    const partition = this.#view.partition(key);
    if (partition !== undefined) this.#ends.delete(partition);
  }

  /** 0: nothing is known. */
  of(partition: PartitionView): number {
    const known = this.#ends.get(partition);
    return known !== undefined && known.createdAt === partition.entity?.value.createdAt ? known.end : 0;
  }
}
