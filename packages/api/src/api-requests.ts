// What the configuration API is asked, checked field by field with the specification's texts (1.5 to 1.8). All that is
// wrong with a body is said at once.
import { WireError } from "@millrace/base";
import {
  DEFINITION_LIMITS,
  normaliseId,
  parsePath,
  sinkSettings,
  type Column,
  type PageRequest,
  type SettingValues,
} from "@millrace/ingest";

import { ApiError, refuseProblems, type Problem } from "./api-errors.ts";

export interface CreateSourceRequest {
  readonly sourceId: string;
  readonly name: string;
  readonly description: string;
}

export interface CreateSinkRequest {
  readonly sinkId: string;
  readonly name: string;
  readonly description: string;
  readonly tableId: string;
  readonly columns: readonly Column[];
  readonly settings: SettingValues;
}

/** The only branch there is. */
export const DEFAULT_BRANCH_ID = 1;

const COLUMN_TYPES = ["uuid", "datetime", "ip", "body", "headers", "path"] as const;
const COLUMN_NAME_LENGTH_MAX = 128;
const TABLE_ID = /^[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** @throws {ApiError} 400 unless it is the default branch, by name or by number */
export function parseBranch(text: string): number {
  if (text === "default") return DEFAULT_BRANCH_ID;
  if (!/^[0-9]{1,15}$/.test(text)) {
    throw new ApiError(400, "badRequest", 'invalid branch: expected "default" or <int>');
  }
  const branchId = Number(text);
  if (branchId === DEFAULT_BRANCH_ID) return branchId;
  const message = `currently only default branch is supported, branch "${branchId}" is not default`;
  throw new ApiError(400, "badRequest", message);
}

/** @throws {ApiError} 400 */
export function parsePage(query: Readonly<Record<string, unknown>>): PageRequest {
  const { afterId = "", limit = String(DEFINITION_LIMITS.pageLimitMax) } = query;
  if (typeof afterId !== "string" || typeof limit !== "string") {
    throw new ApiError(400, "badRequest", "a query parameter is given more than once");
  }
  const max = DEFINITION_LIMITS.pageLimitMax;
  if (!/^-?[0-9]{1,9}$/.test(limit)) {
    throw new ApiError(400, "invalidFieldType", `invalid value "${limit}" for "limit", must be a integer`);
  }
  const number = Number(limit);
  if (number < 1)
    throw new ApiError(400, "invalidRange", `limit must be greater or equal than 1 but got value ${limit}`);
  if (number > max) {
    throw new ApiError(
      400,
      "invalidRange",
      `limit must be lesser or equal than ${max} but got value ${limit}`,
    );
  }
  return { afterId, limit: number };
}

/** @throws {ApiError} 400 */
export function parseCreateSource(body: unknown): CreateSourceRequest {
  const problems: Problem[] = [];
  const fields = new BodyFields(body, "body", problems);
  fields.oneOf("type", ["http"]);
  const common = readCommon(fields, "sourceId");
  refuseProblems(problems);
  return {
    sourceId: idOf(common.id, common.name, "sourceId"),
    name: common.name,
    description: common.description,
  };
}

/** @throws {ApiError} 400 */
export function parseCreateSink(body: unknown): CreateSinkRequest {
  const problems: Problem[] = [];
  const fields = new BodyFields(body, "body", problems);
  fields.oneOf("type", ["table"]);
  const common = readCommon(fields, "sinkId");
  const table = fields.object("table");
  table.oneOf("type", ["duckdb"]);
  const tableId = table.text("tableId", { min: 1, max: 127 }) ?? "";
  if (tableId !== "" && !TABLE_ID.test(tableId)) {
    const rule = "expected <schema>.<table>, each 1 to 63 of [A-Za-z0-9_], not starting with a digit";
    problems.push({ name: "badRequest", message: `table ID "${tableId}" is invalid: ${rule}` });
  }
  const columns = readColumns(table.object("mapping"), problems);
  const settings = readSettings(fields, problems);
  refuseProblems(problems);
  const sinkId = idOf(common.id, common.name, "sinkId");
  return { sinkId, name: common.name, description: common.description, tableId, columns, settings };
}

function readCommon(
  fields: BodyFields,
  idField: "sourceId" | "sinkId",
): { id: string | undefined; name: string; description: string } {
  const { idLengthMax, nameLengthMax, descriptionLengthMax } = DEFINITION_LIMITS;
  return {
    id: fields.optionalText(idField, { min: 1, max: idLengthMax }),
    name: fields.text("name", { min: 1, max: nameLengthMax }) ?? "",
    description: fields.optionalText("description", { min: 0, max: descriptionLengthMax }) ?? "",
  };
}

/** The given ID, or one made from the name, normalised. */
function idOf(given: string | undefined, name: string, field: string): string {
  const id = normaliseId(given ?? name);
  if (id === "") throw new ApiError(400, "badRequest", `"${field}" must not be empty`);
  // A name is shorter than an ID may be, but hyphens are added.
  return id.slice(0, DEFINITION_LIMITS.idLengthMax).replace(/-$/, "");
}

function readColumns(mapping: BodyFields, problems: Problem[]): readonly Column[] {
  const values = mapping.list("columns", { min: 1, max: DEFINITION_LIMITS.columnsMax });
  const names = new Set<string>();
  return values.map((value, i) => {
    const fields = new BodyFields(value, `body.table.mapping.columns[${i}]`, problems);
    const type = fields.oneOf("type", COLUMN_TYPES) ?? "uuid";
    const name = fields.text("name", { min: 1, max: COLUMN_NAME_LENGTH_MAX }) ?? "";
    // Names of columns in SQL are the same whatever their case.
    if (names.has(name.toLowerCase())) {
      problems.push({ name: "badRequest", message: `column name "${name}" is not unique` });
    }
    names.add(name.toLowerCase());
    if (!isPrintable(name)) {
      const rule = "it must not contain control characters or halves of surrogate pairs";
      problems.push({
        name: "badRequest",
        message: `column name ${JSON.stringify(name)} is invalid: ${rule}`,
      });
    }
    if (name.startsWith("_")) {
      problems.push({
        name: "badRequest",
        message: `column name "${name}" is reserved: it starts with an underscore`,
      });
    }
    return type === "path" ? readPathColumn(fields, name, problems) : { type, name };
  });
}

/** Whether a table can have it as a name: no control character (NUL ends a name in SQL), and well-formed Unicode. */
function isPrintable(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return !/[\u0000-\u001f\u007f-\u009f]/.test(name) && !/\p{Surrogate}/u.test(name);
}

function readPathColumn(fields: BodyFields, name: string, problems: Problem[]): Column {
  const path = fields.optionalText("path", { min: 0, max: 4096 });
  if (path === undefined) problems.push({ name: "badRequest", message: `column "${name}" is missing path` });
  const parsed = parsePath(path ?? "");
  if (parsed.kind === "invalid") {
    problems.push({
      name: "badRequest",
      message: `column "${name}" path "${path}" is invalid: ${parsed.reason}`,
    });
  }
  const defaultValue = fields.optionalText("defaultValue", { min: 0, max: 4096 });
  const rawString = fields.optionalFlag("rawString");
  return {
    type: "path",
    name,
    path: path ?? "",
    ...(defaultValue === undefined ? {} : { defaultValue }),
    ...(rawString === undefined ? {} : { rawString }),
  };
}

function readSettings(fields: BodyFields, problems: Problem[]): SettingValues {
  const settings = fields.optionalMap("settings");
  try {
    sinkSettings(settings as SettingValues);
  } catch (thrown) {
    problems.push({ name: "badRequest", message: WireError.from(thrown).message });
  }
  return settings as SettingValues;
}

/** Fields of a JSON object in a request; what is wrong goes to a list, and reading goes on. */
class BodyFields {
  readonly #where: string;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #problems: Problem[];

  constructor(value: unknown, where: string, problems: Problem[]) {
    this.#where = where;
    this.#problems = problems;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    this.#fields = isObject ? (value as Readonly<Record<string, unknown>>) : {};
    if (!isObject && value !== undefined) this.#wrongType("", "object", value);
  }

  text(name: string, length: { readonly min: number; readonly max: number }): string | undefined {
    if (this.#isMissing(name)) return undefined;
    return this.optionalText(name, length);
  }

  optionalText(name: string, length: { readonly min: number; readonly max: number }): string | undefined {
    const value = this.#fields[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string") return this.#wrongType(name, "string", value);
    const count = Array.from(value).length;
    const bound =
      count < length.min ? `greater or equal than ${length.min}` : `lesser or equal than ${length.max}`;
    if (count < length.min || count > length.max) {
      const message = `Length of ${this.#where}.${name} must be ${bound} but got value "${value}" (len=${count})`;
      this.#problems.push({ name: "invalidLength", message });
    }
    return value;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.#fields[name];
    if (value === undefined || value === null) return undefined;
    return typeof value === "boolean" ? value : this.#wrongType(name, "boolean", value);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    if (this.#isMissing(name)) return undefined;
    const value = this.#fields[name];
    const known = values.find((one) => one === value);
    if (known === undefined) {
      const choice = values.map((one) => `"${one}"`).join(" or ");
      const message = `Value of ${this.#where}.${name} must be one of ${choice} but got value ${shown(value)}`;
      this.#problems.push({ name: "invalidEnumValue", message });
    }
    return known;
  }

  object(name: string): BodyFields {
    const where = `${this.#where}.${name}`;
    // One message is enough for what is not there.
    if (this.#isMissing(name)) return new BodyFields(undefined, where, []);
    return new BodyFields(this.#fields[name], where, this.#problems);
  }

  list(name: string, length: { readonly min: number; readonly max: number }): readonly unknown[] {
    if (this.#isMissing(name)) return [];
    const value: unknown = this.#fields[name];
    if (!Array.isArray(value)) return this.#wrongType(name, "array", value) ?? [];
    const bound =
      value.length < length.min
        ? `greater or equal than ${length.min}`
        : `lesser or equal than ${length.max}`;
    if (value.length < length.min || value.length > length.max) {
      const message = `Length of ${this.#where}.${name} must be ${bound} but got len=${value.length}`;
      this.#problems.push({ name: "invalidLength", message });
    }
    return value.slice(0, length.max) as readonly unknown[];
  }

  optionalMap(name: string): Readonly<Record<string, unknown>> {
    const value = this.#fields[name];
    if (value === undefined || value === null) return {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
    return this.#wrongType(name, "object", value) ?? {};
  }

  #isMissing(name: string): boolean {
    const value = this.#fields[name];
    if (value !== undefined && value !== null) return false;
    this.#problems.push({ name: "missingField", message: `"${name}" is missing from ${this.#where}` });
    return true;
  }

  #wrongType(name: string, type: string, value: unknown): undefined {
    const field = name === "" ? this.#where : `${this.#where}.${name}`;
    const message = `Invalid value ${shown(value)} for "${field}", must be a ${type}`;
    this.#problems.push({ name: "invalidFieldType", message });
    return undefined;
  }
}

/** What a list or an object holds is not shown: it may be deeper than the stack. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "[…]";
  if (typeof value === "object" && value !== null) return "{…}";
  return (JSON.stringify(value) ?? "undefined").slice(0, 100);
}
