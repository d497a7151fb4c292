// Gives this broker every journal: all that allocation is while there is one broker. Its keys are those of the
// cluster's allocator, which takes its place when there are several.
//
//  L1  A journal that wants a replica has the assignment <journal>#<zone>#<suffix>#0 under this session's lease;
//      one that wants none (suspended fully), or is gone, has no assignment of this broker.
//  L2  An assignment is written only if its journal is still the life that was seen.
//  L3  It is written with its route, which with one member is the only one that a primary would store.
import type { Clock, Logger } from "@millrace/base";
import type { Compare, CoordinationStore, StoreOp } from "@millrace/metadata";
import { assignmentKey, encodeRoute, equalProcessIds, itemKey, type ProcessId } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { Item } from "./journal-table.ts";
import { TXN_OPS_MAX } from "./limits.ts";

export interface AllocatorPorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** After a race with a change of specs, or a failure of the store. */
const RETRY_MS = 20;
/** Journals of one transaction: a journal costs a compare and an operation. */
const JOURNALS_PER_TXN = TXN_OPS_MAX / 2;

export class SingleMemberAllocator {
  readonly #ports: AllocatorPorts;
  readonly #keyspace: BrokerKeyspace;
  readonly #self: ProcessId;
  readonly #lease: bigint;
  readonly #wanted: (item: Item) => boolean;
  #pending = new Set<string>();

  /** @param wanted whether a journal is to have a replica */
  constructor(
    ports: AllocatorPorts,
    keyspace: BrokerKeyspace,
    self: { readonly id: ProcessId; readonly lease: bigint },
    wanted: (item: Item) => boolean,
  ) {
    this.#ports = ports;
    this.#keyspace = keyspace;
    this.#self = self.id;
    this.#lease = self.lease;
    this.#wanted = wanted;
    keyspace.onUpdate((changed) => {
      for (const journal of changed) this.#pending.add(journal);
    });
    for (const journal of keyspace.table.names("")) this.#pending.add(journal);
    for (const journal of keyspace.table.assigned()) this.#pending.add(journal);
  }

  /** Keeps L1 until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      while (this.#pending.size > 0) await this.#converge(signal);
      await this.#keyspace.changed.next(signal);
    }
  }

  async #converge(signal: AbortSignal): Promise<void> {
    const journals: string[] = [];
    for (const journal of this.#pending) {
      if (journals.length === JOURNALS_PER_TXN) break;
      journals.push(journal);
      this.#pending.delete(journal);
    }
    const compare: Compare[] = [];
    const success: StoreOp[] = [];
    for (const journal of journals) this.#plan(journal, compare, success);
    if (success.length === 0) return;
    try {
      const { succeeded } = await this.#ports.coordination.txn({ compare, success }, signal);
      if (succeeded) return;
    } catch (error) {
      signal.throwIfAborted();
      this.#ports.logger.warn("allocation-failed", { journals: journals.length, error });
    }
    // Its own events come back through the keyspace; what was decided on an old state is decided again.
    for (const journal of journals) this.#pending.add(journal);
    await this.#ports.clock.sleep(RETRY_MS, signal);
  }

  #plan(journal: string, compare: Compare[], success: StoreOp[]): void {
    const { table, root } = this.#keyspace;
    const item = table.item(journal);
    const mine = table.assignments(journal).filter(({ member }) => equalProcessIds(member, this.#self));
    if (item === undefined || !this.#wanted(item)) {
      for (const { key } of mine) success.push({ kind: "delete", key });
      return;
    }
    const key = assignmentKey(root, { item: journal, member: this.#self, slot: 0 });
    if (mine.some((assignment) => assignment.key === key && assignment.lease === this.#lease)) return;
    compare.push({ target: "create", key: itemKey(root, journal), op: "=", revision: item.createRevision }); // L2
    const value = encodeRoute({ members: [this.#self], primary: 0, endpoints: [] }); // L3
    success.push({ kind: "put", key, value, lease: this.#lease });
  }
}
