// One append with the retries that are certainly safe.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type {
  AppendPreamble,
  AppendResponse,
  AppendSuspend,
  LabelSelector,
  LabelSet,
} from "@millrace/protocol";
import { AppendRetries } from "./append-retries.ts";
import { checkAppend, mayMove, statusError } from "./statuses.ts";
import type { AppendContent, JournalTransport } from "./transport.ts";

/** Where an append stands, [begin, end), and the registers after it. */
export interface Commit {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  readonly registers: LabelSet | undefined;
}

export interface AppendOptions {
  /** Expected write head; absent = whatever it is. */
  readonly offset?: number;
  readonly checkRegisters?: LabelSelector;
  readonly unionRegisters?: LabelSet;
  readonly subtractRegisters?: LabelSet;
  readonly minEtcdRevision?: number;
  /** What becomes of the journal's suspension. Default: it is resumed. */
  readonly suspend?: AppendSuspend;
  /**
   * How long to go on, from the first attempt. Default: while no broker can be reached not at all, and while nobody
   * serves the journal until `signal` aborts; an append service goes on in either case.
   */
  readonly patienceMs?: number;
}

export function appendPreamble(journal: string, options: AppendOptions): AppendPreamble {
  return {
    journal,
    doNotProxy: false,
    offset: options.offset ?? 0,
    suspend: options.suspend ?? "SUSPEND_RESUME",
    minEtcdRevision: options.minEtcdRevision ?? 0,
    ...(options.checkRegisters === undefined ? {} : { checkRegisters: options.checkRegisters }),
    ...(options.unionRegisters === undefined ? {} : { unionRegisters: options.unionRegisters }),
    ...(options.subtractRegisters === undefined ? {} : { subtractRegisters: options.subtractRegisters }),
  };
}

/**
 * Appends once. @throws {WireError} the status's code; OUTCOME_UNKNOWN when it may have happened
 */
export async function appendOnce(
  transport: JournalTransport,
  journal: string,
  content: AppendContent,
  options: AppendOptions,
  signal: AbortSignal,
): Promise<Commit> {
  return commitOf(journal, await transport.append(appendPreamble(journal, options), content, signal));
}

/**
 * Appends `bytes`, waiting while nobody serves the journal or no broker can be reached (see `patienceMs`), and logs
 * what it waits for. Only attempts that certainly wrote nothing are repeated, so it never doubles; an unknown outcome
 * is thrown.
 * @param signal an abort while an attempt is under way leaves its outcome unknown
 * @throws {WireError} as {@link appendOnce}
 */
export async function append(
  ports: { readonly transport: JournalTransport; readonly clock: Clock; readonly logger: Logger },
  journal: string,
  bytes: readonly Uint8Array[],
  options: AppendOptions,
  signal: AbortSignal,
): Promise<Commit> {
  const preamble = appendPreamble(journal, options);
  const { patienceMs } = options;
  const retries = new AppendRetries(ports, journal);
  for (;;) {
    let refusal: WireError;
    try {
      const content = { kind: "bytes", bytes, isUnsummed: true } as const;
      const response = await ports.transport.append(preamble, content, signal);
      const { status } = response;
      if (status === "OK" || !mayMove(status)) return commitOf(journal, response);
      refusal = statusError(status, `append to ${journal}`);
    } catch (error) {
      const isUnseen = error instanceof WireError && error.code === "UNAVAILABLE";
      if (signal.aborted || !isUnseen) throw error;
      refusal = error;
    }
    const untilMs = patienceMs ?? (refusal.code === "UNAVAILABLE" ? 0 : Number.POSITIVE_INFINITY);
    await retries.next(refusal, untilMs, signal);
  }
}

function commitOf(journal: string, response: AppendResponse): Commit {
  checkAppend(journal, response);
  const { commit, registers } = response;
  if (commit === undefined)
    throw new WireError("OUTCOME_UNKNOWN", `append to ${journal}: the answer has no commit`);
  return { journal, begin: commit.begin, end: commit.end, registers };
}
