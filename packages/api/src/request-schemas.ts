// Bodies and queries that the API takes (specification 1.7, 1.8, 1.10).
import {
  DEFINITION_LIMITS,
  normaliseId,
  settingProblems,
  SIGNALS,
  SIGNATURE_SCHEMES,
  SIGNATURE_TOLERANCE_SECONDS,
  SOURCE_TYPES,
  TARGET_KINDS,
  type SettingValues,
  type SourceType,
  type WebhookSignature,
} from "@millrace/ingest";
import { ApiError, type Problem } from "./api-errors.ts";
import { columnsSchema } from "./column-schema.ts";
import {
  checked,
  choice,
  flag,
  integer,
  list,
  map,
  named,
  nullable,
  object,
  optional,
  required,
  scalar,
  scalarOrNull,
  text,
  type ValueOf,
} from "./schema.ts";
import { changedTable, newTable } from "./table-schema.ts";

/** The only branch there is. */
export const DEFAULT_BRANCH_ID = 1;

const { idLengthMax, nameLengthMax, descriptionLengthMax, pageLimitMax } = DEFINITION_LIMITS;

const sourceType = choice(SOURCE_TYPES, { example: "http" });
const sinkType = choice(["table"], { example: "table" });
const id = text({ min: 1, max: idLengthMax, description: "Made from the name when it is missing" });
const name = text({ min: 1, max: nameLengthMax, example: "Orders" });
const description = text({ max: descriptionLengthMax });
const changeDescription = text({ max: descriptionLengthMax, description: "Of the version that this makes" });

const settings = checked(
  map(scalar(), {
    description: "Settings of the sink by their keys",
    example: { "storage.level.target.import.trigger.interval": "1s" },
  }),
  problemsOf,
);

const allowedSignals = list(choice(SIGNALS), {
  max: SIGNALS.length,
  description: "Of an OTLP source: kinds of records that the sink takes; none: all",
  example: ["logs"],
});

const signature = nullable(
  object({
    scheme: required(choice(SIGNATURE_SCHEMES)),
    secret: required(text({ min: 1, max: 256, description: "As the sender has it; no answer shows it" })),
    toleranceSeconds: optional(
      integer({
        min: SIGNATURE_TOLERANCE_SECONDS.min,
        max: SIGNATURE_TOLERANCE_SECONDS.max,
        description: `How long a signature is good, default ${SIGNATURE_TOLERANCE_SECONDS.initial}; not of github`,
      }),
    ),
  }),
  { description: "Of type http: requests must be signed so; null: they need not" },
);

export const createSourceSchema = named(
  "CreateSource",
  object({
    type: required(sourceType),
    sourceId: optional(id),
    name: required(name),
    description: optional(description),
    signature: optional(signature),
  }),
);

export const updateSourceSchema = named(
  "UpdateSource",
  object({
    changeDescription: optional(changeDescription),
    type: optional(sourceType),
    name: optional(name),
    description: optional(description),
    signature: optional(signature),
  }),
);

export const createSinkSchema = named(
  "CreateSink",
  object({
    type: required(sinkType),
    sinkId: optional(id),
    name: required(name),
    description: optional(description),
    allowedSignals: optional(allowedSignals),
    table: required(newTable),
    settings: optional(settings),
  }),
);

export const updateSinkSchema = named(
  "UpdateSink",
  object({
    changeDescription: optional(changeDescription),
    type: optional(sinkType),
    name: optional(name),
    description: optional(description),
    allowedSignals: optional(allowedSignals),
    table: optional(changedTable),
  }),
);

export const testMappingSchema = named(
  "TestMapping",
  object({
    mapping: required(object({ columns: required(columnsSchema) })),
    tableType: optional(
      choice(TARGET_KINDS, { description: "Of the table: what it cannot have is refused, as at the sink" }),
    ),
    record: required(
      object({
        headers: optional(
          map(text(), { description: "By name", example: { "Content-Type": "application/json" } }),
        ),
        body: optional(text({ description: "As it would be posted" })),
      }),
    ),
  }),
);

