// A journal tree as plain objects, arrays and scalars: what a YAML parser gives and a YAML printer takes.
// Reading is strict: an unknown key or a value of another type is refused with the path to it. Scalars may come
// typed or all as strings; the latter loses nothing (a label's value `007` stays what it is), so prefer a parser
// that leaves them alone.
import { inContext, invalid, isJsonObject, within } from "@millrace/protobuf";
import { nanosToMs, parseDuration, printDuration } from "./duration.ts";
import { COMPRESSION_CODEC, FLAG, SUSPEND_LEVEL } from "./enums.ts";
import { goQuote } from "./go-quote.ts";
import { newJournalNode, type JournalNode } from "./journal-tree.ts";
import { newJournalSpec, type FragmentSpec, type JournalSpec, type Suspend } from "./journal-spec.ts";
import { sortedSet, type Label } from "./label-set.ts";
import { TREE_DEPTH_MAX } from "./limits.ts";
import { isZeroFragmentSpec } from "./spec-algebra.ts";
import { yamlBoolean, yamlInteger } from "./yaml-scalars.ts";

type PlainObject = Readonly<Record<string, unknown>>;

const NODE_FIELDS = ["comment", "delete", "revision", "children"] as const;
const SPEC_FIELDS = [
  "name",
  "replication",
  "labels",
  "fragment",
  "flags",
  "max_append_rate",
  "suspend",
] as const;
const FRAGMENT_FIELDS = [
  "length",
  "compression_codec",
  "stores",
  "refresh_interval",
  "retention",
  "flush_interval",
  "path_postfix_template",
] as const;
const ZERO_FRAGMENT: FragmentSpec = newJournalSpec({}).fragment;

/** The tree that `plain` describes. @throws {WireError} INVALID_ARGUMENT that names the field */
export function journalTreeOfPlain(plain: unknown): JournalNode {
  if (isDeeper(plain, TREE_DEPTH_MAX))
    return invalid(`nodes nest too deeply (expected <= ${TREE_DEPTH_MAX})`);
  return readNode(plain);
}

/** `node` in the key order of its YAML; fields that state nothing are left out. The empty tree is `{}`. */
export function plainOfJournalTree(node: JournalNode): PlainObject {
  const { spec } = node;
  return stated({
    comment: node.comment,
    delete: node.delete,
    name: spec.name,
    replication: spec.replication,
    labels: spec.labels.labels.map(({ name, value, prefix }) =>
      prefix ? { name, value, prefix } : { name, value },
    ),
    fragment: isZeroFragmentSpec(spec.fragment) ? undefined : plainOfFragment(spec.fragment),
    flags: nameOf(FLAG, spec.flags) ?? spec.flags,
    max_append_rate: spec.maxAppendRate,
    suspend: spec.suspend === undefined ? undefined : plainOfSuspend(spec.suspend),
    revision: node.revision,
    children: node.children.map(plainOfJournalTree),
  });
}

/** Whether nodes are below `levels` of others, also because one is an alias for a node that it is below. */
function isDeeper(node: unknown, levels: number): boolean {
  if (levels < 0) return true;
  const children = isJsonObject(node) ? node["children"] : undefined;
  return Array.isArray(children) && children.some((child) => isDeeper(child, levels - 1));
}

function readNode(plain: unknown): JournalNode {
  const fields = new FieldReader(asObject(plain), [...NODE_FIELDS, ...SPEC_FIELDS]);
  return newJournalNode({
    comment: fields.read("comment", asText, ""),
    delete: fields.read("delete", asBoolean, undefined),
    revision: fields.read("revision", asInteger, 0),
    children: fields.each("children", readNode),
    spec: readSpec(fields),
  });
}

/** A node has the fields of its spec beside its own. */
function readSpec(fields: FieldReader): JournalSpec {
  const suspend = fields.read<Suspend | undefined>("suspend", readSuspend, undefined);
  return newJournalSpec({
    name: fields.read("name", asText, ""),
    replication: fields.read("replication", asInteger, 0),
    labels: sortedSet(fields.each("labels", readLabel)),
    fragment: fields.read("fragment", readFragment, ZERO_FRAGMENT),
    flags: fields.read("flags", (value) => asEnum(FLAG, "JournalSpec_Flag", value), 0),
    maxAppendRate: fields.read<number | bigint>("max_append_rate", asWideInteger, 0),
    ...(suspend === undefined ? {} : { suspend }),
  });
}

function readFragment(plain: unknown): FragmentSpec {
  const fields = new FieldReader(asObject(plain), FRAGMENT_FIELDS);
  return {
    length: fields.read("length", asInteger, 0),
    compressionCodec: fields.read("compression_codec", asCodec, "INVALID"),
    stores: fields.each("stores", asText),
    refreshIntervalMs: fields.read("refresh_interval", asDuration, 0),
    retentionMs: fields.read("retention", asDuration, 0),
    flushIntervalMs: fields.read("flush_interval", asDuration, 0),
    pathPostfixTemplate: fields.read("path_postfix_template", asText, ""),
  };
}

function readLabel(plain: unknown): Label {
  const fields = new FieldReader(asObject(plain), ["name", "value", "prefix"]);
  return {
    name: fields.read("name", asText, ""),
    value: fields.read("value", asText, ""),
    prefix: fields.read("prefix", asBoolean, false),
  };
}

