// What this broker has of one life of a journal: its spool, the index of its fragments, and the persister's hold of
// both. It outlives the replica: a journal that is suspended, or that leaves and comes back, goes on where it
// stood, and what is closed goes on to its store meanwhile.
//
//  O1  Once removed, it has no fragments for whoever still works on them: nothing is released or read any more.
//  O3  A journal that was deleted is over wherever something of it is open, assigned or not: nothing more of it goes to
//      a store, where a new one of its name may have begun. Nobody has its spool when it is removed, nor gets it later.
//  O2  Where brokers replicate, bytes that a restart found are hidden until the list of holders has judged them (D11).
//  O4  What a restart found of a journal whose list names this directory nowhere is set aside as a whole, and nothing
//      of the life stays found: an older list, that comes back with a backup of etcd, may name the directory, and
//      would be answered with what a verdict has left of it. Of a life that is later than its list nothing is set aside
//      (later-lives.ts).
//  O5  Where the template of the path's postfix cannot be evaluated, fragments wait here until it can: under another
//      path, those who read the store by its directories would not find them, and nothing would bring them there.
import { never, WireError, type Clock, type Logger } from "@millrace/base";
import {
  FragmentIndex,
  type FoundLife,
  type JournalLife,
  type LocalFragment,
  type Persister,
  type PersistHandle,
  type PersistSettings,
  type Spool,
  type Spools,
} from "@millrace/fragments";
import {
  evaluatePathTemplate,
  parsePathTemplate,
  resumeOffset,
  type Fragment,
  type JournalSpec,
} from "@millrace/protocol";
import type { JournalHolder } from "./journal-holder.ts";

/**
 * Bytes of closed fragments of a journal without stores that stay on this disk: unbounded, retention decides
 * (D19).
 */
const NO_BOUND = undefined;

export class LocalJournal {
  readonly createRevision: number;
  readonly spool: Spool;
  readonly index = new FragmentIndex();
  /** Undefined for a broker that is alone. */
  readonly holder: JournalHolder | undefined;
  spec: JournalSpec;
  isPrimary = true;
  readonly #persisting: PersistHandle;
  readonly #logger: Logger;
  #postfixFailure: string | undefined;
  readonly #unsubscribe: () => void;
  #isRemoved = false;
  #ending: Promise<void> | undefined;

  constructor(
    spool: Spool,
    spec: JournalSpec,
    { persister, logger }: Pick<LocalJournalsPorts, "persister" | "logger">,
    holder?: JournalHolder,
  ) {
    this.#logger = logger;
    this.createRevision = spool.life.createRevision;
    this.spool = spool;
    this.holder = holder;
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
      settings: () => (this.isOver ? undefined : this.#settings()),
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

  /** Its journal was deleted. */
  get isOver(): boolean {
    return this.#ending !== undefined;
  }

  /** Forgets the journal's bytes, once nobody has the spool (O3). No replica appends to it any more. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    await this.holder?.end();
    await this.settled();
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

  /** Its closed fragments wait here: their paths could not be told at the last attempt (O5). */
  get lacksPaths(): boolean {
    return this.#postfixFailure !== undefined;
  }

  #pathPostfix(template: string, fragment: LocalFragment): string {
    try {
      const postfix = this.#evaluate(template, fragment);
      this.#postfixFailure = undefined;
      return postfix;
    } catch (thrown) {
      const { message: reason } = WireError.from(thrown);
      const isNew = reason !== this.#postfixFailure;
      this.#postfixFailure = reason;
      if (isNew) this.#logger.warn("path-postfix-failed", { journal: this.spec.name, template, reason });
      throw thrown;
    }
  }

  #evaluate(template: string, fragment: LocalFragment): string {
    if (template === "") return "";
    const { begin, end, firstAppendMs } = fragment;
    const { spec, spool } = this;
    const scope = { spec, begin, end, sum: fragment.sum(), firstAppendMs, registers: spool.registers };
    return evaluatePathTemplate(parsePathTemplate(template), scope);
  }
}

