// Definitions as JSON values of the coordination store, checked when they are read.
import { utf8, WireError } from "@millrace/base";
import {
  SIGNALS,
  SOURCE_TYPES,
  TEMPLATE_LANGUAGES,
  type Change,
  type Column,
  type Life,
  type SinkDefinition,
  type SourceDefinition,
  type Version,
} from "./definitions.ts";
import { secretPlace, signaturePlace, sinkSecretPlace } from "./definition-keys.ts";
import { decodeSecret, type SecretBox } from "./secret-box.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import { decodeSettings, openSettings, sealSettings, withoutPassword } from "./target-settings.ts";
import { SIGNATURE_SCHEMES, type WebhookSignature } from "./webhook-signature.ts";

/** That a branch is in use. */
export interface BranchRecord {
  readonly projectId: number;
  readonly branchId: number;
  readonly isDefault: boolean;
  readonly created: Change;
}

/** A definition before its version's hash is known. */
export type Unversioned<T extends SourceDefinition | SinkDefinition> = Omit<T, "version">;

/** What stands among the definitions and has no secret. */
export function encodeDefinition(value: Life | BranchRecord): Uint8Array {
  return utf8(JSON.stringify(value));
}

export function encodeSink(sink: SinkDefinition, secrets: SecretBox): Uint8Array {
  return utf8(JSON.stringify({ ...sink, table: sealSettings(sink.table, secrets, sinkSecretPlace(sink)) }));
}

export function encodeSource(source: SourceDefinition, secrets: SecretBox): Uint8Array {
  const { signature } = source;
  const sealed =
    signature === undefined
      ? {}
      : { signature: { ...signature, secret: secrets.seal(signature.secret, signaturePlace(source)) } };
  const secret = secrets.seal(source.secret, secretPlace(source));
  return utf8(JSON.stringify({ ...source, secret, ...sealed }));
}

/** @throws {CannotOpen} without the key of its secret @throws {WireError} CORRUPT with the field */
export function decodeSource(bytes: Uint8Array, key: string, secrets: SecretBox): SourceDefinition {
  const value = parseJson(bytes, key);
  const fields = new JsonFields(value, key);
  fields.integer("projectId");
  fields.integer("branchId");
  fields.text("sourceId");
  fields.oneOf("type", SOURCE_TYPES);
  fields.text("name");
  checkSettings(fields);
  checkHistory(fields);
  const source = value as SourceDefinition;
  const secret = secrets.open(decodeSecret(fields, "secret"), secretPlace(source));
  if (!fields.has("signature")) return { ...source, secret };
  return { ...source, secret, signature: decodeSignature(fields.object("signature"), source, secrets) };
}

function decodeSignature(fields: JsonFields, source: SourceDefinition, secrets: SecretBox): WebhookSignature {
  const scheme = fields.oneOf("scheme", SIGNATURE_SCHEMES);
  const toleranceSeconds = fields.integer("toleranceSeconds", 1);
  const secret = secrets.open(decodeSecret(fields, "secret"), signaturePlace(source));
  return { scheme, secret, toleranceSeconds };
}

/** What a purge has left under {@link nextKey}; undefined: there was none. @throws {WireError} CORRUPT */
export function decodeLife(bytes: Uint8Array | undefined, key: string): Life {
  if (bytes === undefined) return {};
  return { incarnation: new JsonFields(parseJson(bytes, key), key).integer("incarnation", 1) };
}

/** @throws {CannotOpen} without the key of its secret @throws {WireError} CORRUPT with the field */
export function decodeSink(bytes: Uint8Array, key: string, secrets: SecretBox): SinkDefinition {
  const sink = checkedSink(bytes, key);
  if (sink.table.type === "duckdb") return sink;
  const table = new JsonFields(sink.table, key);
  return { ...sink, table: { ...sink.table, ...openSettings(table, secrets, sinkSecretPlace(sink)) } };
}

