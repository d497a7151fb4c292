// Where the table of a sink is and how to log in there, as its definition has it. Two parts: the place, which tells one
// target from another, and the rest, which may change without the rows going elsewhere.
//
// G1 A password belongs to its place and its user: it is never used for another one, whoever asks (keptPassword).
// G2 Passwords are sealed at rest, are in no answer and no log, and do not count for a version's hash.
import { WireError } from "@millrace/base";
import { parseStoreUrl } from "@millrace/stores";
import { decodeSecret, type SecretBox, type StoredSecret } from "./secret-box.ts";
import type { JsonFields } from "./storage-json.ts";

export const TARGET_KINDS = ["duckdb", "postgres", "clickhouse", "parquet"] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];

/** As libpq calls them: `require` encrypts, whoever answers; `verify-full` wants a certificate for the host. */
export const SSL_MODES = ["disable", "require", "verify-full"] as const;

export interface PostgresSettings {
  /** Name or address; a path that begins with `/` is the directory of a Unix socket. */
  readonly host: string;
  /** Default 5432. */
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** Default `verify-full`; `disable` for a Unix socket. */
  readonly sslMode?: (typeof SSL_MODES)[number];
  /** Authorities, PEM; default: the system's. */
  readonly sslRootCert?: string;
}

export interface ClickHouseSettings {
  /** Of the HTTP interface: scheme, host and port alone. */
  readonly url: string;
  /** Default `default`. */
  readonly user?: string;
  readonly password?: string;
}

export interface ParquetSettings {
  /** Of a bucket or a directory, as of a fragment store; credentials are the process's. */
  readonly url: string;
}

export type TargetSettings =
  | { readonly type: "duckdb" }
  | { readonly type: "postgres"; readonly connection: PostgresSettings }
  | { readonly type: "clickhouse"; readonly connection: ClickHouseSettings }
  | { readonly type: "parquet"; readonly connection: ParquetSettings };

export const POSTGRES_PORT = 5432;
export const CLICKHOUSE_USER = "default";

/** The settings in `table`, without what else it has. */
export function settingsOf(table: TargetSettings): TargetSettings {
  return table.type === "duckdb"
    ? { type: table.type }
    : ({ type: table.type, connection: table.connection } as TargetSettings);
}

/** Whether tables of this kind have text with the character NUL. */
export function takesNul(kind: TargetKind): boolean {
  return kind !== "postgres";
}

/** Which one of its kind; undefined where there is only one. User and password do not count. */
export function placeOf(settings: TargetSettings): string | undefined {
  switch (settings.type) {
    case "duckdb":
      return undefined;
    case "postgres": {
      const { host, port = POSTGRES_PORT, database } = settings.connection;
      const shown = host.startsWith("/") ? host : host.toLowerCase();
      return `${shown.includes(":") ? `[${shown}]` : shown}:${port}/${database}`;
    }
    case "clickhouse":
      return new URL(settings.connection.url).origin;
    case "parquet":
      return settings.connection.url;
  }
}

export interface ConnectionProblem {
  /** Of the connection. */
  readonly field: string;
  readonly message: string;
}

/** Why settings whose form is right cannot be used; undefined when nothing speaks against them. */
export function connectionProblem(settings: TargetSettings): ConnectionProblem | undefined {
  switch (settings.type) {
    case "duckdb":
      return undefined;
    case "postgres":
      return postgresProblem(settings.connection);
    case "clickhouse":
      return originProblem(settings.connection.url);
    case "parquet":
      try {
        parseStoreUrl(settings.connection.url);
        return undefined;
      } catch (thrown) {
        return wrong("url", `is invalid: ${WireError.from(thrown).message}`);
      }
  }
}

export function passwordOf(settings: TargetSettings): string | undefined {
  return settings.type === "postgres" || settings.type === "clickhouse"
    ? settings.connection.password
    : undefined;
}

/** The settings as everybody may see them. */
export function withoutPassword<T extends TargetSettings>(settings: T): T {
  if (passwordOf(settings) === undefined) return settings;
  const { password: _password, ...connection } = (settings as T & { connection: PostgresSettings })
    .connection;
  return { ...settings, connection };
}

/**
 * New settings with the password of `before` when they have none of their own (G1).
 * @throws {WireError} INVALID_ARGUMENT when there is one, and it is another place's or user's
 */
export function keptPassword(before: TargetSettings, after: TargetSettings): TargetSettings {
  const password = passwordOf(before);
  if (password === undefined || passwordOf(after) !== undefined || before.type !== after.type) return after;
  if (loginOf(before) !== loginOf(after)) {
    const message = "connection.password must be given again when host, port, database, user or TLS change";
    throw new WireError("INVALID_ARGUMENT", message);
  }
  return withPassword(after, password);
}

