// A hole in a partition: bytes that are in no slice, and nobody has any more. It may be passed over only when a person
// has given them up (reset-head --at): everything else is a loss that somebody has to know of.
import { WireError, type Logger } from "@millrace/base";
import { getJournal, type JournalTransport } from "@millrace/client";
import { givenUpTo } from "@millrace/protocol";

/** @throws {WireError} CORRUPT unless [from, to) was given up; what the broker says */
export async function checkGivenUp(
  { transport, logger }: { readonly transport: JournalTransport; readonly logger: Logger },
  journal: string,
  { from, to, told }: { readonly from: number; readonly to: number; readonly told: string },
  signal: AbortSignal,
): Promise<void> {
  const { spec } = await getJournal(transport, journal, signal);
  if (to > (givenUpTo(spec) ?? 0))
    throw new WireError("CORRUPT", `offsets [${from}, ${to}) ${told}`, { facts: { journal, from, to } });
  logger.warn("given-up-bytes-passed", { journal, from, to });
}
