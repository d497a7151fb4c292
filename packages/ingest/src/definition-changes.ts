// What becomes of a source or a sink when somebody wants it changed (specification 1.9): pure, the transactions are the
// repository's.
//
//   absent ──create──> active ──delete──> deleted
//                        ^ └─update, settings, disable, enable, rollback, rotateSecret─┐
//                        ├─────────────────────────────────────────────────────────────┘
//                        └──undelete, create── deleted
//
// V1 Every change of an active entity, and its coming back, is a new version; deleting is not, and neither is what
//    changes nothing. Numbers go on through deletion.
// V2 Nothing is done to the sinks of a source: what follows for them is computed (definition-effective.ts), so what was
//    done to one of them by itself is still there when its source comes back.
// V3 A rollback brings back content. Whether it is disabled, its secrets and its partitions stay as they are: an old
//    secret may be the reason why there is a new one. Only a source that becomes one of another type gets a new secret,
//    and a password for another login than the present one comes with it.
// V4 Content has a last version: from the thousandth on it stays. State and secrets change all the same: nothing may
//    keep anybody from disabling what goes wrong.
import { unreachable } from "@millrace/base";
import { withVersion } from "./definition-codec.ts";
import { checkSettings } from "./definition-settings.ts";
import {
  SIGNALS,
  type Change,
  type Column,
  type Life,
  type SettingValue,
  type SettingValues,
  type Signal,
  type SinkDefinition,
  type SourceDefinition,
  type SourceType,
} from "./definitions.ts";
import type { WebhookSignature } from "./webhook-signature.ts";
import { rolledBack, settingsOf, type TargetSettings } from "./target-settings.ts";
import { DEFINITION_LIMITS } from "./limits.ts";

export interface SettingChange {
  readonly key: string;
  /** null: what the owner has set goes. */
  readonly value: SettingValue | null;
}

export type LifecycleCommand =
  | { readonly kind: "disable" }
  | { readonly kind: "enable" }
  | { readonly kind: "delete" }
  | { readonly kind: "undelete" }
  | { readonly kind: "rollback"; readonly version: number }
  | {
      readonly kind: "settings";
      readonly changes: readonly SettingChange[];
      /** Default "Updated settings.". */
      readonly changeDescription?: string;
    };

/** What is absent stays as it is. */
interface Update {
  readonly kind: "update";
  readonly name?: string;
  readonly description?: string;
  /** Default "Updated.". */
  readonly changeDescription?: string;
}

export type SourceCommand =
  | LifecycleCommand
  /** With another type it gets a new secret: addresses of the old one are none of the new one's. */
  | (Update & {
      readonly type?: SourceType;
      /** null: none any more. */
      readonly signature?: WebhookSignature | null;
    })
  | { readonly kind: "rotateSecret" };
export type SinkCommand =
  | LifecycleCommand
  | (Update & {
      readonly target?: TargetSettings;
      readonly tableId?: string;
      readonly columns?: readonly Column[];
      /** None: all are allowed. */
      readonly allowedSignals?: readonly Signal[];
    });

type Entity = SourceDefinition | SinkDefinition;

/** Commands that change what a version says. */
const CONTENT: readonly SourceCommand["kind"][] = ["update", "settings", "rollback"];

/** Where an ID stands. */
export type Standing<T extends Entity> =
  { readonly kind: "absent" } | { readonly kind: "active" | "deleted"; readonly entity: T };

/** What a command needs that is not in the entity. */
export interface ChangeFacts<T extends Entity> {
  readonly change: Change;
  /** Of `rollback`: the version, when it is there. */
  readonly version?: T;
  /** Of a source: a new one, for those changes that want it. */
  readonly secret?: string;
}

export type ChangePlan<T extends Entity> =
  | {
      readonly kind: "write";
      readonly entity: T;
      readonly to: "active" | "deleted";
      /** A version record is written (V1). */
      readonly isVersion: boolean;
    }
  | { readonly kind: "unchanged"; readonly entity: T }
  | { readonly kind: "versionLimit"; readonly max: number }
  | { readonly kind: "notFound" | "deletedNotFound" | "noVersion" | "exists" };