/** Pause between attempts to claim a spool while the disk refuses. */
const CLAIM_RETRY_MS = 1000;
/** How often it is looked whether the files of a life that is set aside are gone: mostly in a moment. */
const LEAVING_LOOK_MS = 20;
const LEAVING_LOOKS_MAX = 250;

export interface LocalJournalsPorts {
  readonly spools: Spools;
  readonly persister: Persister;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: this broker is alone. */
  readonly holding?: Holding;
}

/** How a journal's bytes here are held for others. */
export interface Holding {
  /** @param found epoch of what a restart found; undefined: nothing was */
  holderOf(spool: Spool, found: number | undefined): JournalHolder;
  /**
   * Whether the life's list is there, not older than what is here, and names this directory nowhere.
   * @throws {WireError} of the store
   */
  isForsaken(life: FoundLife): Promise<boolean>;
  /**
   * Lets the list judge what a restart found, all of which is hidden.
   * Where nobody can read it, or there is none, it stays hidden.
   * @throws {WireError} CORRUPT when the list does not fit; of the store and the spool
   */
  judgeFound(spool: Spool, found: FoundLife): Promise<void>;
}

/** All lives that are open here, by journal. */
export class LocalJournals {
  readonly #ports: LocalJournalsPorts;
  readonly #journals = new Map<string, LocalJournal>();
  readonly #opening = new Map<string, Promise<LocalJournal>>();
  /** Lives that recovery found and nobody has opened yet. */
  readonly #found: Map<string, FoundLife>;

  constructor(ports: LocalJournalsPorts) {
    this.#ports = ports;
    this.#found = new Map(ports.spools.unclaimed().map((life) => [life.journal, life]));
  }

  /** Everything that is open. */
  all(): Iterable<LocalJournal> {
    return this.#journals.values();
  }

  /** What is open of a life. */
  get({
    journal,
    createRevision,
  }: Pick<JournalLife, "journal" | "createRevision">): LocalJournal | undefined {
    const known = this.#journals.get(journal);
    return known?.createRevision === createRevision ? known : undefined;
  }

  /** Lives that recovery found and nobody has opened, at most `max` of those that `isWanted`. */
  notOpened(max: number, isWanted: (life: FoundLife) => boolean): readonly FoundLife[] {
    const lives: FoundLife[] = [];
    for (const life of this.#found.values()) {
      if (lives.length >= max) break;
      if (isWanted(life)) lives.push(life);
    }
    return lives;
  }

  /** What recovery found of a life that is not open. */
  found({ journal, createRevision }: Pick<JournalLife, "journal" | "createRevision">): FoundLife | undefined {
    const found = this.#found.get(journal);
    return found?.createRevision === createRevision ? found : undefined;
  }

  /**
   * Opens a life, or gives the one that is open, once an earlier one of the journal is over (O3).
   * @param onRefused told of each refusal, after which it is tried again until `signal` aborts
   */
  async open(
    life: JournalLife,
    spec: JournalSpec,
    onRefused: (error: WireError) => void,
    signal: AbortSignal,
  ): Promise<LocalJournal> {
    for (;;) {
      try {
        return await this.openOnce(life, spec);
      } catch (error) {
        onRefused(WireError.from(error));
        await this.#ports.clock.sleep(CLAIM_RETRY_MS, signal);
      }
    }
  }

  /** As {@link open}, without trying again. @throws {WireError} */
  async openOnce(life: JournalLife, spec: JournalSpec): Promise<LocalJournal> {
    const { journal, createRevision } = life;
    const atLeast = resumeOffset(spec);
    if (atLeast === undefined) {
      const why = `its suspend.offset is ${spec.suspend?.offset}, and offsets here end at 2^53 - 1`;
      throw new WireError("UNAVAILABLE", `journal ${journal} cannot be opened: ${why}`);
    }
    // Whoever opens it at the same time gets the same.
    for (let other = this.#opening.get(journal); other !== undefined; other = this.#opening.get(journal)) {
      await other.catch(() => undefined);
    }
    const known = this.#journals.get(journal);
    if (known?.createRevision === createRevision) {
      known.spec = spec;
      if (known.spool.pendingEnd < atLeast) known.spool.roll(atLeast);
      return known;
    }
    const opening = this.#open(life, spec, atLeast).finally(() => this.#opening.delete(journal));
    this.#opening.set(journal, opening);
    return opening;
  }

