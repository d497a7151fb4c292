// The effects of one attempt to persist a fragment (persister-attempt.ts decides): looks, reads back, syncs, writes.
import { abortScope, assert, WireError, type Clock } from "@millrace/base";
import { contentPath, type Fragment } from "@millrace/protocol";
import type { PutOptions } from "@millrace/stores";
import { attemptEffect, stepAttempt, type AttemptInput, type AttemptState } from "./persister-attempt.ts";
import { isIntact, type RemotePorts } from "./remote-fragments.ts";
import type { Spool } from "./spools.ts";
import { RunningSha1 } from "./system-sha1.ts";

export interface UploadPorts extends RemotePorts {
  readonly clock: Clock;
}

export interface Upload {
  /** As it will be in its store: `backingStore` is set. */
  readonly fragment: Fragment;
  readonly source: Pick<Spool, "read">;
  /** Whether an object that is there is read back, or just written again. */
  readonly readBack: boolean;
  /** Whether to go as fast as possible, asked again and again. */
  readonly isHurried: () => boolean;
  /** An attempt that makes no progress for this long has failed. */
  readonly stallMs: number;
}

const READ_BYTES = 256 * 1024;
/**
 * Pause after each chunk of local bytes. Reading and summing 64 MiB at a stretch took a core from those who append for
 * 150 ms, every few seconds. Nobody waits for a fragment of which this disk has a copy, unless many wait.
 */
const PACE_MS = 5;

/** Runs one attempt to its end: `confirmed` or `failed`. Rejects only with `signal.reason` and InvariantErrors. */
export async function runAttempt(
  ports: UploadPorts,
  upload: Upload,
  signal: AbortSignal,
): Promise<AttemptState> {
  let state: AttemptState = { kind: "looking", readBack: upload.readBack };
  for (let effect = attemptEffect(state); effect !== undefined; effect = attemptEffect(state)) {
    const run = { look, verify, sync, write }[effect];
    state = stepAttempt(state, await unlessStalled(ports.clock, upload.stallMs, signal, run(ports, upload)));
  }
  return state;
}

type Run = (signal: AbortSignal, onProgress: () => void) => Promise<AttemptInput>;

function look({ stores }: UploadPorts, { fragment }: Upload): Run {
  return async (signal) => {
    const object = await stores.open(fragment.backingStore).head(contentPath(fragment), signal);
    return { kind: "found", object };
  };
}

function verify(ports: UploadPorts, { fragment }: Upload): Run {
  return async (signal, onProgress) => {
    const codecs = {
      ...ports.codecs,
      decompress: (...args: Parameters<typeof ports.codecs.decompress>) =>
        each(ports.codecs.decompress(...args), onProgress),
    };
    return { kind: "verified", matches: await isIntact({ ...ports, codecs }, fragment, signal) };
  };
}

function sync({ stores }: UploadPorts, { fragment }: Upload): Run {
  return async (signal) => {
    await stores.open(fragment.backingStore).sync(contentPath(fragment), signal);
    return { kind: "synced" };
  };
}

function write(ports: UploadPorts, upload: Upload): Run {
  const { fragment } = upload;
  return async (signal, onProgress) => {
    const { compressionCodec: codec, backingStore } = fragment;
    let bytes = 0;
    const body = each(ports.codecs.compress(codec, localContent(ports.clock, upload, signal)), (chunk) => {
      bytes += chunk.length;
      onProgress();
    });
    const options: PutOptions = {
      ...(codec === "GZIP_OFFLOAD_DECOMPRESSION" ? { contentEncoding: "gzip" } : {}),
      ...(codec === "NONE" ? { bytes: fragment.end - fragment.begin } : {}),
    };
    await ports.stores.open(backingStore).put(contentPath(fragment), body, options, signal);
    return { kind: "written", bytes };
  };
}

/**
 * The fragment's bytes from this disk. The last chunk comes only once all of them have the fragment's SHA-1: bytes that
 * rotted here must not be stored under a name that vouches for others.
 */
async function* localContent(
  clock: Clock,
  { source, fragment, isHurried }: Upload,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { begin, end, sum } = fragment;
  const hash = new RunningSha1();
  for (let at = begin; at < end;) {
    const chunk = await source.read(at, Math.min(READ_BYTES, end - at), signal);
    assert(chunk.length > 0 && at + chunk.length <= end, "a read stays within its fragment", { at, end });
    hash.update(chunk);
    at += chunk.length;
    if (at === end && hash.hex() !== sum) {
      const facts = { journal: fragment.journal, begin, end };
      throw new WireError("CORRUPT", `local bytes have SHA-1 ${hash.hex()}; expected ${sum}`, { facts });
    }
    yield chunk;
    if (at < end && !isHurried()) await clock.sleep(PACE_MS, signal);
  }
}

async function* each(
  source: AsyncIterable<Uint8Array>,
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    onChunk(chunk);
    yield chunk;
  }
}

/** Runs `run`; what it throws is an input, and so is no progress for `stallMs`. */
async function unlessStalled(
  clock: Clock,
  stallMs: number,
  signal: AbortSignal,
  run: Run,
): Promise<AttemptInput> {
  signal.throwIfAborted();
  const scope = abortScope(signal);
  let progressMs = clock.monotonicMs();
  let cancel = (): void => {};
  const watch = (afterMs: number): void => {
    cancel = clock.after(afterMs, () => {
      const leftMs = progressMs + stallMs - clock.monotonicMs();
      if (leftMs > 0) watch(leftMs);
      else scope.abort(new WireError("UNAVAILABLE", `no progress for ${stallMs} ms`));
    });
  };
  watch(stallMs);
  try {
    return await run(scope.signal, () => {
      progressMs = clock.monotonicMs();
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return { kind: "threw", error };
  } finally {
    cancel();
    scope.dispose();
  }
}
