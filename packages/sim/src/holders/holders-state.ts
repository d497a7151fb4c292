// A journal, its three brokers and the coordination store in small integers: what the model of the holders rules walks
// through. Offsets count appends, one entry each. What decides is the broker's own code; this is only what it has.
//
// An entry is a token times 16 plus the journal's register behind it; 0 is nothing. An odd token sets the register.
// A proposal is of one append, or of two: a member takes it whole, and knows the register before it and that behind it.
import type { ActivationEffect, ActivationState, Binding, HoldersList, Range } from "@millrace/broker";
import { labelSet, type LabelSet } from "@millrace/protocol";

export const BROKERS = 3;

export interface ModelRoute {
  /** Indexes of brokers, ascending. */
  readonly members: readonly number[];
  readonly primary: number;
}

/** The journal is suspended, or has lost all of its brokers. */
export const NOBODYS: ModelRoute = { members: [], primary: -1 };

/** An end within a proposal of two appends, and the register that a member knows there: the one before both. */
export interface InnerEnd {
  readonly end: number;
  readonly register: number;
}

/** What a primary sends on: entries from `begin` on, and the register behind them. */
export interface Snapshot {
  readonly entries: readonly number[];
  readonly register: number;
}

export interface ModelBroker {
  readonly up: boolean;
  /** Revision of its keyspace. */
  readonly view: number;
  /** On its disk, synced: lasts through crashes, as `register`, `inner`, `copiedFrom` and `released` do. */
  readonly log: readonly number[];
  readonly register: number;
  /** Within proposals that it took from others. */
  readonly inner: readonly InnerEnd[];
  /** From there on it has copied what it was brought, and not the register behind that: before, it is `register`. */
  readonly copiedFrom: number | undefined;
  /** Below it, what it had was persisted and given up. */
  readonly released: number;
  readonly binding: Binding;
  /** What it is brought, once it has let go of what is other: it has not copied it yet. */
  readonly bringing: { readonly binding: Binding; readonly bring: BroughtBytes } | undefined;
  /** What this life of the process knows to be acknowledged. */
  readonly known: Range | undefined;
  /** Others of that kind, from before it went on at a larger end. */
  readonly knownBefore: readonly Range[];
  /** The epoch at which it was brought, or went on: as a member it has forgotten nothing since. */
  readonly tenure: number;
  readonly activation: ActivationState | undefined;
  readonly effects: readonly ActivationEffect[];
  readonly snapshot: Snapshot | undefined;
  /** The appends that are under way, which are one proposal, with the brokers that have it. */
  readonly append:
    { readonly at: number; readonly got: readonly number[]; readonly before: number } | undefined;
  /** The list as it was read to copy what older segments have (D14), and whatever became of it since. */
  readonly joining: Joining | undefined;
}

export interface Joining {
  readonly list: HoldersList;
  readonly listRevision: number;
  /** From where on all members of the newest segment were found to have an older one. */
  readonly found: { readonly index: number; readonly from: number } | undefined;
}

/** A request whose primary has given up; it may come yet. */
export type Late =
  | { readonly kind: "bring"; readonly to: number; readonly binding: Binding; readonly bring: BroughtBytes }
  | {
      readonly kind: "append";
      readonly to: number;
      readonly binding: Binding;
      readonly at: number;
      readonly entries: readonly number[];
    }
  | {
      readonly kind: "write";
      readonly epoch: number;
      readonly next: HoldersList;
      readonly listRevision: number;
    };

export interface BroughtBytes extends Snapshot {
  readonly begin: number;
}

export interface ModelState {
  readonly keepers: number;
  /** Of each revision from 1 on. */
  readonly routes: readonly ModelRoute[];
  readonly list: HoldersList | undefined;
  readonly listRevision: number;
  /** The list before the last write of it: for a variant only. */
  readonly listBefore: HoldersList | undefined;
  readonly acknowledged: readonly number[];
  /** The first offset that was acknowledged on a mixed route since the list was written anew. */
  readonly mixedFrom: number | undefined;
  readonly store: readonly number[];
  readonly brokers: readonly ModelBroker[];
  readonly late: Late | undefined;
  readonly tokens: number;
  readonly crashes: number;
  readonly streams: number;
  readonly closes: number;
  readonly persists: number;
  /** What was found wrong while moving here. */
  readonly wrong: string | undefined;
}

export type Move = readonly [what: string, next: ModelState];

/** How often things happen. */
export interface Bounds {
  readonly tokens: number;
  readonly routes: number;
  readonly crashes: number;
  readonly attempts: number;
  readonly closes: number;
  readonly persists: number;
  readonly late: boolean;
  /** How many of the brokers keep lists, the first ones; the others are like Gazette's, whose disk a crash empties. */
  readonly keepers: number;
}

