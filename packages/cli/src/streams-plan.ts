// What has to be done so that the streams of a platform are those of the files: pure. Nothing to do for what is already
// so, hence applying twice does nothing the second time.
//
//  L1 What a file does not say of a source or a sink stays as it is, but for whether it is disabled: it is not, unless
//     the file says so. Columns and settings that are given are all that there are.
//  L2 Nothing is deleted unless that was asked for.
import type { Column, Sink, Source } from "@millrace/api-client";
import { Secret, type DesiredSink, type DesiredSource, type Fields, type Tree } from "./streams-file.ts";
import type { SettingValue } from "./stream-options.ts";

export interface CurrentSource {
  readonly source: Source;
  /** Its own. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  readonly sinks: readonly Sink[];
}

export interface FieldChange {
  readonly field: string;
  /** As they are shown; undefined: there is none. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface SettingPatch {
  readonly key: string;
  readonly value: SettingValue | null;
}

/** One request. */
export type Action = {
  readonly kind: "source" | "sink";
  readonly sourceId: string;
  /** "" of a source. */
  readonly sinkId: string;
  readonly changes: readonly FieldChange[];
} & (
  | { readonly verb: "create" | "update"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly verb: "settings"; readonly settings: readonly SettingPatch[] }
  | { readonly verb: "enable" | "disable" | "delete" }
);

export interface PlanOptions {
  readonly prune: boolean;
  /** Sends secrets again, of which nobody can tell whether they are the same. */
  readonly resendSecrets: boolean;
}

export interface StreamsPlan {
  readonly actions: readonly Action[];
  /** What is there and in no file, `source x` or `sink x/y`. */
  readonly strangers: readonly string[];
}

export function planStreams(
  desired: readonly DesiredSource[],
  current: readonly CurrentSource[],
  options: PlanOptions,
): StreamsPlan {
  const byId = new Map(current.map((one) => [one.source.sourceId, one]));
  const wanted = new Set(desired.map(({ sourceId }) => sourceId));
  const plans = desired.map((one) => planSource(one, byId.get(one.sourceId), options));
  const gone = current.filter(({ source }) => !wanted.has(source.sourceId));
  const removals = gone.map(({ source }) => removal("source", source.sourceId, ""));
  return {
    actions: [...plans.flatMap(({ actions }) => actions), ...(options.prune ? removals : [])], // L2
    strangers: [
      ...plans.flatMap(({ strangers }) => strangers),
      ...gone.map(({ source }) => `source ${source.sourceId}`),
    ],
  };
}

/** Of one source and its sinks. @param current undefined: there is none */
export function planSource(
  desired: DesiredSource,
  current: CurrentSource | undefined,
  options: PlanOptions,
): StreamsPlan {
  const { sourceId, fields } = desired;
  const place = { kind: "source", sourceId, sinkId: "" } as const;
  const actions: Action[] = [];
  if (current === undefined) {
    const whole: Fields = { name: sourceId, type: "http", description: "", ...fields };
    const body = { sourceId, ...(reveal(whole) as object) };
    actions.push({ ...place, verb: "create", body, changes: changesOf(whole, {}, false) });
  } else {
    const changes = changesOf(fields, current.source, options.resendSecrets);
    if (changes.length > 0)
      actions.push({ ...place, verb: "update", body: changedBody(fields, changes), changes });
  }
  actions.push(...settingActions(place, desired.settings, current?.settings ?? {}));
  actions.push(...stateActions(place, desired.isDisabled, isDisabled(current?.source)));
  const sinks = new Map((current?.sinks ?? []).map((sink) => [sink.sinkId, sink]));
  for (const sink of desired.sinks)
    actions.push(...planSink(sourceId, sink, sinks.get(sink.sinkId), options));
  const wanted = new Set(desired.sinks.map(({ sinkId }) => sinkId));
  const gone = [...sinks.keys()].filter((sinkId) => !wanted.has(sinkId));
  if (options.prune) actions.push(...gone.map((sinkId) => removal("sink", sourceId, sinkId))); // L2
  return { actions, strangers: gone.map((sinkId) => `sink ${sourceId}/${sinkId}`) };
}

function planSink(
  sourceId: string,
  desired: DesiredSink,
  current: Sink | undefined,
  options: PlanOptions,
): readonly Action[] {
  const { sinkId, fields, table, columns, settings } = desired;
  const place = { kind: "sink", sourceId, sinkId } as const;
  const actions: Action[] = [];
  if (current === undefined) {
    const whole: Fields = { name: sinkId, description: "", ...fields };
    const newTable = { type: "duckdb", ...(reveal(table) as object), mapping: { columns } };
    const own = settings === undefined ? {} : { settings };
    const body = { type: "table", sinkId, ...(reveal(whole) as object), table: newTable, ...own };
    const changes = [
      ...changesOf(whole, {}, false),
      ...inTable(changesOf(table, {}, false)),
      { field: "columns", before: undefined, after: columnsText(columns) },
      ...Object.entries(settings ?? {}).map(([key, value]) => settingChange(key, undefined, value)),
    ];
    actions.push({ ...place, verb: "create", body, changes });
  } else {
    const { mapping, ...currentTable } = current.table;
    const own = changesOf(fields, current, options.resendSecrets);
    const ofTable = changesOf(table, currentTable, options.resendSecrets);
    const [before, after] = [columnsText(mapping.columns), columnsText(columns)];
    const ofColumns = before === after ? [] : [{ field: "columns", before, after }];
    const changes = [...own, ...inTable(ofTable), ...ofColumns];
    const newTable = {
      ...(ofTable.length === 0 ? {} : (reveal(table) as object)),
      ...(ofColumns.length === 0 ? {} : { mapping: { columns } }),
    };
    const isTable = ofTable.length + ofColumns.length > 0;
    const body = { ...changedBody(fields, own), ...(isTable ? { table: newTable } : {}) };
    if (changes.length > 0) actions.push({ ...place, verb: "update", body, changes });
    actions.push(...settingActions(place, settings, current.settings));
  }
  actions.push(...stateActions(place, desired.isDisabled, isDisabled(current)));
  return actions;
}

type Place = Pick<Action, "kind" | "sourceId" | "sinkId">;

function settingActions(
  place: Place,
  desired: Readonly<Record<string, SettingValue>> | undefined,
  current: Readonly<Record<string, SettingValue>>,
): readonly Action[] {
  if (desired === undefined) return []; // L1
  const keys = [...new Set([...Object.keys(current), ...Object.keys(desired)])].sort();
  const changed = keys.filter((key) => current[key] !== desired[key]);
  if (changed.length === 0) return [];
  const settings = changed.map((key) => ({ key, value: desired[key] ?? null }));
  const changes = changed.map((key) => settingChange(key, current[key], desired[key]));
  return [{ ...place, verb: "settings", settings, changes }];
}

function settingChange(
  key: string,
  before: SettingValue | undefined,
  after: SettingValue | undefined,
): FieldChange {
  const shown = (value: SettingValue | undefined) => (value === undefined ? undefined : String(value));
  return { field: key, before: shown(before), after: shown(after) };
}

function stateActions(place: Place, wanted: boolean, is: boolean): readonly Action[] {
  if (wanted === is) return [];
  const state = (disabled: boolean): string => (disabled ? "disabled" : "enabled");
  const changes = [{ field: "state", before: state(is), after: state(wanted) }];
  return [{ ...place, verb: wanted ? "disable" : "enable", changes }];
}

/** By itself: a sink whose source is disabled follows it. */
function isDisabled(entity: { readonly disabled?: { readonly reason: string } } | undefined): boolean {
  return entity?.disabled?.reason === "API";
}

function removal(kind: "source" | "sink", sourceId: string, sinkId: string): Action {
  return { kind, sourceId, sinkId, verb: "delete", changes: [] };
}

/** The fields that are given and not so. */
function changesOf(fields: Fields, current: Fields, resend: boolean): readonly FieldChange[] {
  return Object.entries(fields).flatMap(([field, wanted]) => {
    const is = current[field];
    if (isMet(wanted, is, resend)) return [];
    const before = is === undefined ? undefined : shownOf(is);
    return [{ field, before, after: shownOf(wanted) }];
  });
}

/** Whether a value is what is wanted of it: objects may hold more. */
function isMet(wanted: Tree, is: Tree | undefined, resend: boolean): boolean {
  if (wanted instanceof Secret) return !resend; // F1
  if (wanted === null) return is === undefined || is === null;
  if (Array.isArray(wanted)) {
    const items = wanted as readonly Tree[];
    if (!Array.isArray(is)) return items.length === 0 && is === undefined;
    const found = is as readonly Tree[];
    return items.length === found.length && items.every((item, i) => isMet(item, found[i], resend));
  }
  if (typeof wanted === "object") {
    if (typeof is !== "object" || is === null || Array.isArray(is)) return false;
    const found = is as Fields;
    return Object.entries(wanted).every(([name, one]) => isMet(one, found[name], resend));
  }
  return wanted === is;
}

function changedBody(fields: Fields, changes: readonly FieldChange[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(changes.map(({ field }) => [field, reveal(fields[field] ?? null)]));
}

function inTable(changes: readonly FieldChange[]): readonly FieldChange[] {
  return changes.map((change) => ({ ...change, field: `table.${change.field}` }));
}

/** What is sent. */
function reveal(tree: Tree): unknown {
  return mapped(tree, (secret) => secret.value);
}

function shownOf(tree: Tree): string {
  const plain = mapped(tree, (secret) => `(secret of ${secret.name})`);
  return typeof plain === "string" ? plain : JSON.stringify(plain);
}

function mapped(tree: Tree, secret: (secret: Secret) => string): unknown {
  if (tree instanceof Secret) return secret(tree);
  if (Array.isArray(tree)) return (tree as readonly Tree[]).map((one) => mapped(one, secret));
  if (typeof tree !== "object" || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([name, one]) => [name, mapped(one, secret)]));
}

/** Equal texts for mappings that do the same. */
function columnsText(columns: readonly Column[]): string {
  return JSON.stringify(columns.map((column) => sorted(column)));
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value)
    .filter(([name, one]) => one !== undefined && !(name === "rawString" && one === false))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, one]) => [name, sorted(one)]));
}