  async #open(life: JournalLife, spec: JournalSpec, atLeast: number): Promise<LocalJournal> {
    const { holding } = this.#ports;
    const before = this.#journals.get(life.journal);
    if (before !== undefined && before.createRevision > life.createRevision)
      throw new WireError("NOT_FOUND", `journal ${life.journal} of revision ${life.createRevision} is over`);
    if (before !== undefined) await this.end(before);
    const there = holding && this.found(life);
    const isForsaken = there !== undefined && (await this.forsake(life));
    const found = isForsaken ? undefined : there;
    const spool = await this.#claim(life, found ? 0 : atLeast, isForsaken);
    if (found !== undefined) {
      spool.hide(0); // O2
      await holding!.judgeFound(spool, found);
      if (spool.pendingEnd < atLeast) spool.roll(atLeast);
    }
    const journal = new LocalJournal(spool, spec, this.#ports, holding?.holderOf(spool, found?.epoch));
    this.#found.delete(life.journal);
    this.#journals.set(life.journal, journal);
    return journal;
  }

  /** Where the life's files are just being set aside, once they are gone. */
  async #claim(life: JournalLife, atLeast: number, isLeaving: boolean): Promise<Spool> {
    const { spools, clock } = this.#ports;
    for (let looks = 0; ; looks++) {
      try {
        return await spools.claim(life, atLeast);
      } catch (error) {
        const isTooEarly =
          isLeaving && WireError.from(error).code === "UNAVAILABLE" && looks < LEAVING_LOOKS_MAX;
        if (!isTooEarly) throw error;
        await clock.sleep(LEAVING_LOOK_MS, never);
      }
    }
  }

  /**
   * Sets aside what a restart found of a life, if nothing of it counts any more (O4).
   * @returns whether it was; claiming the life is refused until its files are gone, and begins anew
   */
  async forsake(life: JournalLife): Promise<boolean> {
    const { spools, holding, logger } = this.#ports;
    if (holding === undefined) return false;
    const nothing = { ...life, base: 0, end: 0 };
    if (!(await holding.isForsaken(this.found(life) ?? nothing))) return false;
    const found = this.found(life);
    if (found === undefined) return true; // somebody else did
    this.#found.delete(life.journal);
    const { journal, base: begin, end } = found;
    // Of most that were left nothing is here but where they end.
    if (begin < end) logger.warn("journal-bytes-set-aside", { journal, begin, end });
    spools.discard(life, { quarantine: true });
    return true;
  }

  /** A fragment was removed from its store on purpose. */
  fragmentRemoved(fragment: Fragment): void {
    this.#journals.get(fragment.journal)?.index.forget(fragment);
  }

  /** Whether another life of the journal than this one may be open. @param createRevision undefined: there is none */
  hasOthers(journal: string, createRevision: number | undefined): boolean {
    const known = this.#journals.get(journal);
    return (known !== undefined && known.createRevision !== createRevision) || this.#opening.has(journal);
  }

  /**
   * Forgets what is open of another life of the journal than the present one (O3).
   * @param current its create revision; undefined: there is none. Asked when nothing of the journal is being opened: a
   * new life may begin meanwhile
   */
  async endOthers(journal: string, current: () => number | undefined): Promise<void> {
    for (let other = this.#opening.get(journal); other !== undefined; other = this.#opening.get(journal)) {
      await other.catch(() => undefined);
    }
    const known = this.#journals.get(journal);
    if (known !== undefined && known.createRevision !== current()) await this.end(known);
  }

  /** Forgets a journal that was deleted. */
  async end(journal: LocalJournal): Promise<void> {
    await journal.end();
    const { name } = journal.spec;
    if (this.#journals.get(name) === journal) this.#journals.delete(name);
  }
}

function removed({ name }: JournalSpec): WireError {
  return new WireError("NOT_FOUND", `journal ${name} was deleted`);
}
