// Where a sink's table is, as it stands in a form: the kinds of targets with the fields of their connections, and what
// of them is a change. A password is never shown: a field that is left empty keeps the one there is.
import { numberOrText } from "./signature-draft.ts";
import type { Sink } from "./stream-definitions.ts";

export const TARGET_KINDS = ["duckdb", "postgres", "clickhouse", "parquet"] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];

export interface ConnectionField {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly input: "text" | "number" | "password" | "sslMode" | "pem";
  readonly isRequired: boolean;
}

export interface TargetText {
  readonly name: string;
  readonly about: string;
  /** Of a new table. */
  readonly schema: string;
  readonly fields: readonly ConnectionField[];
}

/** Names of fields with their texts. */
export interface TargetDraft {
  readonly type: TargetKind;
  readonly connection: Readonly<Record<string, string>>;
}

type FieldFacts = Partial<Omit<ConnectionField, "name" | "label">>;
const field = (name: string, label: string, facts: FieldFacts = {}): ConnectionField => {
  return { name, label, hint: "", input: "text", isRequired: false, ...facts };
};
const needed = { isRequired: true } as const;
const password = field("password", "Password", { input: "password" });

export const TARGETS: Readonly<Record<TargetKind, TargetText>> = {
  duckdb: {
    name: "DuckDB",
    about: "The warehouse beside this platform, whose tables the SQL box asks.",
    schema: "main",
    fields: [],
  },
  postgres: {
    name: "PostgreSQL",
    about: "Rows and how far they are loaded commit in one transaction: exactly once.",
    schema: "public",
    fields: [
      field("host", "Host", { ...needed, hint: "name, address, or directory of a Unix socket" }),
      field("port", "Port", { input: "number", hint: "5432 when it is empty" }),
      field("database", "Database", needed),
      field("user", "User", needed),
      password,
      field("sslMode", "TLS", { input: "sslMode" }),
      field("sslRootCert", "Certificate authorities", {
        input: "pem",
        hint: "PEM; the system's when it is empty",
      }),
    ],
  },
  clickhouse: {
    name: "ClickHouse",
    about: "Over HTTP; an insert that is repeated within the newest 10,000 is not done again.",
    schema: "default",
    fields: [
      field("url", "Address", { ...needed, hint: "https://ch.example.com:8443" }),
      field("user", "User", { hint: "default when it is empty" }),
      password,
    ],
  },
  parquet: {
    name: "Parquet files",
    about:
      "In a bucket or a directory, partitioned by day as Hive does. Give it an import interval of minutes.",
    schema: "lake",
    fields: [
      field("url", "Address", {
        ...needed,
        hint: "s3://bucket/rows/, gs://\u2026, azure://\u2026, file:///\u2026",
      }),
    ],
  },
};

export const SSL_MODES: readonly (readonly [value: string, text: string])[] = [
  ["", "verify-full: encrypted, to a server with a certificate for the host (default)"],
  ["require", "require: encrypted, whoever answers"],
  ["disable", "disable: not encrypted"],
];

export function targetDraft(table: Sink["table"] | undefined): TargetDraft {
  const type = TARGET_KINDS.find((kind) => kind === table?.type) ?? "duckdb";
  const known = Object.entries(table?.connection ?? {}).map(
    ([name, value]) => [name, String(value)] as const,
  );
  // Said or not, it is the default.
  const connection = Object.fromEntries(known.filter(([, value]) => value !== "verify-full"));
  return { type, connection };
}

/** The members of a request's table that make it so; empty: nothing changes. */
export function targetChange(
  table: Sink["table"] | undefined,
  draft: TargetDraft,
): { type?: TargetKind; connection?: object } {
  const before = targetDraft(table);
  const connection = connectionOf(draft);
  if (table !== undefined && before.type === draft.type) {
    const isSame = JSON.stringify(connectionOf(before)) === JSON.stringify(connection);
    return isSame ? {} : { connection };
  }
  return { type: draft.type, ...(draft.type === "duckdb" ? {} : { connection }) };
}

function connectionOf({ type, connection }: TargetDraft): Record<string, string | number> {
  const members = TARGETS[type].fields.flatMap(({ name, input }): [string, string | number][] => {
    // Spaces at the ends are a password's own.
    const text = input === "password" ? (connection[name] ?? "") : (connection[name] ?? "").trim();
    return text === "" ? [] : [[name, input === "number" ? numberOrText(text) : text]];
  });
  return Object.fromEntries(members);
}

/** A table's name with the schema that another target has, when nobody has chosen one. */
export function tableIdFor(tableId: string, from: TargetKind, to: TargetKind): string {
  const prefix = `${TARGETS[from].schema}.`;
  return tableId.startsWith(prefix) ? `${TARGETS[to].schema}.${tableId.slice(prefix.length)}` : tableId;
}
