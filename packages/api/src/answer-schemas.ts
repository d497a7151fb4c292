// Bodies that the API answers with (specification 1.7 to 1.13). The document is made of them, and tests hold every
// answer against them.
import { SIGNALS, SIGNATURE_SCHEMES, SOURCE_TYPES } from "@millrace/ingest";
import {
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
  text,
} from "./schema.ts";
import { tableAnswer } from "./table-schema.ts";

const number = integer({ min: 0 });
const time = text({ format: "date-time", example: "2026-01-01T01:00:00.000Z" });
const url = text({ format: "uri" });

const by = named(
  "By",
  object({
    type: required(choice(["system", "user"])),
    tokenId: optional(text()),
    tokenDesc: optional(text()),
    userId: optional(text()),
    userName: optional(text()),
  }),
);

const change = named("Change", object({ at: required(time), by: required(by) }));

const disabled = named(
  "Disabled",
  object({
    at: required(time),
    by: required(by),
    reason: required(text({ description: "`API`, or that it is disabled with its source" })),
  }),
);

export const versionAnswer = named(
  "Version",
  object({
    number: required(integer({ min: 1 })),
    hash: required(text({ min: 16, max: 16, description: "Of what the version says" })),
    description: required(text({ example: "New source." })),
    at: required(time),
    by: required(by),
  }),
);

const history = {
  version: required(versionAnswer),
  created: required(change),
  deleted: optional(change),
  disabled: optional(disabled),
} as const;

const branchKey = { projectId: required(number), branchId: required(number) } as const;
const sourceKey = { ...branchKey, sourceId: required(text()) } as const;
const sinkKey = { ...sourceKey, sinkId: required(text()) } as const;

const sourceFields = {
  ...sourceKey,
  type: required(choice(SOURCE_TYPES)),
  name: required(text()),
  description: required(text()),
  http: optional(
    object(
      { url: required(url) },
      { description: "Of type http: where records go; the path holds a secret" },
    ),
  ),
  otlp: optional(
    object(
      {
        url: required(url),
        baseUrl: required(url),
        secret: required(text({ description: "For `Authorization: Bearer`, at `baseUrl` and over gRPC" })),
      },
      { description: "Of type otlp: an exporter's endpoint; the path of `url` holds the secret" },
    ),
  ),
  signature: optional(
    object(
      { scheme: required(choice(SIGNATURE_SCHEMES)), toleranceSeconds: required(number) },
      { description: "How requests must be signed" },
    ),
  ),
  ...history,
} as const;

export const sourceAnswer = named("Source", object(sourceFields));

const sinkFields = {
  ...sinkKey,
  type: required(choice(["table"])),
  name: required(text()),
  description: required(text()),
  allowedSignals: optional(list(choice(SIGNALS), { description: "Of an OTLP source; absent: all" })),
  table: required(tableAnswer),
  settings: required(map(scalar(), { description: "What is set apart from the defaults" })),
  ...history,
} as const;

export const sinkAnswer = named("Sink", object(sinkFields));

const page = named(
  "Page",
  object({
    limit: required(integer({ min: 1, max: 100 })),
    totalCount: required(number),
    afterId: required(text()),
    lastId: required(text({ description: "Empty when the page is" })),
  }),
);

export const sourcesAnswer = named(
  "SourcesList",
  object({ ...branchKey, page: required(page), sources: required(list(sourceAnswer)) }),
);

export const sinksAnswer = named(
  "SinksList",
  object({ ...sourceKey, page: required(page), sinks: required(list(sinkAnswer)) }),
);

export const versionsAnswer = named(
  "VersionsList",
  object({
    ...sourceKey,
    sinkId: optional(text()),
    page: required(page),
    versions: required(list(versionAnswer)),
  }),
);

const level = named(
  "Level",
  object({
    firstRecordAt: optional(time),
    lastRecordAt: optional(time),
    recordsCount: required(number),
    compressedSize: required(number),
    uncompressedSize: required(number),
  }),
);

const levels = {
  total: required(nullable(level, { description: "null when there is nothing" })),
  levels: required(object({ local: optional(level), staging: optional(level), target: optional(level) })),
} as const;

export const totalAnswer = named("TotalStatistics", object(levels));

const lag = named(
  "Lag",
  object(
    {
      seconds: required(
        integer({ min: 0, description: "Since the oldest record that is not in the table was accepted" }),
      ),
      bytes: required(integer({ min: 0, description: "Of the partitions, that are not in the table" })),
    },
    { description: "How far the table is behind what was accepted" },
  ),
);

const ofSink = {
  ...levels,
  lag: required(lag),
  deadLetters: optional(
    object(
      { count: required(number), bytes: required(number) },
      { description: "Records that could not be mapped and wait for a replay, if there ever were any" },
    ),
  ),
};

export const sinkTotalAnswer = named("SinkStatistics", object(ofSink));

