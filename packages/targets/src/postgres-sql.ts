// SQL of PostgreSQL targets, as pure text. Names of users are quoted here; their values are parameters or COPY's rows.
import { SYSTEM_COLUMNS, type Column } from "@millrace/ingest";
import { columnKind, tableColumns, type ColumnKind } from "./column-kinds.ts";
import { IDLE_IN_TRANSACTION_MS, LOCK_MS } from "./limits.ts";
import { SYSTEM_SCHEMA, type TableName } from "./table-name.ts";

/** Bytes of a name; the server cuts longer ones off. */
export const NAME_BYTES_MAX = 63;
/** What a table's comment begins with that was made here. */
export const OWN_COMMENT = "Made by Millrace";

/** As `format_type` prints them. */
const TYPES: Readonly<Record<ColumnKind, string>> = {
  uuid: "uuid",
  moment: "timestamp with time zone",
  text: "text",
  offset: "bigint",
};

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualified({ schema, table }: TableName): string {
  return `${quoted(schema)}.${quoted(table)}`;
}

/** Where each partition's loaded end stands (D23), with the begin of the load that moved it. */
const LOADED = `${quoted(SYSTEM_SCHEMA)}."loaded"`;

/**
 * Everything is local to the transaction, so that a pooler between may give the session to others. The commit is on
 * disk when it is answered, whatever the server's default: what it holds is removed from staging.
 */
export const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = ${LOCK_MS};
SET LOCAL idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS};
SET LOCAL synchronous_commit = on;
SET LOCAL client_encoding = 'UTF8'`;

/** Only one makes tables at a time: two that make the same one fail, in spite of IF NOT EXISTS. */
export const LOCK_DEFINITIONS = "SELECT pg_advisory_xact_lock(1296649292, 1380008773)";

/** The database's encoding, and the columns of a table with their types, the kind of relation and its comment. */
export const DESCRIBE = `SELECT pg_encoding_to_char(d.encoding), c.relkind::text,
  obj_description(c.oid, 'pg_class'), a.attname::text, format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_database d
LEFT JOIN (pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid)
  ON n.nspname = $1 AND c.relname = $2
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE d.datname = current_database()`;

/** Which of schema $1, our schema and our table are there; making one that is takes rights that loading does not. */
export const PRESENT = `SELECT to_regnamespace(quote_ident($1))::text, to_regnamespace('${SYSTEM_SCHEMA}')::text,
  to_regclass('${LOADED}')::text`;

export const CREATE_SYSTEM_SCHEMA = createSchema(SYSTEM_SCHEMA);
export const CREATE_LOADED = `CREATE TABLE IF NOT EXISTS ${LOADED} ("table" text NOT NULL, "journal" text NOT NULL,
  "loaded_begin" bigint, "loaded_end" bigint, "loaded_at" timestamp with time zone, PRIMARY KEY ("table", "journal"))`;

export function createSchema(schema: string): string {
  return `CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`;
}

export function typedColumns(columns: readonly Column[]): readonly (readonly [name: string, type: string])[] {
  return tableColumns(columns).map(([name, kind]) => [name, TYPES[kind]] as const);
}

export function createTable(name: TableName, columns: readonly Column[]): readonly string[] {
  const fields = typedColumns(columns).map(([column, type], i) => {
    return `${quoted(column)} ${type}${i < columns.length ? "" : " NOT NULL"}`;
  });
  return [
    `CREATE TABLE ${qualified(name)} (${fields.join(", ")})`,
    `COMMENT ON TABLE ${qualified(name)} IS '${OWN_COMMENT}; _journal and _offset say where a row comes from'`,
  ];
}

export function addColumn(name: TableName, column: Column): string {
  const type = TYPES[columnKind(column)];
  return `ALTER TABLE ${qualified(name)} ADD COLUMN IF NOT EXISTS ${quoted(column.name)} ${type}`;
}

/** Rows to lock are there before they are locked. $1: table, $2: journals, in the order in which all lock them. */
export const MAKE_ENDS = `INSERT INTO ${LOADED} ("table", "journal")
SELECT $1, j FROM unnest($2::text[]) WITH ORDINALITY AS v(j, i) ORDER BY i ON CONFLICT DO NOTHING`;

export const LOCK_ENDS = `SELECT "journal", "loaded_end" FROM ${LOADED}
WHERE "table" = $1 AND "journal" = ANY($2::text[]) ORDER BY "journal" COLLATE "C" FOR UPDATE`;

/** $2: journals, $3: begins, $4: ends. */
export const MOVE_ENDS = `UPDATE ${LOADED} AS l
SET "loaded_begin" = v.b, "loaded_end" = v.e, "loaded_at" = clock_timestamp()
FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS v(j, b, e) WHERE l."table" = $1 AND l."journal" = v.j`;

export const READ_ENDS = `SELECT "journal", "loaded_end" FROM ${LOADED}
WHERE "table" = $1 AND "loaded_end" IS NOT NULL`;

export function dropTable(name: TableName): string {
  return `DROP TABLE IF EXISTS ${qualified(name)}`;
}

/** $2: journals, $3: where they end. */
export const REMOVE_ENDS = `UPDATE ${LOADED} SET "loaded_end" = $3::bigint, "loaded_at" = clock_timestamp()
WHERE "table" = $1 AND "journal" = ANY($2::text[])`;

/** Of the table's other journals. */
export const FORGET_ENDS = `DELETE FROM ${LOADED} WHERE "table" = $1 AND "loaded_end" < $2::bigint`;

/** Rows as copy-text.ts writes them: the values, the journal, the offset. */
export function copyRows(name: TableName, columns: readonly Column[]): string {
  const names = [...columns.map((column) => column.name), SYSTEM_COLUMNS.journal, SYSTEM_COLUMNS.offset];
  const list = names.map((column) => quoted(column)).join(", ");
  return `COPY ${qualified(name)} (${list}) FROM STDIN WITH (FORMAT text, ENCODING 'UTF8')`;
}
