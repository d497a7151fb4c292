// What a template knows of its record: Ip, Now, HeaderStr, Header, BodyStr and Body (keboola-stream specification 3.2).
//
// N1 A path that is known when the template is compiled takes a slot of the scanner's tree: the body is scanned once
//    for all columns and templates, and never parsed for it.
// N2 Other paths, and `Body()`, look into the parsed body, which is parsed once a record.
// N3 A slot has the value that N2 would find.
import { latin1 } from "@millrace/base";
import type { HostValue, Json, NativeFunction } from "@millrace/jsonnet";
import { KIND } from "./body-json.ts";
import { isUtf8 } from "./body-utf8.ts";
import { canonicalName } from "./http-source-headers.ts";
import { parsePath, type PathStep, type PathTree } from "./mapping-path.ts";
import type { RecordContext } from "./mapping-record.ts";
import type { BodyValue } from "./mapping-values.ts";
import { compileTimeFormat } from "./template-strftime.ts";

/** Thrown where the body cannot be looked into at all; the mapping says it in its own words. */
export class UnreadableBody extends Error {}

/** Characters of a path, as the API allows them. */
const PATH_CHARS_MAX = 4096;
/** Beyond so many slots of a source, paths of templates are looked up in the parsed body: each costs every scan. */
const SLOTS_MAX = 10_000;
const DEFAULT_TIME = "%Y-%m-%dT%H:%M:%S.%fZ";

/** @param tree that the scanner of the records walks with; constant paths are added */
export function templateNatives(tree: PathTree): Readonly<Record<string, NativeFunction<RecordContext>>> {
  return {
    Ip: { parameters: [], call: (_, { clientIp }) => latin1(clientIp, 0, clientIp.length) },
    Now: timeNative(),
    HeaderStr: { parameters: [], call: (_, record) => record.headers().text() },
    Header: HEADER,
    BodyStr: { parameters: [], call: (_, record) => bodyText(record), specialize: () => bodyText },
    Body: bodyNative(tree),
  };
}

function bodyNative(tree: PathTree): NativeFunction<RecordContext> {
  return {
    parameters: ["path?", "default?"],
    call: ([path, fallback], record) => {
      const name = pathOf(path);
      return lookUp(record, stepsOf(name), name, fallback);
    },
    specialize: ([path, fallback]) => {
      const name = pathOf(path);
      const steps = stepsOf(name);
      // A body without a value is no body: nothing is missing in the whole of it.
      if (steps.length === 0) return whole;
      if (tree.slots >= SLOTS_MAX) return (record) => lookUp(record, steps, name, fallback);
      const slot = tree.slotOf(steps);
      return (record) => {
        if (record.form !== "scanned") throw new UnreadableBody();
        const { scanner } = record;
        if (scanner.kinds[slot] !== KIND.missing) return record.values.at(scanner, slot);
        return missing(name, fallback);
      };
    },
  };
}

/** The value at `steps` of the parsed body. */
function lookUp(
  record: RecordContext,
  steps: readonly PathStep[],
  path: string,
  fallback: Json | undefined,
): HostValue {
  let at: unknown = whole(record);
  for (const step of steps) {
    if (typeof at !== "object" || at === null) return missing(path, fallback);
    const isFound = Array.isArray(at)
      ? typeof step === "number" && step < at.length
      : typeof step === "string" && Object.hasOwn(at, step);
    if (!isFound) return missing(path, fallback);
    at = (at as Readonly<Record<PathStep, unknown>>)[step];
  }
  return at as HostValue;
}

function whole(record: RecordContext): BodyValue {
  if (record.form !== "scanned") throw new UnreadableBody();
  return record.values.whole(record.scanner);
}

function missing(path: string, fallback: Json | undefined): HostValue {
  if (fallback === undefined) throw new Error(`path "${path}" not found in the body`);
  return fallback;
}

function pathOf(path: Json | undefined): string {
  if (path === undefined) return "";
  if (typeof path !== "string") throw new Error("the path must be a string");
  if (path.length > PATH_CHARS_MAX) {
    throw new Error(`the path has ${path.length} characters, the limit is ${PATH_CHARS_MAX}`);
  }
  return path;
}

function stepsOf(path: string): readonly PathStep[] {
  const parsed = parsePath(path);
  if (parsed.kind === "invalid") throw new Error(`path "${path}" is invalid: ${parsed.reason}`);
  return parsed.steps;
}

function bodyText(record: RecordContext): string {
  const { body, bodyBegin, bodyEnd } = record;
  if (!record.bodyIsText && !isUtf8(body.bytes, bodyBegin, bodyEnd)) throw new Error("the body is not UTF-8");
  return record.values.text(body.bytes, bodyBegin, bodyEnd);
}

const HEADER: NativeFunction<RecordContext> = {
  parameters: ["name?", "default?"],
  call: ([name, fallback], record) =>
    name === undefined ? record.headers().object() : header(record, headerName(name), fallback),
  specialize: ([name, fallback]) => {
    if (name === undefined) return (record) => record.headers().object();
    const wanted = headerName(name);
    return (record) => header(record, wanted, fallback);
  },
};

interface HeaderName {
  readonly given: string;
  readonly canonical: string;
}

function headerName(name: Json): HeaderName {
  if (typeof name !== "string") throw new Error("the header's name must be a string");
  return { given: name, canonical: canonicalName(name) };
}

function header(
  record: RecordContext,
  { given, canonical }: HeaderName,
  fallback: Json | undefined,
): HostValue {
  const value = record.headers().get(canonical) ?? fallback;
  if (value === undefined) throw new Error(`header "${given}" not found`);
  return value;
}

function timeNative(): NativeFunction<RecordContext> {
  return {
    parameters: ["format?"],
    call: ([format], record) => compileTimeFormat(formatOf(format))(record.acceptedAtMs),
    specialize: ([format]) => {
      const write = compileTimeFormat(formatOf(format));
      // Records of a millisecond have the same time.
      let ms = Number.NaN;
      let text = "";
      return (record) => {
        if (record.acceptedAtMs !== ms) {
          ms = record.acceptedAtMs;
          text = write(ms);
        }
        return text;
      };
    },
  };
}

function formatOf(format: Json | undefined): string {
  if (format === undefined) return DEFAULT_TIME;
  if (typeof format !== "string") throw new Error("the time format must be a string");
  return format;
}
