// What a client of journals needs from whoever serves them. Three transports implement it: the broker of this process,
// HTTP and gRPC. The rest of the platform uses only the services built on top of it.
import type {
  ApplyRequest,
  ApplyResponse,
  AppendPreamble,
  AppendResponse,
  FragmentsRequest,
  FragmentsResponse,
  ListRequest,
  ListResponse,
  ReadRequest,
  ReadResponse,
} from "@millrace/protocol";

/**
 * Content of one append. `bytes`: the whole of it, the transport must not change or keep it after the append has
 * resolved. `chunks`: a stream; when it throws, the append is rolled back and rejects with that error.
 */
export type AppendContent =
  | {
      readonly kind: "bytes";
      readonly bytes: readonly Uint8Array[];
      /** Nobody looks at the sum in the answer's commit: it may be "". */
      readonly isUnsummed?: boolean;
    }
  | { readonly kind: "chunks"; readonly chunks: AsyncIterable<Uint8Array> };

/**
 * Statuses of the protocol travel in the responses; what is thrown is a WireError: INVALID_ARGUMENT (validation, with
 * the spec's text), UNAUTHENTICATED, FORBIDDEN, DISK_FULL, OVERLOADED, SHUTTING_DOWN, UNAVAILABLE,
 * OUTCOME_UNKNOWN (an append that may have happened). Abort of `signal` rejects with its reason; an append that was
 * aborted after its content was whole has an unknown outcome.
 */
export interface JournalTransport {
  append(request: AppendPreamble, content: AppendContent, signal: AbortSignal): Promise<AppendResponse>;
  /** Messages in the order of spec section 5.2: metadata, content chunks, metadata… Ends where the RPC would. */
  read(request: ReadRequest, signal: AbortSignal): AsyncIterable<ReadResponse>;
  /** The whole snapshot in one response. */
  list(request: ListRequest, signal: AbortSignal): Promise<ListResponse>;
  /** A snapshot, then another at each change of the matching specs. */
  watchList(request: ListRequest, signal: AbortSignal): AsyncIterable<ListResponse>;
  apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse>;
  listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse>;
}