function readSuspend(plain: unknown): Suspend {
  const fields = new FieldReader(asObject(plain), ["level", "offset"]);
  const level = fields.read("level", (value) => asEnum(SUSPEND_LEVEL, "JournalSpec_Suspend_Level", value), 0);
  return {
    level: nameOf(SUSPEND_LEVEL, level) ?? within("level", () => invalid(`invalid Level variant (${level})`)),
    offset: fields.read<number | bigint>("offset", asWideInteger, 0),
  };
}

function plainOfFragment(fragment: FragmentSpec): PlainObject {
  return stated({
    length: fragment.length,
    compression_codec: fragment.compressionCodec === "INVALID" ? undefined : fragment.compressionCodec,
    stores: fragment.stores,
    refresh_interval: printStated(fragment.refreshIntervalMs),
    retention: printStated(fragment.retentionMs),
    flush_interval: printStated(fragment.flushIntervalMs),
    path_postfix_template: fragment.pathPostfixTemplate,
  });
}

function plainOfSuspend(suspend: Suspend): PlainObject {
  return stated({ level: suspend.level === "NONE" ? undefined : suspend.level, offset: suspend.offset });
}

/**
 * Reads the known fields of an object; any other key is refused when the reader is made. Null is as good as
 * absent.
 */
class FieldReader {
  readonly #plain: PlainObject;

  constructor(plain: PlainObject, known: readonly string[]) {
    const unknown = Object.keys(plain).find((key) => !known.includes(key));
    if (unknown !== undefined) invalid(`unknown field ${goQuote(unknown)}`);
    this.#plain = plain;
  }

  read<T>(name: string, convert: (value: unknown) => T, absent: T): T {
    const value = Object.hasOwn(this.#plain, name) ? this.#plain[name] : undefined;
    if (value === undefined || value === null) return absent;
    try {
      return convert(value);
    } catch (thrown) {
      throw inContext(name, thrown);
    }
  }

  each<T>(name: string, convert: (item: unknown) => T): readonly T[] {
    const items = this.read(name, asList, []);
    return items.map((item, i) => within(`${name}[${i}]`, () => convert(item)));
  }
}

function asObject(value: unknown): PlainObject {
  return isJsonObject(value) ? value : invalid("expected a mapping");
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : invalid("expected a list");
}

function asText(value: unknown): string {
  if (typeof value === "string") return value;
  return invalid(`expected a string, not ${JSON.stringify(value)}: put it in quotes`);
}

function asBoolean(value: unknown): boolean {
  const flag = typeof value === "string" ? yamlBoolean(value) : value;
  return typeof flag === "boolean" ? flag : invalid("expected true or false");
}

function asInteger(value: unknown): number {
  const number = typeof value === "string" ? Number(yamlInteger(value) ?? Number.NaN) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  return invalid("expected an integer of at most 2^53 - 1");
}

/** An int64: a bigint where no number has it. */
function asWideInteger(value: unknown): number | bigint {
  const exact = typeof value === "string" ? yamlInteger(value) : undefined;
  if (exact === undefined) return asInteger(value);
  if (exact !== BigInt.asIntN(64, exact)) return invalid("expected an integer of 64 bits");
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

/** Go's notation, or an integer count of nanoseconds. */
function asDuration(value: unknown): number {
  const nanos = typeof value === "string" ? yamlInteger(value) : BigInt(asInteger(value));
  return nanos === undefined ? parseDuration(value as string) : nanosToMs(nanos);
}

function asCodec(value: unknown): FragmentSpec["compressionCodec"] {
  return nameOf(COMPRESSION_CODEC, asNamed(COMPRESSION_CODEC, "CompressionCodec", value))!;
}

/** The number of an enum that may be given by name or by number. */
function asEnum(table: Readonly<Record<string, number>>, type: string, value: unknown): number {
  const isNumber =
    typeof value === "number" || (typeof value === "string" && yamlInteger(value) !== undefined);
  return isNumber ? asInteger(value) : asNamed(table, type, value);
}

function asNamed(table: Readonly<Record<string, number>>, type: string, value: unknown): number {
  const name = asText(value);
  const number = Object.hasOwn(table, name) ? table[name] : undefined;
  const options = Object.keys(table).join(", ");
  return number ?? invalid(`${goQuote(name)} is not a valid ${type} (options are ${options})`);
}

function nameOf<E extends string>(table: Readonly<Record<E, number>>, number: number): E | undefined {
  // Object.keys of a literal table typed by E.
  return (Object.keys(table) as E[]).find((name) => table[name] === number);
}

/** The entries of `plain` that state something. */
function stated(plain: PlainObject): PlainObject {
  const isStated = (value: unknown): boolean => {
    if (Array.isArray(value)) return value.length > 0;
    return value !== undefined && value !== "" && value !== 0 && value !== "NOT_SPECIFIED";
  };
  return Object.fromEntries(Object.entries(plain).filter(([, value]) => isStated(value)));
}

function printStated(ms: number): string | undefined {
  return ms === 0 ? undefined : printDuration(ms);
}
