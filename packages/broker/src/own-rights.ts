// What the coordination store refuses a broker for who it is, or for what its role lacks, is nobody else's doing:
// whoever appends would end for good for what an operator is about to mend. Only for answers that go to callers: the
// store's own users tell a refusal, of which nothing has happened, from an outcome that is unknown.
import { WireError } from "@millrace/base";

/** @returns the answer @throws {WireError} UNAVAILABLE for what the broker itself may not; else as `answer` */
export async function asBroker<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof WireError) || (error.code !== "FORBIDDEN" && error.code !== "UNAUTHENTICATED"))
      throw error;
    // Without the store's text, which names keys of journals that the caller may not see. It is in the log.
    const text = "the coordination store refuses this broker: its log says what";
    throw new WireError("UNAVAILABLE", text, { cause: error });
  }
}
