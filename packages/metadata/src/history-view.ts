// The store's history as watchers may see it: durable revisions only (P1 of commit-pipeline.ts), back to the
// compaction.
import type { Gate } from "@millrace/base";
import type { CommitPipeline } from "./commit-pipeline.ts";
import type { KeyValue, StoreEvent, StoreHeader } from "./coordination.ts";
import { versionAt, type Mvcc } from "./mvcc.ts";

export class HistoryView {
  readonly #state: Mvcc;
  readonly #pipeline: CommitPipeline;

  constructor(state: Mvcc, pipeline: CommitPipeline) {
    this.#state = state;
    this.#pipeline = pipeline;
  }

  /** Newest durable revision. */
  get revision(): number {
    return this.#pipeline.durableRevision;
  }

  /** Revisions below this one are gone. */
  get compactRevision(): number {
    return this.#state.compactRevision;
  }

  get isClosed(): boolean {
    return this.#pipeline.isClosed;
  }

  /** Opens whenever there may be more, and when the store closes. */
  get progress(): Gate {
    return this.#pipeline.progress;
  }

  /** The identity and `revision`, as responses carry them. */
  header(revision: number): StoreHeader {
    return this.#state.header(revision);
  }

  /** @param revision in [compactRevision, revision] */
  eventsAt(revision: number): readonly StoreEvent[] {
    return this.#state.eventsAt(revision);
  }

  /** The key of `event` as it was before, unless it was not there or that is compacted. */
  before({ kv }: StoreEvent): KeyValue | undefined {
    const revision = kv.modRevision - 1;
    if (revision < this.#state.compactRevision) return undefined;
    const history = this.#state.keys.get(kv.key);
    return history === undefined ? undefined : versionAt(history.versions, revision);
  }
}
