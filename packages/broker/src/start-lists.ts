// Lists of holders at the start of a broker: the first ones, for what is here from before there were any, and all of
// them, to judge by what a restart found (durability.md D10, D11).
//
//  F1  What a broker has that was alone is acknowledged. The list that says so is there before the broker announces
//      itself: from then on others may write one. Only a directory that the store has never seen was alone: where
//      another one's journal has no list, somebody has removed it, and others may have more.
//  F2  Lists that judge are read at a revision not below the announcement.
import { WireError, type Logger } from "@millrace/base";
import type { FoundLife } from "@millrace/fragments";
import {
  keyOf,
  prefixEnd,
  type Compare,
  type CoordinationStore,
  type Key,
  type StoreOp,
} from "@millrace/metadata";
import { itemKey } from "@millrace/protocol";
import { decodeHolders, encodeHolders, holdersKey, type StoredHolders } from "./holders-codec.ts";
import type { HolderId } from "./holders-list.ts";

/** Journals of one transaction, each with two compares: of 128 operations at most (D26). */
const FIRST_AT_ONCE = 40;
const PAGE_LISTS = 1000;

export interface StartListsPorts {
  readonly coordination: CoordinationStore;
  readonly root: string;
  readonly logger: Logger;
}

interface FoundList {
  /** Undefined: nobody can read it. */
  readonly stored: StoredHolders | undefined;
  readonly modRevision: number;
}

/** By journal. */
export type StartLists = ReadonlyMap<string, FoundList>;

/**
 * All lists below the root.
 * @throws {WireError} of the store; INVALID_ARGUMENT about the root
 */
export async function readLists(
  { coordination, root, logger }: StartListsPorts,
  signal: AbortSignal,
): Promise<StartLists> {
  const prefix = keyOf(holdersKey(root, ""));
  const end = prefixEnd(prefix);
  const lists = new Map<string, FoundList>();
  for (let key: Key = prefix; ;) {
    const { kvs, more } = await coordination.range({ key, end, limit: PAGE_LISTS }, signal);
    for (const { key: found, value, modRevision } of kvs) {
      const journal = found.slice(prefix.length);
      lists.set(journal, { stored: decoded(value, journal, logger), modRevision });
    }
    const last = kvs.at(-1);
    if (!more || last === undefined) return lists;
    key = `${last.key}\0`;
  }
}

/** F1. @returns how many were written @throws {WireError} of the store */
export async function writeFirstLists(
  ports: StartListsPorts,
  self: HolderId,
  lives: readonly FoundLife[],
  signal: AbortSignal,
): Promise<number> {
  const lists = await readLists(ports, signal);
  const first: FirstList[] = [];
  for (const life of lives) {
    const known = lists.get(life.journal);
    if (life.end === 0 || known?.stored?.createRevision === life.createRevision) continue;
    if (known !== undefined && known.stored === undefined) continue;
    const { createRevision, epoch, base: begin } = life;
    const list = { segments: [{ epoch, begin, members: [self] }], tail: { kind: "held" } } as const;
    const value = encodeHolders({ createRevision, list })!;
    first.push({ life, value, modRevision: known?.modRevision ?? 0 });
  }
  let count = 0;
  for (let at = 0; at < first.length; at += FIRST_AT_ONCE) {
    const some = first.slice(at, at + FIRST_AT_ONCE);
    if (await put(ports, some, signal)) count += some.length;
    // One of them is about a journal that is no more, or that others have written a list for.
    else for (const each of some) if (await put(ports, [each], signal)) count++;
  }
  return count;
}

interface FirstList {
  readonly life: FoundLife;
  readonly value: Uint8Array;
  readonly modRevision: number;
}

async function put(
  { coordination, root }: StartListsPorts,
  lists: readonly FirstList[],
  signal: AbortSignal,
): Promise<boolean> {
  const compare: Compare[] = [];
  const success: StoreOp[] = [];
  for (const { life, value, modRevision } of lists) {
    const { journal, createRevision } = life;
    const key = keyOf(holdersKey(root, journal));
    compare.push(
      { target: "create", key: itemKey(root, journal), op: "=", revision: createRevision },
      { target: "mod", key, op: "=", revision: modRevision },
    );
    success.push({ kind: "put", key, value });
  }
  const { succeeded } = await coordination.txn({ compare, success }, signal);
  return succeeded;
}

function decoded(value: Uint8Array, journal: string, logger: Logger): StoredHolders | undefined {
  try {
    return decodeHolders(value);
  } catch (error) {
    logger.error("holders-list-unreadable", { journal, error: WireError.from(error).message });
    return undefined;
  }
}
