// The broker's mirror of its keys, and the table made of it.
//
//  M1  Listeners run after each update was applied to the table, in the order they were added; then `changed` opens.
import { Gate, type Clock, type Logger } from "@millrace/base";
import { keyOf, Keyspace, type CoordinationStore, type StoreHeader } from "@millrace/metadata";
import { itemKey, memberKey, type ProcessId } from "@millrace/protocol";
import { decodeEntity, entityInstead, JournalTable, type Entity } from "./journal-table.ts";

export interface KeyspacePorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class BrokerKeyspace {
  readonly root: string;
  readonly table = new JournalTable();
  readonly changed = new Gate();
  readonly #mirror: Keyspace<Entity>;
  readonly #listeners: ((changed: ReadonlySet<string>) => void)[] = [];

  /** @param applyDelayMs how long the first event of an update waits for more */
  constructor({ coordination, clock, logger }: KeyspacePorts, root: string, applyDelayMs: number) {
    this.root = root;
    this.#mirror = new Keyspace<Entity>({
      store: coordination,
      clock,
      logger,
      // With the slash: another root that begins with this one stays out.
      prefix: keyOf(`${root}/`),
      decode: (key, value) => decodeEntity(root, key, value),
      instead: (key, known) => entityInstead(root, key, known),
      onUndecodable: () => this.changed.open(),
      applyDelayMs,
    });
    this.#mirror.observe((changes) => {
      const changed = this.table.apply(changes);
      for (const listener of this.#listeners) listener(changed);
      this.changed.open();
    });
  }

  /** The store's identity, with the greatest revision of a change below the root. */
  get header(): StoreHeader {
    return this.#mirror.header;
  }

  /** Keys below the root whose newest values nobody here can decode. */
  get undecodable(): number {
    return this.#mirror.undecodable;
  }

  /** Whether the newest spec of the journal is there and cannot be decoded. */
  isUndecodable(journal: string): boolean {
    return this.#mirror.isUndecodable(itemKey(this.root, journal));
  }

  /** Whether the newest spec of the member is there and cannot be decoded. */
  isUndecodableMember(id: ProcessId): boolean {
    return this.#mirror.isUndecodable(memberKey(this.root, id));
  }

  onUpdate(listener: (changed: ReadonlySet<string>) => void): void {
    this.#listeners.push(listener);
  }

  load(revision: number, signal: AbortSignal): Promise<void> {
    return this.#mirror.load(revision, signal);
  }

  /** Applies changes until `signal` aborts. @throws {WireError} CORRUPT when the store became another one */
  run(signal: AbortSignal): Promise<void> {
    return this.#mirror.run(signal);
  }

  holds(revision: number): boolean {
    return this.#mirror.seenRevision >= revision;
  }

  /** Resolves when the mirror holds everything up to `revision` of the store. */
  waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    return this.#mirror.waitForRevision(revision, signal);
  }
}
