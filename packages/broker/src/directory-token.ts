// Keeps the token of the data directory young, and looks whether the store still has it, for as long as a broker runs.
//
//  T1  A token that only starts renew does not tell a copy that was taken while the broker ran from the directory as
//      it is (C2 of directory-claim.ts): it is renewed at an interval, which bounds what such a copy may lack.
//  T2  The store has the log's token. One that has not, or that is at an earlier revision than it was, was put back as
//      it was earlier: what this broker knows of journals is of another time, and watches would wait for revisions
//      that come a second time. The broker ends; its next start begins with what the store has.
import { WireError, type Clock, type Logger, type Random } from "@millrace/base";
import type { Spools } from "@millrace/fragments";
import type { CoordinationStore } from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import { findDirectory } from "./directory-claim.ts";
import type { HolderId } from "./holders-list.ts";
import { DIRECTORY_LOOK_MS, LOOKS_PER_TOKEN } from "./limits.ts";
import { leaveMark } from "./store-mark.ts";

export interface DirectoryTokenPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Spools;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Greatest revision that was seen of the store. */
  readonly seenRevision: () => number;
}

/**
 * Runs until `signal` aborts.
 * @throws {WireError} CORRUPT: T2
 */
export async function keepToken(
  ports: DirectoryTokenPorts,
  of: { readonly root: string; readonly broker: ProcessId; readonly directory: HolderId },
  signal: AbortSignal,
): Promise<void> {
  const { clock, logger, random } = ports;
  for (let turn = 1; ; turn++) {
    await clock.sleep(DIRECTORY_LOOK_MS, signal);
    let found: FoundTokens;
    try {
      found = await look(ports, of, signal);
      if (found.wentBack === undefined && turn % LOOKS_PER_TOKEN === 0)
        await leaveMark(ports, of, drawToken(random), signal, found.revision); // T1
    } catch (thrown) {
      signal.throwIfAborted();
      logger.debug("directory-token-not-renewed", { error: WireError.from(thrown).message });
      continue;
    }
    if (found.wentBack !== undefined) throw found.wentBack; // T2
  }
}

interface FoundTokens {
  /** Of their newest change. */
  readonly revision: number;
  readonly wentBack: WireError | undefined;
}

async function look(
  { coordination, spools, seenRevision }: DirectoryTokenPorts,
  { root, directory }: { readonly root: string; readonly directory: HolderId },
  signal: AbortSignal,
): Promise<FoundTokens> {
  const [seen, mark] = [seenRevision(), spools.mark];
  const { revision, known } = await findDirectory(coordination, root, directory, signal);
  const remedy = "this broker ends, and begins anew with what the store has";
  const found = (text: string | undefined, facts = {}): FoundTokens => ({
    revision: known?.revision ?? 0,
    wentBack: text === undefined ? undefined : new WireError("CORRUPT", `${text}; ${remedy}`, { facts }),
  });
  if (revision < seen) {
    const text = `the store is at revision ${revision} and was at ${seen}: it was put back as it was earlier`;
    return found(text, { revision, seen });
  }
  if (mark === undefined || known?.tokens.includes(mark.token) === true) return found(undefined);
  const text = `the store lacks what this broker left there (data directory ${directory})`;
  return found(`${text}: it was put back as it was earlier, or the key was deleted`, { directory });
}

/** That nobody had before, and not 0. */
function drawToken(random: Random): bigint {
  const view = new DataView(random.fill(new Uint8Array(8)).buffer);
  return (view.getBigUint64(0, true) >> 1n) | 1n;
}
