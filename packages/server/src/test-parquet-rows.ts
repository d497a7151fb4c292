// What others see of a Parquet target: its files as DuckDB reads a Hive table.
import { existsSync } from "node:fs";
import { openEngine } from "@millrace/warehouse/testkit";
import { scratch } from "./test-platform.ts";

/** @param folder of one table; rows of a query over it, which names it `$table` */
export async function parquetRows(folder: string, query: string): Promise<readonly (readonly unknown[])[]> {
  if (!existsSync(folder)) return [];
  const own = scratch();
  const engine = await openEngine({
    file: `${own}/reader.duckdb`,
    stagingDir: `${folder}/`,
    tempDir: own,
    memoryBytes: 256 * 2 ** 20,
    threads: 1,
  });
  const connection = await engine.connect();
  try {
    const table = `read_parquet('${folder}/*/*.parquet', hive_partitioning = true, union_by_name = true)`;
    return (await connection.runAndReadAll(query.replace("$table", table))).getRows();
  } catch (error) {
    if (/No files found/.test(String(error))) return [];
    throw error;
  } finally {
    connection.closeSync();
    engine.closeSync();
  }
}
