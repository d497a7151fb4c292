// A broker's data directory when the broker starts, before it announces itself: which id it has, whether another one
// should be in its place, and what it was alone with.
import type { Clock, Logger } from "@millrace/base";
import type { Spools } from "@millrace/fragments";
import type { CoordinationStore, Session } from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import { claimDirectory } from "./directory-claim.ts";
import { notePlace, refuseReplacement, type DirectoryPlace } from "./former-directories.ts";
import type { HolderId } from "./holders-list.ts";
import { writeFirstLists } from "./start-lists.ts";

export interface DirectoryStartPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Spools;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface HolderPlace extends DirectoryPlace {
  /** Whether a new directory may take the place of one that is missed. */
  readonly mayReplace: boolean;
}

export interface StartedDirectory {
  readonly root: string;
  readonly broker: ProcessId;
  readonly directory: HolderId;
  readonly renew: (() => HolderId) | undefined;
  /** Undefined: nobody knows. */
  readonly at: HolderPlace | undefined;
  /** Told while somebody is waited for who uses the directory, or the one that should be in its place. */
  readonly onInUse: (() => void) | undefined;
}

/**
 * @returns the id that counts
 * @throws {WireError} CONFLICT (directory-claim.ts, former-directories.ts); of the store; what aborted `signal`
 */
export async function enterDirectory(
  ports: DirectoryStartPorts,
  session: Session,
  { root, broker, directory, renew, at, onInUse = () => undefined }: StartedDirectory,
  signal: AbortSignal,
): Promise<HolderId> {
  const { coordination, spools, logger } = ports;
  const { id, isNew } = await claimDirectory(ports, session, { root, broker, directory, renew }, signal);
  const found = isNew ? spools.unclaimed() : [];
  const isEmpty = isNew && found.length === 0 && spools.mark === undefined;
  const own = at && { root, broker, directory: id, place: at };
  const rule = { mayReplace: at?.mayReplace === true, onInUse };
  if (own !== undefined && isEmpty) await refuseReplacement(ports, own, rule, signal);
  if (isNew) await writeFirstLists({ coordination, root, logger }, id, found, signal);
  if (own !== undefined) await notePlace(coordination, own, signal);
  return id;
}
