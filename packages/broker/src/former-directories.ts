// Which data directories a broker had before. The id of a data directory comes with it, so that one which is new where
// another one was is taken for a newcomer: its disk was replaced, or its volume is not mounted. In the second case the
// bytes of the other one are there, and what is written now is out of sight once it is mounted again.
//
//  F1  The store keeps, under each directory's id, the broker that had it last, and where: host, path and mount.
//  F2  A start with a directory that is empty, and that the store has never seen, is refused as long as another one of
//      the same broker is missed: it is in a segment of a journal's list (D10), and no live broker announces another
//      member of that. Nothing is announced before that. Where others have all that it had, it is said, and the start
//      goes on.
//  F3  A broker whose id was made with the directory has another one now: then the same path of the same host counts,
//      if it is below another mount than it was. Below the same mount it is a new disk, such as each pod may get, and
//      that a broker starts there was meant.
//  F4  Whoever has that directory may be another process, or the life before this one, whose lease goes on: it is
//      waited for until it is at rest, or another broker's.
//  F5  Of directories that no list names, and nobody uses, nobody needs to know where they were: a start forgets them.
import { text, utf8, WireError, type Clock, type Logger } from "@millrace/base";
import {
  keyOf,
  prefixRange,
  type Compare,
  type CoordinationStore,
  type Key,
  type KeyValue,
} from "@millrace/metadata";
import { decodeBrokerSpec, itemKey, membersPrefix, type ProcessId } from "@millrace/protocol";
import { useKey } from "./directory-claim.ts";
import { names, type HolderId } from "./holders-list.ts";
import { memberName } from "./journal-table.ts";
import { readLists } from "./start-lists.ts";

export interface FormerPorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReplacementRule {
  /** Somebody has said that the other directory is given up: that is said, and nobody is waited for. */
  readonly mayReplace: boolean;
  /** Told while somebody uses the other one, who is waited for. */
  readonly onInUse: () => void;
}

/** Where a data directory is. */
export interface DirectoryPlace {
  readonly host: string;
  readonly path: string;
  /** Where the file system is mounted that the path is on. */
  readonly mount: string;
}

export interface OwnDirectory {
  readonly root: string;
  readonly broker: ProcessId;
  readonly directory: HolderId;
  readonly place: DirectoryPlace;
}

interface FormerDirectory {
  readonly id: HolderId;
  /** Zone and id of the broker. */
  readonly broker: string;
  readonly place: DirectoryPlace;
}

interface Missed {
  /** Some of the journals of which no live broker has what it had. */
  readonly journals: readonly string[];
  /** Whether a list names it at all. */
  readonly isNamed: boolean;
}

const PAGE_KEYS = 1000;
const LOOK_MS = 1000;
/** Journals that a refusal names. */
const JOURNALS_TOLD = 5;

/** F1. Outside of every root that brokers watch, as the lists are. */
export async function notePlace(
  store: CoordinationStore,
  { root, broker, directory, place }: OwnDirectory,
  signal: AbortSignal,
): Promise<void> {
  const { host, path, mount } = place;
  const value = utf8(JSON.stringify({ broker: memberName(broker), host, path, mount }));
  await store.txn({ compare: [], success: [{ kind: "put", key: placeKey(root, directory), value }] }, signal);
}

/**
 * F2. Whoever calls uses `own.directory`, which is empty, and has announced nothing.
 * @throws {WireError} CONFLICT; of the store; what aborted `signal`
 */
export async function refuseReplacement(
  ports: FormerPorts,
  own: OwnDirectory,
  { mayReplace, onInUse }: ReplacementRule,
  signal: AbortSignal,
): Promise<void> {
  const { coordination, logger } = ports;
  const { root, directory, place } = own;
  for (const { id } of await formerDirectories(coordination, own, signal)) {
    const former = await atRest(ports, own, id, mayReplace ? undefined : onInUse, signal);
    if (former === undefined) continue; // Somebody else has it now.
    const { journals, isNamed } = await missedOf(ports, root, id, signal);
    if (journals.length > 0 && !mayReplace) throw refusal(own, former, journals);
    const { path } = place;
    if (isNamed) logger.warn("data-directory-replaced", { path, directory, former: id, missed: journals });
    else await forget(coordination, root, id, signal);
  }
}

/** F4. @param onInUse undefined: nobody is waited for @returns undefined: it is not of this broker any more */
async function atRest(
  { coordination, clock, logger }: FormerPorts,
  own: OwnDirectory,
  id: HolderId,
  onInUse: (() => void) | undefined,
  signal: AbortSignal,
): Promise<FormerDirectory | undefined> {
  for (let look = 0; ; look++) {
    const former = (await formerDirectories(coordination, own, signal)).find((one) => one.id === id);
    if (former === undefined || onInUse === undefined) return former;
    const { kvs } = await coordination.range({ key: useKey(own.root, id) }, signal);
    if (kvs.length === 0) return former;
    if (look === 0) logger.warn("former-directory-in-use", { former: id, by: text(kvs[0]!.value) });
    onInUse();
    await clock.sleep(LOOK_MS, signal);
  }
}

