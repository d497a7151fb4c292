// Reading a journal (section 5.2): metadata of a fragment, its content in chunks, metadata of the next one, and so on.
// Chunks are up to READ_CHUNK_BYTES, more than the protocol's 32736: doors that must send smaller ones cut them.
//
//  S1  Only acknowledged bytes are read (D9): the index shows no others.
//  S2  The stream ends without error when the journal is no longer served here; the caller's abort rejects.
import { abortScope, WireError, type AbortScope, type Clock } from "@millrace/base";
import { queryIndex, type FragmentEntry, type IndexAnswer } from "@millrace/fragments";
import {
  mayRead,
  type Fragment,
  type Header,
  type ReadRequest,
  type ReadResponse,
  type Status,
} from "@millrace/protocol";
import { changeWithin } from "./gate-timeout.ts";
import type { JournalReplica } from "./journal-replica.ts";
import { READ_CHUNK_BYTES } from "./limits.ts";
import { localFragment } from "./local-fragment.ts";
import type { Resolution } from "./resolver.ts";

export interface RemoteReader {
  /** Content of a persisted fragment from `offset` (inside it) to its end. */
  read(fragment: Fragment, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  signGet(fragment: Fragment, ttlMs: number): Promise<string>;
}

export interface ReadPorts {
  readonly clock: Clock;
  readonly remote: RemoteReader;
  resolve(request: ReadRequest, signal: AbortSignal): Resolution | Promise<Resolution>;
}

const SIGNED_URL_TTL_MS = 60_000;

/** @throws {WireError} what the store throws */
export async function* readJournal(
  ports: ReadPorts,
  request: ReadRequest,
  signal: AbortSignal,
): AsyncGenerator<ReadResponse, void, undefined> {
  signal.throwIfAborted();
  const resolution = await ports.resolve(request, signal);
  const { header } = resolution;
  if (resolution.status !== "OK") {
    yield refusal(resolution.status, header);
    return;
  }
  if (!mayRead(resolution.spec!)) {
    yield refusal("NOT_ALLOWED", header);
    return;
  }
  const replica = resolution.localReplica;
  if (replica === undefined)
    throw new WireError("NOT_PRIMARY", `journal ${request.journal} is served by another broker`);
  const scope = abortScope(signal);
  const onClosed = (): void => scope.abort(replica.closed.reason);
  replica.closed.addEventListener("abort", onClosed, { once: true });
  if (replica.closed.aborted) onClosed();
  try {
    yield* new JournalReadout(ports, replica, request, scope).run(header);
  } catch (error) {
    signal.throwIfAborted();
    if (!replica.closed.aborted) throw error; // S2
  } finally {
    replica.closed.removeEventListener("abort", onClosed);
    scope.dispose();
  }
}

class JournalReadout {
  readonly #ports: ReadPorts;
  readonly #replica: JournalReplica;
  readonly #request: ReadRequest;
  readonly #scope: AbortScope;
  #offset: number;

  constructor(ports: ReadPorts, replica: JournalReplica, request: ReadRequest, scope: AbortScope) {
    this.#ports = ports;
    this.#replica = replica;
    this.#request = request;
    this.#scope = scope;
    this.#offset = request.offset;
  }

  async *run(header: Header): AsyncGenerator<ReadResponse, void, undefined> {
    const { signal } = this.#scope;
    const { metadataOnly, endOffset, doNotProxy } = this.#request;
    let first: { readonly header?: Header } = { header };
    await this.#replica.waitOpen(signal);
    for (;;) {
      const answer = await this.#query();
      this.#offset = answer.offset;
      const { offset, writeHead } = answer;
      if (answer.kind === "not-yet") {
        yield { status: "OFFSET_NOT_YET_AVAILABLE", ...first, offset, writeHead, fragmentUrl: "" };
        return;
      }
      const { entry } = answer;
      const fragment = entry.kind === "remote" ? entry.fragment : localFragment(this.#replica, entry);
      const fragmentUrl =
        entry.kind === "remote" ? await this.#ports.remote.signGet(fragment, SIGNED_URL_TTL_MS) : "";
      yield { status: "OK", ...first, offset, writeHead, fragment, fragmentUrl };
      first = {};
      if (metadataOnly || (entry.kind === "remote" && doNotProxy) || (endOffset !== 0 && offset >= endOffset))
        return;
      yield* this.#content(entry);
      if (endOffset !== 0 && this.#offset >= endOffset) return;
    }
  }

  /** Waits, when the request says so, until there is something at the offset. */
  async #query(): Promise<IndexAnswer> {
    const { index } = this.#replica;
    const { clock } = this.#ports;
    const { beginModTime, block } = this.#request;
    for (;;) {
      // The wait begins before the look, so that no change falls between them.
      const answer = queryIndex(index, { offset: this.#offset, beginModTime }, clock.wallMs());
      if (answer.kind === "found" || !block) return answer;
      // A reader that waits at the head stays where the head was when it came.
      this.#offset = answer.offset;
      await this.#changeOr(answer.jumpAtMs);
    }
  }

  async #changeOr(jumpAtMs: number | undefined): Promise<void> {
    const { signal } = this.#scope;
    const { changed } = this.#replica.index;
    if (jumpAtMs === undefined) return changed.next(signal);
    const { clock } = this.#ports;
    await changeWithin(changed, jumpAtMs - clock.wallMs(), clock, signal);
  }

  async *#content(entry: FragmentEntry): AsyncGenerator<ReadResponse, void, undefined> {
    const { endOffset } = this.#request;
    const end = endOffset === 0 ? entry.end : Math.min(entry.end, endOffset);
    if (this.#replica.index.localAt(this.#offset) !== undefined) {
      yield* this.#localContent(end);
      return;
    }
    if (entry.kind !== "remote") return;
    const chunks = this.#ports.remote.read(entry.fragment, this.#offset, this.#scope.signal);
    for await (const chunk of chunks) {
      const content = this.#offset + chunk.length > end ? chunk.subarray(0, end - this.#offset) : chunk;
      if (content.length === 0) return;
      yield* this.#pieces(content);
      if (this.#offset >= end) return;
    }
  }

  /** Up to `end`, or to where the local bytes were released meanwhile. */
  async *#localContent(end: number): AsyncGenerator<ReadResponse, void, undefined> {
    const { replica, signal } = { replica: this.#replica, signal: this.#scope.signal };
    while (this.#offset < end && replica.index.localAt(this.#offset) !== undefined) {
      signal.throwIfAborted();
      const content = await replica.spool.read(this.#offset, Math.min(READ_CHUNK_BYTES, end - this.#offset));
      signal.throwIfAborted();
      yield chunk(this.#offset, content);
      this.#offset += content.length;
    }
  }

  *#pieces(content: Uint8Array): Generator<ReadResponse, void, undefined> {
    for (let at = 0; at < content.length; at += READ_CHUNK_BYTES) {
      const piece = content.subarray(at, at + READ_CHUNK_BYTES);
      yield chunk(this.#offset, piece);
      this.#offset += piece.length;
    }
  }
}

function chunk(offset: number, content: Uint8Array): ReadResponse {
  return { status: "OK", offset, writeHead: 0, fragmentUrl: "", content };
}

function refusal(status: Status, header: Header): ReadResponse {
  return { status, header, offset: 0, writeHead: 0, fragmentUrl: "" };
}
