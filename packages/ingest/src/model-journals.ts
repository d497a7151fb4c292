// A model of the journals: a transport over bytes in memory, with the ways in which a real one fails. For tests of what
// stands on top of JournalTransport and of nothing else.
import { concatBytes, Gate, WireError, type Clock, type Random } from "@millrace/base";
import type { AppendContent, JournalTransport } from "@millrace/client";
import {
  EMPTY_ROUTE,
  extendedLabels,
  matchesSelector,
  newAppendResponse,
  newFragment,
  newReadResponse,
  resumeOffset,
  type AppendPreamble,
  type AppendResponse,
  type ApplyRequest,
  type ApplyResponse,
  type FragmentsRequest,
  type FragmentsResponse,
  type Header,
  type JournalSpec,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";

export interface JournalFaults {
  /** Appends that are refused; whose outcome is unknown though they happened; unknown and not happened. */
  readonly refused?: number;
  readonly unknownDone?: number;
  readonly unknownLost?: number;
  /** Chunks of a read after which it is cut. */
  readonly cut?: number;
}

export interface ModelJournalsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly latencyMs?: { readonly min: number; readonly max: number };
  /** In thousandths. */
  readonly faults?: JournalFaults;
  /** Largest chunk of a read. Default 64 KiB. Smaller ones are drawn when there are faults. */
  readonly chunkBytes?: number;
  /** Fragments as they are listed: persisted in this store, this long. Default: none is listed. */
  readonly fragments?: { readonly store: string; readonly bytes: number };
}

interface ModelJournal {
  spec: JournalSpec;
  modRevision: number;
  bytes: Uint8Array;
  length: number;
  /** Spans without bytes, in order: the spec said that it goes on behind them. */
  readonly holes: { readonly begin: number; readonly end: number }[];
  /** Begins of appends: offsets that were heads. */
  readonly heads: Set<number>;
  /** Opens when it has grown, or is suspended or not any more. */
  readonly grown: Gate;
  isSuspended: boolean;
}

export class ModelJournals implements JournalTransport {
  readonly journals = new Map<string, ModelJournal>();
  faults: JournalFaults;
  /** Whether reads can wait for the resume of a suspended journal: Gazette's brokers know no such wait. */
  knowsResumes = true;
  /** Times that a suspended journal was resumed by an append. */
  resumes = 0;
  /** Whether fragments are listed as persisted; false: only local yet. */
  isPersisted = true;
  readonly #options: ModelJournalsOptions;
  readonly #random: Random;
  #revision = 1;

  constructor(options: ModelJournalsOptions) {
    this.#options = options;
    this.#random = options.random.fork("model-journals");
    this.faults = options.faults ?? {};
  }

  /** Acknowledged bytes of a journal. */
  content(name: string): Uint8Array {
    const journal = this.journals.get(name);
    return journal === undefined ? new Uint8Array(0) : journal.bytes.subarray(0, journal.length);
  }

  /** Puts `bytes` at the end of a journal at once, suspended or not. @returns where they begin */
  push(name: string, bytes: Uint8Array): number {
    const journal = this.journals.get(name)!;
    journal.isSuspended = false;
    const begin = journal.length;
    if (begin + bytes.length > journal.bytes.length) {
      const grown = new Uint8Array(Math.max(begin + bytes.length, journal.bytes.length * 2, 4096));
      grown.set(journal.bytes.subarray(0, begin));
      journal.bytes = grown;
    }
    journal.bytes.set(bytes, begin);
    journal.length += bytes.length;
    journal.heads.add(journal.length);
    journal.grown.open();
    return begin;
  }