const deadLetterFields = {
  id: required(text({ example: "4096-0" })),
  receivedAt: required(time),
  ip: required(text()),
  headers: required(map(scalar(), { description: "As received, without those that authenticate" })),
  bodyBytes: required(number),
  body: optional(text({ description: "Its text, if it is one" })),
  bodyBase64: optional(text({ description: "Its bytes, if they are no text" })),
  version: required(integer({ min: 1, description: "Of the sink, whose mapping refused it" })),
  statusCode: required(integer({ example: 422 })),
  column: required(text()),
  reason: required(text({ example: 'Invalid value for column "item": path "item" not found in the body.' })),
  attempts: required(integer({ min: 1, description: "Mappings that refused it" })),
} as const;

export const deadLetterAnswer = named("DeadLetter", object({ ...sinkKey, ...deadLetterFields }));

export const deadLettersAnswer = named(
  "DeadLettersList",
  object({
    ...sinkKey,
    page: required(page),
    deadLetters: required(
      list(
        object({
          ...deadLetterFields,
          isCut: optional(flag({ description: "The body is longer than what is shown here" })),
        }),
      ),
    ),
  }),
);

const file = named(
  "FileStatistics",
  object({
    fileId: required(text()),
    state: required(choice(["writing", "closing", "importing", "imported"])),
    openedAt: required(time),
    closingAt: optional(time),
    importingAt: optional(time),
    importedAt: optional(time),
    retryAttempt: optional(number),
    retryReason: optional(text()),
    retryAfter: optional(time),
    statistics: required(totalAnswer),
  }),
);

export const filesAnswer = named("FilesStatistics", object({ files: required(list(file)) }));

export const emptyAnswer = object({});

export const aggregationAnswer = named(
  "AggregatedSources",
  object({
    ...branchKey,
    page: required(page),
    sources: required(
      list(
        object({
          ...sourceFields,
          sinks: required(
            list(
              object({
                ...sinkFields,
                statistics: required(object({ ...ofSink, files: required(list(file)) })),
              }),
            ),
          ),
        }),
      ),
    ),
  }),
);

export const taskAnswer = named(
  "Task",
  object({
    taskId: required(text({ example: "api.create.source/1/orders/2026-01-01T01:00:00.000Z_x1y2z" })),
    type: required(text({ example: "api.create.source" })),
    url: required(url),
    status: required(choice(["processing", "success", "error"])),
    isFinished: required(flag()),
    createdAt: required(time),
    finishedAt: optional(time),
    duration: optional(integer({ min: 0, description: "Milliseconds" })),
    result: optional(text({ example: "Source has been created successfully." })),
    error: optional(text()),
    outputs: optional(
      object({
        url: optional(url),
        projectId: optional(number),
        branchId: optional(number),
        sourceId: optional(text()),
        sinkId: optional(text()),
        replayed: optional(integer({ min: 0, description: "Dead letters that became rows" })),
        refused: optional(integer({ min: 0, description: "Dead letters that were refused again" })),
      }),
    ),
  }),
);

export const tasksAnswer = named("TasksList", object({ tasks: required(list(taskAnswer)) }));

export const settingsAnswer = named(
  "SettingsResult",
  object({
    settings: required(
      list(
        object({
          key: required(text()),
          type: required(choice(["string", "int", "float", "bool", "[]string"])),
          description: required(text()),
          value: required(scalar()),
          defaultValue: required(scalar()),
          overwritten: required(flag()),
          protected: required(flag()),
          validation: optional(text()),
        }),
      ),
    ),
  }),
);

const rows = list(
  object({ columns: required(list(object({ name: required(text()), value: required(text()) }))) }),
);

export const testAnswer = named(
  "TestResult",
  object({
    ...sourceKey,
    tables: required(
      list(object({ sinkId: required(text()), tableId: required(text()), rows: required(rows) })),
    ),
  }),
);

export const mappedAnswer = named("MappedRecord", object({ rows: required(rows) }));

const tokenFields = {
  tokenId: required(text({ example: "0123456789ab" })),
  description: required(text()),
  role: required(choice(["admin", "readOnly"])),
  created: required(change),
} as const;

export const tokensAnswer = named(
  "TokensList",
  object({ tokens: required(list(named("Token", object(tokenFields)))) }),
);

export const newTokenAnswer = named(
  "NewToken",
  object({
    ...tokenFields,
    token: required(text({ description: "What callers send; it is not shown again" })),
  }),
);

export const errorAnswer = named(
  "Error",
  object({
    statusCode: required(integer({ example: 404 })),
    error: required(text({ example: "stream.api.sourceNotFound" })),
    message: required(text({ example: 'Source "my-source" not found in the branch.' })),
    exceptionId: optional(text({ description: "Of an unexpected error, as in the log" })),
    problems: optional(
      list(object({ field: required(text({ example: "body.table.tableId" })), message: required(text()) }), {
        description: "What is wrong with fields of the request, each of which `message` says as well",
      }),
    ),
  }),
);