/** F5 */
async function forget(
  store: CoordinationStore,
  root: string,
  directory: HolderId,
  signal: AbortSignal,
): Promise<void> {
  const compare: Compare[] = [{ target: "version", key: useKey(root, directory), op: "=", version: 0 }];
  await store.txn({ compare, success: [{ kind: "delete", key: placeKey(root, directory) }] }, signal);
}

function placeKey(root: string, directory: HolderId): Key {
  return keyOf(`!millrace/directory-places#${root}#${directory}`);
}

/** Others than `own`, that should be in its place (F2, F3). */
async function formerDirectories(
  store: CoordinationStore,
  own: OwnDirectory,
  signal: AbortSignal,
): Promise<readonly FormerDirectory[]> {
  const broker = memberName(own.broker);
  const { host, path, mount } = own.place;
  const former: FormerDirectory[] = [];
  for await (const { name: id, value } of below(store, placeKey(own.root, ""), signal)) {
    const known = decoded(id, value);
    if (known === undefined || id === own.directory) continue;
    const { place } = known;
    const isUnmounted = place.host === host && place.path === path && place.mount !== mount;
    if (known.broker === broker || isUnmounted) former.push(known);
  }
  return former;
}

/** @returns undefined: somebody else wrote there, and nothing is known of that directory */
function decoded(id: HolderId, value: Uint8Array): FormerDirectory | undefined {
  try {
    const fields = JSON.parse(text(value)) as Readonly<Record<string, unknown>>;
    const { broker, host, path, mount } = fields;
    if (![broker, host, path, mount].every((field) => typeof field === "string")) return undefined;
    const place = { host, path, mount } as DirectoryPlace;
    return { id, broker: broker as string, place };
  } catch {
    return undefined;
  }
}

async function missedOf(
  { coordination, logger }: Pick<FormerPorts, "coordination" | "logger">,
  root: string,
  directory: HolderId,
  signal: AbortSignal,
): Promise<Missed> {
  const lists = await readLists({ coordination, root, logger }, signal);
  const present = await presentDirectories(coordination, root, signal);
  const journals: string[] = [];
  let isNamed = false;
  for (const [journal, { stored }] of lists) {
    if (!names(stored?.list, directory)) continue;
    const isMissed = stored!.list.segments.some(
      ({ members }) =>
        members.includes(directory) && !members.some((one) => one !== directory && present.has(one)),
    );
    if (isNamed && !isMissed) continue;
    // A list may outlive its journal.
    if ((await createRevisionOf(coordination, root, journal, signal)) !== stored!.createRevision) continue;
    isNamed = true;
    if (isMissed && journals.push(journal) === JOURNALS_TOLD) break;
  }
  return { journals, isNamed };
}

/** Those that live brokers announce. Whoever merely uses one may be refused yet. */
async function presentDirectories(
  store: CoordinationStore,
  root: string,
  signal: AbortSignal,
): Promise<ReadonlySet<HolderId>> {
  const present = new Set<HolderId>();
  for await (const { value } of below(store, membersPrefix(root), signal)) {
    const holder = holderOf(value);
    if (holder !== undefined) present.add(holder);
  }
  return present;
}

/** @returns undefined: nobody can read it, or of a broker that keeps no lists */
function holderOf(value: Uint8Array): HolderId | undefined {
  try {
    const { holder } = decodeBrokerSpec(value);
    return holder === "" ? undefined : holder;
  } catch {
    return undefined;
  }
}

async function createRevisionOf(
  store: CoordinationStore,
  root: string,
  journal: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { kvs } = await store.range({ key: itemKey(root, journal), keysOnly: true }, signal);
  return kvs[0]?.createRevision;
}

/** All keys below a prefix, by what comes behind it. */
async function* below(
  store: CoordinationStore,
  prefix: Key,
  signal: AbortSignal,
): AsyncGenerator<{ readonly name: string; readonly value: Uint8Array }> {
  const { key: first, end } = prefixRange(prefix);
  for (let key = first; ;) {
    const { kvs, more } = await store.range({ key, end, limit: PAGE_KEYS }, signal);
    for (const { key: found, value } of kvs) yield { name: found.slice(prefix.length), value };
    const last: KeyValue | undefined = kvs.at(-1);
    if (!more || last === undefined) return;
    key = `${last.key}\0`;
  }
}

function refusal(
  { place, directory }: OwnDirectory,
  former: FormerDirectory,
  journals: readonly string[],
): WireError {
  const more = journals.length === JOURNALS_TOLD ? ", and perhaps others" : "";
  const where = `${former.place.path} of ${former.place.host}, on what is mounted at ${former.place.mount}`;
  const named = `${journals.join(", ")}${more}`;
  return new WireError(
    "CONFLICT",
    `data directory ${place.path} is new, on what is mounted at ${place.mount}; expected is ${former.id}, which ` +
      `broker ${former.broker} had (${where}): nobody who is here has its bytes of journals: ${named}. ` +
      `Mount its volume, or give the --data where it is; or, when it is lost for good, start with --new-data allow ` +
      `(docs/cluster.md)`,
    { facts: { path: place.path, directory, former: former.id } },
  );
}