/**
 * What a rollback to `then` makes of a sink that is at `now`: a password that was changed since stays, and one of
 * another login comes back with it.
 */
export function rolledBack<T extends TargetSettings>(now: TargetSettings, then: T): T {
  const password = passwordOf(now);
  if (password === undefined || now.type !== then.type || loginOf(now) !== loginOf(then)) return then;
  return withPassword(then, password);
}

/** As it is stored. @param place that a sealed password belongs to */
export function sealSettings(settings: TargetSettings, secrets: SecretBox, place: string): object {
  const password = passwordOf(settings);
  if (password === undefined || settings.type === "duckdb") return settings;
  return { ...settings, connection: { ...settings.connection, password: secrets.seal(password, place) } };
}

/** @throws {CannotOpen} without the key of its password @throws {WireError} CORRUPT with the field */
export function openSettings(table: JsonFields, secrets: SecretBox, place: string): TargetSettings {
  const settings = decodeSettings(table);
  const stored = storedPassword(table);
  return stored === undefined ? settings : withPassword(settings, secrets.open(stored, place));
}

/** The settings without their password. @throws {WireError} CORRUPT with the field */
export function decodeSettings(table: JsonFields): TargetSettings {
  const type = table.oneOf("type", TARGET_KINDS);
  if (type === "duckdb") return { type };
  const fields = table.object("connection");
  if (type === "postgres") {
    const connection: PostgresSettings = {
      host: fields.text("host"),
      database: fields.text("database"),
      user: fields.text("user"),
      ...(fields.has("port") ? { port: fields.integer("port", 1) } : {}),
      ...(fields.has("sslMode") ? { sslMode: fields.oneOf("sslMode", SSL_MODES) } : {}),
      ...(fields.has("sslRootCert") ? { sslRootCert: fields.text("sslRootCert") } : {}),
    };
    return { type, connection };
  }
  const url = fields.text("url");
  if (type === "parquet") return { type, connection: { url } };
  return { type, connection: { url, ...(fields.has("user") ? { user: fields.text("user") } : {}) } };
}

function storedPassword(table: JsonFields): StoredSecret | undefined {
  if (!table.has("connection")) return undefined;
  const fields = table.object("connection");
  return fields.has("password") ? decodeSecret(fields, "password") : undefined;
}

function withPassword<T extends TargetSettings>(settings: T, password: string): T {
  return settings.type === "postgres" || settings.type === "clickhouse"
    ? { ...settings, connection: { ...settings.connection, password } }
    : settings;
}

/** Who gets the password, and whether others can read it on its way. */
function loginOf(settings: TargetSettings): string {
  if (settings.type === "postgres") {
    const { user, sslMode, sslRootCert } = settings.connection;
    return JSON.stringify([placeOf(settings), user, sslMode, sslRootCert]);
  }
  if (settings.type !== "clickhouse") return "";
  return JSON.stringify([placeOf(settings), settings.connection.user ?? CLICKHOUSE_USER]);
}

function wrong(field: string, why: string): ConnectionProblem {
  return { field, message: `connection.${field} ${why}` };
}

function postgresProblem({ host, sslMode, sslRootCert }: PostgresSettings): ConnectionProblem | undefined {
  if (/[\s?#@]/.test(host)) return wrong("host", `"${host}" is no name, address or path`);
  if (host.startsWith("/") && sslMode !== undefined && sslMode !== "disable")
    return wrong("sslMode", `"${sslMode}" is not to be had over a Unix socket`);
  if (sslRootCert === undefined) return undefined;
  if (sslMode === "disable" || sslMode === "require")
    return wrong("sslRootCert", `is given, and sslMode "${sslMode}" looks at no certificate`);
  if (!sslRootCert.includes("-----BEGIN CERTIFICATE-----")) return wrong("sslRootCert", "is not PEM");
  return undefined;
}

function originProblem(url: string): ConnectionProblem | undefined {
  const rule = "expected http:// or https:// with a host, and nothing behind it";
  if (!URL.canParse(url)) return wrong("url", `"${url}" is invalid: ${rule}`);
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "")
    return wrong("url", "is invalid: user and password have fields of their own");
  const isOrigin = parsed.pathname === "/" && parsed.search === "" && parsed.hash === "";
  const isHttp = parsed.protocol === "http:" || parsed.protocol === "https:";
  return isOrigin && isHttp ? undefined : wrong("url", `"${url}" is invalid: ${rule}`);
}