/** Of a sink whose secret is not asked for. @throws {WireError} CORRUPT with the field */
export function decodeSinkColumns(bytes: Uint8Array, key: string): readonly Column[] {
  return checkedSink(bytes, key).table.mapping.columns;
}

/** A secret in it is as it was stored. */
function checkedSink(bytes: Uint8Array, key: string): SinkDefinition {
  const value = parseJson(bytes, key);
  const fields = new JsonFields(value, key);
  fields.integer("projectId");
  fields.integer("branchId");
  fields.text("sourceId");
  fields.text("sinkId");
  fields.oneOf("type", ["table"] as const);
  fields.text("name");
  const table = fields.object("table");
  decodeSettings(table);
  table.text("tableId");
  table.object("mapping").list("columns", checkColumn);
  if (fields.has("allowedSignals")) fields.list("allowedSignals", checkSignal);
  fields.integer("partitions", 1);
  fields.integer("keyedPartitions", 1);
  checkSettings(fields);
  checkHistory(fields);
  // The first version wrote what follows from the settings too.
  const { conditions: _conditions, waitForAppend: _wait, ...kept } = value as SinkDefinition & OfFirstVersion;
  return kept;
}

function checkHistory(fields: JsonFields): void {
  const version = fields.object("version");
  version.integer("number", 1);
  version.text("hash");
  version.time("at");
  fields.object("created").time("at");
  if (fields.has("incarnation")) fields.integer("incarnation", 1);
  for (const name of ["disabled", "deleted"]) if (fields.has(name)) fields.object(name).time("at");
}

interface OfFirstVersion {
  readonly conditions?: unknown;
  readonly waitForAppend?: unknown;
}

function checkSettings(fields: JsonFields): void {
  if (!fields.has("settings")) return;
  fields.record("settings", (value) => ["string", "number", "boolean"].includes(typeof value));
}

function checkSignal(value: unknown, what: string): void {
  if (SIGNALS.some((signal) => signal === value)) return;
  throw new WireError("CORRUPT", `${what}: no signal`);
}

function checkColumn(value: unknown, what: string): Column {
  const fields = new JsonFields(value, what);
  fields.text("name");
  const types = ["uuid", "datetime", "ip", "body", "headers", "path", "template"] as const;
  if (fields.oneOf("type", types) === "template") {
    const template = fields.object("template");
    template.oneOf("language", TEMPLATE_LANGUAGES);
    template.text("content");
  }
  return value as Column;
}

/**
 * Structural hash of an entity, 16 hex digits: FNV-1a over its JSON with sorted members, without those that say
 * nothing (absent, empty, false, 0) and without its history: the same content has the same hash in every life. Nor has
 * it the secret of signatures: a person chose it, and might be found by trying.
 */
export function structuralHash(entity: object): string {
  const {
    created: _created,
    incarnation: _incarnation,
    deleted: _deleted,
    disabled: _disabled,
    ...kept
  } = withoutPasswordIn(entity);
  const signature = kept["signature"] as Partial<WebhookSignature> | undefined;
  const known = signature === undefined ? kept : { ...kept, signature: { ...signature, secret: undefined } };
  let hash = 0xcbf29ce484222325n;
  for (const byte of utf8(JSON.stringify(canonical(known)) ?? "")) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

/** A password may be short enough to be found by its hash. */
function withoutPasswordIn(entity: object): Record<string, unknown> {
  const { table, ...others } = entity as Partial<SinkDefinition>;
  return table === undefined ? others : { ...others, table: withoutPassword(table) };
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value)
    .filter(([, member]) => !saysNothing(member))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, canonical(member)]));
}

function saysNothing(value: unknown): boolean {
  return value === undefined || value === null || value === "" || value === false || value === 0;
}

/** The entity with a version that describes it. */
export function withVersion<T extends SourceDefinition | SinkDefinition>(
  entity: Unversioned<T>,
  version: Omit<Version, "hash">,
): T {
  return { ...entity, version: { ...version, hash: structuralHash(entity) } } as T;
}