export const patchSettingsSchema = named(
  "PatchSettings",
  object({
    changeDescription: optional(changeDescription),
    settings: optional(
      list(object({ key: required(text({ min: 1 })), value: required(scalarOrNull()) }), {
        description: "`null` takes a value away, so that the default is in force",
        example: [{ key: "storage.level.staging.upload.trigger.count", value: 1000 }],
      }),
    ),
  }),
);

export const createTokenSchema = named(
  "CreateToken",
  object({
    description: optional(description),
    role: required(choice(["admin", "readOnly"], { description: "`readOnly` changes nothing" })),
  }),
);

export const pageQuery = {
  afterId: optional(text({ description: "The last ID of the page before" })),
  limit: optional(integer({ min: 1, max: pageLimitMax, description: `Default ${pageLimitMax}` })),
} as const;

export const testQuery = {
  signal: optional(choice(SIGNALS, { description: "Of an OTLP source, default `logs`: kind of the record" })),
} as const;

export const deleteSourceQuery = {
  cascade: optional(
    flag({ description: "Removes the source, also a deleted one, with all that is its own, its tables too" }),
  ),
} as const;

export const tasksQuery = {
  limit: optional(integer({ min: 1, max: pageLimitMax, description: `Default ${pageLimitMax}` })),
} as const;

export const filesQuery = {
  failedFiles: optional(flag({ description: "Only files whose import, or a step before it, has failed" })),
} as const;

/** The text that a request wants for its version, if it has one. */
export function descriptionOf({ changeDescription }: { readonly changeDescription?: string }): {
  readonly changeDescription?: string;
} {
  return changeDescription === undefined ? {} : { changeDescription };
}

/** What a request says of signatures. @throws {ApiError} 400 when the source is of another type than http */
export function signatureOf(
  { signature: given }: Pick<ValueOf<typeof createSourceSchema>, "signature">,
  type: SourceType,
): { readonly signature?: WebhookSignature | null } {
  if (given === undefined || given === null) return given === undefined ? {} : { signature: null };
  if (type !== "http") {
    throw new ApiError("badRequest", `a source of type "${type}" has no "signature"`, "body.signature");
  }
  const { scheme, secret, toleranceSeconds = SIGNATURE_TOLERANCE_SECONDS.initial } = given;
  return { signature: { scheme, secret, toleranceSeconds } };
}

const RESERVED_ID = "deleted";

/** The given ID, or one made from the name, normalised. @throws {ApiError} 400 */
export function idOf(given: string | undefined, from: string, field: "sourceId" | "sinkId"): string {
  const normal = normaliseId(given ?? from);
  // A name is shorter than an ID may be, but hyphens are added.
  const made = normal.slice(0, idLengthMax).replace(/-$/, "");
  if (made === "") throw new ApiError("badRequest", `"${field}" must not be empty`, `body.${field}`);
  // GET of it would be the list of what was deleted.
  if (made === RESERVED_ID)
    throw new ApiError("badRequest", `"${field}" must not be "${made}"`, `body.${field}`);
  return made;
}

/** @throws {ApiError} 400 unless it is the default branch, by name or by number */
export function parseBranch(given: string): number {
  if (given === "default") return DEFAULT_BRANCH_ID;
  if (!/^[0-9]{1,15}$/.test(given)) {
    throw new ApiError("badRequest", 'invalid branch: expected "default" or <int>');
  }
  const branchId = Number(given);
  if (branchId === DEFAULT_BRANCH_ID) return branchId;
  const message = `currently only default branch is supported, branch "${branchId}" is not default`;
  throw new ApiError("badRequest", message);
}

/** @throws {ApiError} 400, with both sentences of the specification */
export function parseVersion(given: string): number {
  const isNumber = /^-?[0-9]{1,10}$/.test(given);
  const number = isNumber ? Number(given) : 0;
  const range = `versionNumber must be greater or equal than 1 but got value ${number}`;
  if (!isNumber) {
    const message = `invalid value ${JSON.stringify(given)} for "versionNumber", must be a integer; ${range}`;
    throw new ApiError("invalidFieldType", message);
  }
  if (number < 1) throw new ApiError("invalidRange", range);
  return number;
}

function problemsOf(values: SettingValues): readonly Problem[] {
  return settingProblems(values, "sink").map(({ key, message }) => ({
    name: "badRequest",
    message,
    field: key,
  }));
}
