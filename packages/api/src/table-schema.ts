// The table of a sink as requests and answers have it: which target, where it is, and how to log in there.
import {
  connectionProblem,
  SSL_MODES,
  TARGET_KINDS,
  type PostgresSettings,
  type TargetSettings,
} from "@millrace/ingest";
import type { Problem } from "./api-errors.ts";
import { columnsSchema } from "./column-schema.ts";
import { checkAt } from "./schema-check.ts";
import {
  checked,
  choice,
  integer,
  object,
  optional,
  required,
  text,
  variants,
  type Fields,
} from "./schema.ts";

const TABLE_ID = /^[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const PASSWORD_LENGTH_MAX = 1024;
/** Three authorities with long keys. */
const PEM_LENGTH_MAX = 16_384;
/** Of PostgreSQL. */
const NAME_LENGTH_MAX = 63;

const tableId = checked(
  text({ min: 1, max: 127, description: "`<schema>.<table>`", example: "main.orders" }),
  (value): readonly Problem[] => {
    if (TABLE_ID.test(value)) return [];
    const rule = "expected <schema>.<table>, each 1 to 63 of [A-Za-z0-9_], not starting with a digit";
    return [bad(`table ID "${value}" is invalid: ${rule}`)];
  },
);

const host = text({
  min: 1,
  max: 255,
  description: "Name, address, or directory of a Unix socket",
  example: "db.example.com",
});
const port = integer({ min: 1, max: 65_535, description: "Default 5432" });
const database = text({ min: 1, max: NAME_LENGTH_MAX });
const user = text({ min: 1, max: NAME_LENGTH_MAX });
const sslMode = choice(SSL_MODES, {
  description: "Default `verify-full`: encrypted, to a server with a certificate for the host",
});
const sslRootCert = text({
  min: 1,
  max: PEM_LENGTH_MAX,
  description: "Authorities of the server's certificate, PEM; default: the system's",
});
const password = text({
  min: 1,
  max: PASSWORD_LENGTH_MAX,
  description: "Never shown; one that is not given stays while host, port, database, user and TLS do",
});
const url = text({
  min: 1,
  max: 2048,
  description: "Of ClickHouse's HTTP interface, or of a bucket or directory",
  example: "s3://lake/rows/",
});

const shownLogins = {
  postgres: {
    host: required(host),
    port: optional(port),
    database: required(database),
    user: required(user),
    sslMode: optional(sslMode),
    sslRootCert: optional(sslRootCert),
  },
  clickhouse: { url: required(url), user: optional(user) },
  parquet: { url: required(url) },
} as const;

const logins = {
  postgres: { ...shownLogins.postgres, password: optional(password) },
  clickhouse: { ...shownLogins.clickhouse, password: optional(password) },
  parquet: shownLogins.parquet,
} as const;

const table = {
  tableId: required(tableId),
  mapping: required(object({ columns: required(columnsSchema) })),
} as const;

export const newTable = checked(
  variants("type", {
    duckdb: table,
    postgres: { ...table, connection: required(object(logins.postgres)) },
    clickhouse: { ...table, connection: required(object(logins.clickhouse)) },
    parquet: { ...table, connection: required(object(logins.parquet)) },
  }),
  (value): readonly Problem[] => problemsOf(value),
);

/** All that a connection may have; which of it belongs together, its kind says. */
const anyLogin = object(
  {
    host: optional(host),
    port: optional(port),
    database: optional(database),
    user: optional(user),
    password: optional(password),
    sslMode: optional(sslMode),
    sslRootCert: optional(sslRootCert),
    url: optional(url),
  },
  { description: "Replaces the one before as a whole, but for its password" },
);

export const changedTable = object({
  type: optional(choice(TARGET_KINDS, { example: "duckdb" })),
  tableId: optional(tableId),
  connection: optional(anyLogin),
  mapping: optional(object({ columns: required(columnsSchema) })),
});

export const tableAnswer = variants("type", {
  duckdb: table,
  postgres: { ...table, connection: required(object(shownLogins.postgres)) },
  clickhouse: { ...table, connection: required(object(shownLogins.clickhouse)) },
  parquet: { ...table, connection: required(object(shownLogins.parquet)) },
});

/**
 * The settings of a kind, from what a change says of a connection.
 * @throws {ApiError} 400 with all that is wrong
 */
export function settingsFrom(type: TargetSettings["type"], connection: object | undefined): TargetSettings {
  if (type === "duckdb") return { type };
  const form = checked(object({ connection: required(object<Fields>(logins[type])) }), (value) =>
    problemsOf({ type, connection: value.connection as unknown as PostgresSettings } as TargetSettings),
  );
  const given = connection === undefined ? {} : { connection };
  return { type, ...checkAt(form, given, "body.table") } as unknown as TargetSettings;
}

function problemsOf(settings: TargetSettings): readonly Problem[] {
  const problem = connectionProblem(settings);
  if (problem === undefined) return [];
  return [{ ...bad(problem.message), field: `connection.${problem.field}` }];
}

function bad(message: string): Problem {
  return { name: "badRequest", message };
}
