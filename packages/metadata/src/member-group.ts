// Who does which part of a work that several processes share: each member has a key under the group's prefix, which
// ends with its lease, and a ring over the members (hash-ring.ts) says whose a piece of work is.
//
// G1 `owns` is true of one member at most for those who see the same members. They do not always: a member that comes
//    or goes is seen by each a little earlier or later. So ownership saves work and keeps peace, and what must not be
//    done twice is guarded by transactions.
// G2 A member whose lease is lost, or whose key is not there under its lease, owns nothing.
// G3 Changes are grouped, so that processes that start together do not pass their work around.
import type { Clock, Logger } from "@millrace/base";
import type { CoordinationStore, Key } from "./coordination.ts";
import { HashRing } from "./hash-ring.ts";
import { keyOf, textOf } from "./key.ts";
import { Keyspace } from "./keyspace.ts";
import type { LeasedKey, LeasedKeys } from "./leased-keys.ts";

/** A share in the work of a group. */
export interface GroupShare {
  /** Members as they are seen here, sorted. */
  readonly members: readonly string[];
  /** Whether the piece of work that `key` names is this member's. */
  owns(key: string): boolean;
  /** Calls `listener` when the answers of owns() may have changed. @returns a function that ends it */
  observe(listener: () => void): () => void;
}

export interface MemberGroupOptions {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends with a slash; below it stands a key for each member. */
  readonly prefix: Key;
  /** Of this member, without a slash. */
  readonly id: string;
  /** What this member says of itself. */
  readonly value: Uint8Array;
  readonly leases: LeasedKeys;
  /** Default 200. */
  readonly groupingMs?: number;
}

const GROUPING_MS = 200;

/** The share of a process that is alone with its store: everything, and without a lease. */
export function wholeShare(id: string): GroupShare {
  return { members: [id], owns: () => true, observe: () => () => undefined };
}

export class MemberGroup implements GroupShare {
  readonly #options: MemberGroupOptions;
  readonly #keyspace: Keyspace<Uint8Array>;
  readonly #listeners = new Set<() => void>();
  readonly #ownKey: Key;
  #held: LeasedKey | undefined;
  #ring = new HashRing([]);
  #isMember = false;

  constructor(options: MemberGroupOptions) {
    this.#options = options;
    this.#ownKey = options.prefix + keyOf(options.id);
    this.#keyspace = new Keyspace({
      ...options,
      decode: (_key, value) => value,
      applyDelayMs: options.groupingMs ?? GROUPING_MS,
    });
    this.#keyspace.observe(() => this.#update());
  }

  get members(): readonly string[] {
    return this.#ring.ids;
  }

  /** What each member says of itself, by its id. */
  get values(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.#keyspace.scan().map(({ key, value }) => [this.#idOf(key), value]));
  }

  owns(key: string): boolean {
    return this.#isMember && this.#ring.owner(key) === this.#options.id;
  }

  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads who is there. @throws {WireError} what the store says */
  load(signal: AbortSignal): Promise<void> {
    return this.#keyspace.load(0, signal);
  }

  /** Joins, and follows who comes and goes, until `signal` aborts. Call once, after load(). */
  async run(signal: AbortSignal): Promise<void> {
    const { leases, value } = this.#options;
    const unobserve = leases.observe(() => this.#update());
    this.#held = leases.hold(this.#ownKey, value);
    try {
      await this.#keyspace.run(signal);
    } finally {
      this.leave();
      unobserve();
    }
  }

  /** Owns nothing from now on; the others learn it at once. */
  leave(): void {
    this.#held?.release();
    this.#held = undefined;
    this.#update();
  }

  #update(): void {
    const { leases } = this.#options;
    const ids = this.#keyspace.scan().map(({ key }) => this.#idOf(key));
    const lease = this.#held === undefined ? undefined : leases.lease;
    const isMember = lease !== undefined && this.#keyspace.get(this.#ownKey)?.lease === lease; // G2
    const isSame = isMember === this.#isMember && ids.join("/") === this.#ring.ids.join("/");
    if (isSame) return;
    this.#ring = new HashRing(ids);
    this.#isMember = isMember;
    this.#options.logger.info("group-changed", { prefix: this.#options.prefix, members: ids, isMember });
    for (const listener of [...this.#listeners]) listener();
  }

  #idOf(key: Key): string {
    return textOf(key.slice(this.#options.prefix.length));
  }
}
