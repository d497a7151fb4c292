// SQL of ClickHouse targets, as pure text, and the settings that go with it. Names are quoted here; values are
// parameters of the query or rows.
import { REMOVED_END, SYSTEM_COLUMNS, type Column } from "@millrace/ingest";
import { tableColumns, type ColumnKind } from "./column-kinds.ts";
import { SYSTEM_SCHEMA, type TableName } from "./table-name.ts";

/** What a table's comment begins with that was made here. */
export const OWN_COMMENT = "Made by Millrace";

/** Inserts of a table that the server remembers: the limit within which one is never done twice (D23). */
export const DEDUPLICATION_WINDOW = 10_000;
const WINDOW_SECONDS = 30 * 24 * 3600;

/** Without Nullable, which any column of a mapping may have around it. */
const TYPES: Readonly<Record<ColumnKind, string>> = {
  uuid: "UUID",
  moment: "DateTime64(3, 'UTC')",
  text: "String",
  offset: "Int64",
};

/** A part is on disk when its insert is answered: what it holds is removed from staging. */
const DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1";
const REMEMBERS = [
  `non_replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`,
  `replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`,
  `replicated_deduplication_window_seconds = ${WINDOW_SECONDS}`,
].join(", ");

export function quoted(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
}

export function qualified({ schema, table }: TableName): string {
  return `${quoted(schema)}.${quoted(table)}`;
}

const LOADED_NAME = "loaded";
const LOADED = qualified({ schema: SYSTEM_SCHEMA, table: LOADED_NAME });

/** The table of loaded ends, if it is there, and another one. Parameters: d, t. */
export const DESCRIBE_TABLES =
  "SELECT database, name, engine, engine_full, comment FROM system.tables " +
  `WHERE (database = {d:String} AND name = {t:String}) OR (database = '${SYSTEM_SCHEMA}' AND name = '${LOADED_NAME}')`;
/** Parameters: d, t. Columns of the answer: name, type. */
export const DESCRIBE_COLUMNS =
  "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position";

/** Several rows of a partition may stand there: the greatest counts, whenever they are merged. */
export const CREATE_LOADED = `CREATE TABLE IF NOT EXISTS ${LOADED} (
\`table\` String,
\`journal\` String,
\`loaded_begin\` Int64,
\`loaded_end\` Int64,
\`loaded_at\` DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(loaded_end) ORDER BY (\`table\`, \`journal\`) SETTINGS ${DURABLE}
COMMENT '${OWN_COMMENT}; how far each table has each partition'`;
export const CREATE_SYSTEM_DATABASE = createDatabase(SYSTEM_SCHEMA);

/** Parameter: t. Columns of the answer: journal, end. */
export const READ_ENDS = `SELECT journal, max(loaded_end) FROM ${LOADED} WHERE \`table\` = {t:String} GROUP BY journal`;
/** Rows: table, journal, begin, end. One block: all of them or none. */
export const MOVE_ENDS =
  `INSERT INTO ${LOADED} (\`table\`, \`journal\`, \`loaded_begin\`, \`loaded_end\`)` + " FORMAT TabSeparated";

export function createDatabase(name: string): string {
  return `CREATE DATABASE IF NOT EXISTS ${quoted(name)}`;
}

export function typedColumns(columns: readonly Column[]): readonly (readonly [name: string, type: string])[] {
  return tableColumns(columns).map(([name, kind]) => [name, TYPES[kind]] as const);
}

/** Without partitions, so that an insert is one part: all of it or none. */
export function createTable(name: TableName, columns: readonly Column[]): string {
  const fields = typedColumns(columns).map(([column, type], i) => {
    return `${quoted(column)} ${i < columns.length ? `Nullable(${type})` : type}`;
  });
  const order = [SYSTEM_COLUMNS.journal, SYSTEM_COLUMNS.offset].map(quoted).join(", ");
  return `CREATE TABLE IF NOT EXISTS ${qualified(name)} (
${fields.join(",\n")}
) ENGINE = MergeTree ORDER BY (${order}) SETTINGS ${REMEMBERS}, ${DURABLE}
COMMENT '${OWN_COMMENT}; _journal and _offset say where a row comes from'`;
}

/** Waits until its data is gone, so that another of this name begins empty. */
export function dropTable(name: TableName): string {
  return `DROP TABLE IF EXISTS ${qualified(name)} SYNC`;
}

/** Loaded ends of a table that is gone, but for those of journals that it never takes again. */
export function forgetEnds({ schema, table }: TableName): string {
  const name = `${schema}.${table}`.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  return (
    `ALTER TABLE ${LOADED} DELETE WHERE \`table\` = '${name}' AND \`loaded_end\` < ${REMOVED_END} ` +
    "SETTINGS mutations_sync = 2"
  );
}

export function addColumn(name: TableName, [column, type]: readonly [name: string, type: string]): string {
  return `ALTER TABLE ${qualified(name)} ADD COLUMN IF NOT EXISTS ${quoted(column)} Nullable(${type})`;
}

/** Rows as copy-text.ts writes them. */
export function insertRows(name: TableName, columns: readonly Column[]): string {
  const names = [...columns.map((column) => column.name), SYSTEM_COLUMNS.journal, SYSTEM_COLUMNS.offset];
  return `INSERT INTO ${qualified(name)} (${names.map(quoted).join(", ")}) FORMAT TabSeparated`;
}

/** A type as it counts: a column may be nullable or a dictionary. */
export function plainType(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/.exec(type)?.[1];
  return inner === undefined ? type : plainType(inner);
}

/**
 * Why a table that others made cannot take inserts that may be repeated; undefined: it can.
 * @param full the engine with its settings, as the server prints it
 */
export function engineProblem(tableId: string, engine: string, full: string): string | undefined {
  if (!engine.endsWith("MergeTree"))
    return `"${tableId}" has the engine ${engine}, which does not tell an insert that is repeated`;
  const isReplicated = /^(Replicated|Shared)/.test(engine);
  const setting = isReplicated ? "replicated_deduplication_window" : "non_replicated_deduplication_window";
  const named = new RegExp(`\\b${setting} = (\\d+)`).exec(full)?.[1];
  // Those that are replicated remember inserts unless told not to.
  const window = named === undefined ? (isReplicated ? DEDUPLICATION_WINDOW : 0) : Number(named);
  if (window >= WINDOW_MIN) return undefined;
  const mend = `ALTER TABLE … MODIFY SETTING ${setting} = ${DEDUPLICATION_WINDOW}`;
  return `"${tableId}" remembers ${window} inserts, at least ${WINDOW_MIN} are needed: ${mend}`;
}

/** Inserts of other sinks into the table while one is repeated. */
const WINDOW_MIN = 100;

/** Of every insert: at once, as one block, and never a second time. */
export const INSERT_SETTINGS = {
  async_insert: "0",
  insert_deduplicate: "1",
  deduplicate_blocks_in_dependent_materialized_views: "1",
  input_format_parallel_parsing: "0",
  max_insert_block_size: "1048449",
  date_time_input_format: "best_effort",
} as const;