/** @throws {WireError} INVALID_ARGUMENT about settings */
export function planSource(
  standing: Standing<SourceDefinition>,
  command: SourceCommand,
  facts: ChangeFacts<SourceDefinition>,
): ChangePlan<SourceDefinition> {
  return withinLimit(command, sourcePlan(standing, command, facts));
}

/** @throws {WireError} INVALID_ARGUMENT about settings */
export function planSink(
  standing: Standing<SinkDefinition>,
  command: SinkCommand,
  facts: ChangeFacts<SinkDefinition>,
): ChangePlan<SinkDefinition> {
  return withinLimit(command, sinkPlan(standing, command, facts));
}

/** V4 */
function withinLimit<T extends Entity>(
  { kind }: SourceCommand | SinkCommand,
  plan: ChangePlan<T>,
): ChangePlan<T> {
  if (plan.kind !== "write" || !plan.isVersion || !CONTENT.includes(kind)) return plan;
  const max = DEFINITION_LIMITS.versionsMax;
  return plan.entity.version.number > max ? { kind: "versionLimit", max } : plan;
}

function sourcePlan(
  standing: Standing<SourceDefinition>,
  command: SourceCommand,
  facts: ChangeFacts<SourceDefinition>,
): ChangePlan<SourceDefinition> {
  if (command.kind !== "update" && command.kind !== "rotateSecret") {
    return planLifecycle(standing, command, facts, (now, then) => {
      const { type, name, description, settings } = then;
      return ofType({ ...withSettings(now, settings), name, description }, type, facts);
    });
  }
  if (standing.kind !== "active") return { kind: "notFound" };
  const { entity } = standing;
  if (command.kind === "rotateSecret")
    return next(entity, { ...entity, secret: facts.secret ?? "" }, "Rotated secret.", facts.change);
  const { name = entity.name, description = entity.description, changeDescription = "Updated." } = command;
  const { type = entity.type, signature = entity.signature } = command;
  const { signature: _before, ...kept } = entity;
  const signed = signature === undefined || signature === null ? kept : { ...kept, signature };
  const updated = ofType({ ...signed, name, description }, type, facts);
  return next(entity, updated, changeDescription, facts.change);
}

function ofType(
  source: SourceDefinition,
  type: SourceType,
  { secret = source.secret }: ChangeFacts<SourceDefinition>,
): SourceDefinition {
  if (type === source.type) return source;
  const { signature: _signature, ...kept } = source;
  return { ...kept, type, secret };
}

function sinkPlan(
  standing: Standing<SinkDefinition>,
  command: SinkCommand,
  facts: ChangeFacts<SinkDefinition>,
): ChangePlan<SinkDefinition> {
  if (command.kind !== "update") {
    return planLifecycle(standing, command, facts, (now, then) => {
      const { type, name, description, settings, allowedSignals = [] } = then;
      const { allowedSignals: _now, ...kept } = withSettings(now, settings);
      const table = rolledBack(now.table, then.table);
      return { ...kept, type, name, description, table, ...onlySignals(allowedSignals) };
    });
  }
  if (standing.kind !== "active") return { kind: "notFound" };
  const { entity } = standing;
  const { name = entity.name, description = entity.description, changeDescription = "Updated." } = command;
  const { tableId = entity.table.tableId, columns = entity.table.mapping.columns } = command;
  const { allowedSignals: before = [], ...kept } = entity;
  const { allowedSignals = before, target = settingsOf(entity.table) } = command;
  const table = { ...target, tableId, mapping: { columns } };
  const updated = { ...kept, name, description, table, ...onlySignals(allowedSignals) };
  return next(entity, updated, changeDescription, facts.change);
}

/** A source that is made: version 1 of an ID that is not there, the next version of one that was deleted. */
export function createdSource(
  deleted: SourceDefinition | undefined,
  fields: Omit<SourceDefinition, "version" | "created" | "incarnation">,
  { change, life }: { readonly change: Change; readonly life: Life },
): SourceDefinition {
  const kept = deleted === undefined ? life : lifeOf(deleted);
  const number = (deleted?.version.number ?? 0) + 1;
  return withVersion<SourceDefinition>(
    { ...fields, ...kept, created: change },
    { number, description: "New source.", ...change },
  );
}

