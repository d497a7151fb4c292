// A roll that is waited for.
import { WireError } from "@millrace/base";
import type { RegistersChange } from "./spool-registers.ts";
import type { Spool } from "./spools.ts";

/**
 * Rolls as `Spool.roll` does, and resolves when that is durable. No append is open.
 * @throws {WireError} DISK_FULL, OVERLOADED, UNAVAILABLE, SHUTTING_DOWN: it was forgotten; OUTCOME_UNKNOWN
 */
export function rollTo(spool: Spool, begin: number, registers?: RegistersChange): Promise<void> {
  return new Promise((resolve, reject) => {
    spool.roll(begin, registers);
    // An empty append behind it is told when its turn comes.
    spool.openAppend(false).commit(undefined, (outcome) => {
      if (spool.syncedEnd >= begin) resolve();
      else if (outcome.kind === "acknowledged") reject(new WireError("UNAVAILABLE", "not rolled"));
      else reject(outcome.error);
    });
  });
}
