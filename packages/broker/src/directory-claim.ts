// A data directory's id in the lists of holders says that its bytes are those that it once had (D10). A copy of the
// directory has the same id, and so has an older one that was put back.
//
//  C1  Of all directories with an id one may be in use: a key with the session's lease says which. The others wait.
//  C2  Each start, and each minute of a broker, leaves a token in the store, under the directory's id, and then in the
//      directory's log (store-mark.ts, directory-token.ts). A directory whose log does not have the newest token is an
//      older copy: what was acknowledged since is not in it. It gets another id, under which nobody counts on it, and
//      so its bytes are judged as those of a stranger.
//  C3  A process may end between the two writes: until the log has the token, the one before stands beside it.
//  C4  A store that does not have the log's token, and never had a newer one, is itself older than the directory.
//      Nothing can be told from it; it is said, and the start goes on.
import { text, utf8, WireError, type Logger } from "@millrace/base";
import type { Spools, StoreMark } from "@millrace/fragments";
import {
  keyOf,
  type Compare,
  type CoordinationStore,
  type Key,
  type Session,
  type StoreOp,
} from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import type { HolderId } from "./holders-list.ts";
import { memberName } from "./journal-table.ts";

export interface ClaimPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Pick<Spools, "mark">;
  readonly logger: Logger;
}

export interface DirectoryClaim {
  readonly root: string;
  readonly broker: ProcessId;
  readonly directory: HolderId;
  /** Gives the directory another id, durably, and returns it. */
  readonly renew: (() => HolderId) | undefined;
}

/** What the store has of a directory. */
export interface KnownDirectory {
  readonly clusterId: bigint;
  /** Of the key's newest change. */
  readonly revision: number;
  /** The newest one, and the one before while the log may lack the newest (C3); 0 stands for none. */
  readonly tokens: readonly bigint[];
}

/** `store-older`: C4. */
export type DirectoryFate = "same" | "older-copy" | "store-older";

/** @param mark newest one of the log @param known undefined: the store has never seen the directory */
export function fateOfDirectory(
  mark: StoreMark | undefined,
  known: KnownDirectory | undefined,
): DirectoryFate {
  // Of another cluster's log nothing is kept anyhow (fateOf).
  if (known === undefined || (mark !== undefined && mark.clusterId !== known.clusterId)) return "same";
  if (known.tokens.includes(mark?.token ?? 0n)) return "same";
  return mark !== undefined && mark.revision > known.revision ? "store-older" : "older-copy";
}

/** Outside of every root that brokers watch, as the lists are. */
function tokensKey(root: string, directory: HolderId): Key {
  return keyOf(`!millrace/directories#${root}#${directory}`);
}

/** Who uses it, under its lease (C1). */
export function useKey(root: string, directory: HolderId): Key {
  return keyOf(`!millrace/directories-in-use#${root}#${directory}`);
}

/** The first write. @param before the token that the log has; undefined: none */
export function tokensOp(root: string, directory: HolderId, token: bigint, before?: bigint): StoreOp {
  return putTokens(root, directory, [token, before ?? 0n]);
}

/** The write once the log has the token (C3). */
export function tokenLoggedOp(root: string, directory: HolderId, token: bigint): StoreOp {
  return putTokens(root, directory, [token]);
}

/** @param revision of the tokens' newest change */
export function tokensCompare(root: string, directory: HolderId, revision: number): Compare {
  return { target: "mod", key: tokensKey(root, directory), op: "=", revision };
}

function putTokens(root: string, directory: HolderId, tokens: readonly bigint[]): StoreOp {
  const value = utf8(tokens.map((token) => token.toString(16)).join(" "));
  return { kind: "put", key: tokensKey(root, directory), value };
}

/**
 * Waits until no other process uses the directory, or a copy of it (C1), and judges it (C2).
 * @returns the id that counts, and whether the store has never seen the directory
 * @throws {WireError} CONFLICT about an older copy that cannot be renewed; of the store; what `renew` throws; what
 * aborted `signal`
 */
export async function claimDirectory(
  { coordination, spools, logger }: ClaimPorts,
  session: Session,
  { root, broker, directory, renew }: DirectoryClaim,
  signal: AbortSignal,
): Promise<{ readonly id: HolderId; readonly isNew: boolean }> {
  for (let id = directory; ;) {
    const inUse = useKey(root, id);
    await session.announce(inUse, utf8(memberName(broker)), signal);
    const { known } = await findDirectory(coordination, root, id, signal);
    const fate = fateOfDirectory(spools.mark, known);
    if (fate === "store-older") logger.error("store-older-than-directory", { directory: id });
    // One that was given another id is an old one.
    if (fate !== "older-copy") return { id, isNew: known === undefined && id === directory };
    // The directory that has everything may be about to start.
    await coordination.txn({ compare: [], success: [{ kind: "delete", key: inUse }] }, signal);
    if (renew === undefined) {
      throw new WireError(
        "CONFLICT",
        `data directory ${id} is an older copy: it lacks what it acknowledged since`,
      );
    }
    const renewed = renew();
    logger.error("directory-older-than-store", { directory: id, renewed });
    id = renewed;
  }
}

/** What the store has of a directory now, and its revision. @throws {WireError} of the store; CORRUPT */
export async function findDirectory(
  store: CoordinationStore,
  root: string,
  directory: HolderId,
  signal: AbortSignal,
): Promise<{ readonly revision: number; readonly known: KnownDirectory | undefined }> {
  const { header, kvs } = await store.range({ key: tokensKey(root, directory) }, signal);
  const [found] = kvs;
  const { clusterId, revision } = header;
  if (found === undefined) return { revision, known: undefined };
  const words = text(found.value).split(" ");
  if (!words.every((word) => /^[0-9a-f]{1,16}$/.test(word))) {
    throw new WireError("CORRUPT", `the store's tokens of data directory ${directory} cannot be read`);
  }
  const tokens = words.map((word) => BigInt(`0x${word}`));
  return { revision, known: { clusterId, revision: found.modRevision, tokens } };
}
