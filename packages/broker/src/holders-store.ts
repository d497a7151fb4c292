// Lists of holders in the coordination store: read at its newest revision, written only as long as everything is as the
// writer knows it (H1 of holders-activation.ts). Those of many journals share requests.
import { WireError } from "@millrace/base";
import {
  keyOf,
  prefixRange,
  SharedTxns,
  type Compare,
  type CoordinationStore,
  type Key,
  type StoreOp,
} from "@millrace/metadata";
import { decodeHolders, encodeHolders, holdersKey } from "./holders-codec.ts";
import { isHeldOnlyBy, names, type HolderId, type HoldersList } from "./holders-list.ts";
import { asBroker } from "./own-rights.ts";

export interface ReadHolders {
  /** Undefined: this life of the journal has none yet. */
  readonly list: HoldersList | undefined;
  /** Revision of the key, 0 without one. */
  readonly listRevision: number;
  /** Revision of the store at which it was read. */
  readonly readAt: number;
}

/** What the writer of a list knows of the journal. */
export interface KnownJournal {
  readonly journal: string;
  readonly createRevision: number;
  readonly itemKey: Key;
  readonly assignments: readonly { readonly key: Key; readonly modRevision: number }[];
}

/** As {@link HoldersStore.touch} writes it again. */
export interface TouchedAssignment {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly modRevision: number;
}

/** A transaction's part. */
export interface ListWrite {
  readonly compare: readonly Compare[];
  readonly success: readonly StoreOp[];
}

export type WriteOutcome =
  | { readonly kind: "done" | "conflict"; readonly revision: number }
  /** It may have been written. */
  | { readonly kind: "unknown" };

/** Compares and deletions of one transaction, of at most 128 (D26). */
const FORGOTTEN_AT_ONCE = 60;
/** Before the name of a journal. */
export const RESET_HEAD_REMEDY =
  "docs/cluster.md says when to give up what they had, with millrace journals reset-head -l name=";
/** Lists of one read, each of some hundred bytes. */
const LISTS_AT_ONCE = 1000;

export class HoldersStore {
  readonly #store: CoordinationStore;
  readonly #reads: SharedTxns;
  readonly #writes: SharedTxns;
  readonly #root: string;

  /** @throws {WireError} INVALID_ARGUMENT when brokers that watch `root` would see the lists */
  constructor(store: CoordinationStore, root: string) {
    holdersKey(root, "");
    this.#store = store;
    this.#reads = new SharedTxns(store);
    this.#writes = new SharedTxns(store);
    this.#root = root;
  }

