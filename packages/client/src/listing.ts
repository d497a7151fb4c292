// Listing and changing journals, and following a listing.
import { WireError, type Clock, type Logger } from "@millrace/base";
import {
  ANY_LABELS,
  labelSet,
  type ApplyChange,
  type FragmentsRequest,
  type FragmentsResponse,
  type LabelSelector,
  type ListedFragment,
  type ListedJournal,
  type ListResponse,
} from "@millrace/protocol";
import { backOff, readBackoffMs } from "./backoff.ts";
import { statusError } from "./statuses.ts";
import type { JournalTransport } from "./transport.ts";

/** Changes of one transaction: the coordination store's limit of 128 operations, halved for their compares. */
export const CHANGES_PER_TRANSACTION = 64;

export async function listJournals(
  transport: JournalTransport,
  selector: LabelSelector,
  signal: AbortSignal,
): Promise<ListResponse> {
  const response = await transport.list({ selector, watch: false }, signal);
  if (response.status !== "OK") throw statusError(response.status, "list of journals");
  return response;
}

/** The journal named `journal`. @throws {WireError} JOURNAL_NOT_FOUND */
export async function getJournal(
  transport: JournalTransport,
  journal: string,
  signal: AbortSignal,
): Promise<ListedJournal> {
  const include = labelSet(["name", journal]);
  const selector = { ...ANY_LABELS, include };
  const { journals } = await listJournals(transport, selector, signal);
  const found = journals.find((listed) => listed.spec.name === journal);
  if (found === undefined)
    throw new WireError("JOURNAL_NOT_FOUND", `named journal does not exist (${journal})`);
  return found;
}

/**
 * Applies `changes`, in one transaction as long as they are not too many: a failure leaves those of earlier ones in
 * place.
 * @param changesMax of one transaction, > 0
 * @returns revision of the last transaction
 * @throws {WireError} ETCD_TRANSACTION_FAILED when a revision was not as expected
 */
export async function applyJournals(
  transport: JournalTransport,
  changes: readonly ApplyChange[],
  signal: AbortSignal,
  changesMax = CHANGES_PER_TRANSACTION,
): Promise<number> {
  let revision = 0;
  for (let begin = 0; begin < changes.length; begin += changesMax) {
    const some = changes.slice(begin, begin + changesMax);
    const response = await transport.apply({ changes: some }, signal);
    if (response.status !== "OK") throw statusError(response.status, "apply of journals");
    revision = response.header.etcd.revision;
  }
  return revision;
}

/** All fragments of a journal, page by page. @throws {WireError} of a status but OK */
export async function* listFragments(
  transport: JournalTransport,
  request: Pick<FragmentsRequest, "journal"> & Partial<FragmentsRequest>,
  signal: AbortSignal,
): AsyncGenerator<ListedFragment, void, void> {
  for await (const page of fragmentPages(transport, request, signal)) yield* page.fragments;
}

/** All fragments of a journal in one answer, with the header of its first page. */
export async function listAllFragments(
  transport: JournalTransport,
  request: Pick<FragmentsRequest, "journal"> & Partial<FragmentsRequest>,
  signal: AbortSignal,
): Promise<FragmentsResponse> {
  const pages: FragmentsResponse[] = [];
  for await (const page of fragmentPages(transport, request, signal)) pages.push(page);
  return { ...pages[0]!, fragments: pages.flatMap(({ fragments }) => fragments), nextPageToken: 0 };
}

async function* fragmentPages(
  transport: JournalTransport,
  request: Pick<FragmentsRequest, "journal"> & Partial<FragmentsRequest>,
  signal: AbortSignal,
): AsyncGenerator<FragmentsResponse, void, void> {
  const base = {
    beginModTime: 0,
    endModTime: 0,
    nextPageToken: 0,
    pageLimit: 0,
    doNotProxy: false,
    ...request,
  };
  for (let nextPageToken = 0; ;) {
    const response = await transport.listFragments({ ...base, nextPageToken }, signal);
    if (response.status !== "OK") throw statusError(response.status, `fragments of ${request.journal}`);
    yield response;
    if (response.nextPageToken === 0) return;
    nextPageToken = response.nextPageToken;
  }
}

/**
 * Yields a whole listing now and after each change of the matching specs; restarts the watch when it breaks.
 * @param signal ends the iteration by rejecting with its reason
 */
export async function* watchJournals(
  ports: { transport: JournalTransport; clock: Clock; logger: Logger },
  selector: LabelSelector,
  signal: AbortSignal,
): AsyncGenerator<readonly ListedJournal[], void, void> {
  for (let attempt = 0; ; attempt++) {
    try {
      for await (const response of ports.transport.watchList({ selector, watch: true }, signal)) {
        if (response.status !== "OK") throw statusError(response.status, "watch of journals");
        attempt = 0;
        yield response.journals;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = WireError.from(thrown);
      if (error.code === "INVALID_ARGUMENT" || error.code === "UNAUTHENTICATED") throw error;
      ports.logger.warn("list-watch-restarted", { attempt, message: error.message });
    }
    await backOff(ports.clock, readBackoffMs(attempt), signal);
  }
}