/** The same of a sink. One that comes back keeps the partitions that hold its records. */
export function createdSink(
  deleted: SinkDefinition | undefined,
  fields: Omit<SinkDefinition, "version" | "created" | "incarnation">,
  { change, life }: { readonly change: Change; readonly life: Life },
): SinkDefinition {
  const { partitions, keyedPartitions } = deleted ?? fields;
  const kept = deleted === undefined ? life : lifeOf(deleted);
  const number = (deleted?.version.number ?? 0) + 1;
  return withVersion<SinkDefinition>(
    { ...fields, ...kept, partitions, keyedPartitions, created: change },
    { number, description: "New sink.", ...change },
  );
}

/** @param restored the entity of now with the content of then (V3) */
function planLifecycle<T extends Entity>(
  standing: Standing<T>,
  command: LifecycleCommand,
  { change, version }: ChangeFacts<T>,
  restored: (now: T, then: T) => T,
): ChangePlan<T> {
  if (command.kind === "undelete") {
    if (standing.kind !== "deleted")
      return { kind: standing.kind === "active" ? "exists" : "deletedNotFound" };
    const { deleted: _deleted, ...back } = standing.entity;
    const description = `Undeleted to version "${back.version.number}".`;
    return {
      kind: "write",
      entity: versioned(back as T, description, change),
      to: "active",
      isVersion: true,
    };
  }
  if (standing.kind !== "active") return { kind: "notFound" };
  const { entity } = standing;
  switch (command.kind) {
    case "delete":
      return { kind: "write", entity: { ...entity, deleted: change }, to: "deleted", isVersion: false };
    case "disable":
      if (entity.disabled !== undefined) return { kind: "unchanged", entity };
      return written({ ...entity, disabled: { ...change, reason: "API" } }, "Disabled.", change);
    case "enable": {
      const { disabled, ...enabled } = entity;
      if (disabled === undefined) return { kind: "unchanged", entity };
      return written(enabled as T, "Enabled.", change);
    }
    case "rollback":
      if (version === undefined) return { kind: "noVersion" };
      return written(restored(entity, version), `Rollback to version "${command.version}".`, change);
    case "settings": {
      const settings = changedSettings(entity.settings, command.changes);
      checkSettings(settings, "sinkId" in entity ? "sink" : "source");
      const { changeDescription = "Updated settings." } = command;
      return next(entity, withSettings(entity, settings), changeDescription, change);
    }
    default:
      return unreachable(command);
  }
}

/** The next version, unless nothing of its content is another (V1). */
function next<T extends Entity>(before: T, after: T, description: string, change: Change): ChangePlan<T> {
  if (contentOf(before) === contentOf(after)) return { kind: "unchanged", entity: before };
  return written(after, description, change);
}

function written<T extends Entity>(entity: T, description: string, change: Change): ChangePlan<T> {
  return { kind: "write", entity: versioned(entity, description, change), to: "active", isVersion: true };
}

function versioned<T extends Entity>(entity: T, description: string, change: Change): T {
  const { version, ...content } = entity;
  return withVersion<T>(content, { number: version.number + 1, description, ...change });
}

/** Not the hash of the version: that takes a setting that is false for none. */
function contentOf(entity: Entity): string {
  const { version: _version, ...content } = entity;
  return JSON.stringify(sorted(content));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}

function lifeOf({ incarnation }: Life): Life {
  return incarnation === undefined ? {} : { incarnation };
}

function changedSettings(
  settings: SettingValues | undefined,
  changes: readonly SettingChange[],
): SettingValues {
  const values = new Map(Object.entries(settings ?? {}));
  for (const { key, value } of changes) {
    if (value === null) values.delete(key);
    else values.set(key, value);
  }
  return Object.fromEntries(values);
}

/** Without any, all are allowed. */
export function onlySignals(signals: readonly Signal[]): Pick<SinkDefinition, "allowedSignals"> {
  const allowedSignals = SIGNALS.filter((signal) => signals.includes(signal));
  return allowedSignals.length === 0 ? {} : { allowedSignals };
}

/** Without any, the entity has none. */
function withSettings<T extends Entity>(entity: T, settings: SettingValues | undefined): T {
  const { settings: _settings, ...kept } = entity;
  const hasSome = settings !== undefined && Object.keys(settings).length > 0;
  return { ...kept, ...(hasSome ? { settings } : {}) } as T;
}
