// What the allocator reads from the coordination store, and what it must be told about it: keys and consistency.
//
// A snapshot is the whole keyspace at one revision of the mirror. Members and assignments name a member as their keys
// do, `<zone>#<suffix>`: one string, made once when a key is decoded.
import type { Key } from "@millrace/metadata";

/** What is distributed: a journal, a shard. */
export interface ItemEntry {
  readonly key: Key;
  readonly id: string;
  /** Members that the item should have; an integer in [0, REPLICATION_MAX], more is taken for that. */
  readonly replication: number;
  readonly modRevision: number;
}

/** Who items are distributed over. */
export interface MemberEntry {
  readonly key: Key;
  /** `<zone>#<suffix>` */
  readonly name: string;
  readonly zone: string;
  /** Items that it takes at most. */
  readonly limit: number;
  /** It gives its items away as far as the others have room, and leaves. */
  readonly exiting: boolean;
  /** It is gone, though its session has not ended: it does not lead. Its limit is 0 then. Default false. */
  readonly isOut?: boolean;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Of the member's session; its assignments stand under it. */
  readonly lease: bigint;
}

export interface AssignmentEntry {
  readonly key: Key;
  readonly item: string;
  /** Name of the member. */
  readonly member: string;
  /** 0 is the primary's; the others are labels that are packed. */
  readonly slot: number;
  readonly value: Uint8Array;
  readonly modRevision: number;
  readonly lease: bigint;
}

/** Each list in key order. */
export interface Snapshot {
  /** Everything up to this revision of the store is in it. */
  readonly revision: number;
  readonly items: readonly ItemEntry[];
  readonly members: readonly MemberEntry[];
  readonly assignments: readonly AssignmentEntry[];
}

/** Keys that the allocator makes, as section 2.1 of the keyspace has them. */
export interface AllocatorKeys {
  item(id: string): Key;
  /** What the keys of the item's assignments begin with, and no others. */
  assignments(item: string): Key;
  assignment(item: string, member: string, slot: number): Key;
}

/**
 * Whether `assignment` has what it takes to go on if others of its item are removed. Pure.
 * @param all the item's assignments, `assignment` among them
 */
export type ConsistencyRule = (
  item: ItemEntry,
  assignment: AssignmentEntry,
  all: readonly AssignmentEntry[],
) => boolean;
