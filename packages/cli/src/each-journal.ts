// The same for each of many journals, some at a time. One that fails does not keep the others from their turn.
import { WireError } from "@millrace/base";
import type { ListedJournal } from "@millrace/protocol";
import type { CliIo } from "./cli-io.ts";

/** Each waits for its brokers most of the time, and brokers have other things to do. */
const AT_A_TIME = 32;

/**
 * Runs `work` for each journal and tells of failures on stderr.
 * @throws {WireError} of the first failure's code when there was one; `signal.reason` when it aborts
 */
export async function forEachJournal(
  journals: readonly ListedJournal[],
  io: CliIo,
  work: (journal: ListedJournal) => Promise<void>,
): Promise<void> {
  const failures: WireError[] = [];
  const rest = journals.values();
  const lane = async (): Promise<void> => {
    for (const journal of rest) {
      io.signal.throwIfAborted();
      try {
        await work(journal);
      } catch (thrown) {
        io.signal.throwIfAborted();
        const error = WireError.from(thrown);
        failures.push(error);
        if (journals.length > 1) io.err(`${journal.spec.name}: ${error.message}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, journals.length) }, lane));
  const [first] = failures;
  if (first === undefined) return;
  if (journals.length === 1) throw first;
  throw new WireError(first.code, `${failures.length} of ${journals.length} journals failed`, {
    cause: first,
  });
}
