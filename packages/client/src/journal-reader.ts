// Reading a journal for as long as it takes: restarts after whatever passes, and says what does not.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { Fragment, ReadRequest, ReadResponse } from "@millrace/protocol";
import { backOff, readBackoffMs } from "./backoff.ts";
import { statusError } from "./statuses.ts";
import type { FragmentReader } from "./fragment-reader.ts";
import type { JournalTransport } from "./transport.ts";

export interface ReaderPorts {
  readonly transport: JournalTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads persisted fragments past the broker, where it can read their URLs. Default: the broker reads them. */
  readonly fragments?: FragmentReader;
}

export interface ReaderOptions {
  readonly journal: string;
  /** First wanted offset; -1 = the write head. */
  readonly offset: number;
  /** Wait at the write head for more, instead of ending there. */
  readonly block: boolean;
  /** With `block`: wait while the journal is suspended, where its broker can; others say SUSPENDED. */
  readonly awaitsResume?: boolean;
  /** End of the wanted range; absent = none. */
  readonly endOffset?: number;
  /** Unix seconds: skip persisted fragments older than this. */
  readonly beginModTime?: number;
  /** Without `block`: go on behind offsets that no known fragment holds, which is told as a jump. */
  readonly passHoles?: true;
}

export type ReadEvent =
  /** Content from `offset` on; offsets are contiguous unless a jump came between. */
  | {
      readonly kind: "content";
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly writeHead: number;
      /** End of the fragment as it was when this was read: no append goes across it. */
      readonly fragmentEnd: number;
    }
  /** Offsets [from, to) are gone: pruned, or skipped by beginModTime or an operator's reset; or see passHoles. */
  | { readonly kind: "jump"; readonly from: number; readonly to: number };

/** Attempts before a missing journal is believed to be missing. */
const NOT_FOUND_ATTEMPTS = 3;
/** After so many in a row, some ten seconds, a broker that shows a fragment and does not read it is not asked again. */
const UNREAD_ATTEMPTS = 7;

export function readRequest(options: ReaderOptions): ReadRequest {
  return {
    journal: options.journal,
    offset: options.offset,
    block: options.block,
    doNotProxy: false,
    metadataOnly: false,
    endOffset: options.endOffset ?? 0,
    beginModTime: options.beginModTime ?? 0,
    minEtcdRevision: 0,
    ...(options.awaitsResume === true ? { awaitsResume: true } : {}),
  };
}

/**
 * Yields content from `offset` on. Ends at `endOffset`, or at the write head unless `block`.
 * @param signal ends the iteration by rejecting with its reason
 * @throws {WireError} JOURNAL_NOT_FOUND, SUSPENDED, INVALID_ARGUMENT, CORRUPT, …; anything a retry may mend is retried.
 * Without `block` OFFSET_NOT_YET_AVAILABLE with the facts `begin` and `end`: a hole, behind which the journal goes on
 */
