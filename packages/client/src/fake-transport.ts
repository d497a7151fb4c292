// A transport over journals in memory, with scripted failures. For the tests of this package and its users.
import type { WireError } from "@millrace/base";
import {
  EMPTY_LABELS,
  EMPTY_ROUTE,
  newAppendResponse,
  newFragment,
  newReadResponse,
  type AppendPreamble,
  type AppendResponse,
  type ApplyResponse,
  type Fragment,
  type FragmentsRequest,
  type FragmentsResponse,
  type Header,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
  type Status,
} from "@millrace/protocol";
import { EMPTY_SHA1 } from "@millrace/protocol";
import type { AppendContent, JournalTransport } from "./transport.ts";

const HEADER: Header = {
  processId: { zone: "z", suffix: "fake" },
  route: EMPTY_ROUTE,
  etcd: { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n },
};

/** What the next append does instead of succeeding; `afterwards`: it happens, and then the answer is lost. */
export type AppendFault =
  { readonly status: Status } | { readonly error: WireError; readonly afterwards: boolean };

export class FakeTransport implements JournalTransport {
  readonly journals = new Map<string, Uint8Array>();
  /** Taken from the front, one for each append. */
  readonly appendFaults: AppendFault[] = [];
  /** Errors thrown after the first content of a read, one for each read. */
  readonly readFaults: WireError[] = [];
  readonly calls: string[] = [];
  /** A persisted fragment at the begin of all journals. */
  stored: { readonly fragment: Fragment; readonly fragmentUrl: string } | undefined;
  /** Offsets that no fragment holds, of all journals. */
  hole = { begin: Number.POSITIVE_INFINITY, end: Number.POSITIVE_INFINITY };

  async append(
    request: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    signal.throwIfAborted();
    const parts: Uint8Array[] = [];
    if (content.kind === "bytes") parts.push(...content.bytes);
    else for await (const chunk of content.chunks) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    this.calls.push(`${request.journal}+${bytes.length}`);
    const fault = this.appendFaults.shift();
    if (fault !== undefined && "status" in fault)
      return newAppendResponse({ status: fault.status, header: HEADER });
    if (fault !== undefined && !fault.afterwards) throw fault.error;
    const before = this.journals.get(request.journal) ?? new Uint8Array();
    this.journals.set(request.journal, Buffer.concat([before, bytes]));
    if (fault !== undefined) throw fault.error;
    const commit = {
      journal: request.journal,
      begin: before.length,
      end: before.length + bytes.length,
      sum: EMPTY_SHA1,
      compressionCodec: "NONE",
      backingStore: "",
      modTime: 0,
      pathPostfix: "",
    } as const;
    return newAppendResponse({ status: "OK", header: HEADER, commit, registers: EMPTY_LABELS });
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse, void, void> {
    signal.throwIfAborted();
    const bytes = this.journals.get(request.journal);
    if (bytes === undefined) {
      yield newReadResponse({ status: "JOURNAL_NOT_FOUND", header: HEADER });
      return;
    }
    this.calls.push(`read ${request.journal}@${request.offset}`);
    const offset = request.offset === -1 ? bytes.length : request.offset;
    const { hole } = this;
    const notYet = { status: "OFFSET_NOT_YET_AVAILABLE", header: HEADER, writeHead: bytes.length } as const;
    if (offset >= bytes.length || (offset >= hole.begin && offset < hole.end)) {
      yield newReadResponse({ ...notYet, offset });
      return;
    }
    const stored = this.stored !== undefined && offset < this.stored.fragment.end ? this.stored : undefined;
    yield newReadResponse({ status: "OK", header: HEADER, offset, writeHead: bytes.length, ...stored });
    if (request.metadataOnly || (stored !== undefined && request.doNotProxy)) return;
    const fault = this.readFaults.shift();
    const whole = offset < hole.begin ? Math.min(bytes.length, hole.begin) : bytes.length;
    const end = fault === undefined ? whole : offset + 1;
    yield newReadResponse({ status: "OK", offset, content: bytes.subarray(offset, end) });
    if (fault !== undefined) throw fault;
    if (end < bytes.length) yield newReadResponse({ ...notYet, offset: end });
  }

  list(): Promise<ListResponse> {
    return Promise.resolve({ status: "OK", header: HEADER, journals: [] });
  }

  async *watchList(): AsyncGenerator<ListResponse, void, void> {
    yield await this.list();
  }

  apply(): Promise<ApplyResponse> {
    return Promise.resolve({ status: "OK", header: HEADER });
  }

  listFragments({ journal, nextPageToken }: FragmentsRequest): Promise<FragmentsResponse> {
    const { end: begin } = this.hole;
    const end = this.journals.get(journal)?.length ?? 0;
    const spec = newFragment({ journal, begin, end, sum: EMPTY_SHA1, compressionCodec: "NONE" });
    const fragments = begin >= nextPageToken && begin < end ? [{ spec, signedUrl: "" }] : [];
    return Promise.resolve({ status: "OK", header: HEADER, fragments, nextPageToken: 0 });
  }
}
