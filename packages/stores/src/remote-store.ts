// An ObjectStore over a vendor's service. Which service it is, its driver knows. Invariants:
// R1 a name appears at once and whole: a body is sent as one object, or as parts of which nothing is seen until the
//    last is there, and that is sent only once the body ended with the length it should have.
// R2 what a service answers is checked: the range it says, the bytes it gives, the keys it lists.
// R3 the caller's signal ends the request, not only the wait for it; no request waits for a silent service for ever.
// R4 memory of a put: one part (part-buffer.ts). Of a get: what the connection holds. Of a listing: one page.
// Listings of these services show what was put before (listLagMsMax 0), and puts are durable when they resolve.
import { InvariantError, never, WireError } from "@millrace/base";
import type { ObjectEntry, ObjectStore, PutOptions } from "./object-store.ts";
import { partsOf, type PartBytes } from "./part-buffer.ts";
import { RemoteCalls, type CallPorts } from "./remote-calls.ts";
import type { DriverUpload, KeyRange, OpenedObject, RemoteDriver } from "./remote-driver.ts";
import { checkedKey, checkedListPrefix, isCleanKey, rewriteKey, type KeyRewrite } from "./store-url.ts";

/** Of one attempt at a request without a large body. */
const REQUEST_MS_MAX = 30_000;
/** Of one attempt at sending one part. */
const PART_MS_MAX = 120_000;
/** Between two chunks of an answer. */
const STALL_MS_MAX = 60_000;
/** For giving back the parts of an upload that failed. */
const ABANDON_MS_MAX = 10_000;
/** Pages of one listing: a service that goes on for longer goes round in a circle. */
const PAGE_COUNT_MAX = 100_000;

export interface RemoteStoreOptions {
  readonly url: string;
  /** Of all keys: "" or ends in '/'. */
  readonly prefix: string;
  readonly rewrite: KeyRewrite;
  readonly load: () => Promise<RemoteDriver>;
  /** Sizes of parts; for tests. */
  readonly partBytes?: PartBytes;
}

export class RemoteStore implements ObjectStore {
  readonly url: string;
  readonly listLagMsMax = 0;
  readonly #options: RemoteStoreOptions;
  readonly #calls: RemoteCalls;

  constructor(options: RemoteStoreOptions, ports: CallPorts) {
    this.url = options.url;
    this.#options = options;
    this.#calls = new RemoteCalls(options.url, ports, options.load);
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectEntry> {
    const { prefix: base, rewrite } = this.#options;
    const wanted = base + checkedListPrefix(rewriteKey(checkedListPrefix(prefix), rewrite));
    const call = { operation: "list", path: prefix, limitMs: REQUEST_MS_MAX, changes: false };
    let from: string | undefined;
    for (let pages = 0; pages < PAGE_COUNT_MAX; pages++) {
      const at = from;
      const page = await this.#calls.run(call, signal, (driver, bounded) => driver.list(wanted, at, bounded));
      for (const { key, bytes, modTimeMs } of page.objects) {
        signal.throwIfAborted();
        const path = prefix + key.slice(wanted.length);
        // R2: others would be refused by get, or are what some tools put for a directory.
        if (key.startsWith(wanted) && isCleanKey(path)) yield { path, bytes, modTimeMs };
      }
      if (page.next === undefined) return;
      if (page.next === from) break;
      from = page.next;
    }
    throw new WireError("UNAVAILABLE", `list of ${prefix} failed: the store's listing does not end`);
  }

  async *get(
    path: string,
    range: { begin?: number; end?: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { begin = 0, end } = range;
    if (begin < 0 || (end !== undefined && begin > end)) {
      throw new WireError("INVALID_ARGUMENT", `invalid range (${begin}, ${end}): expected 0 <= begin <= end`);
    }
    const key = this.#keyOf(path);
    if (begin === end) {
      if ((await this.head(path, signal)) === undefined) throw notFound(path);
      return;
    }
    const wanted = { begin, end };
    const call = { operation: "get", path, limitMs: REQUEST_MS_MAX, changes: false };
    const opened = await this.#calls.run(call, signal, async (driver, bounded) => {
      const answer = await driver.get(key, wanted, bounded);
      if (answer !== "beyond" && bounded.aborted) answer.body.destroy();
      return answer;
    });
    if (opened !== "beyond") yield* this.#content(path, wanted, opened, signal);
  }

  async head(path: string, signal: AbortSignal): Promise<ObjectEntry | undefined> {
    const key = this.#keyOf(path);
    const call = { operation: "head", path, limitMs: REQUEST_MS_MAX, changes: false };
    const found = await this.#calls.run(call, signal, (driver, bounded) => driver.head(key, bounded));
    return found === undefined ? undefined : { path, ...found };
  }

