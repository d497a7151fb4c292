// The URL of a store, as a JournalSpec names it: scheme, bucket, prefix, and arguments in the query. Which arguments
// are known depends on the scheme; `find` and `replace` are known to all.
import { utf8, WireError } from "@millrace/base";
import { parseFragmentStore } from "@millrace/protocol";

export interface StoreUrl {
  readonly url: string;
  /** Lower case, without ':'. */
  readonly scheme: string;
  /** Bucket, container or tenant; "" for `file`. */
  readonly host: string;
  /** Path of the URL, percent-decoded: ends with '/'. */
  readonly prefix: string;
  /** As written: names keep their case. */
  readonly args: readonly (readonly [name: string, value: string])[];
}

/** @throws {WireError} INVALID_ARGUMENT with the texts of {@link parseFragmentStore} */
export function parseStoreUrl(url: string): StoreUrl {
  const { scheme, host, path, rawQuery } = parseFragmentStore(url);
  return { url, scheme, host, prefix: path, args: [...new URLSearchParams(rawQuery)] };
}

/** Replaces the first occurrence of `find` in a key. An empty `find` changes nothing. */
export interface KeyRewrite {
  readonly find: string;
  readonly replace: string;
}

/**
 * The arguments of `url` by name, each in the case of `known`.
 * @throws {WireError} INVALID_ARGUMENT for one that is not known, with the texts of Gazette's decoder
 */
export function storeArguments<Name extends string>(
  url: StoreUrl,
  known: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const values: Partial<Record<Name, string>> = {};
  const unknown: string[] = [];
  for (const [name, value] of url.args) {
    const found = known.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
    if (found === undefined) unknown.push(name);
    else values[found] ??= value;
  }
  const first = unknown[0];
  if (first === undefined) return values;
  const more = unknown.length - 1;
  const others = more === 0 ? "" : more === 1 ? " (and 1 other error)" : ` (and ${more} other errors)`;
  throw invalid(`parsing store URL arguments: schema: invalid path "${first}"${others}`);
}

export function rewriteKey(key: string, rewrite: KeyRewrite): string {
  if (rewrite.find === "") return key;
  const at = key.indexOf(rewrite.find);
  return at < 0 ? key : key.slice(0, at) + rewrite.replace + key.slice(at + rewrite.find.length);
}

/**
 * The key, if it names an object below a store's prefix on any kind of store.
 * @param path of an object: not "", no leading or trailing '/'. A journal may be called `../foo`: such a key is refused
 * @throws {WireError} INVALID_ARGUMENT
 */
export function checkedKey(path: string): string {
  const problem = keyProblem(path);
  if (problem !== undefined) throw invalid(`invalid object path (${path}): ${problem}`);
  return path;
}

/** As {@link checkedKey} for what a listing begins with: may be "", end in '/' or within a component. */
export function checkedListPrefix(prefix: string): string {
  const end = prefix.lastIndexOf("/");
  const problem = end <= 0 ? (end === 0 ? "begins with '/'" : undefined) : keyProblem(prefix.slice(0, end));
  if (problem !== undefined || prefix.includes("\0")) {
    throw invalid(`invalid listing prefix (${prefix}): ${problem ?? "contains NUL"}`);
  }
  return prefix;
}

/** Whether {@link checkedKey} takes it. */
export function isCleanKey(path: string): boolean {
  return keyProblem(path) === undefined;
}

function keyProblem(path: string): string | undefined {
  if (path === "") return "is empty";
  if (path.includes("\0")) return "contains NUL";
  if (path.startsWith("/")) return "begins with '/'";
  for (const component of path.split("/")) {
    if (component === "..") return "leaves the store";
    if (component === "." || component === "") return "must be a clean path";
  }
  return undefined;
}

/** What file systems take as the name of one file or directory. */
const FILE_NAME_BYTES_MAX = 255;

/**
 * Checks that a store of `url` can have objects below `name`. Their paths are the protocol's, so that nothing is
 * encoded: what a file system cannot call so is refused before a journal lives by it.
 * @throws {WireError} INVALID_ARGUMENT
 */
export function checkJournalName(url: string, name: string): void {
  const parsed = parseStoreUrl(url);
  if (parsed.scheme !== "file") return;
  const { Find = "", Replace = "" } = storeArguments(parsed, ["Find", "Replace"]);
  for (const part of rewriteKey(name, { find: Find, replace: Replace }).split("/")) {
    const bytes = utf8(part).length;
    if (bytes <= FILE_NAME_BYTES_MAX) continue;
    const begin = part.slice(0, 20);
    throw invalid(
      `a part of the journal's name (${begin}...) has ${bytes} bytes; ` +
        `its store ${url} takes at most ${FILE_NAME_BYTES_MAX}`,
    );
  }
}

function invalid(message: string): WireError {
  return new WireError("INVALID_ARGUMENT", message);
}