  key(journal: string): Key {
    return keyOf(holdersKey(this.#root, journal));
  }

  /** @throws {WireError} CORRUPT, naming the key; of the store */
  async read(journal: string, createRevision: number, signal: AbortSignal): Promise<ReadHolders> {
    const { refusal, ...read } = await this.tryRead(journal, createRevision, signal);
    if (refusal !== undefined) throw refusal;
    return read;
  }

  /** As {@link read}; `refusal`: somebody wrote what nobody can read. @throws {WireError} of the store */
  async tryRead(
    journal: string,
    createRevision: number,
    signal: AbortSignal,
  ): Promise<ReadHolders & { readonly refusal?: WireError }> {
    const success: StoreOp[] = [{ kind: "range", key: this.key(journal) }];
    const { header, results } = await asBroker(
      this.#reads.txn({ subject: journal, compare: [], success }, signal),
    );
    const [found] = results;
    const kv = found?.kind === "range" ? found.kvs[0] : undefined;
    const readAt = header.revision;
    if (kv === undefined) return { list: undefined, listRevision: 0, readAt };
    const listRevision = kv.modRevision;
    try {
      const stored = decodeHolders(kv.value);
      const list = stored.createRevision === createRevision ? stored.list : undefined;
      return { list, listRevision, readAt };
    } catch (cause) {
      return { list: undefined, listRevision, readAt, refusal: unreadable(journal, kv.key, cause) };
    }
  }

  /**
   * Journals of which a segment names the data directory, of any life: a list that nobody can read names it, too.
   * @throws {WireError} of the store
   */
  namedBy(holder: HolderId, signal: AbortSignal): Promise<readonly string[]> {
    return this.#journalsOf((list) => names(list, holder), signal);
  }

  /**
   * Journals, as {@link namedBy}, of which a segment names the data directory and none of `others`.
   * @throws {WireError} of the store
   */
  heldOnlyBy(
    holder: HolderId,
    others: ReadonlySet<HolderId>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    return this.#journalsOf((list) => isHeldOnlyBy(list, holder, others), signal);
  }

  /** Journals whose list is such a one, or cannot be read. */
  async #journalsOf(isSuch: (list: HoldersList) => boolean, signal: AbortSignal): Promise<readonly string[]> {
    const prefix = this.key("");
    const { key: first, end } = prefixRange(prefix);
    const named: string[] = [];
    for (let key = first; ;) {
      const { kvs, more } = await asBroker(this.#store.range({ key, end, limit: LISTS_AT_ONCE }, signal));
      for (const kv of kvs) if (maybe(kv.value, isSuch)) named.push(kv.key.slice(prefix.length));
      const last = kvs.at(-1);
      if (!more || last === undefined) return named;
      key = `${last.key}\0`;
    }
  }

  /**
   * What has to hold for `list` to take the place of the one at `listRevision`, and the write itself.
   * @throws {WireError} OVERLOADED when the list is larger than a value may be
   */
  change(known: KnownJournal, list: HoldersList, listRevision: number): ListWrite {
    const { journal, createRevision, itemKey, assignments } = known;
    const value = encodeHolders({ createRevision, list });
    if (value === undefined) {
      const count = list.segments.length;
      throw new WireError(
        "OVERLOADED",
        `the list of holders of ${journal} is too large (${count} segments)`,
        {
          facts: { journal, segments: count },
        },
      );
    }
    const key = this.key(journal);
    const mod = (at: Key, revision: number): Compare => ({ target: "mod", key: at, op: "=", revision });
    return {
      compare: [
        mod(key, listRevision),
        { target: "create", key: itemKey, op: "=", revision: createRevision },
        ...assignments.map((each) => mod(each.key, each.modRevision)),
      ],
      success: [{ kind: "put", key, value }],
    };
  }

  /**
   * Removes the lists of journals that are no more. One that was made anew keeps its list; one that stays behind, since
   * the process ended, is of an earlier life and so none.
   */
  async forget(
    journals: readonly { readonly journal: string; readonly itemKey: Key }[],
    signal: AbortSignal,
  ): Promise<void> {
    for (let at = 0; at < journals.length; at += FORGOTTEN_AT_ONCE) {
      const some = journals.slice(at, at + FORGOTTEN_AT_ONCE);
      await this.#store.txn(
        {
          compare: some.map(({ itemKey: key }) => ({ target: "create", key, op: "=", revision: 0 })),
          success: some.map(({ journal }) => ({ kind: "delete", key: this.key(journal) })),
        },
        signal,
      );
    }
  }

  /**
   * Makes a new revision below the root, from which an epoch may be taken: writes an assignment as it is.
   * @throws what aborted `signal`
   */
  async touch(journal: string, assignment: TouchedAssignment, signal: AbortSignal): Promise<WriteOutcome> {
    const { key, value, lease, modRevision } = assignment;
    const compare: Compare[] = [{ target: "mod", key, op: "=", revision: modRevision }];
    const success: StoreOp[] = [{ kind: "put", key, value, ...(lease !== 0n && { lease }) }];
    return this.send(journal, { compare, success }, signal);
  }

  /** @throws {WireError} OVERLOADED as {@link change}; what aborted `signal` */
  async write(
    known: KnownJournal,
    list: HoldersList,
    listRevision: number,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    return this.send(known.journal, this.change(known, list, listRevision), signal);
  }

  /** @throws what aborted `signal` */
  async send(journal: string, { compare, success }: ListWrite, signal: AbortSignal): Promise<WriteOutcome> {
    try {
      const { succeeded, header } = await this.#writes.txn({ subject: journal, compare, success }, signal);
      return { kind: succeeded ? "done" : "conflict", revision: header.revision };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WireError)) throw error;
      return { kind: "unknown" };
    }
  }
}

function unreadable(journal: string, key: Key, cause: unknown): WireError {
  const text = `${WireError.from(cause).message} (key ${key}); ${RESET_HEAD_REMEDY}${journal}`;
  return new WireError("CORRUPT", text, { cause, facts: { journal, key } });
}

function maybe(value: Uint8Array, isSuch: (list: HoldersList) => boolean): boolean {
  try {
    return isSuch(decodeHolders(value).list);
  } catch {
    return true;
  }
}
