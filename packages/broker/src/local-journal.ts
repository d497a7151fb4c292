// What this broker has of one life of a journal: its spool, the index of its fragments, and the persister's hold of
// both. It outlives the replica: a journal that is suspended, or that leaves and comes back, goes on where it
// stood, and what is closed goes on to its store meanwhile.
//
//  O1  Once removed, it has no fragments for whoever still works on them: nothing is released or read any more.
import { WireError, type Clock } from "@millrace/base";
import {
  FragmentIndex,
  type JournalLife,
  type LocalFragment,
  type Persister,
  type PersistHandle,
  type PersistSettings,
  type Spool,
  type Spools,
} from "@millrace/fragments";
import { evaluatePathTemplate, parsePathTemplate, type Fragment, type JournalSpec } from "@millrace/protocol";
import type { SpoolLease, SpoolUser } from "./spool-token.ts";

/**
 * Bytes of closed fragments of a journal without stores that stay on this disk: unbounded, retention decides
 * (D19).
 */
const NO_BOUND = undefined;

/** Who may write to the spool, where other brokers may want it. */
export interface SpoolGuard {
  /**
   * Waits for the spool, to write under an attempt that has brought this broker to what all have.
   * @throws {WireError} UNAVAILABLE when a newer attempt is known; what aborted `signal`
   */
  takeSpool(
    user: SpoolUser,
    attempt: { readonly epoch: number; readonly stream: number },
    signal: AbortSignal,
  ): Promise<SpoolLease>;
  /** Waits for the spool: the journal leaves this broker. */
  takeLast(signal: AbortSignal): Promise<SpoolLease>;
}

export class LocalJournal {
  readonly createRevision: number;
  readonly spool: Spool;
  readonly index = new FragmentIndex();
  /** Undefined where there are no other brokers. */
  readonly holder: SpoolGuard | undefined = undefined;
  spec: JournalSpec;
  isPrimary = true;
  readonly #persisting: PersistHandle;
  readonly #unsubscribe: () => void;
  #isRemoved = false;

  constructor(spool: Spool, spec: JournalSpec, persister: Persister) {
    this.createRevision = spool.life.createRevision;
    this.spool = spool;
    this.spec = spec;
    this.#unsubscribe = spool.onChange(() => this.refreshLocal());
    this.refreshLocal();
    this.#persisting = persister.open({
      name: spec.name,
      index: this.index,
      spool: {
        fragments: () => (this.#isRemoved ? [] : spool.fragments()),
        read: (offset, bytes, signal) =>
          this.#isRemoved ? Promise.reject(removed(spec)) : spool.read(offset, bytes, signal),
        release: (range) => {
          if (!this.#isRemoved) spool.release(range); // O1
        },
        onChange: (listener) => spool.onChange(listener),
      },
      settings: () => (this.#isRemoved ? undefined : this.#settings()),
    });
  }

  /** Brings the index up to what the spool has. */
  refreshLocal(): void {
    if (!this.#isRemoved) this.index.setLocal(this.spool.fragments());
  }

  /** Bytes that no store has confirmed. */
  get unpersistedBytes(): number {
    const first = this.spool.fragments()[0];
    return first === undefined ? 0 : this.spool.end - first.begin;
  }

  /** Whether `url` has the newest of the persisted fragments. */
  hasPersisted(url: string): boolean {
    for (let i = this.index.count - 1; i >= 0; i--) {
      const entry = this.index.at(i);
      if (entry.kind === "remote") return entry.fragment.backingStore === url;
    }
    return false;
  }

  /** Resolves when everything handed to the spool before now has its outcome. No append may be open. */
  settled(): Promise<void> {
    return new Promise((done) => {
      this.spool.openAppend().commit(undefined, () => done());
    });
  }

  /** Forgets the journal's bytes. Nothing may be pending in the spool. */
  remove(): void {
    this.#isRemoved = true;
    this.#unsubscribe();
    this.#persisting.close();
    this.spool.remove();
  }

  #settings(): PersistSettings {
    const { spec } = this;
    const { stores, compressionCodec: codec, pathPostfixTemplate, retentionMs } = spec.fragment;
    return {
      stores,
      codec,
      isPrimary: this.isPrimary,
      retention: { retentionMs, bytesMax: NO_BOUND, trimmedTo: 0 },
      pathPostfix: (fragment) => this.#pathPostfix(pathPostfixTemplate, fragment),
    };
  }

  #pathPostfix(template: string, { begin, end, firstAppendMs }: LocalFragment): string {
    if (template === "") return "";
    const { spec, spool } = this;
    const { name: journal, labels, replication } = spec;
    const scope = { journal, begin, end, firstAppendMs, registers: spool.registers, replication, labels };
    return evaluatePathTemplate(parsePathTemplate(template), scope);
  }
}

/** Pause between attempts to claim a spool while the disk refuses. */
const CLAIM_RETRY_MS = 1000;

export interface LocalJournalsPorts {
  readonly spools: Spools;
  readonly persister: Persister;
  readonly clock: Clock;
}

/** All lives that are open here, by journal. */
export class LocalJournals {
  readonly #ports: LocalJournalsPorts;
  readonly #journals = new Map<string, LocalJournal>();

  constructor(ports: LocalJournalsPorts) {
    this.#ports = ports;
  }

  /**
   * Opens a life, or gives the one that is open. An earlier life of the journal must have been removed.
   * @param onRefused told of each refusal, after which it is tried again until `signal` aborts
   */
  async open(
    life: JournalLife,
    spec: JournalSpec,
    onRefused: (error: WireError) => void,
    signal: AbortSignal,
  ): Promise<LocalJournal> {
    const atLeast = spec.suspend?.offset ?? 0;
    const known = this.#journals.get(life.journal);
    if (known?.createRevision === life.createRevision) {
      known.spec = spec;
      if (known.spool.pendingEnd < atLeast) known.spool.roll(atLeast);
      return known;
    }
    for (;;) {
      try {
        const spool = await this.#ports.spools.claim(life, atLeast);
        const journal = new LocalJournal(spool, spec, this.#ports.persister);
        this.#journals.set(life.journal, journal);
        return journal;
      } catch (error) {
        onRefused(WireError.from(error));
        await this.#ports.clock.sleep(CLAIM_RETRY_MS, signal);
      }
    }
  }

  /** A fragment was removed from its store on purpose. */
  fragmentRemoved(fragment: Fragment): void {
    this.#journals.get(fragment.journal)?.index.forget(fragment);
  }

  /** Forgets a journal that was deleted; `journal` may be what is open of it. */
  remove(journal: LocalJournal): void {
    const { name } = journal.spec;
    if (this.#journals.get(name) === journal) this.#journals.delete(name);
    journal.remove();
  }
}

function removed({ name }: JournalSpec): WireError {
  return new WireError("NOT_FOUND", `journal ${name} was deleted`);
}