  #goOnAt(journal: ModelJournal, at: number): void {
    const { length, bytes } = journal;
    if (at <= length) return;
    journal.bytes = new Uint8Array(at);
    journal.bytes.set(bytes.subarray(0, length));
    journal.holes.push({ begin: length, end: at });
    journal.length = at;
    journal.heads.add(at);
    journal.grown.open();
  }

  /** Nobody serves the journal until its next append. */
  suspend(name: string): void {
    const journal = this.journals.get(name)!;
    journal.isSuspended = true;
    journal.grown.open();
  }

  /** Loses what stands from `length` on. */
  truncate(name: string, length: number): void {
    this.journals.get(name)!.length = length;
  }

  async append(
    preamble: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    await this.#pause(signal);
    const name = preamble.journal;
    const response = newAppendResponse({ header: this.#header() });
    const journal = this.journals.get(name);
    if (journal === undefined) return { ...response, status: "JOURNAL_NOT_FOUND" };
    if (this.#chance("refused")) throw new WireError("UNAVAILABLE", "the broker is not reachable");
    if (this.#chance("unknownLost")) throw new WireError("OUTCOME_UNKNOWN", "the connection was lost");
    if (journal.isSuspended) {
      journal.isSuspended = false;
      this.resumes++;
      await this.#pause(signal);
    }
    const parts = content.kind === "bytes" ? content.bytes : await collect(content.chunks);
    const begin = this.push(name, concatBytes(parts));
    await this.#pause(signal);
    if (this.#chance("unknownDone")) throw new WireError("OUTCOME_UNKNOWN", "the connection was lost");
    return {
      ...response,
      commit: newFragment({ journal: name, begin, end: begin + concatBytes(parts).length }),
    };
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse> {
    await this.#pause(signal);
    const journal = this.journals.get(request.journal);
    if (journal === undefined) {
      yield newReadResponse({ status: "JOURNAL_NOT_FOUND" });
      return;
    }
    while (journal.isSuspended) {
      if (!this.knowsResumes || !request.block || request.awaitsResume !== true) {
        yield newReadResponse({ status: "SUSPENDED", header: this.#header() });
        return;
      }
      await journal.grown.next(signal);
    }
    let at = request.offset === -1 ? journal.length : request.offset;
    const head = (): ReadResponse =>
      newReadResponse({ offset: at, writeHead: journal.length, header: this.#header() });
    if (request.metadataOnly) {
      yield head();
      return;
    }
    const end = request.endOffset === 0 ? Number.POSITIVE_INFINITY : request.endOffset;
    while (at < end) {
      if (at >= journal.length) {
        if (!request.block) {
          yield { ...head(), status: "OFFSET_NOT_YET_AVAILABLE" };
          return;
        }
        await journal.grown.next(signal);
        await this.#pause(signal);
        if (journal.isSuspended) return;
        if (at >= journal.length) continue;
      }
      const hole = journal.holes.find((span) => at < span.end);
      if (hole !== undefined && at >= hole.begin) {
        at = hole.end;
        continue;
      }
      yield head();
      const stop = Math.min(journal.length, end, hole?.begin ?? end);
      while (at < stop) {
        const bytes = this.#chunk(journal, at, stop);
        yield newReadResponse({ offset: at, content: bytes });
        at += bytes.length;
        if (this.#chance("cut")) throw new WireError("UNAVAILABLE", "the read was cut");
      }
    }
  }

  apply(request: ApplyRequest): Promise<ApplyResponse> {
    for (const { upsert, delete: removed, expectModRevision } of request.changes) {
      const known = this.journals.get(upsert?.name ?? removed)?.modRevision;
      if (expectModRevision >= 0 && (known ?? 0) !== expectModRevision) {
        return Promise.resolve({ status: "ETCD_TRANSACTION_FAILED", header: this.#header() });
      }
    }
    this.#revision++;
    for (const { upsert, delete: removed } of request.changes) {
      if (upsert === undefined) {
        this.journals.delete(removed);
        continue;
      }
      const known = this.journals.get(upsert.name);
      if (known === undefined) {
        const bytes = new Uint8Array(0);
        const made = {
          spec: upsert,
          modRevision: this.#revision,
          bytes,
          length: 0,
          holes: [],
          heads: new Set([0]),
          grown: new Gate(),
          isSuspended: false,
        };
        this.journals.set(upsert.name, made);
      } else {
        known.spec = upsert;
        known.modRevision = this.#revision;
        this.#goOnAt(known, resumeOffset(upsert) ?? 0);
      }
    }
    return Promise.resolve({ status: "OK", header: this.#header() });
  }

  list({ selector }: ListRequest): Promise<ListResponse> {
    const journals = [...this.journals.values()]
      .filter(({ spec }) => matchesSelector(selector, extendedLabels(spec.name, spec.labels)))
      .map(({ spec, modRevision }) => ({
        spec,
        modRevision,
        createRevision: modRevision,
        route: EMPTY_ROUTE,
      }));
    return Promise.resolve({ status: "OK", header: this.#header(), journals });
  }

  watchList(): AsyncIterable<ListResponse> {
    throw new WireError("INVALID_ARGUMENT", "the model has no watches");
  }

  listFragments({ journal: name }: FragmentsRequest): Promise<FragmentsResponse> {
    const { fragments, clock } = this.#options;
    if (this.journals.get(name)?.isSuspended === true) {
      return Promise.resolve({
        status: "SUSPENDED",
        header: this.#header(),
        fragments: [],
        nextPageToken: 0,
      });
    }
    const listed: { spec: ReturnType<typeof newFragment>; signedUrl: string }[] = [];
    const length = this.journals.get(name)?.length ?? 0;
    for (let begin = 0; fragments !== undefined && begin < length; begin += fragments.bytes) {
      const end = Math.min(length, begin + fragments.bytes);
      const modTime = Math.floor(clock.wallMs() / 1000);
      const spec = newFragment({
        journal: name,
        begin,
        end,
        compressionCodec: "NONE",
        modTime,
        backingStore: this.isPersisted ? fragments.store : "",
      });
      listed.push({ spec, signedUrl: "" });
    }
    return Promise.resolve({ status: "OK", header: this.#header(), fragments: listed, nextPageToken: 0 });
  }

  #chunk(journal: ModelJournal, at: number, stop: number): Uint8Array {
    const max = Math.min(this.#options.chunkBytes ?? 64 * 1024, stop - at);
    const bytes = this.faults.cut === undefined ? max : 1 + this.#random.below(max);
    return journal.bytes.subarray(at, at + bytes);
  }

  #header(): Header {
    const etcd = { clusterId: 1n, memberId: 1n, revision: this.#revision, raftTerm: 1n };
    return { processId: { zone: "model", suffix: "broker" }, route: EMPTY_ROUTE, etcd };
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { min, max } = this.#options.latencyMs ?? { min: 0, max: 0 };
    if (max > 0) await this.#options.clock.sleep(min + this.#random.below(max - min + 1), signal);
    else signal.throwIfAborted();
  }

  #chance(fault: keyof JournalFaults): boolean {
    const chance = this.faults[fault];
    return chance !== undefined && this.#random.below(1000) < chance;
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return parts;
}