export const UNBOUND: Binding = { epoch: 0, stream: 0, isBrought: false };

const FRESH: ModelBroker = {
  up: true,
  view: 1,
  log: [],
  register: 0,
  inner: [],
  copiedFrom: undefined,
  released: 0,
  binding: UNBOUND,
  bringing: undefined,
  known: undefined,
  knownBefore: [],
  tenure: 0,
  activation: undefined,
  effects: [],
  snapshot: undefined,
  append: undefined,
  joining: undefined,
};

export function initialState({ keepers }: Bounds): ModelState {
  return {
    keepers,
    routes: [{ members: [0, 1], primary: 0 }],
    list: undefined,
    listRevision: 0,
    listBefore: undefined,
    acknowledged: [],
    mixedFrom: undefined,
    store: [],
    brokers: Array.from({ length: BROKERS }, () => FRESH),
    late: undefined,
    tokens: 0,
    crashes: 0,
    streams: 0,
    closes: 0,
    persists: 0,
    wrong: undefined,
  };
}

/** What a broker is when its process has ended: its disk. */
export function ended(broker: ModelBroker): ModelBroker {
  const { log, register, inner, copiedFrom, released } = broker;
  return { ...FRESH, up: false, view: 0, log, register, inner, copiedFrom, released };
}

/** A new data directory. */
export function wiped(broker: ModelBroker): ModelBroker {
  return { ...FRESH, view: broker.view, binding: { epoch: broker.view, stream: 0, isBrought: false } };
}

export function patch(state: ModelState, index: number, change: Partial<ModelBroker>): ModelState {
  return {
    ...state,
    brokers: state.brokers.map((broker, i) => (i === index ? { ...broker, ...change } : broker)),
  };
}

export function revisionOf(state: ModelState): number {
  return state.routes.length;
}

export function routeAt(state: ModelState, revision: number): ModelRoute | undefined {
  return state.routes[revision - 1];
}

export function sameRoute(a: ModelRoute | undefined, b: ModelRoute | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.primary === b.primary && a.members.join() === b.members.join();
}

export function entryOf(token: number, registerBefore: number): number {
  return token * 16 + (changesRegister(token) ? token : registerBefore);
}

/** C10 of peer-commits.ts. */
export function changesRegister(token: number): boolean {
  return token % 2 === 1;
}

/** An offset below which nothing will be written any more, though nobody may have what stood there. */
export function holeOf(register: number): number {
  return -1 - register;
}

/** The register behind an entry; 0 at the journal's begin. */
export function registerBehind(entry: number | undefined): number {
  if (entry === undefined) return 0;
  return entry < 0 ? -1 - entry : entry % 16;
}

/**
 * Behind what a member has below `end`: within a proposal that it took whole it holds the one from before that (G1 of
 * spool-registers.ts); what it has given up to the store is acknowledged.
 */
export function registerAt({ acknowledged }: ModelState, { log, inner }: ModelBroker, end: number): number {
  const within = inner.find((one) => one.end === end);
  return within?.register ?? registerBehind(log[end - 1] || acknowledged[end - 1]);
}

const SETS: readonly LabelSet[] = Array.from({ length: 16 }, (_, value) => labelSet(["by", String(value)]));

export function registersOf(register: number): LabelSet {
  return SETS[register]!;
}

export function registerOf(set: LabelSet): number {
  return Number(set.labels[0]!.value);
}

/** The store's gapless part. */
export function persistedEnd({ store }: ModelState): number {
  const gap = [...store].findIndex((entry) => entry === 0);
  return gap < 0 ? store.length : gap;
}

export function memberOf(index: number): string {
  return String(index);
}

/** Whether a member keeps no list. */
export function isMixed({ keepers }: ModelState, route: ModelRoute | undefined): boolean {
  return route?.members.some((i) => i >= keepers) ?? false;
}

/** Whether it has been a member without a break since it was brought, or went on. */
export function isTenured(state: ModelState, i: number, upTo = state.brokers[i]!.view): boolean {
  const { tenure } = state.brokers[i]!;
  return tenure > 0 && state.routes.slice(tenure - 1, upTo).every(({ members }) => members.includes(i));
}

/** Where a member's bytes end as it says on a void list: it begins with nothing when it was not one all the time. */
export function presentedEnd(state: ModelState, i: number): number {
  return isTenured(state, i) ? toldEntries(state.brokers[i]!).length : 0;
}

/** What it says that it has: nothing of what it copied, before it has all of that (K9 of journal-holder.ts). */
export function toldEntries({ log, copiedFrom }: ModelBroker): readonly number[] {
  return copiedFrom === undefined ? log : log.slice(0, copiedFrom);
}