export async function* readJournal(
  ports: ReaderPorts,
  options: ReaderOptions,
  signal: AbortSignal,
): AsyncGenerator<ReadEvent, void, void> {
  const end = options.endOffset ?? Number.POSITIVE_INFINITY;
  let at = options.offset;
  let direct = ports.fragments;
  for (let attempt = 0; at < end; attempt++) {
    let hole: Hole | undefined;
    let unread: Hole | undefined;
    let stored: Stored | undefined;
    try {
      let writeHead = 0;
      let fragmentEnd = 0;
      const request = { ...readRequest({ ...options, offset: at }), doNotProxy: direct !== undefined };
      for await (const response of ports.transport.read(request, signal)) {
        if (response.status === "OFFSET_NOT_YET_AVAILABLE" && !options.block) {
          const { offset: begin, writeHead: end } = response;
          if (begin >= end) return;
          hole = await holeAt(ports.transport, options.journal, { begin, end }, signal);
          if (hole === undefined) unread = { begin, end };
          break;
        }
        if (response.status !== "OK") throw statusError(response.status, `read of ${options.journal}`);
        if (response.content === undefined) {
          ({ writeHead } = response);
          fragmentEnd = response.fragment?.end ?? writeHead;
          if (at >= 0 && response.offset > at) yield { kind: "jump", from: at, to: response.offset };
          at = response.offset;
          stored = direct === undefined ? undefined : storedFragment(direct, response);
          if (stored === undefined) continue;
          break;
        }
        attempt = 0;
        yield { kind: "content", offset: response.offset, bytes: response.content, writeHead, fragmentEnd };
        at = response.offset + response.content.length;
      }
      direct = ports.fragments;
      if (stored !== undefined) {
        for await (const chunk of stored.read(at, signal)) {
          const bytes = chunk.subarray(0, end - at);
          yield { kind: "content", offset: at, bytes, writeHead, fragmentEnd };
          at += bytes.length;
          if (at >= end) return;
        }
        attempt = -1;
        continue;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = WireError.from(thrown);
      // Whatever is wrong with a stored fragment: the broker is asked for the same bytes next. One that does not have
      // the journal passes a read on, if it may, and the content with it.
      if (stored !== undefined || (direct !== undefined && error.code === "NOT_PRIMARY")) direct = undefined;
      else if (!isPassing(error, attempt)) throw error;
      ports.logger.debug("read-retried", {
        journal: options.journal,
        offset: at,
        attempt,
        message: error.message,
      });
    }
    if (hole !== undefined) {
      if (options.passHoles !== true) throw holeError(options.journal, hole);
      yield { kind: "jump", from: hole.begin, to: hole.end };
      at = hole.end;
      attempt = -1;
    } else if (unread !== undefined && attempt >= UNREAD_ATTEMPTS) throw holeError(options.journal, unread);
    else if (at < end) await backOff(ports.clock, readBackoffMs(attempt), signal);
  }
}

/** A persisted fragment that can be read past the broker, from an offset to its end. */
interface Stored {
  read(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

function storedFragment(
  reader: FragmentReader,
  { fragment, fragmentUrl: url }: ReadResponse,
): Stored | undefined {
  if (fragment === undefined || !reader.reads(url)) return undefined;
  return { read: (offset, signal) => reader.read(fragment, url, offset, signal) };
}

interface Hole {
  readonly begin: number;
  readonly end: number;
}

/** @param most the hole, if no fragment begins in it @returns undefined: one begins there by now */
async function holeAt(
  transport: JournalTransport,
  journal: string,
  { begin, end }: Hole,
  signal: AbortSignal,
): Promise<Hole | undefined> {
  const bounds = { beginModTime: 0, endModTime: 0, nextPageToken: begin, pageLimit: 1 };
  const { fragments } = await transport.listFragments({ journal, ...bounds, doNotProxy: false }, signal);
  const next = fragments[0]?.spec.begin ?? end;
  return next <= begin ? undefined : { begin, end: Math.min(next, end) };
}

function holeError(journal: string, { begin, end }: Hole): WireError {
  const message = `read of ${journal}: no fragment that can be read holds offsets [${begin}, ${end})`;
  return new WireError("OFFSET_NOT_YET_AVAILABLE", message, { facts: { journal, begin, end } });
}

function isPassing(error: WireError, attempt: number): boolean {
  if (error.code === "JOURNAL_NOT_FOUND") return attempt < NOT_FOUND_ATTEMPTS;
  return error.retry !== "never";
}

/** Where a journal ends, and the newest fragment that is known, without reading content. */
export async function readHead(
  transport: JournalTransport,
  journal: string,
  signal: AbortSignal,
): Promise<{ writeHead: number; fragment: Fragment | undefined }> {
  const request = { ...readRequest({ journal, offset: -1, block: false }), metadataOnly: true };
  for await (const response of transport.read(request, signal)) {
    if (response.status === "OK" || response.status === "OFFSET_NOT_YET_AVAILABLE") {
      return { writeHead: response.writeHead, fragment: response.fragment };
    }
    throw statusError(response.status, `read of ${journal}`);
  }
  throw new WireError("UNAVAILABLE", `read of ${journal}: the broker ended the answer`);
}
