// Whose are the bytes that recovery found? Journals live in the coordination store, their bytes here, and either may be
// lost, or put back as it was earlier. A journal is forgotten only when the store is known to have had it (D4): another
// store, or this one from before the journal was made, has nothing to say about it.
//
// At each start the broker writes a token that nobody had before into the store, and, once it is there, into its log: a
// mark. A store with the log's token has all that happened up to the mark, so that a journal made before it and missing
// was deleted. In the store the token before stands beside it: a process may end between the two writes.
import { text, utf8, WireError, type Logger } from "@millrace/base";
import type { JournalLife, Spools, StoreMark } from "@millrace/fragments";
import { keyOf, type Compare, type CoordinationStore, type StoreOp } from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import { tokenLoggedOp, tokensCompare, tokensOp } from "./directory-claim.ts";
import type { HolderId } from "./holders-list.ts";

export interface FoundStore {
  readonly clusterId: bigint;
  /** That the store has: the newest one, and the one before. */
  readonly tokens: readonly bigint[];
}

export type LifeFate =
  /** The journal is there. */
  | "kept"
  /** It was deleted. */
  | "over"
  /** Nobody knows: its bytes are kept aside. */
  | "unknown";

/** @param createRevision of the journal of that name which the store has */
export function fateOf(
  life: JournalLife,
  createRevision: number | undefined,
  mark: StoreMark | undefined,
  store: FoundStore,
): LifeFate {
  const isOther = mark !== undefined && mark.clusterId !== store.clusterId;
  if (life.createRevision === createRevision && !isOther) return "kept";
  if (mark === undefined || isOther || !store.tokens.includes(mark.token)) return "unknown";
  return life.createRevision <= mark.revision ? "over" : "unknown";
}

/**
 * Outside of the prefix that other brokers read. With the root: below another one the same broker has other journals,
 * and those that it has here are not over because they are not there.
 */
function markKey(root: string, { zone, suffix }: ProcessId): string {
  return keyOf(`/millrace/spools${root}/${zone}#${suffix}`);
}

/** @returns what the store has of the marks of `broker` */
export async function findMark(
  store: CoordinationStore,
  root: string,
  broker: ProcessId,
  signal: AbortSignal,
): Promise<FoundStore> {
  const { header, kvs } = await store.range({ key: markKey(root, broker) }, signal);
  const written = kvs[0] === undefined ? "" : text(kvs[0].value);
  const tokens = written.split(" ").filter((token) => /^[0-9a-f]{1,16}$/.test(token));
  return { clusterId: header.clusterId, tokens: tokens.map((token) => BigInt(`0x${token}`)) };
}

/**
 * Leaves a mark in the store and in the log.
 * @param directory under whose id the store keeps the token, too (directory-claim.ts); "": of none
 * @param token that nobody had before
 * @param seen revision at which the store's tokens of the directory were read: nothing is left when they have changed
 */
export async function leaveMark(
  ports: { coordination: CoordinationStore; spools: Spools; logger: Logger },
  { root, broker, directory }: { root: string; broker: ProcessId; directory: HolderId },
  token: bigint,
  signal: AbortSignal,
  seen?: number,
): Promise<void> {
  const { coordination, spools, logger } = ports;
  const tokens = [token, ...(spools.mark === undefined ? [] : [spools.mark.token])];
  const value = utf8(tokens.map((each) => each.toString(16)).join(" "));
  const success: StoreOp[] = [{ kind: "put", key: markKey(root, broker), value }];
  if (directory !== "") success.push(tokensOp(root, directory, token, spools.mark?.token));
  const isAsSeen = (at: number): Compare => tokensCompare(root, directory, at);
  const compare = seen === undefined ? [] : [isAsSeen(seen)];
  const { header, succeeded } = await coordination.txn({ compare, success }, signal);
  if (!succeeded) return;
  const { clusterId, revision } = header;
  try {
    await spools.setMark({ clusterId, revision, token });
  } catch (error) {
    // The mark before holds on: what is newer than it is kept aside if it must be told some day.
    logger.warn("store-mark-not-logged", { error: WireError.from(error).message });
    return;
  }
  if (directory === "") return;
  const logged = [tokenLoggedOp(root, directory, token)];
  await coordination.txn({ compare: [isAsSeen(revision)], success: logged }, signal);
}
