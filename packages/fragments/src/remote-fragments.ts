// Fragments in stores: listing what a journal has there, and reading one.
// R1 A name says what the content is: its length and its SHA-1. Content of another length is never given out as whole,
//    and content read from its begin to its end is given out as whole only if it has that SHA-1.
// R2 Trap of the layout: the objects of a journal `a/b/c` lie among those of `a/b`, and their names parse as fragments
//    of `a/b` with a postfix. They are left out when `isJournal` knows the inner journal; nothing in the name tells.
import { InvariantError, WireError, type Logger } from "@millrace/base";
import { contentPath, fragmentOfPath, type Fragment } from "@millrace/protocol";
import type { ObjectStore, ObjectStores } from "@millrace/stores";
import type { Codecs } from "./codec.ts";
import { remoteEntry, type RemoteEntry } from "./fragment-index.ts";
import { RunningSha1 } from "./system-sha1.ts";

export interface RemotePorts {
  readonly stores: ObjectStores;
  readonly codecs: Codecs;
  readonly logger: Logger;
}

export interface RemoteJournal {
  readonly name: string;
  /** URLs; all are listed, in this order. */
  readonly stores: readonly string[];
  /** Whether a journal of that name exists (R2). */
  readonly isJournal?: (name: string) => boolean;
}

/** Unknown names logged in one listing: the rest is counted. */
const UNKNOWN_LOGGED_MAX = 10;

/**
 * All fragments that the journal's stores list, store by store: hand them to FragmentIndex.setRemote. Objects with
 * other names are logged and left out.
 * @throws {WireError} what a store's listing throws; nothing is known then
 */
export async function listRemoteFragments(
  ports: RemotePorts,
  journal: RemoteJournal,
  signal: AbortSignal,
): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  const inner = innerJournals(journal);
  let unknown = 0;
  for (const url of journal.stores) {
    const prefix = `${journal.name}/`;
    for await (const { path, modTimeMs } of ports.stores.open(url).list(prefix, signal)) {
      const below = path.slice(prefix.length);
      const parsed = fragmentOrReason(journal.name, below);
      if (typeof parsed === "string") {
        if (unknown++ < UNKNOWN_LOGGED_MAX) {
          const fields = { journal: journal.name, store: url, path, reason: parsed };
          ports.logger.warn("fragment-name-not-parsed", fields);
        }
      } else if (!inner.owns(parsed.pathPostfix)) {
        const modTime = modTimeSeconds(modTimeMs);
        entries.push(remoteEntry({ ...parsed, backingStore: url, modTime }));
      }
    }
  }
  if (unknown > UNKNOWN_LOGGED_MAX) {
    ports.logger.warn("fragment-names-not-parsed", { journal: journal.name, count: unknown });
  }
  return entries;
}

/** Unix seconds of a store's modification time, at least 1: 0 means not persisted. */
export function modTimeSeconds(modTimeMs: number): number {
  return Math.max(1, Math.floor(modTimeMs / 1000));
}

/**
 * The content of `fragment` from `offset` to its end.
 * @param offset fragment.begin <= offset < fragment.end
 * @throws {WireError} CORRUPT, naming the object, when it is not what its name says (R1); NOT_FOUND, UNAVAILABLE,
 * FORBIDDEN as the store does
 */
export async function* readRemoteFragment(
  ports: RemotePorts,
  fragment: Fragment,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { begin, end } = fragment;
  if (offset < begin || offset >= end) {
    throw new InvariantError("begin <= offset < end of a remote fragment", { offset, begin, end });
  }
  try {
    const content = contentFrom(ports, fragment, offset, signal);
    if (offset === begin) yield* verified(content, fragment);
    else yield* content;
  } catch (error) {
    throw namedCorrupt(error, fragment);
  }
}

/**
 * Whether the object of `fragment` has the length and the SHA-1 that its name says (D18).
 * @throws {WireError} what the store throws: nothing is known then; NOT_FOUND when there is none
 */
export async function isIntact(
  ports: RemotePorts,
  fragment: Fragment,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    for await (const _ of readRemoteFragment(ports, fragment, fragment.begin, signal));
    return true;
  } catch (error) {
    if (error instanceof WireError && error.code === "CORRUPT") return false;
    throw error;
  }
}

async function* contentFrom(
  ports: RemotePorts,
  fragment: Fragment,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const store = ports.stores.open(fragment.backingStore);
  if (fragment.compressionCodec === "NONE") {
    yield* ports.codecs.decompress("NONE", rawFrom(store, fragment, offset, signal), fragment.end - offset);
    return;
  }
  const stored = store.get(contentPath(fragment), {}, signal);
  let skip = offset - fragment.begin;
  const content = ports.codecs.decompress(fragment.compressionCodec, stored, fragment.end - fragment.begin);
  for await (const chunk of content) {
    if (chunk.length > skip) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

/** Uncompressed objects can be read from the middle. One byte more than there should be shows an object too long. */
function rawFrom(
  store: ObjectStore,
  fragment: Fragment,
  offset: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const range = { begin: offset - fragment.begin, end: fragment.end - fragment.begin + 1 };
  return store.get(contentPath(fragment), range, signal);
}

/** `content`, the last chunk of which is held back until the sum is right. */
async function* verified(content: AsyncIterable<Uint8Array>, fragment: Fragment): AsyncGenerator<Uint8Array> {
  const hash = new RunningSha1();
  let held: Uint8Array | undefined;
  for await (const chunk of content) {
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  const sum = hash.hex();
  if (sum !== fragment.sum)
    throw new WireError("CORRUPT", `content has SHA-1 ${sum}; expected ${fragment.sum}`);
  if (held !== undefined) yield held;
}

function namedCorrupt(error: unknown, fragment: Fragment): unknown {
  if (!(error instanceof WireError) || error.code !== "CORRUPT") return error;
  const { backingStore } = fragment;
  const path = contentPath(fragment);
  const message = `fragment ${path} in ${backingStore} is corrupt: ${error.message}`;
  return new WireError("CORRUPT", message, { facts: { store: backingStore, path }, cause: error });
}

function fragmentOrReason(journal: string, path: string): Fragment | string {
  try {
    return fragmentOfPath(journal, path);
  } catch (error) {
    if (error instanceof WireError && error.code === "INVALID_ARGUMENT") return error.message;
    throw error;
  }
}

/** Answers for a postfix whether a journal inside this one owns it. Postfixes repeat: answers are kept. */
function innerJournals(journal: RemoteJournal): { owns(postfix: string): boolean } {
  const known = new Map<string, boolean>([["", false]]);
  const owns = (postfix: string): boolean => {
    const answer = known.get(postfix);
    if (answer !== undefined) return answer;
    const slash = postfix.lastIndexOf("/");
    const owned =
      journal.isJournal?.(`${journal.name}/${postfix}`) === true ||
      owns(slash < 0 ? "" : postfix.slice(0, slash));
    known.set(postfix, owned);
    return owned;
  };
  return { owns };
}
