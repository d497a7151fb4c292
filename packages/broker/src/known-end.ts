// Whether a broker knows where a journal ends, as far as anybody can: what a restart found on its disk is hidden until
// an activation has judged it, and what others wrote meanwhile is not here at all.
import { WireError } from "@millrace/base";
import type { JournalLife } from "@millrace/fragments";
import { equalProcessIds, type ProcessId, type Route } from "@millrace/protocol";
import type { HoldersStore } from "./holders-store.ts";
import type { BrokerLease } from "./replication.ts";

export interface KnownEndPorts {
  readonly lists: HoldersStore;
  /** This broker. */
  readonly id: ProcessId;
  readonly lease: BrokerLease;
}

export class KnownEnd {
  readonly #ports: KnownEndPorts;
  readonly #life: JournalLife;
  #isKnown = false;

  constructor(ports: KnownEndPorts, life: JournalLife) {
    this.#ports = ports;
    this.#life = life;
  }

  /** This broker has activated a route as its primary: until another one is, nobody knows better. */
  activated(): void {
    this.#isKnown = true;
  }

  /** An activation is under way. */
  forget(): void {
    this.#isKnown = false;
  }

  routeSeen({ members, primary }: Route): void {
    const id = members[primary];
    if (id === undefined || !equalProcessIds(id, this.#ports.id)) this.forget();
  }

  /** Others may have the journal, and have acknowledged more: this broker's keyspace may be of before that (D12). */
  get isLate(): boolean {
    return this.#ports.lease.isLate;
  }

  /**
   * Whether something may be acknowledged behind what is shown here, and nobody has looked yet.
   * @param isWhole a replica whose primary is silent was brought in this life: it knows what it had then, and a little
   * more
   * @throws {WireError} of the coordination store, `signal.reason`
   */
  async mayLackTail(isWhole: boolean, signal: AbortSignal): Promise<boolean> {
    if (this.isLate && !(await this.#ports.lease.isAlive(signal))) return true;
    if (this.#isKnown || isWhole) return false;
    const { journal, createRevision } = this.#life;
    try {
      const { list } = await this.#ports.lists.read(journal, createRevision, signal);
      return !this.#isKnown && list?.tail.kind === "held";
    } catch (error) {
      if (error instanceof WireError && error.code === "CORRUPT") return true; // Nobody can read the list.
      throw error;
    }
  }
}