  async put(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const key = this.#keyOf(path);
    signal.throwIfAborted();
    const call = { operation: "put", path, limitMs: PART_MS_MAX, changes: true };
    let upload: DriverUpload | undefined;
    try {
      for await (const part of partsOf(body, options.bytes, signal, this.#options.partBytes)) {
        if (part.index === 0 && part.isLast) {
          await this.#calls.run(call, signal, (driver, s) => driver.put(key, part.bytes, options, s));
          return;
        }
        upload ??= await this.#calls.run({ ...call, changes: false }, signal, (driver, s) =>
          driver.upload(key, options, s),
        );
        const begun = upload;
        // R1: with some services the last part makes the object.
        await this.#calls.run({ ...call, changes: part.isLast }, signal, (_, s) => begun.part(part, s));
        if (part.isLast) await this.#calls.run(call, signal, (_, s) => begun.finish(s));
      }
    } catch (error) {
      if (upload !== undefined && !(error instanceof InvariantError)) await this.#abandon(upload);
      throw error;
    }
  }

  /** What is there is durable: these services answer a put when it is. */
  async sync(path: string, signal: AbortSignal): Promise<void> {
    if ((await this.head(path, signal)) === undefined) throw notFound(path);
  }

  async remove(path: string, signal: AbortSignal): Promise<void> {
    const key = this.#keyOf(path);
    const call = { operation: "remove", path, limitMs: REQUEST_MS_MAX, changes: true };
    await this.#calls.run(call, signal, (driver, bounded) => driver.remove(key, bounded));
  }

  async signGet(path: string, ttlMs: number): Promise<string> {
    const key = this.#keyOf(path);
    const call = { operation: "signGet", path, limitMs: REQUEST_MS_MAX, changes: false };
    return this.#calls.run(call, never, (driver, bounded) => driver.signGet(key, ttlMs, bounded));
  }

  #keyOf(path: string): string {
    const { prefix, rewrite } = this.#options;
    return prefix + checkedKey(rewriteKey(checkedKey(path), rewrite));
  }

  async *#content(
    path: string,
    wanted: KeyRange,
    opened: OpenedObject,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { body } = opened;
    // Whoever stops reading destroys it, and what it says then nobody hears.
    body.on("error", () => undefined);
    let seen = 0;
    try {
      const bytes = expectedBytes(path, wanted, opened);
      const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      for (;;) {
        const next = await this.#chunk(path, chunks, signal);
        if (next.done === true) break;
        seen += next.value.length;
        if (bytes !== undefined && seen > bytes) break;
        if (next.value.length > 0) yield next.value;
      }
      if (bytes !== undefined && seen !== bytes) throw cutOff(path, `after ${seen} of ${bytes} bytes`);
    } finally {
      body.destroy(); // R3
    }
  }

  async #chunk(
    path: string,
    chunks: AsyncIterator<Uint8Array>,
    signal: AbortSignal,
  ): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#calls.bounded(STALL_MS_MAX, signal, () => chunks.next());
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw cutOff(path, String(error), error);
    }
  }

  async #abandon(upload: DriverUpload): Promise<void> {
    try {
      await this.#calls.bounded(ABANDON_MS_MAX, never, (bounded) => upload.abandon(bounded));
    } catch {
      // The service forgets it in time, or by the rule that docs/stores.md advises.
    }
  }
}

/**
 * Bytes that the answer must have, if it says so.
 * @throws {WireError} UNAVAILABLE when it is to another question (R2)
 */
function expectedBytes(path: string, wanted: KeyRange, opened: OpenedObject): number | undefined {
  const { begin, end } = wanted;
  if (begin === 0 && end === undefined) return opened.bytes;
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(opened.range ?? "") ?? [];
  const bytes = Number(last) - Number(first) + 1;
  const isAnswer = Number(first) === begin && bytes >= 0 && (end === undefined || Number(last) < end);
  if (isAnswer && (opened.bytes ?? bytes) === bytes) return bytes;
  const said = `content-range ${opened.range ?? "missing"}, content-length ${opened.bytes ?? "missing"}`;
  throw new WireError(
    "UNAVAILABLE",
    `get of ${path} failed: asked for [${begin}, ${end ?? ""}), got ${said}`,
  );
}

function cutOff(path: string, how: string, cause?: unknown): WireError {
  return new WireError("UNAVAILABLE", `get of ${path} was cut off: ${how}`, { cause });
}

function notFound(path: string): WireError {
  return new WireError("NOT_FOUND", `object not found: ${path}`);
}
